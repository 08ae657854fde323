"""Pictures of flows: what is in them, that nothing lies over anything else, that no text is wider than its box in a real browser."""

import os
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import yamlfile
from parley_router.conditions import Condition
from parley_router.flow import Flow
from parley_router.steps import Span
from parley_router.tools import edges, layout, picture, svg, wording
from parley_router.tools.grid import Size
from tests.browser import MISSING, chromium
from tests.test_cli import parley

READY = sorted((Path(__file__).parents[1] / "config" / "flows").glob("*.yaml"))
JOURNEY = """\
flow: journey
version: 2
tenant: acme
start: {event: cart.abandoned, again_after: 1w}
purpose: marketing
campaign: journey
left: bye
steps:
  - wait: {for: 1d12h}
    events: [{name: order.placed, go: thanks}]
  - split: tone
    variants: {warm: {go: why}, plain: {}}
  - go: why
  - id: why
    ask: reason
    say: {ko: '어떤 점이 아쉬우셨어요?', en: 'What kept you?'}
    choices:
      - {id: price, title: {ko: 가격, en: Price}, go: offer}
      - {id: other, title: {ko: 기타, en: Other}, go: why}
    otherwise: flow/human
    within: 2h
  - id: offer
    branch:
      - {when: {all: [{value: profile.city, is: Seoul}, {consent: marketing}]}, go: thanks}
      - {when: {event: order.placed, within: 30d, at_least: 2}, go: thanks}
    otherwise: bye
  - id: thanks
    say: {ko: '"고맙습니다" #1', en: '"Thanks" #1'}
  - end: true
  - id: bye
    say: {ko: 안녕히 계세요, en: Bye}
"""


def flow(text: str = JOURNEY) -> Flow:
    return yamlfile.parse(text, Flow, "journey.yaml")


def lines(found: picture.Picture) -> set[tuple[str, str, str]]:
    """From, label, to; boxes by what stands after the dot in their head."""
    name = [box.head.rpartition("· ")[2] for box in found.boxes]
    return {(name[one.start], one.label, name[one.end]) for one in found.lines}


def test_picture_of_a_flow():
    """Steps are boxes and every way out of them is an arrow with its reason; `go` is only an arrow, and a box that nothing leaves is the end."""
    assert {
        ("journey v2", "", "wait"), ("journey v2", "left by an escape word", "bye"),
        ("wait", "1d12h", "split"), ("wait", "order.placed", "thanks"),
        ("split", "warm / plain", "why"),
        ("why", "가격", "offer"), ("why", "기타", "why"), ("why", "otherwise", "flow/human"), ("why", "late: 2h", "end"),
        ("offer", "profile.city is Seoul and consent marke…", "thanks"), ("offer", "otherwise", "bye"),
    } == lines(picture.picture(flow()))  # fmt: skip


def test_names_of_ways_are_unique_in_a_step():
    """By them coverage tells what was taken."""
    found = [(one.step, one.name) for one in edges.edges(flow())]

    assert len(set(found)) == len(found)
    assert {(0, "time"), (0, "event:0"), (1, "variant:warm"), (3, "choice:price"), (3, "otherwise"), (3, "late"), (4, "case:1")} <= set(found)


def test_mermaid_text():
    """Quotes and signs with a meaning are written as entities; several flows stand in frames."""
    text = picture.mermaid([picture.picture(flow(), "en")])

    assert text.startswith('flowchart TD\n  f0n0(["journey v2<br/>on cart.abandoned#59; again after 1w"])\n')
    assert '["say · thanks<br/>#34;Thanks#34; #35;1"]' in text
    assert 2 == picture.mermaid([picture.picture(flow())] * 2).count("  subgraph ")


@given(st.data())
def test_nothing_lies_over_anything_else(data):
    """Boxes and labels keep apart, wherever arrows lead, and the arrows begin and end at their boxes."""
    size = st.builds(Size, st.floats(10, 300), st.floats(10, 90))
    boxes = data.draw(st.lists(size, min_size=1, max_size=12))
    end = st.integers(0, len(boxes) - 1)
    label = st.none() | st.builds(Size, st.floats(5, 200), st.just(16.0))
    arrows = data.draw(st.lists(st.builds(layout.Arrow, end, end, label), max_size=20))
    found = layout.layout(boxes, arrows)
    placed = [*zip(found.boxes, boxes, strict=True), *((at, arrow.label) for at, arrow in zip(found.labels, arrows, strict=True) if at)]

    for (one, wide), (other, long) in combinations(placed, 2):
        assert abs(one.x - other.x) >= (wide.width + long.width) / 2 - 1e-6 or abs(one.y - other.y) >= (wide.height + long.height) / 2 - 1e-6
    for arrow, route in zip(arrows, found.routes, strict=True):
        if arrow.start != arrow.end:
            assert [found.boxes[arrow.start].x, found.boxes[arrow.end].x] == [route[0].x, route[-1].x]


def test_arrows_point_down_where_they_can():
    """A chain reads from top to bottom, and what leads back goes up."""
    found = layout.layout([Size(50, 20)] * 3, [layout.Arrow(0, 1), layout.Arrow(1, 2), layout.Arrow(2, 0)])

    assert sorted(one.y for one in found.boxes) == [one.y for one in found.boxes]
    assert found.routes[2][0].y > found.routes[2][-1].y


@pytest.mark.parametrize(
    "text",
    ["Short", "가나다라마바사아자차카타파하" * 12, "W" * 300, "one two three " * 40, "🎉" * 90],
    ids=["short", "without blanks", "wide", "words", "emoji"],
)
def test_text_is_cut_to_its_box(text):
    """However long a text is, and in whatever letters."""
    long = JOURNEY.replace("어떤 점이 아쉬우셨어요?", text).replace("id: why", "id: why" + "y" * 50).replace("go: why", "go: why" + "y" * 50)
    document = ElementTree.fromstring(svg.svg([picture.picture(flow(long))]))
    found = [one.text for one in document.iter("{http://www.w3.org/2000/svg}text") if one.get("class") in ("body", "on-start")]

    assert all(svg.width(one) <= svg.WIDEST - 2 * svg.PAD for one in found)
    assert text[:3] in "".join(found)


async def overflowing(page, path: Path) -> tuple[list[str], str]:
    """The texts that the browser draws beyond their boxes, and the colour of the page."""
    await page.goto(path.as_uri())
    script = """() => [...document.querySelectorAll('g > rect.box, g > rect.start')].flatMap(box => {
        const outer = box.getBBox()
        return [...box.parentNode.querySelectorAll('text')].filter(one => {
            const inner = one.getBBox()
            return inner.x < outer.x || inner.x + inner.width > outer.x + outer.width || inner.y + inner.height > outer.y + outer.height
        }).map(one => one.textContent)
    })"""
    return await page.evaluate(script), await page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")


@pytest.mark.skipif(chromium() is None and "CI" not in os.environ, reason=MISSING)
def test_browser_draws_no_text_beyond_its_box(chrome, tmp_path):
    """The ready flows and a hard one, in both languages, by light and by dark."""
    flows = [
        flow(),
        flow(JOURNEY.replace("What kept you?", "WWWW MMMM " * 9).replace("어떤", "뷁뷁뷁뷁 " * 20)),
        *(yamlfile.read(one, Flow) for one in READY),
    ]

    async def looked() -> list[tuple[list[str], str]]:
        found = []
        for scheme, language in (("light", "ko"), ("dark", "en")):
            path = tmp_path / f"{scheme}.svg"
            path.write_text(svg.svg([picture.picture(one, language) for one in flows]), encoding="utf-8")
            async with chrome.person(color_scheme=scheme) as context:
                found.append(await overflowing(await context.new_page(), path))
        return found

    assert [([], "rgb(255, 255, 255)"), ([], "rgb(18, 22, 28)")] == chrome.run(looked())


def test_command(tmp_path):
    """A file or a directory, to standard output or a file; a broken flow is said by file and line."""
    out = tmp_path / "flows.svg"
    (tmp_path / "broken.yaml").write_text("flow: [")
    made = parley("flow", "graph", READY[0].parent, "--out", out)
    printed = parley("flow", "graph", READY[0], "--format", "mermaid", "--language", "en")
    refused = parley("flow", "graph", tmp_path / "broken.yaml")

    assert (0, "", 0, 2) == (made.returncode, made.stdout, printed.returncode, refused.returncode)
    assert len(READY) == out.read_text(encoding="utf-8").count('class="title"')
    assert printed.stdout.startswith("flowchart TD\n")
    assert "broken.yaml:1: not YAML" in refused.stderr


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"value": "profile.city", "is": "Seoul"}, "profile.city is Seoul"), ({"value": "slot.n", "above": 50000}, "slot.n above 50000"),
        ({"value": "slot.n", "below": 0.5}, "slot.n below 0.5"), ({"value": "slot.n", "in": [1, "b"]}, "slot.n in 1, b"),
        ({"value": "profile.x", "known": False}, "profile.x not known"), ({"value": "profile.x", "contains": "a"}, "profile.x contains a"),
        ({"event": "order.placed", "at_least": 2, "within": "30d"}, "order.placed at least 2 times within 4w2d"),
        ({"event": "order.placed", "at_most": 0}, "order.placed at most 0 times"), ({"consent": "marketing"}, "consent marketing granted"),
        ({"consent": "marketing", "on": "email", "is": "revoked"}, "consent marketing on email revoked"), ({"channel": ["sms", "line"]}, "channel sms or line"),
        ({"channel": "sms"}, "channel sms"), ({"between": ["22:00", "06:30"], "days": ["sat", "sun"]}, "22:00 to 06:30 on sat, sun"),
        ({"not": {"tag": "vip"}}, "not tag vip"), ({"all": [{"tag": "a"}, {"any": [{"tag": "b"}, {"tag": "c"}]}]}, "tag a and (tag b or tag c)"),
    ],
)  # fmt: skip
def test_conditions_in_words(condition, said):
    """As an arrow says them."""
    assert said == wording.of_condition(Condition.model_validate(condition))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({"for": "1d12h"}, "1d12h"), ({"until": "{{ event.ends }}", "before": "2h"}, "2h before {{ event.ends }}"),
        ({"until": "2026-12-24", "at": "09:00"}, "until 2026-12-24 at 09:00"), ({"for": "90s", "days": ["mon"]}, "1m30s on mon"),
    ],
)  # fmt: skip
def test_waits_in_words(span, said):
    """As a box says them."""
    assert said == wording.of_span(Span.model_validate(span))

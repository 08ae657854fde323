"""The ready flows: their own conversations take every step and every way, and what advertises says so, says how to leave, and fits."""

import re
from datetime import datetime
from itertools import chain
from pathlib import Path
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import orjson
import pytest

from parley.channels.text import segments, written_out
from parley.contracts import Channel, ConsentState, MessageRequested, Purpose
from parley.twin import shop
from parley_router.state import ContactState, Wanted
from parley_router.steps import Say
from parley_router.tools import sources, testing
from parley_router.tools.coverage import share
from parley_router.tools.entries import Happening, Model, Service
from parley_router.tools.rehearsal import Answer, Rehearsal
from parley_router.tools.staging import Stage, given, happens, rehearsal

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Asia/Seoul"))
FLOWS = sources.opened(ROOT / "config" / "flows")
TESTS = testing.read(FLOWS)
RESULTS = list(testing.run(FLOWS, TESTS))
READY = {source.flow.flow: source.flow for source in FLOWS.sources.values()}


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: f"{one.written.path.stem}-{one.written.line()}")
def test_conversation(result):
    """Every conversation goes as it is written."""
    assert result.verdict.fault is None, testing.failure(result)


def test_every_step_and_every_way_is_taken():
    """Nothing in the ready flows is left to be seen by a customer first."""
    found = testing.covered(FLOWS, RESULTS)

    assert ([], 100.0) == (testing.missing(found), share(one for _, _, one in found))


def advertised(written: testing.Written) -> list[tuple[MessageRequested, str, bool]]:
    """What a conversation says by itself to advertise: the message, the language, and whether the contact had agreed to it then."""
    stage, test = Stage(), written.test
    one = rehearsal(test, written.tenant, FLOWS.book, FLOWS.zones[written.tenant], stage)
    found = []
    for entry in test.talk:
        before = len(one.spoken)
        if isinstance(entry, Service | Model):
            given(stage, entry)
        elif isinstance(entry, Happening):
            agreed = one.state.consent(one.channel, Purpose.MARKETING) is ConsentState.GRANTED
            happens(stage, one, entry)
            said = [spoken.message for spoken in one.spoken[before:] if spoken.message.purpose is Purpose.MARKETING]
            found += [(message, one.state.language or "ko", agreed) for message in said]
    return found


ADVERTISED = list(chain.from_iterable(advertised(one) for one in TESTS))


def test_what_advertises_says_so_and_how_to_leave():
    """Korean advertising begins with (광고) and tells the free refusal; English names the sender and STOP. Every flow of this purpose is seen."""
    marks = {"ko": r"\(광고\) 에이크미.*무료수신거부: 수신거부$", "en": r"Acme Tea House: .*Reply STOP to leave"}
    unmarked = [message.content.text for message, language, _ in ADVERTISED if not re.match(marks[language], message.content.text)]
    wanted = {(name, language) for name, flow in READY.items() if flow.purpose is Purpose.MARKETING for language in ("ko", "en")}

    assert ([], wanted) == (unmarked, {(str(message.flow).partition("@")[0], language) for message, language, _ in ADVERTISED})


def test_what_advertises_asks_for_consent_itself():
    """Without a yes nothing is even asked for, but the first reminder of a cart, which is sender's to refuse."""
    unwanted = {f"{message.flow}/{message.step}" for message, _, agreed in ADVERTISED if not agreed}

    assert {"cart-reminder@1/1"} == unwanted


def test_what_is_short_is_one_segment():
    """A short text fits into one SMS, and an English question with its answers too."""
    texts = [
        (message.content, language)
        for message, language, _ in ADVERTISED
        if message.channels[0] == "sms" and _step(message).short is not None and not (language == "ko" and message.content.choices)
    ]

    assert [] == [content.text for content, _ in texts if segments(written_out(content)) > 1]
    assert {"ko", "en"} == {language for _, language in texts}


def _step(message: MessageRequested) -> Say:
    flow = READY[str(message.flow).partition("@")[0]]
    return next(one for place, one in enumerate(flow.steps) if flow.step_name(place) == message.step)


def shop_answers(wanted: Wanted) -> Answer:
    """What the twin says as the sample tenant's shop."""
    path, _, query = wanted.path.partition("?")
    found = shop.answer(wanted.method, path, dict(parse_qsl(query)), orjson.dumps(wanted.body), NOW.timestamp())
    return Answer(found.status, orjson.loads(found.body), None if found.status < 300 else f"status {found.status}")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["recommend", "1", "50000"], r"How about these\?"),
        (["언제 와요", "A1001"], r"주문 A1001은 (\d+월 \d+일 \(.\)에 도착할 예정이에요|이미 배송이 완료)"),
        (["반품", "A1000"], "주문 A1000을 찾지 못했어요"),
        (["my points"], r"You (have \d+ points|are no member yet)"),
        (["tea class", "2", "1"], r"You are booked: Fri, Nov 27, \d+:00 (AM|PM), for 2"),
    ],
)
def test_the_twin_is_a_shop_for_them(words, wanted):
    """Without a script, the twin's shop answers what the ready flows ask, in the shape that they read."""
    known = {"name": "Hana", "email": "hana@example.com", "birthday": "1990-05-03"}
    state = ContactState(profile=known, channel=Channel.WHATSAPP, addresses={Channel.WHATSAPP: "customer"})
    one = Rehearsal(FLOWS.book, "acme", shop_answers, NOW, state, channel=Channel.WHATSAPP)
    for word in words:
        one.writes(word)

    assert [] == one.troubles
    assert any(re.match(wanted, spoken.message.content.text) for spoken in one.spoken), [spoken.message.content.text for spoken in one.spoken]


def test_each_is_on_its_page():
    """docs/flows-ready.md names every ready flow in its tables, and no other."""
    page = (ROOT / "docs" / "flows-ready.md").read_text(encoding="utf-8")

    assert sorted(READY) == sorted(re.findall(r"^\| `([a-z-]+)` \|", page.partition("## The services")[0], re.MULTILINE))

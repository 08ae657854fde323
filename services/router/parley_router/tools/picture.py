"""A flow as boxes and arrows, and as Mermaid text. `go` steps are no boxes: their arrows lead on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from parley_router.flow import Flow, Start
from parley_router.steps import End, Go
from parley_router.tools.edges import OVER, edges, target_of
from parley_router.tools.wording import of_length, of_step

Shape = Literal["start", "step", "flow", "end"]
LABEL = 40
"""Characters of a label at most."""
WORDS = 90
"""Characters of what a step says, at most."""


class Box(NamedTuple):
    """`head`: what it is, `body`: what it says or is about; `kind` is the step's. `full`: all of it, for who points at it."""

    shape: Shape
    kind: str
    head: str
    body: str
    full: str = ""


class Line(NamedTuple):
    """An arrow between two boxes, by their places."""

    start: int
    end: int
    label: str


class Picture(NamedTuple):
    title: str
    boxes: Sequence[Box]
    lines: Sequence[Line]


def picture(flow: Flow, language: str | None = None) -> Picture:
    """The flow's picture, texts in `language` where it has them. A box that nothing leaves is an end."""
    boxes = [Box("start", "start", f"{flow.flow} v{flow.version}", begins(flow.start, language))]
    of_place: dict[int, int] = {}
    for place, step in enumerate(flow.steps):
        if not isinstance(step, Go | End):
            of_place[place] = len(boxes)
            head, body = of_step(step, language)
            boxes.append(Box("step", step.kind, f"{head} · {step.id}" if step.id else head, shortened(body, WORDS), body))
    ends: dict[tuple[int, str], int] = {}
    labels: dict[tuple[int, int], list[str]] = {}
    for start, to, label in _leading(flow, of_place):
        if isinstance(to, int):
            end = of_place[to]
        elif to == OVER and not label:
            continue
        else:
            end = ends.setdefault((start, to), len(boxes))
            if end == len(boxes):
                boxes.append(Box("end", "end", "end", "") if to == OVER else Box("flow", "go", to, ""))
        labels.setdefault((start, end), []).append(label)
    return Picture(flow.flow, boxes, [Line(*pair, _joined(found)) for pair, found in labels.items()])


def _leading(flow: Flow, of_place: Mapping[int, int]) -> Iterator[tuple[int, int | str, str]]:
    """From which box to which step, other flow or end."""
    yield 0, _onward(flow, 0), ""
    for edge in edges(flow):
        if edge.step in of_place:
            yield of_place[edge.step], _onward(flow, edge.to), edge.label
    if flow.left:
        yield 0, _onward(flow, target_of(flow, flow.left)), "left by an escape word"


def _joined(labels: Sequence[str]) -> str:
    """Of several ways to the same box; one without a label is the usual way, and the others need no words."""
    return shortened(" / ".join(dict.fromkeys(labels)), LABEL) if all(labels) else ""


def _onward(flow: Flow, to: int | str) -> int | str:
    """Where an arrow really leads, past steps that only lead on; a circle of them leads nowhere."""
    seen = set[int]()
    while isinstance(to, int) and isinstance(step := flow.steps[to], Go | End):
        if to in seen or isinstance(step, End):
            return OVER
        seen.add(to)
        to = target_of(flow, step.go)
    return to


def begins(start: Start, language: str | None = None) -> str:
    """How a flow begins, in a line."""
    keywords = start.keywords.get(language or "") or next(iter(start.keywords.values()), ())
    parts = [
        ("on", start.event),
        ("words", ", ".join(keywords[:4]) + (", …" if len(keywords) > 4 else "")),
        ("intent", ", ".join(start.intents)),
        ("consent", f"{start.consent.purpose} {start.consent.state}" if start.consent else None),
        ("segment", start.segment),
        ("date", f"profile.{start.date.profile}" if start.date else None),
        ("", "first message" if start.welcome else None),
        ("", "nothing else fits" if start.fallback else None),
    ]
    said = "; ".join(f"{name} {value}".strip() for name, value in parts if value) or "from other flows"
    return said + (f"; again after {of_length(start.again_after)}" if start.again_after else "")


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def mermaid(pictures: Iterable[Picture]) -> str:
    """The pictures as one Mermaid flowchart, each in a frame of its own where there are several."""
    pictures = list(pictures)
    text = ["flowchart TD"]
    for number, one in enumerate(pictures):
        framed = len(pictures) > 1
        pad = "    " if framed else "  "
        if framed:
            text.append(f'  subgraph f{number}["{_quoted(one.title)}"]')
        text += [f"{pad}f{number}n{place}{_node(box)}" for place, box in enumerate(one.boxes)]
        text += [f"{pad}f{number}n{line.start} -->{_label(line)} f{number}n{line.end}" for line in one.lines]
        if framed:
            text.append("  end")
    return "\n".join(text) + "\n"


def _node(box: Box) -> str:
    words = "<br/>".join(_quoted(one) for one in (box.head, box.body) if one)
    match box.shape:
        case "start":
            return f'(["{words}"])'
        case "flow":
            return f'[["{words}"]]'
        case "end":
            return '((" "))'
        case _:
            return f'{{{{"{words}"}}}}' if box.kind in ("branch", "split") else f'["{words}"]'


def _label(line: Line) -> str:
    return f'|"{_quoted(line.label)}"|' if line.label else ""


def _quoted(text: str) -> str:
    """As Mermaid's entities: its quoted text ends at a quote, it reads HTML, and lines that begin as a Markdown list are refused."""
    text = "".join(f"#{ord(one)};" if one in '"#<>&`;' else one for one in text)
    return re.sub(r"^(\d+)\.", r"\1#46;", re.sub(r"^([-*+])", lambda found: f"#{ord(found[1])};", text))

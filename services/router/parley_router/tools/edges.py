"""The ways out of each step, by name: what `graph` draws and what `test` counts as covered. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from parley_router.flow import Flow
from parley_router.steps import AnyStep, Ask, Booked, Branch, Call, Do, End, Escalate, Go, Recommend, Reply, Split, Wait
from parley_router.tools.wording import of_condition, of_length, of_span

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top of the file."""
OVER = "."
"""Where a flow ends; no step can have this id."""


class Edge(NamedTuple):
    """A way out of the step at `step`: its name, which is unique there, what people read at it, and where it leads.

    `to`: the place of a step of the same flow, the name of another as `flow/NAME`, or `OVER`. `written`: where in the file it stands.
    """

    step: int
    name: str
    label: str
    to: int | str
    written: Place


def edges(flow: Flow) -> list[Edge]:
    """All ways out of all steps, in the order of the file. What is not written and only a fault takes (a call that fails without `failed`) is none."""
    return [
        Edge(place, name, label, _to(flow, place, target), ("steps", place, *written))
        for place, step in enumerate(flow.steps)
        for name, label, target, written in _ways(step)
    ]


def _to(flow: Flow, place: int, target: str | None) -> int | str:
    if target is None:
        return place + 1 if place + 1 < len(flow.steps) else OVER
    return target if target == OVER else target_of(flow, target)


def target_of(flow: Flow, target: str) -> int | str:
    """The place of the step that a file names, or the other flow."""
    found = flow.index(target)
    return target if found is None else found


Way: TypeAlias = tuple[str, str, str | None, Place]


def _ways(step: AnyStep) -> Iterator[Way]:
    """Name, label, target (none: the next step) and place in the step."""
    match step:
        case Go():
            yield "go", "", step.go, ("go",)
        case End() | Escalate():
            return
        case Ask():
            yield from _answers(step)
        case Branch():
            for place, case in enumerate(step.branch):
                yield f"case:{place}", of_condition(case.when), case.go, ("branch", place)
            yield "otherwise", "otherwise", step.otherwise, ("otherwise",)
        case Wait():
            yield from _endings(step)
        case Split():
            for variant, one in step.variants.items():
                yield f"variant:{variant}", variant, OVER if one.holdout else one.go, ("variants", variant)
        case Call() | Recommend() | Booked():
            yield from _outcomes(step)
        case Reply():
            yield "next", "answered", None, ()
            if step.otherwise:
                yield "otherwise", "otherwise", step.otherwise, ("otherwise",)
        case Do():
            yield "next", "and back", None, ()
        case _:
            yield "next", "", None, ()


def _answers(step: Ask) -> Iterator[Way]:
    for place, one in enumerate(step.choices):
        yield f"choice:{one.id}", next(iter(one.title.values())), one.go, ("choices", place)
    if not step.choices:
        yield "answer", "", None, ()
        if step.entity or step.ask.startswith("profile."):
            yield "known", "known", None, ("ask",)
    if step.otherwise:
        yield "otherwise", "otherwise", step.otherwise, ("otherwise",)
    if step.within is not None:
        yield "late", f"late: {of_length(step.within)}", step.late or OVER, ("late",) if step.late else ("within",)


def _endings(step: Wait) -> Iterator[Way]:
    yield "time", of_span(step.wait), step.go, ("go",) if step.go else ("wait",)
    for place, one in enumerate(step.events):
        yield f"event:{place}", one.name, one.go, ("events", place)
    if step.reply:
        yield "reply", "reply", step.reply.go, ("reply",)
    if step.click:
        yield "click", "click", step.click.go, ("click",)


def _outcomes(step: Call | Recommend | Booked) -> Iterator[Way]:
    yield "next", "", None, ()
    if step.none:
        yield "none", "none", step.none, ("none",)
    if isinstance(step, Booked) and step.otherwise:
        yield "otherwise", "otherwise", step.otherwise, ("otherwise",)
    if step.failed:
        yield "failed", "failed", step.failed, ("failed",)

"""Where the steps lead: to steps that there are, to an end, never in circles, and never into silence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from parley_router.checks.around import Around
from parley_router.checks.complaint import Complaint, Place, listed, near, warning
from parley_router.flow import Flow
from parley_router.steps import (
    AnyStep,
    Ask,
    Booked,
    Branch,
    Call,
    Consent,
    Do,
    End,
    Escalate,
    Go,
    Goal,
    Recommend,
    Reply,
    Set,
    Split,
    Tagged,
    Wait,
    falls_through,
    targets,
)

Node: TypeAlias = tuple[str, int]
"""A flow and a place in it; the place behind the last step is the end."""
PAUSES = (Ask, Wait, Call, Recommend, Booked, Reply, Do)
"""Steps at which an event of its own, or another flow, comes in between."""
SILENT = (Set, Tagged, Consent, Branch, Split, Goal, Go, End)
"""Steps of which the customer hears nothing."""
DEEPEST = 5
"""Flows that run flows, one in the other."""


def complaints(flow: Flow, around: Around) -> Iterator[Complaint]:
    yield from _targets(flow, around)
    reached = _reached(flow)
    for place in range(len(flow.steps)):
        if place not in reached:
            yield Complaint(("steps", place), "no step leads here; let one go to it, or leave it out")
    yield from _circles(flow, around, reached)
    yield from _traps(flow, reached)
    yield from _runs(flow, around)
    if flow.flow not in around.run:
        yield from _silences(flow, around, reached)


# --- steps that there are ----------------------------------------------------------------------------------------------------------------


def _targets(flow: Flow, around: Around) -> Iterator[Complaint]:
    led: list[tuple[Place, str]] = [(("steps", place), target) for place, step in enumerate(flow.steps) for target in targets(step)]
    led += [(("left",), flow.left)] if flow.left else []
    for where, target in led:
        name = target.removeprefix("flow/")
        if target != name and name not in around.by_name:
            told = near(name, around.by_name)
            yield Complaint(where, f"leads to the flow {name!r}, which there is not; known: {listed(around.by_name)}{told}")
        elif target == name and flow.index(target) is None:
            ids = [one.id for one in flow.steps if one.id]
            told = near(name, ids) or "; another flow is `flow/NAME`"
            yield Complaint(where, f"leads to the step {target!r}, which there is not; known: {', '.join(ids) or 'none has an id'}{told}")


def _reached(flow: Flow) -> set[int]:
    """The steps that can be reached from the first, or by leaving a question."""
    first = [0, *([index] if flow.left and (index := flow.index(flow.left)) is not None else [])]
    return {place for _, place in _from([(flow.flow, one) for one in first], lambda node: _next(flow, node[1]))} - {len(flow.steps)}


def _next(flow: Flow, place: int, around: Around | None = None) -> Iterator[Node]:
    """Where one can be after this step: within the flow, and with `around` also at the beginning of others."""
    if place >= len(flow.steps):
        return
    step = flow.steps[place]
    for target in targets(step):
        name = target.removeprefix("flow/")
        if target == name and (index := flow.index(target)) is not None:
            yield flow.flow, index
        elif target != name and around is not None and name in around.by_name and not isinstance(step, Do):
            yield name, 0
    if falls_through(step):
        yield flow.flow, place + 1
    if isinstance(step, Split) and step.holdout is not None:
        yield flow.flow, len(flow.steps)


def _from(first: list[Node], ahead: Callable[[Node], Iterator[Node]]) -> set[Node]:
    """These and all to which they lead."""
    open_, seen = list(first), set[Node]()
    while open_:
        node = open_.pop()
        if node not in seen:
            seen.add(node)
            open_ += ahead(node)
    return seen


# --- circles ---------------------------------------------------------------------------------------------------------------------------


def _circles(flow: Flow, around: Around, reached: set[int]) -> Iterator[Complaint]:
    """Steps that come round to themselves with nothing that waits in between. Each circle is told of once."""

    def ahead(node: Node) -> Iterator[Node]:
        other, place = around.by_name[node[0]], node[1]
        if place < len(other.steps) and not isinstance(other.steps[place], PAUSES):
            yield from _next(other, place, around)

    told: set[Node] = set()
    for place in sorted(reached):
        node = (flow.flow, place)
        if node in told or flow is not around.by_name.get(flow.flow):
            continue
        after = _from(list(ahead(node)), ahead)
        if node in after:
            told |= {one for one in after if node in _from(list(ahead(one)), ahead)}
            yield Complaint(("steps", place), "leads in a circle without a question or a wait; put one in between, or end it")


def _traps(flow: Flow, reached: set[int]) -> Iterator[Complaint]:
    """Steps from which no way ends. With a question in it nobody gets out; with nothing but waits it goes on for ever, which may be meant."""
    ended: set[Node] = set()
    grown = True
    while grown:
        more = {(flow.flow, place) for place in reached if _ends(flow, place, ended)}
        grown, ended = len(more) > len(ended), more
    caught = [place for place in sorted(reached) if (flow.flow, place) not in ended]
    asked = [place for place in caught if isinstance(flow.steps[place], Ask)]
    if asked:
        yield Complaint(("steps", asked[0]), "there is no way out: whatever is answered leads back here; let an answer lead to an end")
    elif any(isinstance(flow.steps[place], PAUSES) for place in caught):
        yield warning(("steps", caught[0]), "this never ends: every way from here leads back; if that is meant, let a reply or an event end it")


def _ends(flow: Flow, place: int, ended: set[Node]) -> bool:
    step = flow.steps[place]
    if isinstance(step, End | Escalate) or any(one.startswith("flow/") for one in targets(step) if not isinstance(step, Do)):
        return True
    if isinstance(step, Ask) and step.within is not None and step.late is None:
        return True
    return any(after[1] >= len(flow.steps) or after in ended for after in _next(flow, place))


# --- flows in flows --------------------------------------------------------------------------------------------------------------------


def _runs(flow: Flow, around: Around) -> Iterator[Complaint]:
    """Flows that run themselves, or flows in flows in flows beyond what is walked."""
    for place, step in enumerate(flow.steps):
        if not isinstance(step, Do):
            continue
        name = step.do.removeprefix("flow/")
        if way := _back(name, flow.flow, around):
            told = " runs ".join((flow.flow, *way))
            yield Complaint(("steps", place), f"runs itself: {told}; let one of them `go` instead, which does not come back")
        elif _deep(name, around):
            yield Complaint(
                ("steps", place), f"flows run flows more than {DEEPEST} deep from here on; let one of them `go`, which does not come back"
            )


def _back(name: str, wanted: str, around: Around) -> list[str]:
    """The shortest row of flows that run one another, from `name` to `wanted`; empty where there is none."""
    rows, seen = [[name]], {name}
    for row in rows:
        if row[-1] == wanted:
            return row
        ahead = sorted(around.runs.get(row[-1], frozenset()) - seen)
        seen |= set(ahead)
        rows += [[*row, one] for one in ahead]
    return []


def _deep(name: str, around: Around) -> bool:
    """Whether flows run flows from `name` on beyond what is walked."""
    level = {name}
    for _ in range(DEEPEST):
        level = {one for above in level for one in around.runs.get(above, frozenset())}
    return bool(level)


# --- silence ---------------------------------------------------------------------------------------------------------------------------


def _silences(flow: Flow, around: Around, reached: set[int]) -> Iterator[Complaint]:
    """Questions after whose answer the flow may end without a word. A flow that another one runs may: that one goes on."""
    for place in sorted(reached):
        step = flow.steps[place]
        if not isinstance(step, Ask):
            continue
        first = [(flow.flow, place + 1)] if not step.choices else [_answered(flow, place, one.go) for one in step.choices]
        if any(_silent(node, around) for node in first):
            yield warning(
                ("steps", place), "after an answer to this the flow can end without a word; say something, so that it is known to have arrived"
            )


def _answered(flow: Flow, place: int, target: str | None) -> Node:
    if target is None:
        return flow.flow, place + 1
    name = target.removeprefix("flow/")
    return (name, 0) if name != target else (flow.flow, index if (index := flow.index(target)) is not None else place)


def _silent(node: Node, around: Around) -> bool:
    """Whether the end can be reached from here by steps of which nothing is heard."""

    def ahead(one: Node) -> Iterator[Node]:
        flow = around.by_name.get(one[0])
        if flow is None or one[1] >= len(flow.steps) or not isinstance(flow.steps[one[1]], SILENT):
            return
        step: AnyStep = flow.steps[one[1]]
        yield from [(flow.flow, len(flow.steps))] if isinstance(step, End) else _next(flow, one[1], around)

    return any(one[0] in around.by_name and one[1] >= len(around.by_name[one[0]].steps) for one in _from([node], ahead))

"""How much of the flows the tests reach: steps that were taken, and ways out of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from parley_router.flow import Flow
from parley_router.tools.edges import OVER, Edge, Place, edges, target_of
from parley_router.tools.picture import shortened
from parley_router.tools.wording import of_step
from parley_router.walk import Passed

WORDS = 60
"""Characters of what a step says."""
NO_STEP = -1
"""Of a way that leads out of every question."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A step that no test took, or a way out of one that some did: where it stands in the file, and what it is."""

    place: Place
    what: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one flow: how many steps and ways there are and how many of each were taken; and what is missing. The ways of a step that nobody took are
    not told one by one, nor are the steps of a flow that nobody began."""

    flow: Flow
    steps: tuple[int, int]
    ways: tuple[int, int]
    missing: Sequence[Missing]

    @property
    def taken(self) -> int:
        return self.steps[0] + self.ways[0]

    @property
    def all(self) -> int:
        return self.steps[1] + self.ways[1]


def coverage(flow: Flow, trail: Collection[Passed]) -> Coverage:
    """How much of a flow `trail`, of any number of conversations, has taken."""
    key, found = (flow.flow, flow.version), edges(flow)
    steps = [place for place in range(len(flow.steps)) if (*key, place, "") not in trail]
    found += [Edge(NO_STEP, "left", "left by an escape word", target_of(flow, flow.left), ("left",))] if flow.left else []
    ways = [edge for edge in found if not _taken(edge, key, len(flow.steps), trail)]
    missing = [
        Missing(("steps", place), f"step {flow.step_name(place)} ({shortened(' '.join(of_step(flow.steps[place])).strip(), WORDS)})")
        for place in steps
    ]
    missing += [Missing(edge.written, _way(flow, edge)) for edge in ways if edge.step not in steps]
    return Coverage(
        flow,
        (len(flow.steps) - len(steps), len(flow.steps)),
        (len(found) - len(ways), len(found)),
        missing if len(steps) < len(flow.steps) else [Missing(("flow",), f"the flow {flow.flow}")],
    )


def _taken(edge: Edge, key: tuple[str, int], steps: int, trail: Collection[Passed]) -> bool:
    """An escape word leads the same way from any question."""
    places = range(steps) if edge.step == NO_STEP else (edge.step,)
    return any((*key, place, edge.name) in trail for place in places)


def _way(flow: Flow, edge: Edge) -> str:
    where = "the end" if edge.to == OVER else f"step {flow.step_name(edge.to)}" if isinstance(edge.to, int) else edge.to
    start = "any question" if edge.step == NO_STEP else f"step {flow.step_name(edge.step)}"
    return f"{start}: {f'{edge.label} ' if edge.label else ''}→ {where}"


def share(found: Iterable[Coverage]) -> float:
    """Of all steps and ways together, in percent, rounded down to a tenth: 100 is all."""
    found = list(found)
    all_ = sum(one.all for one in found)
    return sum(one.taken for one in found) * 1000 // all_ / 10 if all_ else 100.0

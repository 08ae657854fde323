"""When a lane was driven by somebody who could: the spans over which its use is measured. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

EMPTY = 1.1
"""Seconds after a takeover from a holder that was struck, in which a lane may send nothing: that one may have sent all that the second allows. And a moment to
claim. Where a replica leaves a lane to another in order, nothing is left out: neither the moment between the two nor the second after it."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Event:
    """A replica took a part of a lane; or it, or PostgreSQL for all of them, went down, or came to itself again after it had been frozen."""

    at: float
    what: Literal["taken", "down", "up"]
    replica: str
    part: str | None = None


EVERYBODY = "postgres"


def held(part: str, events: Iterable[Event], begin: float, end: float) -> list[Span]:
    """Until the holder goes down, and again from the empty second on of whoever takes the lane then, or of the holder itself, within `begin` and `end`."""
    found: list[Span] = []
    holder, since = None, None
    for event in sorted(events, key=lambda one: one.at):
        mine = event.part == part if event.what == "taken" else event.replica in (holder, EVERYBODY)
        if not mine:
            continue
        if event.what == "taken":
            holder = event.replica
        if event.what == "down" and since is not None:
            found.append((since, event.at))
        if event.what == "down":
            since = None
        elif since is None:
            since = event.at + EMPTY
    if since is not None:
        found.append((since, end))
    return within(found, begin, end)


def within(spans: Iterable[Span], begin: float, end: float) -> list[Span]:
    cut = ((max(begin, first), min(end, last)) for first, last in spans)
    return [(first, last) for first, last in cut if first < last]


def without(spans: Iterable[Span], gaps: Sequence[Span]) -> list[Span]:
    """The spans, less the gaps."""
    found = list(spans)
    for first, last in gaps:
        found = [piece for one in found for piece in (*within([one], one[0], first), *within([one], last, one[1]))]
    return found


def length(spans: Iterable[Span]) -> float:
    return sum(last - first for first, last in spans)

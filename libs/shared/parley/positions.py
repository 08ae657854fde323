"""Places in the bus, and which of them a keyed state has seen: repeats inside Parley are dropped by position. Pure.

An event that a stage produces carries its origin, `stage:topic:partition:offset:index`. Within one `stage:topic:partition` these come to a key in
growing order (one owner, an idempotent producer, one key one partition), so a state that remembers the last one it applied knows every repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

Positions = dict[str, tuple[int, int]]
"""Last applied (offset, index) by `stage:topic:partition`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event came from: the stage that made it, the record that caused it, its place among the results."""

    line: str
    """`stage:topic:partition`."""
    offset: int
    index: int


def parse(text: str) -> Origin | None:
    """The origin as it stands in a header; None when it is none of ours (then nothing is dropped by it)."""
    line, _, rest = text.rpartition(":")
    line, _, offset = line.rpartition(":")
    if line.count(":") != 2 or not (offset.isdigit() and rest.isdigit()):
        return None
    return Origin(line, int(offset), int(rest))


def is_repeat(positions: Positions, place: Origin) -> bool:
    """Whether a state with these positions has applied the event from `place` already."""
    last = positions.get(place.line)
    return last is not None and (place.offset, place.index) <= last


def advanced(positions: Positions, place: Origin) -> Positions:
    """The positions after applying the event from `place`."""
    return {**positions, place.line: (place.offset, place.index)}

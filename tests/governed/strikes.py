"""What strikes the replicas and their database, when: a schedule is a value that follows from the seed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal["kill", "freeze", "restart", "postgres"]
KINDS: tuple[Kind, ...] = ("kill", "freeze", "restart", "kill", "postgres", "kill", "restart", "freeze")
"""In this order, again and again: SIGKILL of whoever holds the lanes, SIGSTOP and SIGCONT, a clean restart, a fast restart of PostgreSQL."""
AWAY = {"kill": (1.0, 4.0), "freeze": (2.0, 5.0), "restart": (0.5, 2.0), "postgres": (0.2, 1.5)}
"""Seconds for which what was struck stays away."""
FIRST, EVERY = 10.0, 15.0
"""Seconds before the first strike, and between two."""
MOOD_AT, MOOD_LASTS, MOOD_EVERY = 0.3, 4.0, 90.0
"""The first 429 episode begins after this share of the run; how long one lasts, and the time from one to the next (a lane takes most of a minute to be its old self)."""


@dataclass(frozen=True, slots=True)
class Strike:
    """At `at` seconds, for `away` seconds."""

    at: float
    kind: Kind
    away: float


def strikes(seed: int, seconds: float, every: float = EVERY) -> tuple[Strike, ...]:
    """The schedule, in order, with time to recover after the last one."""
    draw = Random(f"strikes/{seed}")
    count = max(0, int((seconds - FIRST) // every))
    kinds = [KINDS[place % len(KINDS)] for place in range(count)]
    return tuple(
        Strike(round(FIRST + place * every + draw.uniform(0, every / 4), 2), kind, round(draw.uniform(*AWAY[kind]), 2))
        for place, kind in enumerate(kinds)
    )


def episodes(seconds: float) -> tuple[tuple[float, float], ...]:
    """Begin and end of the times in which the moody provider answers 429."""
    begins, found = seconds * MOOD_AT, []
    while begins + MOOD_LASTS < seconds:
        found.append((begins, begins + MOOD_LASTS))
        begins += MOOD_EVERY
    return tuple(found)

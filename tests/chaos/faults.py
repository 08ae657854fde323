"""What strikes, when, and how: a schedule is a value that follows from the seed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

PROCESSES = ("sender", "router", "ingest", "kafka", "postgres", "analytics")
"""Everything that can be struck; a short schedule strikes the first ones."""
SERVERS = ("kafka", "postgres")
BAG = ("sender", "sender", "router", "router", "ingest", "ingest", "kafka", "postgres", "analytics")
"""From which the other faults are drawn, all of it before any of it comes again: the ways of a message are struck most."""
KILLED = 0.7
"""Share of SIGKILLs among the faults that are drawn; the others are clean restarts."""
AWAY: Mapping[str, tuple[float, float]] = MappingProxyType({name: (0.3, 5.0) if name in SERVERS else (0.0, 4.0) for name in PROCESSES})
"""Seconds for which a process stays away, besides the time that it takes to start."""
BEFORE = 3.0
"""Seconds before the first fault: somebody shall have written by then."""
USUAL: Mapping[str, Any] = MappingProxyType({
    "latency_ms": 250, "latency_p99_ms": 2500, "receipt_delay_ms": 2500, "repeat_receipts": 0.2, "reorder_receipts": 0.3, "repeat_messages": 0.1,
    "undelivered_rate": 0.02,
})  # fmt: skip
"""How the twin behaves all the time: slow enough that whoever is killed has calls under way, and with receipts that come later than a second call
would be made, for one that is made in doubt must be seen."""
CALM: Mapping[str, Any] = MappingProxyType({**USUAL, "latency_ms": 20, "latency_p99_ms": 200, "receipt_delay_ms": 50})
"""How it behaves when everything has struck."""
LAST_RECEIPT = 3 * 1.5 * 2.5
"""Seconds after which the receipts of what was taken before that are out: three, with one and a half of the usual time before each at most."""
MOODS: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "hangs after accepting": {"hang_after_accepting": 0.5, "hang_ms": 2500},
    "drops connections": {"drop_before": 0.2},
    "answers 500": {"fail_rate": 0.25},
    "throttles": {"throttle": 4},
    "is slow": {"latency_ms": 700, "latency_p99_ms": 4000},
})  # fmt: skip
"""What it does besides in a mood."""
BETWEEN = (2.0, 5.0)
LASTING = (3.0, 6.0)
"""Seconds between two moods, and of one: short ones, so that few messages fail so often that their next try comes after minutes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """At `at` seconds `process` is killed (SIGKILL), or stopped cleanly, and started again after `away` seconds."""

    at: float
    process: str
    kill: bool
    away: float

    @property
    def how(self) -> str:
        return "SIGKILL" if self.kill else "clean stop"


@dataclass(frozen=True, slots=True)
class Mood:
    """From `at` on the twin behaves like this, until the next mood."""

    at: float
    name: str
    behaviour: Mapping[str, Any]


def faults(seed: int, count: int, span: float) -> tuple[Fault, ...]:
    """`count` faults spread over `span` seconds, in order: a SIGKILL of every process and a clean restart of both servers, as far as `count` goes,
    and then whatever is drawn."""
    draw = Random(f"faults/{seed}")
    sure = [(name, True) for name in PROCESSES] + [(name, False) for name in SERVERS]
    rounds = [draw.sample(BAG, len(BAG)) for _ in range(len(sure), count, len(BAG))]
    drawn = [(name, draw.random() < KILLED) for some in rounds for name in some]
    struck = [*sure, *drawn][:count]
    draw.shuffle(struck)
    slot = max(0.0, span - BEFORE) / max(1, count)
    return tuple(
        Fault(round(BEFORE + (place + draw.random()) * slot, 2), name, kill, round(draw.uniform(*AWAY[name]), 2))
        for place, (name, kill) in enumerate(struck)
    )


def moods(seed: int, span: float) -> tuple[Mood, ...]:
    """The twin's moods over `span` seconds, as usual between them and calm at the end."""
    draw, at, found = Random(f"moods/{seed}"), 0.0, [Mood(0.0, "is as usual", USUAL)]
    names: list[str] = []
    while (at := at + draw.uniform(*BETWEEN)) < span:
        names = names or draw.sample(sorted(MOODS), len(MOODS))
        name = names.pop()
        found.append(Mood(round(at, 2), name, {**USUAL, **MOODS[name]}))
        at += draw.uniform(*LASTING)
        found.append(Mood(round(at, 2), "is as usual", USUAL))
    return (*found, Mood(max(span, found[-1].at), "is calm", CALM))

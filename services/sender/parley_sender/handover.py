"""What one replica tells another of a lane that it leaves to it: what the lane's buckets hold, so that the other goes on in the same second. Pure.

It rides in the lane's row, good for as long as that has the fence and turn at which it was written, so nobody begins with what a third has added to since.
No two clocks are compared: times are told as ages, and the time between is taken by PostgreSQL's clock. Whatever takes a moment on the way (the statement
that writes, the one that reads) makes what left seem to have left later, never sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from parley_sender.bucket import State


@dataclass(frozen=True, slots=True)
class Handed:
    """A lane as it was left `at` a time of the loop. `name`: the same for lanes that were handed over together. `paused`: seconds for which nothing leaves."""

    name: str
    at: float
    own: State | None
    shared: Mapping[str, State]
    paused: float = 0.0


def packed(handed: Handed) -> str:
    return orjson.dumps({"name": handed.name, "own": handed.own, "shared": dict(handed.shared), "paused": handed.paused}).decode()


def unpacked(told: str, at: float) -> Handed:
    """`at`: when it was left, by the clock of the one who reads it."""
    found = orjson.loads(told)
    shared = {name: State(**one) for name, one in found["shared"].items()}
    return Handed(found["name"], at, State(**found["own"]) if found["own"] else None, shared, found["paused"])

"""How a figure is made: ours and its floor measured in turn, so that a noisy neighbour hits both; times from the intended start."""

from __future__ import annotations

import re
import statistics
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hdrh.histogram import HdrHistogram

Measure = Callable[[], Awaitable[float]]
"""One round: gives a rate, in things a second."""
LONGEST_US = 60_000_000
"""Microseconds that a histogram holds; what takes longer counts as this."""

WARM = 0.1
"""The share of the events after which the process has all it needs: pools, caches, buffers."""


@dataclass(frozen=True, slots=True)
class Series:
    """The rates of several rounds."""

    rates: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    @property
    def spread(self) -> float:
        """From the slowest to the fastest round, over the median: above a few tenths the figure says more of the neighbours than of us."""
        return (max(self.rates) - min(self.rates)) / self.median


@dataclass(frozen=True)
class Comparison:
    """Ours against its floor, round by round."""

    key: str
    """The name of the ratio in the JSON line."""
    what: str
    unit: str
    ours: Series
    floor: Series
    floor_is: str
    target: float | None = None
    """The least ratio; None: the figure is told for itself."""
    or_rate: float | None = None
    """A rate of ours that suffices, whatever the ratio."""
    and_rate: float | None = None
    """A rate of ours that is wanted beside the ratio."""

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: each round is compared with the floor measured right beside it."""
        return statistics.median(mine / least for mine, least in zip(self.ours.rates, self.floor.rates, strict=True))

    @property
    def missed_by(self) -> float:
        """By which share of the target it is missed; 0 when it is met."""
        misses = [1 - self.ratio / self.target] if self.target else [0.0]
        misses += [1 - self.ours.median / self.or_rate] if self.or_rate else []
        least = 1 - self.ours.median / self.and_rate if self.and_rate else 0.0
        return max(0.0, least, min(misses))

    @property
    def figures(self) -> dict[str, float]:
        name = self.key.partition("_vs_")[0]
        rate = f"{name}_{self.unit.replace('/', '_per_')}"
        spread = max(self.ours.spread, self.floor.spread)
        return {self.key: self.ratio, rate: self.ours.median, f"{rate}_floor": self.floor.median, f"{self.key}_spread": spread}


@dataclass(frozen=True)
class Latency:
    """Times of an open loop, in seconds from the intended start; `offered` a second, of the `sustained` that were measured before."""

    key: str
    """What the names in the JSON line begin with."""
    what: str
    unit: str
    offered: float
    sustained: float
    times: Sequence[float]

    @property
    def figures(self) -> dict[str, float]:
        found = histogram(self.times)
        marks = {f"{self.key}_p{name}_ms": found.get_value_at_percentile(share) / 1000 for name, share in (("50", 50), ("99", 99), ("999", 99.9))}
        return {**marks, f"{self.key}_at_per_s": self.offered, f"{self.key}_sustained_per_s": self.sustained}


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process held once so many events had gone all the way."""

    events: int
    bytes: int


@dataclass(frozen=True)
class Memory:
    """The samples of one run, in order."""

    samples: Sequence[Sample]

    @property
    def warm(self) -> Sample:
        """The first sample after the warming up."""
        return next(one for one in self.samples if one.events >= WARM * self.samples[-1].events)

    @property
    def growth(self) -> float:
        """By which share more the process held at the end than once it was warm."""
        return self.samples[-1].bytes / self.warm.bytes - 1

    @property
    def figures(self) -> dict[str, float]:
        mark = 2**20
        return {
            "memory_events": self.samples[-1].events, "memory_warm_mb": self.warm.bytes / mark, "memory_end_mb": self.samples[-1].bytes / mark,
            "memory_most_mb": max(one.bytes for one in self.samples) / mark, "memory_growth": self.growth,
        }  # fmt: skip


@dataclass(frozen=True)
class Waits:
    """Times of the same in an empty house and beside a crowd, in seconds; `most`: by how many times the 99th of a hundred may be longer."""

    key: str
    what: str
    alone: Sequence[float]
    beside: Sequence[float]
    most: float

    @property
    def ratio(self) -> float:
        """p99 beside the crowd, over p99 alone."""
        return self.at(self.beside, 99) / self.at(self.alone, 99)

    @staticmethod
    def at(times: Sequence[float], share: float) -> float:
        return float(histogram(times).get_value_at_percentile(share)) / 1000

    @property
    def figures(self) -> dict[str, float]:
        marks = {
            f"{self.key}_{name}_p{share}_ms": self.at(times, share)
            for name, times in (("alone", self.alone), ("beside", self.beside))
            for share in (50, 99)
        }
        return {self.key: self.ratio, **marks}


@dataclass(frozen=True, slots=True)
class Holding:
    """The most memory that a process was seen to hold, and may."""

    key: str
    what: str
    bytes: int
    most: int

    @property
    def figures(self) -> dict[str, float]:
        return {f"{self.key}_mb": self.bytes / 2**20}


@dataclass(frozen=True)
class Answers:
    """Times of a question that is asked one by one, in seconds; `most`: how long 95 of 100 answers may take at most."""

    key: str
    what: str
    times: Sequence[float]
    most: float

    @property
    def p95(self) -> float:
        return self.at(95)

    def at(self, share: float) -> float:
        """In seconds."""
        return float(histogram(self.times).get_value_at_percentile(share)) / 1e6

    @property
    def figures(self) -> dict[str, float]:
        name = "_".join(re.findall("[a-z0-9]+", self.what.lower()))
        return {f"{name}_p95_ms": self.p95 * 1000}


Finding: TypeAlias = Comparison | Latency | Memory | Waits | Holding | Answers


def histogram(seconds: Iterable[float]) -> HdrHistogram:
    """The times in microseconds, to three digits."""
    found = HdrHistogram(1, LONGEST_US, 3)
    for one in seconds:
        found.record_value(min(LONGEST_US, max(1, round(one * 1e6))))
    return found


async def alternate(ours: Measure, floor: Measure, rounds: int) -> tuple[Series, Series]:
    """Floor and ours in turn, `rounds` times, after one round of each that does not count."""
    await floor()
    await ours()
    found: list[tuple[float, float]] = []
    for _ in range(rounds):
        least = await floor()
        found.append((await ours(), least))
    return Series(tuple(mine for mine, _ in found)), Series(tuple(least for _, least in found))


def schedule(rate: float, seconds: float) -> Iterable[float]:
    """The times, in seconds after the start, at which an open loop acts: evenly, whatever the answers do."""
    return (place / rate for place in range(int(rate * seconds)))

"""The outcome of a governed run: its verdict and how each lane kept its rate, for people and as one line of JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from parley.config import per_second
from tests.governed.audit import WORTH, Paced, Verdict, judge, paced
from tests.governed.lanes import CAPPED, DAY_CAP, POOL, POOL_RATE, Lane
from tests.governed.playing import Aftermath, Plan
from tests.governed.spans import Span, held, without

REGROWN = 55.0
"""Seconds after an episode of 429 until a lane has its whole rate again: a fiftieth of it comes back each second."""
SHOWN = 5
KINDS = ("lost", "twice", "after_stop", "over_cap", "uncounted", "charged")


@dataclass(frozen=True)
class Outcome:
    verdict: Verdict
    lanes: list[Paced]
    aftermath: Aftermath

    @property
    def faults(self) -> Iterator[str]:
        """Every offence, a sentence each."""
        for kind in KINDS:
            yield from (f"{kind.replace('_', ' ')}: {one}" for one in getattr(self.verdict, kind))
        for lane in self.lanes:
            if lane.over > 1:
                yield f"too fast: {lane.name} had {lane.fullest} units in a window that allows {lane.fullest - lane.over}"
            if lane.use is not None and lane.use < WORTH:
                yield f"too slow: {lane.name} used {lane.net:.3f} of its rate over {lane.seconds:.0f} s, {lane.use:.3f} of what its texts allow"
        yield from (f"short of work: {one}" for one in self.aftermath.short)
        yield from (f"logged: {one}" for one in self.aftermath.errors)

    @property
    def good(self) -> bool:
        return next(self.faults, None) is None

    def as_json(self) -> dict[str, Any]:
        verdict = self.verdict
        counts = {kind: len(getattr(verdict, kind)) for kind in KINDS}
        strikes: dict[str, int] = {}
        for _, kind in self.aftermath.struck:
            strikes[kind] = strikes.get(kind, 0) + 1
        told = {name: getattr(verdict, name) for name in ("messages", "unknown", "stopped", "in_the_air", "in_the_batch", "capped")}
        told |= {name: round(getattr(verdict, name), 3) for name in ("latest_in_the_air", "longest_batch")}
        uses = [one.use for one in self.lanes if one.use is not None]
        return {
            "good": self.good, **told, **counts, "over_rate": max((one.over for one in self.lanes), default=0), "least_use": round(min(uses, default=0.0), 4),
            "strikes": strikes, "takeovers": sum(one.what == "taken" for one in self.aftermath.events),
            "lanes": {one.name: _rounded(asdict(one)) for one in self.lanes},
        }  # fmt: skip

    def in_words(self) -> str:
        figures = self.as_json()
        head = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items() if name != "lanes")
        rows = [f"{'lane':<14}{'rate':>8}{'units':>8}{'over':>6}{'use':>8}{'possible':>10}{'gross':>8}{'held':>7}"]
        rows += [
            f"{one.name:<14}{one.rate:>8.1f}{one.units:>8}{one.over:>6}{one.net or 0.0:>8.3f}{one.possible:>10.3f}{one.gross:>8.3f}{one.seconds:>7.0f}"
            for one in self.lanes
        ]
        faults = list(self.faults)
        by_kind: dict[str, int] = {}
        shown = []
        for one in faults:
            kind = one.partition(":")[0]
            by_kind[kind] = by_kind.get(kind, 0) + 1
            if by_kind[kind] <= SHOWN:
                shown.append(one)
        return "\n".join([head, *rows, *shown])


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items() if key != "name"}


def judged(plan: Plan, aftermath: Aftermath) -> Outcome:
    lanes = {lane.name: lane for lane in plan.lanes}
    verdict = judge(aftermath.seen, lanes, (CAPPED, DAY_CAP))
    measured = [lane for lane in plan.lanes if lane.tenant != CAPPED]
    found = [one for lane in measured for one in _of_lane(lane, plan, aftermath)]
    pooled = [lane for lane in measured if lane.limit == POOL]
    if pooled:
        rate = per_second(POOL_RATE)
        arrivals = sorted(one for lane in pooled for one in _arrivals(lane, aftermath))
        found.append(paced(POOL, rate, 1.0, arrivals, _spans(pooled[0].name, plan, aftermath, moody=False), _whole(plan, aftermath)))
    return Outcome(verdict, found, aftermath)


def _of_lane(lane: Lane, plan: Plan, aftermath: Aftermath) -> Iterator[Paced]:
    """The lane as its provider sees it, and for each of its shares the use of it."""
    whole = _whole(plan, aftermath)
    arrivals = _arrivals(lane, aftermath)
    net = [] if lane.limit or lane.shares > 1 else _spans(lane.name, plan, aftermath, lane.moody)
    yield paced(lane.name, lane.speed, lane.window, arrivals, net, whole)
    for number, part in enumerate(lane.parts if lane.shares > 1 else ()):
        share = _arrivals(lane, aftermath, number)
        yield paced(part, lane.speed / lane.shares, lane.window, share, _spans(part, plan, aftermath, lane.moody), whole)


def _spans(part: str, plan: Plan, aftermath: Aftermath, moody: bool) -> list[Span]:
    begin, end = _whole(plan, aftermath)
    gaps = [(begin + first, begin + last + REGROWN) for first, last in plan.episodes] if moody else []
    return without(held(part, aftermath.events, begin, end), gaps)


def _whole(plan: Plan, aftermath: Aftermath) -> Span:
    return aftermath.begin, aftermath.begin + plan.seconds


def _arrivals(lane: Lane, aftermath: Aftermath, share: int | None = None) -> list[tuple[float, int]]:
    """Everything that reached the provider, in order, whatever it answered."""
    found = []
    for one in aftermath.seen.requests:
        if one.account == lane.name:
            delivery = aftermath.seen.deliveries.get(one.reference or "")
            if share is None or (delivery is not None and delivery.contact_id.int % lane.shares == share):
                found.append((one.at, one.segments if lane.provider == "twilio" else 1))
    return sorted(found)

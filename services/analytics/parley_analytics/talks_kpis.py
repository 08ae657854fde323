"""What conversations are measured by: rates with their intervals, times, ratings; and which counters an answer is made of. Pure.

`docs/conversations.md` says the same to people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from parley_analytics.rates import Rate, wilson

COUNTS = ("opened", "answered", "automated", "escalated", "replied", "overdue", "resolved", "closed", "rated", "satisfied")
"""What conversations are counted for. `satisfied`: the last rating is 4 or 5."""
RATES = {
    "answered": ("answered", "opened"),
    "automated": ("automated", "opened"),
    "escalated": ("escalated", "opened"),
    "replied": ("replied", "escalated"),
    "overdue": ("overdue", "escalated"),
    "resolved": ("resolved", "escalated"),
    "satisfied": ("satisfied", "rated"),
    "responded": ("rated", "opened"),
}
"""Each rate as what is counted over what."""
TIMES = {"first_answer": "answered", "first_reply": "replied", "resolution": "resolved"}
"""Each time by the count that it belongs to: from the beginning to an answer of the bot or a person, from when a person was asked to their first word,
from the beginning to the solution."""

FINER: Mapping[str | None, tuple[str, ...]] = {
    None: ("month", "week", "day"), "month": ("month", "week", "day"), "week": ("week", "day"), "day": ("day",), "hour": (),
}  # fmt: skip
"""Of which grains a bucket can be made, the coarsest first; quarters of an hour fit into any."""
A_DECADE, SHORTEST = 12, 0.01
"""Steps in which durations are counted (`talk_step` in `sql/0004_talks.sql`): so many while they grow tenfold, from so many seconds on."""


class Lasting(NamedTuple):
    """The seconds in which half, and nine tenths, of the conversations came so far: within 10.1 %, for durations are counted in steps."""

    median: float
    p90: float


class Rating(NamedTuple):
    """How many rated, and the mean of their scores, from 1 to 5."""

    people: int
    mean: float


@dataclass(frozen=True, slots=True)
class Kpis:
    """The figures of some conversations. A rate of nothing, and a time that nobody needed yet, is None."""

    counts: Mapping[str, int]
    rates: Mapping[str, Rate | None]
    times: Mapping[str, Lasting | None]
    rating: Rating | None


class Part(NamedTuple):
    """Counters of one grain between two moments, for the bucket that begins `at`."""

    grain: str
    since: datetime
    until: datetime
    at: datetime | None = None


def kpis(rows: Iterable[Mapping[str, Any]]) -> Kpis:
    """The figures from the rows of one group: one for each name, as `sql/talks.sql` gives them."""
    found = {row["what"]: row for row in rows}
    counts = {name: int(found[name]["n"]) if name in found else 0 for name in COUNTS}
    rated = found.get("rated")
    if rated is not None:
        counts["satisfied"] = int(rated["satisfied"])
    return Kpis(
        counts,
        {name: wilson(counts[hits], counts[trials]) for name, (hits, trials) in RATES.items()},
        {name: Lasting(seconds(row["half"]), seconds(row["most"])) if (row := found.get(what)) else None for name, what in TIMES.items()},
        Rating(counts["rated"], rated["summed"] / counts["rated"]) if rated is not None else None,
    )


@cache
def seconds(step: int) -> float:
    """What a duration in this step is taken for: the middle of it on the scale of logarithms, so it is wrong by 10.1 % at most."""
    return 0.0 if step == 0 else float(f"{SHORTEST * 10 ** ((step - 0.5) / A_DECADE):.4g}")


def parts(since: datetime, until: datetime, zone: ZoneInfo, bucket: str | None, *, quarters: bool = False) -> list[Part]:
    """The counters that together are the time from `since` until `until`, bucket by bucket: the coarsest that fit into it, and finer ones at the ends.

    `quarters`: those alone, which are right in any zone.
    """
    finer = () if quarters else FINER[bucket]
    if bucket is None:
        return _within(finer, since, until, zone, None)
    found, start = list[Part](), _begin(bucket, since, zone)
    while start < until:
        end = _after(bucket, start, zone)
        found += _within(finer, max(since, start), min(until, end), zone, start)
        start = end
    return found


def _within(grains: Sequence[str], since: datetime, until: datetime, zone: ZoneInfo, at: datetime | None) -> list[Part]:
    """Whole ones of the first grain, and what is left at both ends in the finer ones."""
    if since >= until:
        return []
    if not grains:
        return [Part("quarter", since, until, at)]
    first, last = _next(grains[0], since, zone), _begin(grains[0], until, zone)
    if first >= last:
        return _within(grains[1:], since, until, zone, at)
    return [*_within(grains[1:], since, first, zone, at), Part(grains[0], first, last, at), *_within(grains[1:], last, until, zone, at)]


def _begin(grain: str, moment: datetime, zone: ZoneInfo) -> datetime:
    """When the hour, day, week or month began in which the moment is."""
    here = moment.astimezone(zone)
    if grain == "hour":  # on the clock: in a zone that is half an hour off it begins at half past
        return moment - timedelta(minutes=here.minute, seconds=here.second, microseconds=here.microsecond)
    day = here.date()
    first = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[grain]
    return datetime.combine(first, time(), zone).astimezone(UTC)


def _next(grain: str, moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment, where a day, week or month begins then, else when the next one does."""
    begun = _begin(grain, moment, zone)
    return moment if begun == moment else _after(grain, begun, zone)


def _after(grain: str, begun: datetime, zone: ZoneInfo) -> datetime:
    """When the next one begins."""
    # A day has 23 to 25 hours, a month 28 to 31 days: this far on it is the next one.
    return _begin(grain, begun + timedelta(hours={"hour": 1, "day": 36, "week": 180, "month": 960}[grain]), zone)

"""Charts as tables: what the chart library draws is what the table beside it says, point by point. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from parley_analytics.pages.figures import NOTHING, interval, moment, number, share
from parley_analytics.pages.words import Language
from parley_analytics.rates import Rate

POINTS = 1500
"""Of one chart at most; more are no picture."""


class Column(NamedTuple):
    """One curve, or bars. `tint`: which of the colours; `values`: by the beginning of the bucket."""

    name: str
    kind: str
    tint: int
    values: Mapping[datetime, Point]


class Point(NamedTuple):
    """A value, the ends of its interval where it has one, and how it is said."""

    value: float
    low: float | None
    high: float | None
    said: str


def of_rate(rate: Rate | None) -> Point | None:
    return None if rate is None else Point(rate.value, rate.low, rate.high, f"{share(rate)} ({interval(rate)})")


def of_count(value: int) -> Point:
    return Point(value, None, None, number(value))


def known(points: Mapping[datetime, Point | None]) -> dict[datetime, Point]:
    """Without those where there is nothing to say."""
    return {at: point for at, point in points.items() if point is not None}


def chart(
    title: str, note: str, unit: str, columns: Sequence[Column], buckets: Sequence[datetime], bucket: str, language: Language
) -> dict[str, Any]:
    """What the template writes: a row a bucket, a cell a column."""
    return {
        "title": title,
        "note": note,
        "unit": unit,
        "bucket": bucket,
        "zone": str(buckets[0].tzinfo) if buckets else "UTC",
        "columns": [{"name": one.name, "kind": one.kind, "tint": one.tint} for one in columns],
        "rows": [
            {"t": int(at.timestamp()), "label": moment(at, bucket, language), "cells": [_cell(one.values.get(at)) for one in columns]}
            for at in buckets
        ],
    }


def _cell(point: Point | None) -> dict[str, Any]:
    if point is None:
        return {"v": "", "low": "", "high": "", "said": NOTHING}
    ends = {name: "" if one is None else f"{one:.6g}" for name, one in (("low", point.low), ("high", point.high))}
    return {"v": f"{point.value:.6g}", **ends, "said": point.said}


def buckets(since: datetime, until: datetime, bucket: str) -> list[datetime]:
    """The beginning of each bucket in the zone of `since`: days as the calendar has them, also where the clock is changed."""
    at = _floor(since, bucket)
    found: list[datetime] = []
    while at < until and len(found) < POINTS:
        found.append(at)
        at = NEXT[bucket](at)
    return found


def _floor(at: datetime, bucket: str) -> datetime:
    if bucket == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if bucket == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if bucket == "month" else midnight


def _next_hour(at: datetime) -> datetime:
    """By the clock of the world: an hour that comes twice is two buckets, one that is left out is none."""
    return datetime.fromtimestamp(at.timestamp() + 3600, at.tzinfo)


def _next_month(at: datetime) -> datetime:
    return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)


NEXT: dict[str, Callable[[datetime], datetime]] = {
    "hour": _next_hour,
    "day": lambda at: at + timedelta(days=1),  # of the calendar: the zone knows how long that is
    "week": lambda at: at + timedelta(days=7),
    "month": _next_month,
}

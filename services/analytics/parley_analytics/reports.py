"""Reports from the counters, for the API, the dashboards, exports and gauges: the one place that reads them.

found = await report(pool, "acme", Query(("campaign", "channel"), since, until, zone, bucket="day", limit=20))
for line in found.lines: line.names["campaign"], line.bucket, line.counts["sent"], line.rates["open"].low
found.totals.rates["click"], found.next
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from parley.database import Pool
from parley_analytics import selecting
from parley_analytics.places import Place
from parley_analytics.query import Query
from parley_analytics.rates import COUNTS, RATES, Rate, rates

__all__ = ["Line", "Money", "Query", "Report", "report"]


class Money(NamedTuple):
    """What is owed to messages in one currency: orders (and other goals), their value, and what providers took for the messages."""

    orders: int
    revenue: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """A group, or a bucket of it. `names`: its dimensions, None for none; `bucket`: when it begins, in the query's zone; `money`: by currency."""

    names: Mapping[str, str | None]
    bucket: datetime | None
    counts: Mapping[str, int]
    rates: Mapping[str, Rate | None]
    money: Mapping[str, Money] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """A page of groups, in order; with buckets a line for each in which anything happened, in order of time. `totals` are of all groups of all pages."""

    query: Query
    lines: list[Line]
    totals: Line
    next: str | None
    """The `after` of the next page; None: this is the last one."""


async def report(pool: Pool, tenant: str, query: Query) -> Report:
    """What the counters say to a query."""
    statement = selecting.report(tenant, query)
    total, *rows = [dict(row) for row in await pool.fetch(statement.sql, *statement.arguments)]
    kept = [row for row in rows if row["place"] <= query.limit]
    return Report(query, [_line(query, row) for row in kept], _line(query, total), _next(query, kept) if len(kept) < len(rows) else None)


def _line(query: Query, row: Mapping[str, Any]) -> Line:
    counts = {name: row[name] or 0 for name in COUNTS}
    bucket = row.get("bucket")
    return Line({name: row[name] or None for name in query.group_by}, bucket and bucket.astimezone(query.zone), counts, rates(counts))


def _next(query: Query, rows: list[dict[str, Any]]) -> str:
    """The place of the last group of the page."""
    last = [row for row in rows if row["place"] == rows[-1]["place"]]
    name = query.order.removeprefix("-")
    value: int | float | str | None
    if name in RATES:
        hits, trials = (sum(row[one] for row in last) for one in RATES[name])
        value = hits / trials if trials else None
    else:
        value = last[0][name] if name in query.group_by else sum(row[name] for row in last)
    return query.mark(Place(value, tuple(last[0][one] for one in query.group_by)))

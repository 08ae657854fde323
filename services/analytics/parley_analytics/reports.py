"""Reports from the counters, for the API, the dashboards, exports and gauges: the one place that reads them.

found = await report(pool, "acme", Query(("campaign", "channel"), since, until, zone, bucket="day", limit=20))
for line in found.lines: line.names["campaign"], line.bucket, line.counts["sent"], line.rates["open"].low
found.totals.rates["click"], found.next
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from parley.database import Connection, Pool
from parley_analytics import selecting
from parley_analytics.places import Place
from parley_analytics.query import Query
from parley_analytics.rates import COUNTS, Rate, rates
from parley_analytics.reading import Cells, Groups, begins, narrow
from parley_analytics.rollups import COUNTERS, MONEY
from parley_analytics.selecting import ANY, Statement

__all__ = ["Line", "Money", "Query", "Report", "report"]


class Money(NamedTuple):
    """What is owed to messages in one currency: orders (and other goals), their value, and what providers took for the messages."""

    orders: int
    revenue: Decimal
    cost: Decimal


NOTHING = Money(0, Decimal(0), Decimal(0))


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
    """What the counters say to a query, all of one moment."""
    async with asking(pool, tenant, query) as asked:
        found = await asked.fetch(selecting.page(tenant, query, asked.summed, await asked.cells(query, None)))
        groups = [tuple(row[name] for name in query.group_by) for row in found[: query.limit]]
        lines = await asked.lines(query, groups) if groups else []
        following = query.mark(Place(found[query.limit - 1]["value"], groups[-1])) if len(found) > query.limit else None
        totals = _sum(lines) if query.after is None and following is None else await asked.total(query)
    return Report(query, lines, totals, following)


@contextlib.asynccontextmanager
async def asking(pool: Pool, tenant: str, query: Query) -> AsyncIterator[Asking]:
    """A tenant's figures as they stand at one moment, for questions in this query's zone."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        # A plan for any time and any filter is a bad one for most; and what is asked often lies in memory, where any page is as near as the next.
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL random_page_cost = 1.1")
        zone: str | None = await connection.fetchval("SELECT zone FROM rolled_zones WHERE tenant = $1", tenant)
        yield Asking(connection, tenant, zone == str(query.zone))


class Asking(NamedTuple):
    """A tenant's figures, all of one moment. `summed`: whether there are sums by the days of the query's zone."""

    connection: Connection
    tenant: str
    summed: bool

    async def fetch(self, statement: Statement) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.connection.fetch(statement.sql, *statement.arguments)]

    async def cells(self, query: Query, groups: Groups | None) -> Cells | None:
        """Which cells a query is about; None where it is not worth to know that, or they are too many."""
        if not narrow(query, groups, self.summed):
            return None
        found = await self.fetch(selecting.cells(self.tenant, query, groups))
        return [row["cell_id"] for row in found] if len(found) <= selecting.CELLS else None

    async def lines(self, query: Query, groups: Groups) -> list[Line]:
        """The lines of these groups, in their order."""
        cells = await self.cells(query, groups)
        counts = await self.fetch(selecting.added(COUNTERS, self.tenant, query, self.summed, cells))
        money = await self.fetch(selecting.added(MONEY, self.tenant, query, self.summed, cells))
        earned: dict[tuple[Any, ...], dict[str, Money]] = {}
        for row in money:
            earned.setdefault(_key(query, row), {})[row["currency"]] = Money(row["orders"], row["revenue"], row["cost"])
        place = {group: number for number, group in enumerate(groups)}
        kept = [row for row in counts if _key(query, row)[:-1] in place and (not query.bucket or any(row[name] for name in ANY))]
        kept.sort(key=lambda row: (place[_key(query, row)[:-1]], row["bucket"] if query.bucket else 0))
        return [_line(query, row, earned.get(_key(query, row), {})) for row in kept]

    async def total(self, query: Query) -> Line:
        """All groups of all pages together."""
        (found,) = await self.lines(replace(query, group_by=(), bucket=None), [()])
        return found


def _sum(lines: list[Line]) -> Line:
    """Lines together."""
    counts = {name: sum(line.counts[name] for line in lines) for name in COUNTS}
    money: dict[str, Money] = {}
    for line in lines:
        for currency, more in line.money.items():
            known = money.get(currency, NOTHING)
            money[currency] = Money(known.orders + more.orders, known.revenue + more.revenue, known.cost + more.cost)
    return Line({}, None, counts, rates(counts), money)


def _key(query: Query, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which line a row belongs to."""
    return (*(row[name] for name in query.group_by), row["bucket"] if query.bucket else None)


def _line(query: Query, row: Mapping[str, Any], money: Mapping[str, Money]) -> Line:
    counts = {name: row[name] for name in COUNTS}
    bucket = row["bucket"] if query.bucket else None
    return Line({name: row[name] or None for name in query.group_by}, None if bucket is None else begins(bucket, query), counts, rates(counts), money)

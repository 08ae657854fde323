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

from asyncpg import Record

from parley.database import Connection, Pool
from parley_analytics import selecting
from parley_analytics.places import Place
from parley_analytics.query import Query
from parley_analytics.rates import COUNTS, Rate, rates
from parley_analytics.reading import Groups, Names, begins, named
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
        groups, following = await asked.page()
        found = await asked.lines(groups) if groups else []
        lines = [line for line in found if any(line.counts[name] for name in ANY)]
        totals = _sum(lines) if query.after is None and following is None else await asked.total()
    return Report(query, lines, totals, following)


@contextlib.asynccontextmanager
async def asking(pool: Pool, tenant: str, query: Query) -> AsyncIterator[Asking]:
    """A tenant's figures as they stand at one moment, for what a query asks of them."""
    async with planned(pool) as connection:
        zone: str | None = await connection.fetchval("SELECT zone FROM rolled_zones WHERE tenant = $1", tenant)
        yield await Asking(connection, tenant, query, zone == str(query.zone), None).searched()


PLANNED = """
SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL random_page_cost = 1.1; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL work_mem = '16MB'
"""
"""A plan for any time and any filter is a bad one for most; what is asked often lies in memory, where any page is as near as the next; to start processes takes
longer than they save; and all groups of a year are to be added up without a file."""


@contextlib.asynccontextmanager
async def planned(pool: Pool) -> AsyncIterator[Connection]:
    """What is asked within it is answered as of one moment."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(PLANNED)
        yield connection


class Asking(NamedTuple):
    """A tenant's figures, all of one moment. `summed`: whether there are sums by the days of the query's zone; `campaigns`: which it is about."""

    connection: Connection
    tenant: str
    query: Query
    summed: bool
    campaigns: Names | None

    async def fetch(self, statement: Statement) -> list[Record]:
        return await self.connection.fetch(statement.sql, *statement.arguments)

    async def searched(self) -> Asking:
        """The same where it is known which campaigns are asked about: not all of them, and not too many."""
        if not self.query.search:
            return self._replace(campaigns=named(self.query, None))
        found = await self.fetch(selecting.campaigns(self.tenant, self.query))
        return self._replace(campaigns=[row["campaign"] for row in found] if len(found) <= selecting.MANY else None)

    async def page(self) -> tuple[Groups, str | None]:
        """The groups of the page in order, and the `after` of the next one. All in one are one group."""
        query = self.query
        if not query.group_by:
            return [()], None
        found = await self.fetch(selecting.page(self.tenant, query, self.summed, self.campaigns))
        groups = [tuple(row[name] for name in query.group_by) for row in found[: query.limit]]
        more = len(found) > query.limit
        return groups, query.mark(Place(found[query.limit - 1]["value"], groups[-1])) if more else None

    async def lines(self, groups: Groups) -> list[Line]:
        """The lines of these groups, in their order."""
        return await self._lines(self.query, groups, named(self.query, groups) or self.campaigns)

    async def total(self) -> Line:
        """All groups of all pages together."""
        (found,) = await self._lines(replace(self.query, group_by=(), bucket=None), [()], self.campaigns)
        return found

    async def _lines(self, query: Query, groups: Groups, campaigns: Names | None) -> list[Line]:
        counts, money = [
            await self.fetch(selecting.added(source, self.tenant, query, self.summed, campaigns, groups)) for source in (COUNTERS, MONEY)
        ]
        keys = len(query.group_by) + (query.bucket is not None)
        earned: dict[tuple[Any, ...], dict[str, Money]] = {}
        for row in money:
            earned.setdefault(row[:keys], {})[row["currency"]] = Money(row["orders"], row["revenue"], row["cost"])
        place = {group: number for number, group in enumerate(groups)}
        kept = [row for row in counts if row[: len(query.group_by)] in place]
        kept.sort(key=lambda row: (place[row[: len(query.group_by)]], row["bucket"] if query.bucket else 0))
        return [_line(query, row[:keys], row[keys:], earned.get(row[:keys], {})) for row in kept]


def _sum(lines: list[Line]) -> Line:
    """Lines together."""
    counts = {name: sum(line.counts[name] for line in lines) for name in COUNTS}
    money: dict[str, Money] = {}
    for line in lines:
        for currency, more in line.money.items():
            known = money.get(currency, NOTHING)
            money[currency] = Money(known.orders + more.orders, known.revenue + more.revenue, known.cost + more.cost)
    return Line({}, None, counts, rates(counts), money)


def _line(query: Query, key: tuple[Any, ...], sums: tuple[int, ...], money: Mapping[str, Money]) -> Line:
    """The line of a row: its dimensions and bucket, and its counts."""
    counts = dict(zip(COUNTS, sums, strict=True))
    names = {name: value or None for name, value in zip(query.group_by, key, strict=False)}
    return Line(names, begins(key[-1], query) if query.bucket else None, counts, rates(counts), money)

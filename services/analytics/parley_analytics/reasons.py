"""What did not come of messages, and why; and conversions that are owed to none: read from the counters, as reports are.

for one in await reasons(pool, "acme", Query(("channel",), since, until, zone)): one.names["channel"], one.status, one.reason, one.messages
for one in await unowed(pool, "acme", Query((), since, until, zone, bucket="day")): one.goal, one.bucket, one.happened, one.value, one.currency
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from asyncpg import Record

from parley.database import Pool
from parley_analytics import selecting
from parley_analytics.query import Query
from parley_analytics.reading import begins
from parley_analytics.reports import asking
from parley_analytics.rollups import REASONS


@dataclass(frozen=True, slots=True)
class Reason:
    """Messages that failed, became unknown, were suppressed, expired or are held, by why; '' where no reason was told."""

    names: Mapping[str, str | None]
    bucket: datetime | None
    status: str
    reason: str
    messages: int


@dataclass(frozen=True, slots=True)
class Unowed:
    """What reached a goal without being owed to a message, by when it happened; `value` in `currency`, '' where none was told."""

    bucket: datetime | None
    goal: str
    currency: str
    happened: int
    value: Decimal


async def reasons(pool: Pool, tenant: str, query: Query) -> list[Reason]:
    """Why messages of the query did not arrive, in order of time, the most frequent first. Order, limit and place of the query do not matter."""
    async with asking(pool, tenant, query) as asked:
        rows = await asked.fetch(selecting.added(REASONS, tenant, query, asked.summed, asked.campaigns))
    found = [
        Reason({name: row[name] or None for name in query.group_by}, _begin(query, row), row["status"], row["reason"], row["messages"])
        for row in rows
        if row["messages"]
    ]
    return sorted(found, key=lambda one: (_place(one.bucket), -one.messages, one.status, one.reason, [name or "" for name in one.names.values()]))


async def unowed(pool: Pool, tenant: str, query: Query) -> list[Unowed]:
    """Conversions between the query's moments that are owed to no message, in order of time; by its buckets, its groups do not matter."""
    async with asking(pool, tenant, query) as asked:
        rows = await asked.fetch(selecting.unowed(tenant, query))
    found = [Unowed(_begin(query, row), row["goal"], row["currency"], row["happened"], row["value"]) for row in rows if row["happened"]]
    return sorted(found, key=lambda one: (_place(one.bucket), one.goal, one.currency))


def _begin(query: Query, row: Record) -> datetime | None:
    return begins(row["bucket"], query) if query.bucket else None


def _place(bucket: datetime | None) -> float:
    return bucket.timestamp() if bucket else 0.0

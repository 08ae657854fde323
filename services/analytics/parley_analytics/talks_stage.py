"""The stage that counts conversations: a batch becomes steps and differences of counters, in the step's transaction (`sql/talks_count.sql`).

Nothing hangs on the order, the repetition or the cutting of batches, nor on which replica takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from parley.contracts import ConversationChanged
from parley.database import OUTSIDE, Connection, Pool
from parley.service import Context
from parley.step import Arrived, Caused
from parley_analytics.stage import statement
from parley_analytics.talks import SAID, Talk, gather

LOCK = 1_634_628_730
"""Our advisory lock in the database (any number that nobody else uses): held together by those who count, alone by who changes a zone."""
EVERY = 300.0
"""Seconds between two looks whether a tenant's zone is another one."""

Zones = Callable[[str], str]
"""The zone of a tenant, by its name; for a tenant that is configured no more it is UTC."""


def zones_of(context: Context) -> Zones:
    """The zones as they are configured."""

    def zone(tenant: str) -> str:
        found = context.config.tenants.get(tenant)
        return str(found.timezone) if found is not None else "UTC"

    return zone


@dataclass(frozen=True)
class Talks:
    """Counts conversations. Produces nothing."""

    zone: Zones
    count: str
    name: str = "talks"
    topics: tuple[str, ...] = (ConversationChanged.topic,)

    @classmethod
    def prepared(cls, zone: Zones) -> Talks:
        return cls(zone, statement("talks_count"))

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        talks = gather(one.event for one in batch)
        if not talks:
            return ()
        await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", LOCK)
        await self._tenants(connection, talks.values())
        nothing = await connection.fetch(self.count, list(talks), *columns(talks.values()))
        if nothing:
            await connection.execute(
                "DELETE FROM talk_counts AS c USING unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::integer[])"
                " AS gone (tenant, dimension, grain, period, value, what, place)"
                " WHERE (c.tenant, c.dimension, c.grain, c.period, c.value, c.what, c.place) = (gone.tenant, gone.dimension, gone.grain, gone.period,"
                " gone.value, gone.what, gone.place) AND c.n = 0",
                *(list(column) for column in zip(*nothing, strict=True)),
            )
        return ()

    async def _tenants(self, connection: Connection, talks: Iterable[Talk]) -> None:
        """Who is counted for the first time is counted by their zone of now, and from then on by what is written there."""
        tenants = sorted({one.tenant for one in talks})
        await connection.execute(
            "INSERT INTO talk_zones SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING", tenants, [self.zone(one) for one in tenants]
        )


def columns(talks: Iterable[Talk]) -> list[list[object]]:
    """Conversations as the columns of the statement, behind their ids."""
    rows = list(talks)
    found: list[list[object]] = [[one.tenant for one in rows], *(list(column) for column in zip(*(one.times for one in rows), strict=True))]
    for name in SAID:
        told = [one.said.get(name) for one in rows]
        found += [[one and one.at for one in told], [one and one.said for one in told]]
    return found


async def rezone(pool: Pool, zone: Zones) -> list[str]:
    """Counts days and months anew for tenants whose zone is another one than before, while nobody else counts. Gives their names."""
    if not await _moved(pool, zone):
        return []
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        moved = await _moved(connection, zone)
        for tenant in moved:
            await connection.execute("DELETE FROM talk_counts WHERE tenant = $1 AND grain <> 'quarter'", tenant)
            await connection.execute(statement("talks_rezone"), tenant, zone(tenant))
            await connection.execute("UPDATE talk_zones SET zone = $2 WHERE tenant = $1", tenant, zone(tenant))
    return moved


async def _moved(asked: Pool | Connection, zone: Zones) -> list[str]:
    return [row["tenant"] for row in await asked.fetch("SELECT * FROM talk_zones ORDER BY tenant") if row["zone"] != zone(row["tenant"])]


@dataclass(frozen=True)
class Rezone:
    """The worker that follows tenants who move to another zone. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        log, zone = structlog.get_logger(), zones_of(self.context)
        while not stopping.is_set():
            try:
                for tenant in await rezone(self.context.pool, zone):
                    log.info("conversations are counted by the days of another zone", tenant=tenant, zone=zone(tenant))
            except OUTSIDE as error:
                log.warning("zones are not looked at for now", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

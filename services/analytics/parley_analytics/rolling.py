"""Keeping the sums that reports are read from: changes of the counters are folded into them, and they are made anew where a tenant's zone is another one.

A report does not wait for this: what is not folded yet it reads from the changes, and without sums it reads the counters. It is only slower then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from parley.database import OUTSIDE, Connection, Pool
from parley.service import Context
from parley_analytics.rollups import SOURCES, folding, making, removing

LOCK = 1_634_628_731
"""Our advisory lock in the database (any number that nobody else uses): one folds at a time."""
EVERY = 2.0
"""Seconds between two rounds: what a report has to read of changes stays small."""
WITHIN = 600.0
"""Seconds that a statement may take: sums of years are made in one."""
MEMORY = "64MB"
"""What PostgreSQL may take for each step of that before it goes to files."""

log = structlog.get_logger()


async def fold(pool: Pool) -> None:
    """Takes into the sums whatever became of the counters; nothing where somebody else is at it."""
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            for source in SOURCES:
                await connection.execute(folding(source), timeout=WITHIN)


async def align(pool: Pool, zones: Mapping[str, str]) -> list[str]:
    """Makes the sums of those tenants anew whose zone they are not by, or who have none yet. Gives their names."""
    wrong = await _wrong(pool, zones)
    for tenant in wrong:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            if tenant in await _wrong(connection, zones):
                await _make(connection, tenant, zones[tenant])
    return wrong


async def _wrong(asked: Pool | Connection, zones: Mapping[str, str]) -> list[str]:
    known = {row["tenant"]: row["zone"] for row in await asked.fetch("SELECT tenant, zone FROM rolled_zones")}
    return [tenant for tenant, zone in zones.items() if known.get(tenant) != zone]


async def _make(connection: Connection, tenant: str, zone: str) -> None:
    await connection.execute(f"SET LOCAL work_mem = '{MEMORY}'")
    for source in SOURCES:
        for statement in removing(source):
            await connection.execute(statement, tenant, timeout=WITHIN)
        await connection.execute(making(source), tenant, zone, timeout=WITHIN)
    await connection.execute("INSERT INTO rolled_zones VALUES ($1, $2) ON CONFLICT (tenant) DO UPDATE SET zone = excluded.zone", tenant, zone)


@dataclass(frozen=True)
class Rolling:
    """The worker that folds. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        zones = {name: str(tenant.timezone) for name, tenant in self.context.config.tenants.items()}
        while not stopping.is_set():
            try:
                for tenant in await align(self.context.pool, zones):
                    log.info("figures are summed up by the tenant's days", tenant=tenant, zone=zones[tenant])
                await fold(self.context.pool)
            except OUTSIDE as error:
                log.warning("figures are not summed up for now", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

"""Repeats from outside: each natural id passes once, and is forgotten when no provider can repeat it any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from parley.database import OUTSIDE, Connection, Pool
from parley.service import Context
from parley_ingest import pieces

KEPT = timedelta(days=30)
"""Meta goes on for 7 days, the longest of all (docs "Webhooks: Getting Started"); other services may come again after a long weekend."""
AT_ONCE = 5_000
EVERY = 60.0
"""Seconds between two looks."""


async def unseen(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Those that were never seen before; from now on they were. Sorted, so that two normalisers never wait for each other crosswise."""
    rows = await connection.fetch("INSERT INTO seen (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id", sorted(set(ids)))
    return {row["id"] for row in rows}


async def forget(pool: Pool, before: datetime, limit: int = AT_ONCE) -> int:
    """Drops ids seen before that time, the oldest first, and gives how many. A few at a time: no lock is held long, whoever else does the same."""
    done: str = await pool.execute(
        "DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE seen_at < $1 ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED)", before, limit
    )
    return int(done.removeprefix("DELETE "))


@dataclass(frozen=True)
class Forget:
    """The worker that keeps `seen` from growing for ever. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                now = self.context.clock()
                await pieces.forget(self.context.pool, now)
                if await forget(self.context.pool, now - KEPT) == AT_ONCE:
                    continue
            except OUTSIDE as error:
                structlog.get_logger().warning("old ids stay for now", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

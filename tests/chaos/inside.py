"""What customers cannot know, read from the tables: whether ingest has what they did, and which messages never come. Waits out an absent database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg

from parley.database import OUTSIDE

POOL = 4


class Tables:
    """Looks at the tables, for `parley.demo.actor.Inside`. While the database is away nothing is known."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def taken(self, event: UUID) -> bool:
        with contextlib.suppress(*OUTSIDE):
            return await self._pool.fetchval("SELECT EXISTS (SELECT FROM ingest.seen WHERE id = $1)", event)
        return False

    async def given_up(self, contact: UUID) -> set[str]:
        with contextlib.suppress(*OUTSIDE):
            rows = await self._pool.fetch(
                "SELECT message_id FROM sender.deliveries WHERE contact_id = $1 AND status IN ('unknown', 'failed')", contact
            )
            return {str(row["message_id"]) for row in rows}
        return set()


@contextlib.asynccontextmanager
async def tables(dsn: str) -> AsyncIterator[Tables]:
    """Connections of their own for the looks."""
    pool = await asyncpg.create_pool(dsn, min_size=0, max_size=POOL, timeout=5, command_timeout=10)
    try:
        yield Tables(pool)
    finally:
        pool.terminate()

"""What nobody will ask for any more is dropped by age, a few rows at a time, so that no table grows for ever: one worker in each replica, none in another's way."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from parley import database
from parley.database import OUTSIDE
from parley.policies import LONGEST_WINDOW
from parley.service import Context
from parley_sender import standing

log = structlog.get_logger()

EVERY = 3600.0
"""Seconds between two looks."""
MOST = 5000
"""Rows dropped in one transaction."""
BREATH = 0.2
"""Seconds between two of them."""
AWAY: tuple[type[BaseException], ...] = (*OUTSIDE, asyncpg.PostgresError)

OPEN = "SELECT FROM deliveries d WHERE d.message_id = t.message_id AND d.status IN ('queued', 'unknown')"
OLD = {
    "attempts": f"ended_at < $1 AND NOT EXISTS ({OPEN})",
    "notes": f"at < $1 AND NOT EXISTS ({OPEN})",
    "inquiries": f"next_at IS NULL AND NOT EXISTS ({OPEN})",
    "parked": "parked_at < $1",
    "windows": "at < $1",
    "touches": "coalesce(times[cardinality(times)], '-infinity') < $1",
}
"""By table, which rows (`t`) are over: of messages that are open, or unknown, nothing is."""


@dataclass(frozen=True)
class Janitor:
    """The worker."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; waits while the database is away."""
        while not stopping.is_set():
            more = False
            try:
                more = await self.turn()
            except AWAY as error:
                log.warning("what is old stays for now", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), BREATH if more else EVERY)

    @property
    def kept(self) -> dict[str, timedelta]:
        """By table, for how long its rows are kept."""
        stories = timedelta(days=self.context.settings.stories)
        windows = max([one.window for one in self.context.config.accounts.values() if one.window is not None], default=timedelta())
        return {
            "attempts": stories, "notes": stories, "inquiries": stories, "parked": timedelta(days=7), "windows": windows + timedelta(days=31),
            "touches": LONGEST_WINDOW,
        }  # fmt: skip

    async def turn(self) -> bool:
        """Drops some of what is old in each table. Whether there may be more."""
        counts = [await self._drop(table, kept) for table, kept in self.kept.items()]
        async with self.context.pool.acquire() as connection, connection.transaction():
            await database.whole(connection)
            counts.append(await standing.forget(connection, MOST))
        return max(counts) >= MOST

    async def _drop(self, table: str, kept: timedelta) -> int:
        over = OLD[table]
        found = f"SELECT ctid FROM {table} t WHERE $1::timestamptz IS NOT NULL AND {over} LIMIT {MOST} FOR UPDATE SKIP LOCKED"  # some ask for no age
        async with self.context.pool.acquire() as connection, connection.transaction():
            await database.whole(connection)  # by age nothing has a key
            done: str = await connection.execute(f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({found}))", self.context.clock() - kept)
        return int(done.removeprefix("DELETE "))

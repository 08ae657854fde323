"""What became due comes to stand in its line: one worker for all lanes, in each replica, none in another's way."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import asyncpg
import structlog

from parley.database import OUTSIDE
from parley.service import Context
from parley_sender import standing

log = structlog.get_logger()

EVERY = 0.2
"""Seconds between two looks, where the last one found less than it might have."""
MOST = 2000
"""Messages let in at once: a morning's worth comes in many small transactions."""
SWEEP = 30.0
"""Seconds between two looks for what waits behind nobody."""
AWAY: tuple[type[BaseException], ...] = (*OUTSIDE, asyncpg.PostgresError)


@dataclass
class Clock:
    """The worker."""

    context: Context
    _swept_at: float = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; waits while the database is away."""
        while not stopping.is_set():
            count = 0
            try:
                count = await self.turn()
            except AWAY as error:
                log.warning("what is due waits for PostgreSQL", cause=f"{type(error).__name__}: {error}")
            if count < MOST:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), EVERY)

    async def turn(self) -> int:
        """Lets in what is due by now. Gives how many."""
        now, moment = self.context.clock(), asyncio.get_running_loop().time()
        async with self.context.pool.acquire() as connection, connection.transaction():
            count, stirred = await standing.release(connection, now, MOST)
            if moment >= self._swept_at + SWEEP:
                self._swept_at = moment
                stirred = standing.merged(stirred, await standing.sweep(connection, now))
            await standing.tell(connection, stirred)
        return count

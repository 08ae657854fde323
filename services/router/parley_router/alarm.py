"""Timers that are due, put on the bus: at once, also those of a time when nothing ran; and however often, with one effect.

A page of due rows is locked, published, and deleted when the bus has it, in one transaction. Whoever is killed in between lets go of the rows with the
connection, and the next one publishes them again at once: by then the state holds another token, so the repeat means nothing. A row whose flow
moved on is deleted with that batch. What waits costs an index and no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import structlog

from parley import wire
from parley.bus import BusUnavailable
from parley.contracts import Envelope, Record, TimerFired
from parley.database import OUTSIDE
from parley.service import Context
from parley_router.pausing import pause

EVERY = 0.25
"""Seconds between two looks at what is due."""
PAGE = 500
WITHIN = 10.0
"""Seconds that the bus may take: so long a batch that ends one of these waits may have to wait for its row."""
DUE = "SELECT contact_id, token, tenant, due_at FROM timers WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED"
OUTSIDE_WORK: tuple[type[BaseException], ...] = (*OUTSIDE, BusUnavailable)

log = structlog.get_logger()


@dataclass(frozen=True)
class Alarm:
    """The worker. Every replica may run it: each takes rows that no other has."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; while PostgreSQL or Kafka is away nothing is lost, only late."""
        while not stopping.is_set():
            try:
                while not stopping.is_set() and await self.ring(self.context.clock()) == PAGE:
                    pass
            except OUTSIDE_WORK as error:
                log.warning("timers wait", cause=f"{type(error).__name__}: {error}")
            await pause(EVERY, stopping)

    async def ring(self, now: datetime) -> int:
        """Publishes a page of what is due, the longest due first; how many."""
        async with self.context.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(DUE, now, PAGE)
            if rows:
                await self.context.bus.publish([_fired(row, now) for row in rows], WITHIN)
                await connection.execute(
                    "DELETE FROM timers AS t USING unnest($1::uuid[], $2::text[]) AS done (contact_id, token)"
                    " WHERE (t.contact_id, t.token) = (done.contact_id, done.token)",
                    [row["contact_id"] for row in rows], [row["token"] for row in rows],
                )  # fmt: skip
        self._observe(rows, now)
        return len(rows)

    def _observe(self, rows: Sequence[asyncpg.Record], now: datetime) -> None:
        if rows:
            self.context.metrics.timers.inc(len(rows))
            self.context.metrics.timer_lateness_seconds.observe((now - rows[0]["due_at"]).total_seconds())


def _fired(row: asyncpg.Record, now: datetime) -> Record:
    """The event of a timer: its id is made of the token alone, so a repeat has the same."""
    contact, token = row["contact_id"], row["token"]
    data = TimerFired(contact_id=contact, timer="flow", token=token, due_at=row["due_at"])
    number = str(wire.natural_id("timer", str(contact), token))
    return wire.encode(Envelope(id=number, source="parley/router", time=now, started_at=now, tenant=row["tenant"], subject=str(contact), data=data))

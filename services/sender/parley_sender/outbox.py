"""What committed requests have for the bus: said at once, and again until it is there, however long the bus is away and whoever dies meanwhile.

An entry is written in the transaction whose effect it tells, and deleted once all of its records are acknowledged. Between the two it may be published
twice, by two replicas or after a kill: its records keep their ids, by which whoever reads them knows a repeat.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter

import structlog

from parley import cursor
from parley.bus import BusUnavailable
from parley.contracts import Record
from parley.database import OUTSIDE, Connection
from parley.service import Context

log = structlog.get_logger()

AT_ONCE = 2.0
"""Seconds that a caller waits for the bus; its request is kept for good before."""
OURS_AFTER = "5 seconds"
"""An entry of that age has lost its process, or its process the bus: whoever finds it says it."""
EVERY = 1.0
"""Seconds between two looks."""
SOME, SOME_BYTES = 50, 4_000_000
"""Entries said together, and their bytes (compressed, and at least one): so much is in memory at once."""
MOST, MOST_BYTES = 10_000, 1_073_741_824
"""Entries that may wait, and their bytes: while there are more, nothing new is taken."""
WITHIN = 10.0
"""Seconds that the worker waits for the bus, with a transaction open."""
AWAY: tuple[type[BaseException], ...] = (*OUTSIDE, BusUnavailable)


@dataclass
class Outbox:
    """The outbox of a process, and the worker that empties it. Entries that this process could not say go, in their order, before newer ones."""

    context: Context
    full: bool = False
    _behind: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, entry: int, records: Sequence[Record]) -> None:
        """Puts a committed entry on the bus now; where that does not work, it is the worker's."""
        if not self._behind:
            try:
                await self.context.bus.publish(records, AT_ONCE)
                await self.context.pool.execute("DELETE FROM outbox WHERE seq = $1", entry)
                return
            except BusUnavailable as error:
                log.warning("events of a request wait for the bus", cause=str(error))
                self._behind = True
            except OUTSIDE as error:
                log.warning("events of a request are said once more", cause=f"{type(error).__name__}: {error}")
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Says what waits until the stop."""
        while not stopping.is_set():
            try:
                await self._empty()
            except AWAY as error:
                log.warning("events of requests wait for the bus", cause=f"{type(error).__name__}: {error}")
                self._behind = True
                await self._measure()
                self._wake.clear()  # not at once again
            waits = [asyncio.create_task(stopping.wait()), asyncio.create_task(self._wake.wait())]
            await asyncio.wait(waits, timeout=EVERY, return_when=asyncio.FIRST_COMPLETED)
            for one in waits:
                one.cancel()

    async def _empty(self) -> None:
        """Says entries until none is left; what was put there for the worker meanwhile is among them, so that nothing newer goes past it."""
        while True:
            self._wake.clear()
            if not await self.sweep() and not self._wake.is_set():
                self._behind = self.full = False
                return

    async def sweep(self) -> bool:
        """Says the oldest entries that are nobody else's; False when there are none. Raises `BusUnavailable`, and what the database raises."""
        async with self.context.pool.acquire() as connection, connection.transaction():
            waiting = await connection.fetch(
                f"SELECT seq, octet_length(records) AS size FROM outbox WHERE $1 OR at < now() - interval '{OURS_AFTER}'"
                " ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED",
                self._behind, SOME,
            )  # fmt: skip
            sizes = accumulate(row["size"] for row in waiting)
            some = [row["seq"] for place, (row, size) in enumerate(zip(waiting, sizes, strict=True)) if place == 0 or size <= SOME_BYTES]
            rows = await connection.fetch("DELETE FROM outbox WHERE seq = ANY($1::bigint[]) RETURNING seq, records", some)
            packed = [row["records"] for row in sorted(rows, key=itemgetter("seq"))]
            await self.context.bus.publish([record for one in packed for record in cursor.unpack(one)], WITHIN)
        return bool(some)

    async def _measure(self) -> None:
        with contextlib.suppress(*OUTSIDE):
            count, size = await self.context.pool.fetchrow(
                "SELECT count(*), coalesce(sum(octet_length(records)), 0) FROM (SELECT records FROM outbox LIMIT $1) AS waiting", MOST
            ) or (0, 0)
            self.full = count >= MOST or size >= MOST_BYTES


async def put(connection: Connection, records: Sequence[Record]) -> int:
    """Writes an entry with the transaction that it tells of; gives its number."""
    number: int = await connection.fetchval("INSERT INTO outbox (records) VALUES ($1) RETURNING seq", cursor.pack(records))
    return number

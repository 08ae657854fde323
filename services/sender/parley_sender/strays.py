"""What stands in lines of parts that nobody drives any more: an account has other shares in accounts.yaml than before, or is not in it.

Where shares changed, what waits moves to the parts that there are. Of an account that is gone it stays, in case that the account comes back; it is said, and
what is of no use any more expires. A part that somebody drives, by an older accounts.yaml, is theirs: its lock is asked for first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import structlog

from parley import cursor, database
from parley.channels.shape import Account
from parley.contracts import DeliveryStatus, Record
from parley.database import OUTSIDE, Connection
from parley.service import Context
from parley_sender import dropping, holding, outbox, standing, takeover
from parley_sender.gate import Drop
from parley_sender.holding import Hold
from parley_sender.law import Law
from parley_sender.ledger import Ended
from parley_sender.limits import part_of, parts
from parley_sender.outbox import Outbox
from parley_sender.tell import records

log = structlog.get_logger()

EVERY = 10.0
"""Seconds between two looks."""
MOST = 2000
"""Messages moved, or expired, in one transaction."""
AWAY: tuple[type[BaseException], ...] = (*OUTSIDE, asyncpg.PostgresError)


@dataclass
class Strays:
    """The worker. Every replica may run it."""

    context: Context
    law: Law
    box: Outbox
    _said: dict[str, int] = field(default_factory=dict)
    """Of accounts that are gone, how much was said to wait."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; waits while the database is away."""
        while not stopping.is_set():
            more = False
            try:
                more = await self.turn()
            except AWAY as error:
                log.warning("what nobody drives waits for PostgreSQL", cause=f"{type(error).__name__}: {error}")
            if not more:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), EVERY)

    async def turn(self) -> bool:
        """Looks after every part that is nobody's. Whether there is more to do at once."""
        driven = [part for account in self.context.config.accounts.values() for part in parts(account)]
        rows = await self.context.pool.fetch(
            """SELECT DISTINCT part FROM lines WHERE part <> ALL($1::text[])
               UNION SELECT lane FROM lanes WHERE lane <> ALL($1::text[]) AND pending <> ''""",
            driven,
        )  # fmt: skip
        return max([await self._tend(row["part"]) for row in rows], default=0) >= MOST

    async def _tend(self, part: str) -> int:
        """Looks after one part, in one transaction: calls whose process ended, what waits, and what its lane had not said. Gives how many moved or ended."""
        name, now = part.partition("#")[0], self.context.clock()
        account = self.context.config.accounts.get(name)
        async with self.context.pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended('parley.lane:' || $1, 0))", part):
                return 0
            await database.whole(connection)  # where a line is nobody's, no key says what stands in it
            row = await holding.row(connection, part)
            changes, chains = await takeover.interrupted(connection, account, self.law.policy, part, None, [], now)
            moved = await _moved(connection, part, account) if account is not None else 0
            ended, more = await _expired(connection, part, name, now) if account is None else ([], [])
            await standing.tell(connection, await standing.promote(connection, [*chains, *more], now))
            said = [*cursor.unpack(row.pending), *records([*changes, *ended], now)]
            entry = await _left(connection, part, row.hold, said)
            await standing.forget(connection, MOST, part)
            if account is None:
                await self._say(connection, part)
        if entry is not None:
            await self.box.say(entry, said)
        return moved + len(ended)

    async def _say(self, connection: Connection, part: str) -> None:
        """Says of an account that is gone how much waits for it, when that is another number than before."""
        count = await connection.fetchval("SELECT count(*) FROM queue JOIN lines USING (line) WHERE part = $1", part)
        if count != self._said.get(part, 0):
            log.warning("messages wait for an account that accounts.yaml does not have: put it back, or cancel them", account=part, waiting=count)
        self._said[part] = count


async def _moved(connection: Connection, part: str, account: Account) -> int:
    """Moves what waits to the parts that there are, in its order. Gives how much."""
    rows = await connection.fetch(
        """SELECT message_id, contact_id FROM queue JOIN lines USING (line) WHERE part = $1 AND state <> 'calling'
           ORDER BY state <> 'ready', place LIMIT $2 FOR UPDATE OF queue SKIP LOCKED""",
        part, MOST,
    )  # fmt: skip
    ids, names = [row["message_id"] for row in rows], [part_of(account, row["contact_id"].int) for row in rows]
    await standing.tell(connection, await standing.change(connection, ids, names) if rows else {})
    return len(rows)


async def _expired(connection: Connection, part: str, lane: str, now: datetime) -> Ended:
    """Ends what waited for an account that is gone until it was of no use."""
    rows = await connection.fetch(
        """SELECT message_id FROM queue JOIN lines USING (line) JOIN deliveries USING (message_id) WHERE part = $1 AND state <> 'calling' AND expires_at <= $2
           ORDER BY queue.contact_id, chain LIMIT $3 FOR UPDATE OF queue SKIP LOCKED""",
        part, now, MOST,
    )  # fmt: skip
    return await dropping.drop(connection, lane, [(row["message_id"], Drop(DeliveryStatus.EXPIRED, "expired")) for row in rows], now)


async def _left(connection: Connection, part: str, hold: Hold, said: Sequence[Record]) -> int | None:
    """Hands what the part's lane had not said, and what is to be said of it now, to the outbox. Gives the entry, if there is one."""
    if not said:
        return None
    await holding.move(connection, part, Hold(hold.fence + 1, hold.turn + 1), cursor.pack([]), None)
    return await outbox.put(connection, said)

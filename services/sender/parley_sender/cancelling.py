"""Calling a message back: only while it is queued, decided by its row, told to the bus with the same commit."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from parley.contracts import DeliveryStatus
from parley.service import Context
from parley_sender import dropping, outbox, standing
from parley_sender.gate import Drop
from parley_sender.outbox import Outbox
from parley_sender.tell import records

CANCELLED = "cancelled"
CALLING = "calling"
"""Why a queued message is not called back: its attempt is committed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands after it was to be cancelled."""

    status: str
    reason: str | None

    @property
    def stopped(self) -> bool:
        """It is cancelled, now or before. One of which parts had left is, too: the rest stays."""
        return self.status != DeliveryStatus.QUEUED and (self.reason or "").partition(":")[0] == CANCELLED


async def cancel(context: Context, box: Outbox, tenant: str, message_id: UUID) -> Standing | None:
    """Takes a message out of the queue, or tells what became of it before; None where the tenant has no such message in it.

    The lane claims a message by the same condition on the same row, so one of the two comes first, and the other finds that it did.
    """
    async with context.pool.acquire() as connection, connection.transaction():
        lane = await connection.fetchval("SELECT lane FROM deliveries WHERE message_id = $1 AND tenant = $2", message_id, tenant)
        if lane is None:
            return None
        now = context.clock()
        changes, chains = await dropping.drop(connection, lane, [(message_id, Drop(DeliveryStatus.SUPPRESSED, CANCELLED))], now)
        await standing.tell(connection, await standing.promote(connection, chains, now))
        said = records(changes, now)
        entry = await outbox.put(connection, said) if said else None
        row = await connection.fetchrow("SELECT status, reason FROM deliveries WHERE message_id = $1", message_id)
    if entry is not None:
        await box.say(entry, said)
    if row is None:
        return None
    calling = row["status"] == DeliveryStatus.QUEUED  # what is queued and could not be dropped
    return Standing(row["status"], CALLING if calling else row["reason"])

"""Calling a message back: only while it is queued, decided by its row, told to the bus with the same commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from parley.contracts import DeliveryStatus
from parley.service import Context
from parley_sender import dropping, outbox, standing
from parley_sender.gate import CANCELLED, Drop
from parley_sender.outbox import Outbox
from parley_sender.tell import records

CALLING = "calling"
"""Why a queued message is not called back: its attempt is committed, and nobody knows yet what comes of it."""
PAUSES = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.3, 0.5, 0.5)
"""Seconds between looks at what became of one that was claimed, two together: most calls have their answer by then."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands after it was to be cancelled."""

    status: str
    reason: str | None

    @property
    def stopped(self) -> bool:
        """It is cancelled, now or before. One of which parts had left is, too: the rest stays."""
        return self.status != DeliveryStatus.QUEUED and (self.reason or "").partition(":")[0] == CANCELLED

    @property
    def calling(self) -> bool:
        """Its call is under way still."""
        return (self.status, self.reason) == (DeliveryStatus.QUEUED, CALLING)


async def cancel(context: Context, box: Outbox, tenant: str, message_id: UUID) -> Standing | None:
    """Takes a message out of the queue, or tells what became of it before; None where the tenant has no such message in it.

    One that is claimed goes back to the gate, as after a STOP, unless its bytes have left, and the gate ends it; nor is it called for again after a call that
    did not settle it. What comes of it is waited for, for a moment.
    """
    found = await _asked(context, box, tenant, message_id)
    for pause in PAUSES:
        if found is None or not found.calling:
            break
        await asyncio.sleep(pause)
        found = await _asked(context, box, tenant, message_id)
    return found


async def _asked(context: Context, box: Outbox, tenant: str, message_id: UUID) -> Standing | None:
    """The lane claims a message by the same condition on the same row, so one of the two comes first, and the other finds that it did."""
    async with context.pool.acquire() as connection, connection.transaction():
        lane = await connection.fetchval("SELECT lane FROM deliveries WHERE message_id = $1 AND tenant = $2", message_id, tenant)
        if lane is None:
            return None
        now = context.clock()
        changes, chains = await dropping.drop(connection, lane, [(message_id, Drop(DeliveryStatus.SUPPRESSED, CANCELLED))], now)
        await standing.tell(connection, await standing.promote(connection, chains, now))
        said = records(changes, now)
        entry = await outbox.put(connection, said) if said else None
        noted = await connection.fetchval(  # what is queued and could not be dropped
            "UPDATE deliveries SET called_back_at = $2 WHERE message_id = $1 AND status = 'queued' AND called_back_at IS NULL RETURNING true",
            message_id,
            now,
        )
        if noted:
            await standing.tell_stops(connection, [message_id])
        row = await connection.fetchrow("SELECT status, reason FROM deliveries WHERE message_id = $1", message_id)
    if entry is not None:
        await box.say(entry, said)
    if row is None:
        return None
    return Standing(row["status"], CALLING if row["status"] == DeliveryStatus.QUEUED else row["reason"])

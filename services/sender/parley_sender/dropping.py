"""Messages that end while nobody calls for them: the gate stops them, a person cancels them, or they are of no use any more. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from parley.contracts import DeliveryStatus
from parley.database import Connection
from parley_sender import facts, receipts
from parley_sender.gate import Drop
from parley_sender.ledger import Changed, Ended
from parley_sender.receipts import QUALIFIED, reason
from parley_sender.status import Told, moved


async def drop(connection: Connection, lane: str, dropped: Sequence[tuple[UUID, Drop]], now: datetime) -> Ended:
    """Ends messages, those that nobody calls for. Of what left in part the receipts that were parked until its end are joined."""
    if not dropped:
        return [], []
    gone = await connection.fetch(
        """DELETE FROM queue USING unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, status, reason) WHERE message_id = id AND state <> 'calling'
           RETURNING message_id, status, reason, attempt, doubt, parts_done, contact_id, chain, CASE WHEN NOT doubt AND parts_done = 0 THEN reserved END AS reserved""",
        [number for number, _ in dropped], [one.status for _, one in dropped], [one.reason for _, one in dropped],
    )  # fmt: skip
    rows = await connection.fetch(
        f"""UPDATE deliveries SET status = {stop_status("fate")}, reason = {stop_reason("why")}, attempt = tries, parts_done = done, changed_at = now()
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::bool[], $6::int[], $7::timestamptz[])
                AS gone (id, fate, why, tries, doubt, done, reserved) WHERE message_id = id AND deliveries.status = 'queued' RETURNING {QUALIFIED}, reserved""",
        *([row[name] for row in gone] for name in ("message_id", "status", "reason", "attempt", "doubt", "parts_done", "reserved")),
    )  # fmt: skip
    changes = [Changed(row, DeliveryStatus(row["status"]), row["reason"], row["provider_id"], now, row["attempt"]) for row in rows]
    named = {one.provider_id: one.row["message_id"] for one in changes if one.status is DeliveryStatus.SENT and one.provider_id}
    early = await receipts.unparked(connection, lane, named)
    found = [_received(one, early.get(one.provider_id or "", ())) for one in changes]
    if early:
        await connection.execute(
            "UPDATE deliveries SET status = new.status, reason = new.reason FROM unnest($1::uuid[], $2::text[], $3::text[])"
            " AS new (id, status, reason) WHERE message_id = id",
            [one.row["message_id"] for one in found], [one.status for one in found], [one.reason for one in found],
        )  # fmt: skip
    unused = [one.row for one in found if one.row["reserved"]]
    await facts.untouch(connection, [(row["contact_id"], row["purpose"], row["reserved"]) for row in unused])
    return found, [(row["contact_id"], row["chain"]) for row in gone]


def stop_status(otherwise: str) -> str:
    """In SQL, where a queued message stands that is stopped, from its row of the queue (`doubt`, `done`). Where a call was made of which nobody knows what
    came of it (it got no answer, or its process ended with it), nobody can say that the message never left: it is unknown. Where the provider has its first
    parts, those are sent."""
    return f"CASE WHEN doubt THEN 'unknown' WHEN done > 0 THEN 'sent' ELSE {otherwise} END"


def stop_reason(reason: str) -> str:
    """In SQL, why it was stopped, and where, when parts of it had left."""
    return f"CASE WHEN done > 0 THEN format('%s: stopped after part %s of %s', {reason}, done, deliveries.parts) ELSE {reason} END"


def _received(change: Changed, early: Sequence[Told]) -> Changed:
    """The change, moved on by receipts that came before it."""
    told, row = moved(change.status, early), change.row
    return replace(change, status=told.status, reason=reason(told.code, change.reason, row["parts_done"], row["parts"])) if told else change

"""What came of calls: the attempts, and what their ends mean for the deliveries. A few statements inside the lane's one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from parley.contracts import DeliveryStatus
from parley.database import Connection
from parley.failures import Outcome
from parley_sender import facts, hearing, receipts, suppressions
from parley_sender.hearing import Cost
from parley_sender.holding import Hold
from parley_sender.outcome import Finished, Next
from parley_sender.receipts import QUALIFIED, reason
from parley_sender.standing import CALLING, Chain
from parley_sender.status import Told, moved
from parley_sender.suppressions import EVERYBODY, Entry


@dataclass(frozen=True, slots=True)
class Changed:
    """A delivery whose status moved: the row as it was, the new status and reason, when, and the ids that tell this change from others."""

    row: asyncpg.Record
    status: DeliveryStatus
    reason: str | None
    provider_id: str | None
    at: datetime
    attempt: int = 0
    price: Decimal | None = None
    """What the provider's answer said that the message takes, in `currency`."""
    currency: str | None = None


Ended = tuple[list[Changed], list[Chain]]
"""What changed, and the chains whose next message may come to stand in line."""


async def record(connection: Connection, lane: str, finished: Sequence[tuple[Finished, Next]], hold: Hold) -> Ended:
    """Writes what came of calls: the attempts, and the deliveries that still stand where the call found them. A call that is recorded already (the commit's
    answer was lost) moves nothing any more: the message may be called for elsewhere by now.

    A receipt may have been quicker: then the delivery keeps what it says and only learns the provider's id. Receipts that were parked for that
    id move it on. Gives what changed, by the calls' order.
    """
    if not finished:
        return [], []
    rows = await connection.fetch(
        f"""SELECT {QUALIFIED}, deliveries.called_back_at, chain, reserved FROM deliveries JOIN queue USING (message_id)
                JOIN unnest($1::uuid[], $2::int[]) AS call (id, tries) ON message_id = id WHERE queue.{CALLING} AND queue.fence = $3 AND queue.attempt = tries
            ORDER BY queue.contact_id, chain FOR UPDATE""",
        [call.message_id for call, _ in finished], [call.attempt for call, _ in finished], hold.fence,
    )  # fmt: skip
    found = {row["message_id"]: row for row in rows}
    await _suppress(
        connection, [(call, row) for call, _ in finished if call.outcome and call.outcome.drop_address and (row := found.get(call.message_id))]
    )
    ended = [(call, call.outcome) for call, after in finished if call.outcome and after.status is not DeliveryStatus.QUEUED]
    early = await receipts.unparked(connection, lane, {one.provider_id: call.message_id for call, one in ended if one.provider_id})
    changes = [_change(row, call, after, early) for call, after in finished if (row := found.get(call.message_id))]
    ways = {call.message_id: (call, after) for call, after in finished}
    over = [change.row for change in changes if change.status is not DeliveryStatus.QUEUED]
    await _write(connection, finished, changes, hold, [row["message_id"] for row in over])
    late = [(call.message_id, one) for call, _ in finished if (one := call.outcome) and call.message_id not in found]
    await hearing.priced(connection, [Cost(number, one.price, one.currency, one.segments) for number, one in late])
    await _requeue(
        connection, [_at_once(change.row, *ways[change.row["message_id"]]) for change in changes if change.status is DeliveryStatus.QUEUED]
    )
    failed = [change.row for change in changes if change.status is DeliveryStatus.FAILED and change.row["reserved"]]
    await facts.untouch(connection, [(row["contact_id"], row["purpose"], row["reserved"]) for row in failed])
    return [change for change in changes if change.status != change.row["status"]], [(row["contact_id"], row["chain"]) for row in over]


async def _suppress(connection: Connection, gone: Sequence[tuple[Finished, asyncpg.Record]]) -> None:
    """Notes addresses that the provider says are gone."""
    if gone:
        entries = [Entry(row["tenant"], EVERYBODY, row["channel"], row["address"], suppressions.GONE) for _, row in gone]
        await suppressions.note(connection, entries, max(call.ended_at for call, _ in gone))


def _change(row: asyncpg.Record, call: Finished, after: Next, early: dict[str, list[Told]]) -> Changed:
    """What the call means for the row as it stands now: one that a receipt has moved already learns the provider's id and stays."""
    provider_id = call.outcome.provider_id if call.outcome else None
    if row["status"] != DeliveryStatus.QUEUED:
        status, why = row["status"], row["reason"]
    else:
        status, why = after.status, after.reason
    told = moved(status, early.get(provider_id or "", ())) if status != DeliveryStatus.QUEUED else None
    if told is not None:
        status, why = told.status, reason(told.code, why, call.parts_done, row["parts"])
    tries = call.attempt - int(call.outcome is None)
    price = (call.outcome.price, call.outcome.currency) if call.outcome else (None, None)
    return Changed(row, DeliveryStatus(status), why, provider_id or row["provider_id"], call.ended_at, tries, *price)


async def _write(
    connection: Connection, finished: Sequence[tuple[Finished, Next]], changes: Sequence[Changed], hold: Hold, over: Sequence[UUID]
) -> None:
    """The attempts, what the calls mean for their deliveries, and that those which are `over` stand in no line: in one statement, for each way to the database
    and back is time in which a reply waits."""
    calls = {call.message_id: (call, after) for call, after in finished}
    attempts = [_attempt(call, call.outcome, hold) for call, _ in finished if call.outcome is not None]
    rows = [_row(change, *calls[change.row["message_id"]]) for change in changes]
    await connection.execute(
        """WITH called AS (
               INSERT INTO attempts (message_id, attempt, fence, called_at, ended_at, outcome, code, reason, provider_id, gate)
               SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[],
                   $10::jsonb[]) ON CONFLICT DO NOTHING),
           over AS (DELETE FROM queue WHERE message_id = ANY($11::uuid[]))
           UPDATE deliveries SET status = new.status, reason = new.reason, due_at = new.due_at, attempt = new.attempt, failures = new.failures,
               parts_done = new.parts_done, provider_id = new.provider_id, called_at = coalesce(called, called_at),
               price = coalesce(new.price, deliveries.price), currency = coalesce(new.currency, deliveries.currency),
               told_segments = coalesce(new.told, told_segments), changed_at = now()
           FROM unnest($12::uuid[], $13::text[], $14::text[], $15::timestamptz[], $16::int[], $17::int[], $18::int[], $19::text[], $20::timestamptz[],
               $21::numeric[], $22::text[], $23::int[])
               AS new (id, status, reason, due_at, attempt, failures, parts_done, provider_id, called, price, currency, told) WHERE message_id = id""",
        *_columns(attempts, 10), over, *_columns(rows, 12),
    )  # fmt: skip


def _attempt(call: Finished, outcome: Outcome, hold: Hold) -> tuple[object, ...]:
    return (
        call.message_id, call.attempt, hold.fence, call.called_at, call.ended_at, outcome.kind, outcome.code, outcome.reason, outcome.provider_id, call.gate
    )  # fmt: skip


def _at_once(row: asyncpg.Record, call: Finished, after: Next) -> tuple[Finished, Next]:
    """What was called back meanwhile waits for no further try: the gate ends it."""
    return call, after if row["called_back_at"] is None else replace(after, due_at=min(after.due_at, call.ended_at))


def _row(change: Changed, call: Finished, after: Next) -> tuple[object, ...]:
    told = call.outcome
    costs = (told.price, told.currency, told.segments) if told is not None else (None, None, None)
    called = call.called_at if told is not None else None
    return (
        call.message_id, change.status, change.reason, after.due_at, change.attempt, after.failures, call.parts_done, change.provider_id, called, *costs
    )  # fmt: skip


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as columns, also when there are none."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


async def _requeue(connection: Connection, again: Sequence[tuple[Finished, Next]]) -> None:
    """What was not called for stands where it stood; what is tried again waits for its time."""
    rows = [
        (call.message_id, call.outcome is None, after.due_at, call.attempt - int(call.outcome is None), after.failures, call.parts_done,
         call.outcome is not None and call.outcome.kind == "unknown")
        for call, after in again
    ]  # fmt: skip
    if rows:
        await connection.execute(
            """UPDATE queue SET state = CASE WHEN unmade THEN 'ready' ELSE 'timed' END, due_at = new.due_at, attempt = new.attempt, failures = new.failures,
                   parts_done = new.parts_done, doubt = doubt OR new.doubtful
               FROM unnest($1::uuid[], $2::bool[], $3::timestamptz[], $4::int[], $5::int[], $6::int[], $7::bool[])
                   AS new (id, unmade, due_at, attempt, failures, parts_done, doubtful) WHERE message_id = id""",
            *zip(*rows, strict=True),
        )

"""The lane's side of the tables: what is due, what is claimed, what came of it. Each function is a statement or two inside the lane's one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from parley.channels.shape import Account
from parley.contracts import ConsentState, Content, DeliveryStatus, Purpose
from parley.database import Connection
from parley_sender.gate import Candidate, Drop
from parley_sender.outcome import Finished, Next, doubtful
from parley_sender.receipts import COLUMNS, reason
from parley_sender.status import Told, moved


class Fenced(Exception):
    """The lane is not where this process left it: somebody else drives it, or a commit went through whose answer was lost. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Hold:
    """By what a process holds a lane: the fence of its takeover, and the number of its last turn."""

    fence: int
    turn: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that may be called for: the attempt is committed."""

    message_id: UUID
    contact_id: UUID
    purpose: Purpose
    address: str
    content: Content
    attempt: int
    failures: int
    parts_done: int
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Changed:
    """A delivery whose status moved: the row as it was, the new status and reason, when, and the ids that tell this change from others."""

    row: asyncpg.Record
    status: DeliveryStatus
    reason: str | None
    provider_id: str | None
    at: datetime


async def standing(connection: Connection, lane: str) -> tuple[Hold, bytes]:
    """The lane's row, made when there is none, locked: whose it was, and the events of its last turn."""
    await connection.execute("INSERT INTO lanes (lane) VALUES ($1) ON CONFLICT DO NOTHING", lane)
    row = await connection.fetchrow("SELECT fence, turn, pending FROM lanes WHERE lane = $1 FOR UPDATE", lane)
    assert row is not None
    return Hold(row["fence"], row["turn"]), row["pending"]


async def keep(connection: Connection, lane: str, hold: Hold) -> None:
    """Locks the lane's row for a turn. Raises `Fenced` when it is not as `hold` says."""
    row = await connection.fetchrow("SELECT FROM lanes WHERE lane = $1 AND fence = $2 AND turn = $3 FOR UPDATE", lane, hold.fence, hold.turn)
    if row is None:
        raise Fenced(lane)


async def move(connection: Connection, lane: str, hold: Hold, pending: bytes) -> None:
    """Notes the hold and the events to publish."""
    await connection.execute(
        "UPDATE lanes SET fence = $2, turn = $3, pending = $4, moved_at = now() WHERE lane = $1", lane, hold.fence, hold.turn, pending
    )


async def due(connection: Connection, lane: str, room: int, busy: Sequence[UUID], now: datetime) -> dict[Purpose, list[Candidate]]:
    """What may be asked at the gate, by purpose, the longest due first, `room` of each at most: nothing of the contacts that are `busy` with a call,
    and of one contact and purpose only the message that was asked for first."""
    rows = await connection.fetch(
        """SELECT d.*, c.state, s.reason AS suppressed FROM unnest($4::text[]) AS wanted (purpose), LATERAL (
               SELECT message_id, tenant, contact_id, d.purpose, channel, address, segments, requested_at, notice, expires_at, due_at, seq FROM deliveries d
               WHERE lane = $1 AND status = 'queued' AND d.purpose = wanted.purpose AND due_at <= $2
                   AND contact_id <> ALL($5::uuid[])
                   AND NOT EXISTS (SELECT FROM deliveries o WHERE o.contact_id = d.contact_id AND o.lane = d.lane AND o.purpose = d.purpose
                                   AND o.seq < d.seq AND o.status IN ('queued', 'calling'))
               ORDER BY due_at, seq LIMIT $3
           ) AS d LEFT JOIN consents c USING (contact_id, channel, purpose)
           LEFT JOIN suppressions s USING (tenant, channel, address) ORDER BY due_at, seq""",
        lane, now, room, list(Purpose), busy,
    )  # fmt: skip
    found: dict[Purpose, list[Candidate]] = {}
    for row in rows:
        found.setdefault(Purpose(row["purpose"]), []).append(_candidate(row))
    return found


async def claim(connection: Connection, messages: Sequence[UUID], hold: Hold, now: datetime) -> list[Claimed]:
    """Commits an attempt for each message, in their order."""
    rows = await connection.fetch(
        """UPDATE deliveries SET status = 'calling', attempt = attempt + 1, fence = $2, called_at = $3, changed_at = now()
           WHERE message_id = ANY($1::uuid[]) AND status = 'queued'
           RETURNING message_id, contact_id, purpose, address, content, attempt, failures, parts_done, started_at""",
        messages, hold.fence, now,
    )  # fmt: skip
    claimed = {row["message_id"]: _claimed(row) for row in rows}
    return [claimed[one] for one in messages if one in claimed]


async def drop(connection: Connection, lane: str, dropped: Sequence[tuple[UUID, Drop]], now: datetime) -> list[Changed]:
    """Ends messages that the gate stopped. Of what left in part the receipts that were parked until its end are joined."""
    if not dropped:
        return []
    rows = await connection.fetch(
        f"""UPDATE deliveries SET reason = {stop_reason("new.reason")}, changed_at = now(), status = {stop_status("new.status")}
            FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, status, reason) WHERE message_id = id AND deliveries.status = 'queued'
            RETURNING {_qualified()}""",
        [number for number, _ in dropped], [one.status for _, one in dropped], [one.reason for _, one in dropped],
    )  # fmt: skip
    changes = [Changed(row, DeliveryStatus(row["status"]), row["reason"], row["provider_id"], now) for row in rows]
    early = await _unparked(connection, lane, [one.provider_id for one in changes if one.status is DeliveryStatus.SENT and one.provider_id])
    found = [_received(one, early.get(one.provider_id or "", ())) for one in changes]
    if early:
        await connection.execute(
            "UPDATE deliveries SET status = new.status, reason = new.reason FROM unnest($1::uuid[], $2::text[], $3::text[])"
            " AS new (id, status, reason) WHERE message_id = id",
            [one.row["message_id"] for one in found], [one.status for one in found], [one.reason for one in found],
        )  # fmt: skip
    return found


def stop_status(otherwise: str) -> str:
    """In SQL, where a queued message stands that is stopped. Where a call was made of which nobody knows what came of it (it got no answer, or its
    process ended with it), nobody can say that the message never left: it is unknown. Where the provider has its first parts, those are sent."""
    return f"""CASE WHEN deliveries.attempt > (
        SELECT count(*) FROM attempts a WHERE a.message_id = deliveries.message_id AND a.outcome <> 'unknown') THEN 'unknown'
        WHEN deliveries.parts_done > 0 THEN 'sent' ELSE {otherwise} END"""


def stop_reason(reason: str) -> str:
    """In SQL, why it was stopped, and where, when parts of it had left."""
    part = f"format('%s: stopped after part %s of %s', {reason}, deliveries.parts_done, deliveries.parts)"
    return f"CASE WHEN deliveries.parts_done > 0 THEN {part} ELSE {reason} END"


async def hold_back(connection: Connection, held: Sequence[tuple[UUID, datetime]]) -> None:
    """Puts messages off that the gate wants to see later."""
    if held:
        await connection.execute(
            "UPDATE deliveries SET due_at = until FROM unnest($1::uuid[], $2::timestamptz[]) AS new (id, until) WHERE message_id = id",
            [number for number, _ in held], [until for _, until in held],
        )  # fmt: skip


async def record(connection: Connection, lane: str, finished: Sequence[tuple[Finished, Next]], hold: Hold) -> list[Changed]:
    """Writes what came of calls: the attempts, and the deliveries that still stand where the call found them.

    A receipt may have been quicker: then the delivery keeps what it says and only learns the provider's id. Receipts that were parked for that
    id move it on. Gives what changed, by the calls' order.
    """
    if not finished:
        return []
    await _attempts(connection, [call for call, _ in finished], hold)
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM deliveries WHERE message_id = ANY($1::uuid[]) ORDER BY message_id FOR UPDATE",
        [call.message_id for call, _ in finished],
    )
    found = {row["message_id"]: row for row in rows}
    await _suppress(connection, [row for call, _ in finished if call.outcome and call.outcome.drop_address and (row := found.get(call.message_id))])
    ended = [call.outcome for call, after in finished if call.outcome and after.status is not DeliveryStatus.QUEUED]
    early = await _unparked(connection, lane, [one.provider_id for one in ended if one.provider_id])
    changes = [_change(row, call, after, early) for call, after in finished if (row := found.get(call.message_id))]
    await _write(connection, changes, {call.message_id: (call, after) for call, after in finished})
    return [change for change in changes if change.status != change.row["status"]]


async def interrupted(connection: Connection, account: Account, hold: Hold | None, alive: Sequence[UUID], now: datetime) -> list[Changed]:
    """Settles calls found under way at a takeover. `alive` are this process's own, which go on; those it claimed and never made (under `hold`)
    go back to the queue; those of another process are doubtful. Gives what changed."""
    status = doubtful(account)
    rows = await connection.fetch(
        f"""UPDATE deliveries SET changed_at = now(), due_at = LEAST(due_at, $5),
                status = CASE WHEN fence = $3 THEN 'queued' ELSE $4 END,
                reason = CASE WHEN fence = $3 THEN reason ELSE 'interrupted' END,
                attempt = CASE WHEN fence = $3 THEN attempt - 1 ELSE attempt END
            WHERE lane = $1 AND status = 'calling' AND message_id <> ALL($2::uuid[]) RETURNING {_qualified()}, fence""",
        account.name, list(alive), hold.fence if hold else -1, status, now,
    )  # fmt: skip
    return [Changed(row, status, "interrupted", None, now) for row in rows if hold is None or row["fence"] != hold.fence]


async def _suppress(connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
    """Notes addresses that the provider says are gone."""
    if rows:
        await connection.execute(
            "INSERT INTO suppressions (tenant, channel, address, reason, since)"
            " SELECT DISTINCT *, 'address_gone', now() FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING",
            *zip(*((row["tenant"], row["channel"], row["address"]) for row in rows), strict=True),
        )


async def _attempts(connection: Connection, calls: Sequence[Finished], hold: Hold) -> None:
    rows = [
        (one.message_id, one.attempt, hold.fence, one.called_at, one.ended_at, one.outcome.kind, one.outcome.code, one.outcome.reason,
         one.outcome.provider_id)
        for one in calls if one.outcome is not None
    ]  # fmt: skip
    if rows:
        await connection.execute(
            "INSERT INTO attempts (message_id, attempt, fence, called_at, ended_at, outcome, code, reason, provider_id) SELECT * FROM unnest($1::uuid[],"
            " $2::int[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[]) ON CONFLICT DO NOTHING",
            *zip(*rows, strict=True),
        )


async def _unparked(connection: Connection, lane: str, provider_ids: Sequence[str]) -> dict[str, list[Told]]:
    """Takes the receipts that came before their message's id was known."""
    if not provider_ids:
        return {}
    rows = await connection.fetch(
        "DELETE FROM parked WHERE lane = $1 AND provider_id = ANY($2::text[]) RETURNING provider_id, status, code", lane, provider_ids
    )
    found: dict[str, list[Told]] = {}
    for row in rows:
        found.setdefault(row["provider_id"], []).append(Told(DeliveryStatus(row["status"]), row["code"]))
    return found


def _change(row: asyncpg.Record, call: Finished, after: Next, early: dict[str, list[Told]]) -> Changed:
    """What the call means for the row as it stands now: one that a receipt has moved already learns the provider's id and stays."""
    provider_id = call.outcome.provider_id if call.outcome else None
    if row["status"] != "calling":
        status, why = row["status"], row["reason"]
    else:
        status, why = after.status, after.reason
    told = moved(status, early.get(provider_id or "", ())) if status != DeliveryStatus.QUEUED else None
    if told is not None:
        status, why = told.status, reason(told.code, why, call.parts_done, row["parts"])
    return Changed(row, DeliveryStatus(status), why, provider_id or row["provider_id"], call.ended_at)


def _received(change: Changed, early: Sequence[Told]) -> Changed:
    """The change, moved on by receipts that came before it."""
    told, row = moved(change.status, early), change.row
    return replace(change, status=told.status, reason=reason(told.code, change.reason, row["parts_done"], row["parts"])) if told else change


async def _write(connection: Connection, changes: Sequence[Changed], calls: dict[UUID, tuple[Finished, Next]]) -> None:
    rows = []
    for change in changes:
        call, after = calls[change.row["message_id"]]
        unsent = int(call.outcome is None)
        rows.append(
            (call.message_id, change.status, change.reason, after.due_at, call.attempt - unsent, after.failures, call.parts_done, change.provider_id)
        )
    if rows:
        await connection.execute(
            "UPDATE deliveries SET status = new.status, reason = new.reason, due_at = new.due_at, attempt = new.attempt, failures = new.failures,"
            " parts_done = new.parts_done, provider_id = new.provider_id, changed_at = now() FROM unnest($1::uuid[], $2::text[], $3::text[],"
            " $4::timestamptz[], $5::int[], $6::int[], $7::int[], $8::text[])"
            " AS new (id, status, reason, due_at, attempt, failures, parts_done, provider_id) WHERE message_id = id",
            *zip(*rows, strict=True),
        )


def _qualified() -> str:
    return ", ".join(f"deliveries.{name.strip()}" for name in COLUMNS.split(","))


def _candidate(row: asyncpg.Record) -> Candidate:
    return Candidate(
        row["message_id"], row["contact_id"], Purpose(row["purpose"]), row["segments"], row["requested_at"], row["notice"], row["expires_at"],
        ConsentState(row["state"]) if row["state"] else None, row["suppressed"],
    )  # fmt: skip


def _claimed(row: asyncpg.Record) -> Claimed:
    values: dict[str, Any] = {**row, "purpose": Purpose(row["purpose"]), "content": Content.model_validate_json(row["content"])}
    return Claimed(**values)

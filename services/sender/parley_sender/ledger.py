"""The lane's side of the tables: what is claimed, what came of it. Each function is a statement or two inside the lane's one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from parley.channels.shape import Account
from parley.contracts import Content, DeliveryStatus, Purpose
from parley.database import Connection
from parley.failures import Outcome
from parley.policies import Policy
from parley_sender import facts, hearing
from parley_sender.facts import Asked
from parley_sender.gate import Drop
from parley_sender.hearing import Cost
from parley_sender.outcome import Finished, Next, doubtful
from parley_sender.receipts import COLUMNS, reason
from parley_sender.standing import CALLING, READY, Chain
from parley_sender.status import Told, moved


class Fenced(Exception):
    """The lane is not where this process left it: somebody else drives it, or a commit went through whose answer was lost. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Hold:
    """By what a process holds a lane: the fence of its takeover, and the number of its last turn."""

    fence: int
    turn: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What people set for the lane while it runs: whether it is paused, and another rate."""

    paused: bool = False
    rate: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that may be called for: the attempt is committed. `gate`: what stood at the gate."""

    message_id: UUID
    contact_id: UUID
    purpose: Purpose
    address: str
    content: Content
    units: int
    attempt: int
    failures: int
    parts_done: int
    chain: int
    started_at: datetime | None
    expires_at: datetime | None
    fallback_after: int | None
    gate: str
    line: int
    place: int
    tenant: str
    owed: bool = False


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


Left = tuple[str, float]
"""What was said of a lane that was left to others, and how many seconds ago."""
Ended = tuple[list[Changed], list[Chain]]
"""What changed, and the chains whose next message may come to stand in line."""


async def standing(connection: Connection, part: str) -> tuple[Hold, bytes, Wishes, datetime | None, Left | None]:
    """The lane's row, locked: whose it was, the events of its last turn, what people set, until when its circuit is open, how it was left to whoever takes it.
    It is made when there is none, set as other parts of its account are."""
    await connection.execute(
        """INSERT INTO lanes (lane, paused_by, paused_at, rate)
           SELECT $1, other.paused_by, other.paused_at, other.rate FROM (SELECT) AS new LEFT JOIN LATERAL (
               SELECT * FROM lanes WHERE split_part(lane, '#', 1) = split_part($1, '#', 1) ORDER BY moved_at DESC LIMIT 1) AS other ON true
           ON CONFLICT DO NOTHING""",
        part,
    )  # fmt: skip
    row = await connection.fetchrow(
        """SELECT fence, turn, pending, paused_by, rate, broken_until, CASE WHEN (handed_fence, handed_turn) = (fence, turn) THEN handed END AS handed,
               extract(epoch FROM clock_timestamp() - handed_at)::float8 AS ago FROM lanes WHERE lane = $1 FOR UPDATE""",
        part,
    )  # fmt: skip
    assert row is not None
    left = (row["handed"], max(0.0, row["ago"])) if row["handed"] is not None else None
    return Hold(row["fence"], row["turn"]), row["pending"], _wishes(row), row["broken_until"], left


async def leave(connection: asyncpg.Connection[asyncpg.Record], left: Sequence[tuple[str, Hold, str]]) -> None:
    """Notes how parts stand that are left to other replicas, as long as they are where their hold says."""
    await connection.execute(
        """UPDATE lanes SET handed = told::jsonb, handed_at = clock_timestamp(), handed_fence = fence, handed_turn = turn
           FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS new (part, had, at, told) WHERE lane = part AND fence = had AND turn = at""",
        *zip(*((part, hold.fence, hold.turn, told) for part, hold, told in left), strict=True),
    )  # fmt: skip


async def keep(connection: Connection, part: str, hold: Hold) -> Wishes:
    """Locks the lane's row for a turn. Raises `Fenced` when it is not as `hold` says."""
    row = await connection.fetchrow(
        "SELECT paused_by, rate FROM lanes WHERE lane = $1 AND fence = $2 AND turn = $3 FOR UPDATE", part, hold.fence, hold.turn
    )
    if row is None:
        raise Fenced(part)
    return _wishes(row)


def _wishes(row: asyncpg.Record) -> Wishes:
    return Wishes(row["paused_by"] is not None, row["rate"])


async def move(connection: Connection, part: str, hold: Hold, pending: bytes, broken_until: datetime | None) -> None:
    """Notes the hold, the events to publish, and until when the circuit is open."""
    await connection.execute(
        "UPDATE lanes SET fence = $2, turn = $3, pending = $4, broken_until = $5, moved_at = now() WHERE lane = $1",
        part, hold.fence, hold.turn, pending, broken_until,
    )  # fmt: skip


async def claim(connection: Connection, going: Sequence[Asked], gates: Mapping[UUID, Mapping[str, Any]], hold: Hold, now: datetime) -> list[Claimed]:
    """Commits an attempt for each message, in their order. `gates`: what stood at the gate, and the slot that was reserved."""
    if not going:
        return []
    ids = [one.candidate.message_id for one in going]
    rows = await connection.fetch(
        f"""UPDATE queue SET state = 'calling', attempt = attempt + 1, fence = $2, called_at = $3, reserved = new.reserved
            FROM unnest($1::uuid[], $4::timestamptz[]) AS new (id, reserved) WHERE message_id = id AND {READY} RETURNING message_id, attempt, line, place""",
        ids, hold.fence, now, [one.candidate.reserved for one in going],
    )  # fmt: skip
    places = {row["message_id"]: row for row in rows}
    return [_claimed(one, places[number], gates.get(number, {})) for one in going if (number := one.candidate.message_id) in places]


def _claimed(one: Asked, row: asyncpg.Record, gate: Mapping[str, Any]) -> Claimed:
    asked = one.candidate
    return Claimed(
        asked.message_id, asked.contact_id, asked.purpose, asked.address, one.content, asked.units, row["attempt"], one.failures, one.parts_done,
        one.chain, one.started_at, asked.expires_at, one.fallback_after, orjson.dumps(gate).decode(), row["line"], row["place"],
        asked.tenant,
    )  # fmt: skip


async def drop(connection: Connection, lane: str, dropped: Sequence[tuple[UUID, Drop]], now: datetime) -> Ended:
    """Ends messages that the gate stopped. Of what left in part the receipts that were parked until its end are joined."""
    if not dropped:
        return [], []
    rows = await connection.fetch(
        f"""WITH gone AS (DELETE FROM queue USING unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, status, reason)
                          WHERE message_id = id AND state <> 'calling'
                          RETURNING message_id AS id, contact_id, chain, attempt AS tries, doubt, queue.parts_done AS done, reserved, status AS fate, reason AS why),
            ended AS (UPDATE deliveries SET status = {stop_status("fate")}, reason = {stop_reason("why")}, attempt = tries, parts_done = done, changed_at = now()
                      FROM gone WHERE message_id = id AND deliveries.status = 'queued' RETURNING {_qualified()})
            SELECT ended.*, gone.contact_id AS whose, chain, CASE WHEN NOT doubt AND done = 0 THEN reserved END AS reserved
            FROM gone LEFT JOIN ended ON message_id = id""",
        [number for number, _ in dropped], [one.status for _, one in dropped], [one.reason for _, one in dropped],
    )  # fmt: skip
    changes = [
        Changed(row, DeliveryStatus(row["status"]), row["reason"], row["provider_id"], now, row["attempt"]) for row in rows if row["message_id"]
    ]
    named = {one.provider_id: one.row["message_id"] for one in changes if one.status is DeliveryStatus.SENT and one.provider_id}
    early = await _unparked(connection, lane, named)
    found = [_received(one, early.get(one.provider_id or "", ())) for one in changes]
    if early:
        await connection.execute(
            "UPDATE deliveries SET status = new.status, reason = new.reason FROM unnest($1::uuid[], $2::text[], $3::text[])"
            " AS new (id, status, reason) WHERE message_id = id",
            [one.row["message_id"] for one in found], [one.status for one in found], [one.reason for one in found],
        )  # fmt: skip
    unused = [one.row for one in found if one.row["reserved"]]
    await facts.untouch(connection, [(row["contact_id"], row["purpose"], row["reserved"]) for row in unused])
    return found, [(row["whose"], row["chain"]) for row in rows]


def stop_status(otherwise: str) -> str:
    """In SQL, where a queued message stands that is stopped, from its row of the queue (`doubt`, `done`). Where a call was made of which nobody knows what
    came of it (it got no answer, or its process ended with it), nobody can say that the message never left: it is unknown. Where the provider has its first
    parts, those are sent."""
    return f"CASE WHEN doubt THEN 'unknown' WHEN done > 0 THEN 'sent' ELSE {otherwise} END"


def stop_reason(reason: str) -> str:
    """In SQL, why it was stopped, and where, when parts of it had left."""
    return f"CASE WHEN done > 0 THEN format('%s: stopped after part %s of %s', {reason}, done, deliveries.parts) ELSE {reason} END"


async def hold_back(connection: Connection, held: Sequence[tuple[UUID, datetime]]) -> None:
    """Puts messages off that the gate wants to see later."""
    if held:
        await connection.execute(
            "UPDATE queue SET state = 'timed', due_at = until FROM unnest($1::uuid[], $2::timestamptz[]) AS new (id, until)"
            f" WHERE message_id = id AND {READY}",
            [number for number, _ in held], [until for _, until in held],
        )  # fmt: skip


async def tell_held(connection: Connection, held: Sequence[tuple[UUID, datetime, str]], now: datetime) -> list[Changed]:
    """Notes why messages are held, those of which it was not known yet; gives those."""
    if not held:
        return []
    rows = await connection.fetch(
        f"""UPDATE deliveries SET reason = new.reason, due_at = until, changed_at = now()
            FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS new (id, until, reason)
            WHERE message_id = id AND deliveries.reason IS DISTINCT FROM new.reason RETURNING {_qualified()}, until""",
        *zip(*held, strict=True),
    )
    await connection.execute(
        "INSERT INTO notes (message_id, at, what, detail) SELECT id, $2, 'held', detail FROM unnest($1::uuid[], $3::jsonb[]) AS new (id, detail)",
        [row["message_id"] for row in rows], now,
        [orjson.dumps({"reason": row["reason"], "until": row["until"].isoformat()}).decode() for row in rows],
    )  # fmt: skip
    return [Changed(row, DeliveryStatus.HELD, row["reason"], row["provider_id"], now, row["attempt"]) for row in rows]


async def record(connection: Connection, lane: str, finished: Sequence[tuple[Finished, Next]], hold: Hold) -> Ended:
    """Writes what came of calls: the attempts, and the deliveries that still stand where the call found them. A call that is recorded already (the commit's
    answer was lost) moves nothing any more: the message may be called for elsewhere by now.

    A receipt may have been quicker: then the delivery keeps what it says and only learns the provider's id. Receipts that were parked for that
    id move it on. Gives what changed, by the calls' order.
    """
    if not finished:
        return [], []
    rows = await connection.fetch(
        f"""SELECT {_qualified()}, chain, reserved FROM deliveries JOIN queue USING (message_id) JOIN unnest($1::uuid[], $2::int[]) AS call (id, tries)
                ON message_id = id WHERE queue.{CALLING} AND queue.fence = $3 AND queue.attempt = tries
            ORDER BY queue.contact_id, chain FOR UPDATE""",
        [call.message_id for call, _ in finished], [call.attempt for call, _ in finished], hold.fence,
    )  # fmt: skip
    found = {row["message_id"]: row for row in rows}
    await _suppress(connection, [row for call, _ in finished if call.outcome and call.outcome.drop_address and (row := found.get(call.message_id))])
    ended = [(call, call.outcome) for call, after in finished if call.outcome and after.status is not DeliveryStatus.QUEUED]
    early = await _unparked(connection, lane, {one.provider_id: call.message_id for call, one in ended if one.provider_id})
    changes = [_change(row, call, after, early) for call, after in finished if (row := found.get(call.message_id))]
    ways = {call.message_id: (call, after) for call, after in finished}
    over = [change.row for change in changes if change.status is not DeliveryStatus.QUEUED]
    await _write(connection, finished, changes, hold, [row["message_id"] for row in over])
    late = [(call.message_id, one) for call, _ in finished if (one := call.outcome) and call.message_id not in found]
    await hearing.priced(connection, [Cost(number, one.price, one.currency, one.segments) for number, one in late])
    await _requeue(connection, [ways[change.row["message_id"]] for change in changes if change.status is DeliveryStatus.QUEUED])
    failed = [change.row for change in changes if change.status is DeliveryStatus.FAILED and change.row["reserved"]]
    await facts.untouch(connection, [(row["contact_id"], row["purpose"], row["reserved"]) for row in failed])
    return [change for change in changes if change.status != change.row["status"]], [(row["contact_id"], row["chain"]) for row in over]


async def interrupted(
    connection: Connection,
    account: Account | None,
    policy: Callable[[str], Policy],
    part: str,
    hold: Hold | None,
    alive: Sequence[UUID],
    now: datetime,
) -> Ended:
    """Settles calls found under way at a takeover. `alive` are this process's own, which go on; those it claimed and never made (under `hold`)
    go back to the queue; those of another process are doubtful. Gives what changed."""
    rows = await connection.fetch(
        """SELECT message_id, chain, contact_id, fence, attempt, called_at, purpose, tenant FROM queue JOIN lines USING (line)
           WHERE state = 'calling' AND part = $1 AND message_id <> ALL($2::uuid[]) ORDER BY contact_id, chain FOR UPDATE OF queue""",
        part, list(alive),
    )  # fmt: skip
    unmade = {row["message_id"] for row in rows if hold is not None and row["fence"] == hold.fence}
    await connection.execute("UPDATE queue SET state = 'ready', attempt = attempt - 1 WHERE message_id = ANY($1::uuid[])", list(unmade))
    lost = [row for row in rows if row["message_id"] not in unmade]
    if not lost:
        return [], []
    await _in_doubt(connection, lost, now)
    fates = {row["message_id"]: doubtful(account, policy(row["tenant"]).unknown[Purpose(row["purpose"])]) for row in lost}
    again = [number for number, fate in fates.items() if fate is DeliveryStatus.QUEUED]
    over = [row for row in lost if fates[row["message_id"]] is not DeliveryStatus.QUEUED]
    await connection.execute(
        "UPDATE queue SET state = 'timed', due_at = LEAST(due_at, $2), doubt = true WHERE message_id = ANY($1::uuid[])", again, now
    )
    await connection.execute("DELETE FROM queue WHERE message_id = ANY($1::uuid[])", [row["message_id"] for row in over])
    told = await connection.fetch(
        f"""UPDATE deliveries SET changed_at = now(), attempt = tries, called_at = called,
                reason = CASE WHEN status = 'queued' THEN 'interrupted' ELSE reason END, status = CASE WHEN status = 'queued' THEN fate ELSE status END
            FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[]) AS lost (id, tries, called, fate)
            WHERE message_id = id RETURNING {_qualified()}, old.status AS before""",
        list(fates), [row["attempt"] for row in lost], [row["called_at"] for row in lost], list(fates.values()),
    )  # fmt: skip
    changes = [
        Changed(row, fates[row["message_id"]], "interrupted", None, now, row["attempt"]) for row in told if row["before"] == DeliveryStatus.QUEUED
    ]
    return changes, [(row["contact_id"], row["chain"]) for row in over]


async def _in_doubt(connection: Connection, lost: Sequence[asyncpg.Record], now: datetime) -> None:
    """Notes attempts whose process ended with them."""
    await connection.execute(
        "INSERT INTO attempts (message_id, attempt, fence, called_at, ended_at, outcome, code, reason) SELECT id, tries, fence, called, $5, 'unknown', 'interrupted',"
        " 'its process ended' FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::timestamptz[]) AS lost (id, tries, fence, called) ON CONFLICT DO NOTHING",
        [row["message_id"] for row in lost], [row["attempt"] for row in lost], [row["fence"] for row in lost], [row["called_at"] for row in lost], now,
    )  # fmt: skip


async def _suppress(connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
    """Notes addresses that the provider says are gone."""
    if rows:
        await connection.execute(
            "INSERT INTO suppressions (tenant, channel, address, reason, since)"
            " SELECT DISTINCT *, 'address_gone', now() FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING",
            *zip(*((row["tenant"], row["channel"], row["address"]) for row in rows), strict=True),
        )


async def _unparked(connection: Connection, lane: str, named: Mapping[str, UUID]) -> dict[str, list[Told]]:
    """Takes the receipts that came before their message's id was known; `named`: the message of each id."""
    if not named:
        return {}
    rows = await connection.fetch(
        "DELETE FROM parked WHERE lane = $1 AND provider_id = ANY($2::text[]) RETURNING provider_id, status, code, at", lane, list(named)
    )
    await hearing.joined(connection, rows, named)
    found: dict[str, list[Told]] = {}
    for row in rows:
        found.setdefault(row["provider_id"], []).append(Told(DeliveryStatus(row["status"]), row["code"]))
    return found


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


def _received(change: Changed, early: Sequence[Told]) -> Changed:
    """The change, moved on by receipts that came before it."""
    told, row = moved(change.status, early), change.row
    return replace(change, status=told.status, reason=reason(told.code, change.reason, row["parts_done"], row["parts"])) if told else change


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


def _qualified() -> str:
    return ", ".join(f"deliveries.{name.strip()}" for name in COLUMNS.split(","))

"""A lane comes into the hands of this process: in one transaction its row is locked and moved on, so that whoever had it before can write nothing any more, and
the calls that were under way are settled. What the other had not said is said by who has the lane now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from parley import cursor
from parley.channels.shape import Account
from parley.contracts import DeliveryStatus, Purpose, Record
from parley.database import Connection, Pool
from parley.policies import Policy
from parley_sender import facts, holding, standing
from parley_sender.handover import unpacked
from parley_sender.holding import Hold, Wishes
from parley_sender.law import Law
from parley_sender.ledger import Changed, Ended
from parley_sender.limits import Limits, Sent, as_wished
from parley_sender.outcome import doubtful
from parley_sender.pace import Pace
from parley_sender.queue import Line
from parley_sender.receipts import QUALIFIED
from parley_sender.tell import records

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Before:
    """What this process has of a lane that it drove before: its hold, the messages that it calls for, and until when the circuit is open. All of it counts only
    if nobody had the lane in between."""

    hold: Hold | None
    calls: Sequence[UUID]
    broken_until: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A lane that is ours. `said`: what is to be told to the bus. `pace`: with which it begins; None if nobody had it in between: then all goes on as it was,
    calls, pace and circuit."""

    hold: Hold
    wishes: Wishes
    lines: Sequence[Line]
    said: Sequence[Record]
    broken_until: datetime | None
    pace: Pace | None


async def take(pool: Pool, account: Account, part: str, law: Law, limits: Limits, before: Before, now: datetime) -> Taken:
    """Takes a part of an account's lane over, whose lock this process has."""
    loop = asyncio.get_running_loop()
    async with pool.acquire() as connection, connection.transaction():
        row = await holding.row(connection, part)
        handed = unpacked(row.left[0], loop.time() - row.left[1]) if row.left else None
        mine = before.hold is not None and row.hold.fence == before.hold.fence
        hold = Hold(row.hold.fence if mine else row.hold.fence + 1, row.hold.turn + 1)
        alive = before.calls if mine else []
        changes, chains = await interrupted(connection, account, law.policy, part, row.hold if mine else None, alive, now)
        stirred = await standing.promote(connection, chains, now)
        await standing.tell(connection, {other: lines for other, lines in stirred.items() if other != part})
        lines = await facts.lines(connection, part)
        wished = as_wished(account, row.wishes.rate)
        sent = await limits.history(connection, wished, now) if not mine else []
        said = [*cursor.unpack(row.pending), *records(changes, now)]
        until = before.broken_until if mine else row.broken_until
        await holding.move(connection, part, hold, cursor.pack(said), until)
    log.info("lane taken", lane=part, fence=hold.fence, doubtful=len(changes), handed_over=handed is not None)
    here = loop.time()
    pace = limits.pace(wished, here, _by_the_loop(sent, now.timestamp() - here), handed) if not mine else None
    return Taken(hold, row.wishes, lines, said, until, pace)


def _by_the_loop(sent: Sequence[Sent], ahead: float) -> list[Sent]:
    """What was sent, by the loop's clock, which the other is so much `ahead` of."""
    return [(at - ahead, units, to, first) for at, units, to, first in sent]


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
    fates = {row["message_id"]: doubtful(account, policy(row["tenant"]).unknown[Purpose(row["purpose"])]) for row in lost}
    await _in_doubt(connection, lost, now)
    return await _settled(connection, lost, fates, now)


async def _settled(connection: Connection, lost: Sequence[asyncpg.Record], fates: Mapping[UUID, DeliveryStatus], now: datetime) -> Ended:
    """What is called for again waits for that at once; the rest is over, and nobody knows what came of it."""
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
            WHERE message_id = id RETURNING {QUALIFIED}, old.status AS before""",
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

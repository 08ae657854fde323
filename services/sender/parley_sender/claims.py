"""What a turn claims: messages that were taken from their lines are asked about at the gate, and what it says is written down. In the lane's transaction.

What may go is `calling` from the commit on, with an attempt of its own; what is held waits for its time; what is stopped ends (`dropping`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from parley.channels.shape import Account
from parley.contracts import Content, DeliveryStatus, Purpose
from parley.database import Connection
from parley_sender import dropping, picking
from parley_sender.facts import Asked
from parley_sender.holding import Hold
from parley_sender.law import Law
from parley_sender.ledger import Changed
from parley_sender.queue import Waiting
from parley_sender.receipts import QUALIFIED
from parley_sender.standing import READY, Chain


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
class Claims:
    """What became of messages that asked to leave: those claimed, in order; `kept`: what changed of those that were stopped or are held; the `chains` whose next
    message may come to stand in line; `stale`: those that had ended before they were asked about."""

    claimed: Sequence[Claimed]
    kept: Sequence[Changed]
    chains: Sequence[Chain]
    stale: Sequence[UUID]


async def ask(
    connection: Connection, taken: Sequence[Waiting], account: Account, law: Law, pace: Callable[[str, bool], float], hold: Hold, now: datetime
) -> Claims:
    """Asks the gate about messages, and writes down what it says. `pace`: in how many seconds something may leave to an address, we first or not."""
    picked = await picking.pick(connection, taken, account, law, pace, now)
    stopped, chains = await dropping.drop(connection, account.name, picked.dropped, now)
    await _hold_back(connection, [(number, until) for number, until, _ in picked.held])
    held = await _tell_held(connection, picked.told, now)
    return Claims(await _claim(connection, picked.going, picked.gates, hold, now), [*stopped, *held], chains, picked.stale)


async def _claim(connection: Connection, going: Sequence[Asked], gates: Mapping[UUID, Mapping[str, Any]], hold: Hold, now: datetime) -> list[Claimed]:
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


async def _hold_back(connection: Connection, held: Sequence[tuple[UUID, datetime]]) -> None:
    """Puts messages off that the gate wants to see later."""
    if held:
        await connection.execute(
            "UPDATE queue SET state = 'timed', due_at = until FROM unnest($1::uuid[], $2::timestamptz[]) AS new (id, until)"
            f" WHERE message_id = id AND {READY}",
            [number for number, _ in held], [until for _, until in held],
        )  # fmt: skip


async def _tell_held(connection: Connection, held: Sequence[tuple[UUID, datetime, str]], now: datetime) -> list[Changed]:
    """Notes why messages are held, those of which it was not known yet; gives those."""
    if not held:
        return []
    rows = await connection.fetch(
        f"""UPDATE deliveries SET reason = new.reason, due_at = until, changed_at = now()
            FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS new (id, until, reason)
            WHERE message_id = id AND deliveries.reason IS DISTINCT FROM new.reason RETURNING {QUALIFIED}, until""",
        *zip(*held, strict=True),
    )
    await connection.execute(
        "INSERT INTO notes (message_id, at, what, detail) SELECT id, $2, 'held', detail FROM unnest($1::uuid[], $3::jsonb[]) AS new (id, detail)",
        [row["message_id"] for row in rows], now,
        [orjson.dumps({"reason": row["reason"], "until": row["until"].isoformat()}).decode() for row in rows],
    )  # fmt: skip
    return [Changed(row, DeliveryStatus.HELD, row["reason"], row["provider_id"], now, row["attempt"]) for row in rows]

"""Settling what is unknown: a message of which nobody knows whether it left gets its end, or is called for again. Decided by its row, once; told to the bus with
the same commit (by the outbox); whoever is killed before the commit has done nothing, and after it everything.

Rows are locked in the order in which lanes and erasures lock them: lanes, the queue by contact and chain, deliveries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from parley.config import Config
from parley.contracts import DeliveryStatus, Record
from parley.database import Connection
from parley_sender import hearing, outbox, standing
from parley_sender.ledger import Changed
from parley_sender.limits import part_of
from parley_sender.questions import Verdict
from parley_sender.receipts import QUALIFIED
from parley_sender.status import Told, moved
from parley_sender.tell import records

Settled = tuple[list[UUID], int | None, list[Record]]
"""The messages that are settled now, the entry of the outbox that tells of them, and what it says."""


async def settle(connection: Connection, verdicts: Mapping[UUID, Verdict], config: Config, now: datetime) -> Settled:
    """Settles messages that are unknown; those that are not, any more, are left out. In the caller's transaction; the entry is said after its commit.

    What is called for again comes to stand in its line, or behind what of its chain is open, and is asked again at the gate. It holds the slot under the
    frequency caps that its first call took. It stays in doubt, unless the provider's word ends that: should the gate stop it, it is unknown again.
    """
    early = await _early(connection, verdicts)
    await connection.execute(
        """SELECT FROM queue WHERE contact_id IN (SELECT contact_id FROM deliveries WHERE message_id = ANY($1::uuid[]) AND status = 'unknown')
           ORDER BY contact_id, chain, seq FOR UPDATE""",
        list(verdicts),
    )  # fmt: skip
    await connection.execute("SELECT FROM deliveries WHERE message_id = ANY($1::uuid[]) ORDER BY message_id FOR UPDATE", list(verdicts))
    rows = await _moved(connection, {number: _joined(one, early.get(number, ())) for number, one in verdicts.items()}, now)
    await _again(connection, [row for row in rows if row["fate"] == DeliveryStatus.QUEUED], verdicts, config, now)
    await _noted(connection, rows, verdicts, now)
    changes = [Changed(row, DeliveryStatus(row["fate"]), row["why"], row["provider_id"], now, row["attempt"]) for row in rows]
    said = records(changes, now)
    entry = await outbox.put(connection, said) if said else None
    return [row["message_id"] for row in rows], entry, said


async def _early(connection: Connection, verdicts: Mapping[UUID, Verdict]) -> dict[UUID, list[Told]]:
    """Receipts that were parked for an id of the provider's which is only known now. Their lane is held meanwhile, as it is when a call brings the id."""
    named = {number: one.provider_id for number, one in verdicts.items() if one.provider_id is not None}
    if not named:
        return {}
    await connection.execute(
        "SELECT FROM lanes WHERE lane IN (SELECT lane FROM deliveries WHERE message_id = ANY($1::uuid[])) ORDER BY lane FOR UPDATE", list(named)
    )
    rows = await connection.fetch(
        """DELETE FROM parked USING unnest($1::uuid[], $2::text[]) AS named (id, provider) JOIN deliveries d ON d.message_id = named.id
           WHERE parked.lane = d.lane AND parked.provider_id = named.provider AND d.status = 'unknown' AND d.parts <= d.parts_done + 1
           RETURNING named.id, parked.provider_id, parked.status, parked.code, parked.at""",
        list(named), list(named.values()),
    )  # fmt: skip
    await hearing.joined(connection, rows, {row["provider_id"]: row["id"] for row in rows})
    found: dict[UUID, list[Told]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(Told(DeliveryStatus(row["status"]), row["code"]))
    return found


def _joined(verdict: Verdict, early: Sequence[Told]) -> tuple[Verdict, DeliveryStatus, str | None]:
    """The verdict with where it leads, receipts that came before it counted in."""
    told = moved(verdict.status, early) if verdict.status is not DeliveryStatus.QUEUED else None
    if told is None:
        return verdict, verdict.status, verdict.reason
    return verdict, told.status, f"provider:{told.code}" if told.code else None


async def _moved(connection: Connection, fates: Mapping[UUID, tuple[Verdict, DeliveryStatus, str | None]], now: datetime) -> list[asyncpg.Record]:
    """Moves the deliveries that are still unknown."""
    ways = list(fates.values())
    return await connection.fetch(
        f"""UPDATE deliveries SET status = fate, reason = why, changed_at = now(), provider_id = coalesce(named, deliveries.provider_id),
                parts_done = deliveries.parts_done + (another AND deliveries.parts_done < deliveries.parts)::int,
                due_at = CASE WHEN fate = 'queued' THEN $6 ELSE due_at END, failures = CASE WHEN fate = 'queued' THEN 0 ELSE failures END
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bool[]) AS new (id, fate, why, named, another)
            WHERE message_id = id AND deliveries.status = 'unknown' RETURNING {QUALIFIED}, fate, why, deliveries.called_at""",
        list(fates), [status for _, status, _ in ways], [why for *_, why in ways], [one.provider_id for one, *_ in ways],
        [one.another_part for one, *_ in ways], now,
    )  # fmt: skip


async def _again(connection: Connection, rows: Sequence[asyncpg.Record], verdicts: Mapping[UUID, Verdict], config: Config, now: datetime) -> None:
    """Puts messages back into their lines, with what is known of the calls before."""
    if not rows:
        return
    parts = {row["message_id"]: part_of(config.accounts[row["lane"]], row["contact_id"].int) for row in rows}
    stirred = await standing.enter(connection, parts, now)
    await connection.execute(
        """UPDATE queue SET attempt = d.attempt, parts_done = d.parts_done, doubt = doubtful, reserved = coalesce(d.called_at, d.requested_at)
           FROM unnest($1::uuid[], $2::bool[]) AS new (id, doubtful) JOIN deliveries d ON d.message_id = id WHERE queue.message_id = id""",
        list(parts), [not verdicts[number].surely for number in parts],
    )  # fmt: skip
    await standing.tell(connection, stirred)


async def _noted(connection: Connection, rows: Sequence[asyncpg.Record], verdicts: Mapping[UUID, Verdict], now: datetime) -> None:
    """Notes by whom, as what, and why."""
    if rows:
        await connection.execute(
            "INSERT INTO notes (message_id, at, what, detail) SELECT id, $2, 'settled', detail FROM unnest($1::uuid[], $3::jsonb[]) AS new (id, detail)",
            [row["message_id"] for row in rows], now,
            [orjson.dumps(_detail(verdicts[row["message_id"]], row["fate"])).decode() for row in rows],
        )  # fmt: skip


def _detail(verdict: Verdict, fate: str) -> dict[str, object]:
    told = {"as": "resend" if fate == DeliveryStatus.QUEUED else fate, "by": verdict.by, "own": verdict.own or None, "note": verdict.note}
    return {name: value for name, value in told.items() if value is not None}

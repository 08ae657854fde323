"""Messages that may still have to be told over another channel: the rows of `fallbacks`. Each function is a statement inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from parley.contracts import DeliveryStatus
from parley.database import Connection
from parley_sender.accept import Delivery

COLUMNS = (
    "f.request, d.message_id, d.tenant, d.contact_id, d.lane, d.channel, d.purpose, d.status, d.reason, d.parts, d.parts_done, d.called_at, d.changed_at,"
    " d.fallback_after, d.started_at"
)


async def remember(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Keeps the requests of new deliveries that are to be told elsewhere when they do not arrive in time; of others nothing."""
    rows = [
        (one.request.message_id, one.request.contact_id, one.request.model_dump_json(exclude_defaults=True))
        for one in deliveries
        if one.request.fallback_after is not None and one.status is DeliveryStatus.QUEUED
    ]
    if rows:
        await connection.execute(
            "INSERT INTO fallbacks (message_id, contact_id, request) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::jsonb[]) ON CONFLICT DO NOTHING",
            *zip(*rows, strict=True),
        )


async def forget(connection: Connection, contact: UUID, but: Sequence[UUID] = ()) -> None:
    """Drops what is kept of somebody who is erased, `but` for what was asked for since. Waits for whoever tells one of them elsewhere at this moment: what
    comes of it is seen afterwards."""
    await connection.execute("DELETE FROM fallbacks WHERE contact_id = $1 AND message_id <> ALL($2::uuid[])", contact, list(but))


async def due(connection: Connection, now: datetime, most: int) -> Sequence[asyncpg.Record]:
    """Messages that are to be looked at, those that left the queue, the longest due first. Locked with their deliveries: a receipt comes before or after,
    never between. What somebody else works on at this moment is passed over, and met again."""
    return await connection.fetch(
        f"""SELECT {COLUMNS} FROM fallbacks f JOIN deliveries d USING (message_id)
            WHERE look_at <= $1 AND NOT EXISTS (SELECT FROM queue q WHERE q.message_id = f.message_id)
            ORDER BY look_at LIMIT $2 FOR UPDATE OF f, d SKIP LOCKED""",
        now, most,
    )  # fmt: skip


async def waiting(connection: Connection, now: datetime, most: int) -> Sequence[asyncpg.Record]:
    """Messages that have waited in the queue for long enough, because their provider takes nothing unless the customer writes. Locked with all of their rows."""
    return await connection.fetch(
        f"""SELECT {COLUMNS} FROM fallbacks f JOIN deliveries d USING (message_id) JOIN queue q USING (message_id)
            WHERE look_at <= $1 AND d.status = 'queued' AND d.reason = 'window_closed' AND q.state = 'timed'
            ORDER BY look_at LIMIT $2 FOR UPDATE OF q, f, d SKIP LOCKED""",
        now, most,
    )  # fmt: skip


async def later(connection: Connection, some: Sequence[tuple[UUID, datetime | None]]) -> None:
    """Puts the next look off."""
    if some:
        await connection.execute(
            "UPDATE fallbacks SET look_at = at FROM unnest($1::uuid[], $2::timestamptz[]) AS new (id, at) WHERE message_id = id",
            *zip(*some, strict=True),
        )


async def over(connection: Connection, messages: Collection[UUID]) -> None:
    """Nothing is left to tell."""
    if messages:
        await connection.execute("DELETE FROM fallbacks WHERE message_id = ANY($1::uuid[])", list(messages))


async def take_slots(connection: Connection, slots: Sequence[tuple[UUID, datetime]]) -> None:
    """A message that is told in place of one that left has that one's slot under the frequency caps: to the person they are one."""
    if slots:
        await connection.execute(
            "UPDATE queue SET reserved = at FROM unnest($1::uuid[], $2::timestamptz[]) AS new (id, at) WHERE message_id = id",
            *zip(*slots, strict=True),
        )

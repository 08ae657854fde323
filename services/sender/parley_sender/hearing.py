"""What a receipt leaves behind beside the status that it moves: a line in its message's story, the price, and an address that is of no use any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from parley.contracts import ReceiptReceived
from parley.database import Connection
from parley_sender import bounces, suppressions
from parley_sender.status import TOLD
from parley_sender.suppressions import EVERYBODY, Entry

MOST = 50
"""Receipts of one message that its story tells: a provider that repeats itself for days says nothing new."""


class Heard(NamedTuple):
    """A receipt, the delivery that it speaks of, and whether it moved it."""

    row: asyncpg.Record
    data: ReceiptReceived
    moved: bool


class Cost(NamedTuple):
    """What the provider says that a message takes; None where it says nothing of it."""

    message_id: UUID
    price: Decimal | None
    currency: str | None
    segments: int | None


async def keep(connection: Connection, heard: Sequence[Heard], now: datetime) -> None:
    """Notes a batch of receipts, in order."""
    if heard:
        await _note(connection, heard)
        await priced(connection, [Cost(one.row["message_id"], one.data.price, one.data.currency, one.data.segments) for one in heard])
        lost = [(one, why) for one in heard if (why := bounces.lost(one.data, one.row["channel"])) is not None]
        entries = [Entry(one.row["tenant"], EVERYBODY, one.row["channel"], one.row["address"], why, note=one.data.code) for one, why in lost]
        await suppressions.note(connection, entries, now)


async def _note(connection: Connection, heard: Sequence[Heard]) -> None:
    """A line for each, also for those that changed nothing, up to `MOST` a message."""
    await connection.execute(
        """INSERT INTO notes (message_id, at, what, detail)
           SELECT id, at, 'told', detail FROM (
               SELECT *, row_number() OVER (PARTITION BY id ORDER BY place) AS nth
               FROM unnest($1::uuid[], $2::timestamptz[], $3::jsonb[]) WITH ORDINALITY AS new (id, at, detail, place)) AS new
           WHERE nth + (SELECT count(*) FROM notes n WHERE n.message_id = id AND n.what = 'told') <= $4""",
        [one.row["message_id"] for one in heard], [one.data.at for one in heard], [orjson.dumps(_detail(one)).decode() for one in heard], MOST,
    )  # fmt: skip


def _detail(one: Heard) -> dict[str, object]:
    return {"status": TOLD[one.data.status], "moved": one.moved, **({"code": one.data.code} if one.data.code else {})}


async def priced(connection: Connection, costs: Sequence[Cost]) -> None:
    """What the provider says that messages take; the latest word counts, and a word that says nothing of it takes nothing back."""
    told = [one for one in costs if one.price is not None or one.segments is not None]
    if told:
        await connection.execute(
            """UPDATE deliveries SET price = coalesce(new.price, deliveries.price), currency = coalesce(new.currency, deliveries.currency),
                   told_segments = coalesce(new.segments, told_segments)
               FROM (SELECT DISTINCT ON (id) * FROM unnest($1::uuid[], $2::numeric[], $3::text[], $4::int[]) WITH ORDINALITY
                     AS new (id, price, currency, segments, place) ORDER BY id, place DESC) AS new WHERE message_id = id""",
            *zip(*told, strict=True),
        )


async def joined(connection: Connection, rows: Sequence[asyncpg.Record], named: Mapping[str, UUID]) -> None:
    """Notes receipts that waited for the id of their message (`named`: the message of each id)."""
    if rows:
        await connection.execute(
            "INSERT INTO notes (message_id, at, what, detail) SELECT id, at, 'told', detail FROM unnest($1::uuid[], $2::timestamptz[], $3::jsonb[])"
            " AS new (id, at, detail)",
            [named[row["provider_id"]] for row in rows], [row["at"] for row in rows],
            [orjson.dumps({"status": row["status"], "moved": True, **({"code": row["code"]} if row["code"] else {})}).decode() for row in rows],
        )  # fmt: skip

"""Everything that the tables hold of one message, for its story. A few statements by key, none of which grows with what else was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from parley.database import Connection, Pool
from parley_sender.story import Found, texts

Single: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
NOTES = 500
"""Notes of one message that are told, the oldest."""


async def found(pool: Pool | Connection | Single, message_id: UUID, tenant: str | None = None) -> Found | None:
    """What is known of a message, of this tenant or of any; None where there is none."""
    row = await pool.fetchrow("SELECT * FROM deliveries WHERE message_id = $1 AND ($2::text IS NULL OR tenant = $2)", message_id, tenant)
    if row is None:
        return None
    attempts = await pool.fetch("SELECT * FROM attempts WHERE message_id = $1 ORDER BY attempt", message_id)
    notes = await pool.fetch("SELECT at, what, detail FROM notes WHERE message_id = $1 ORDER BY at LIMIT $2", message_id, NOTES)
    queue = await pool.fetchrow(
        "SELECT state, due_at, part, paused_by FROM queue JOIN lines USING (line) LEFT JOIN lanes ON lane = part WHERE message_id = $1", message_id
    )
    followers = await pool.fetch("SELECT message_id, channel, status, requested_at FROM deliveries WHERE instead_of = $1 ORDER BY seq", message_id)
    content = orjson.loads(row["content"])
    return Found(
        _opened(row, "route"),
        [_opened(one, "gate") for one in attempts],
        [_opened(one, "detail") for one in notes],
        {**queue} if queue is not None else None,
        queue["paused_by"] if queue is not None else None,
        [{**one} for one in followers],
        [row["address"], *texts(content)],
    )


def _opened(row: asyncpg.Record, name: str) -> Mapping[str, Any]:
    """The row with its JSON read."""
    value = row.get(name)
    return {**row, **({name: orjson.loads(value)} if isinstance(value, str) else {})}

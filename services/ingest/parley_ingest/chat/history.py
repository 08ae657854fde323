"""The conversations in the database: each change numbered by its visitor's counter, so that whoever was away asks for what is above their last number.

The counter's row is locked by whoever changes the conversation and read again by nobody before the commit: numbers become visible in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import orjson
from pydantic import BaseModel

from parley.contracts import Content
from parley.database import Connection, Pool
from parley_ingest.chat.frames import MARKED, Line, Said, Status

CHANNEL = "parley_chat"
"""Of notifications: account, a blank and the visitor; a third word `typing` where nothing is to be read."""
KEPT = timedelta(days=90)
"""Longer than the life of a visitor's token: whoever can come back finds the counter where it stood."""
SHOWN = 100
"""Messages that a browser gets to begin with."""
AT_ONCE = 200
"""Changes that it gets at a time later on, give or take those of one number."""
COLUMNS = "id, seq, version, ours, status, text, choice, choices, media, at"
RANKS = "CASE {} WHEN 'sent' THEN 1 WHEN 'delivered' THEN 2 WHEN 'read' THEN 3 ELSE 0 END"


@dataclass(frozen=True, slots=True)
class Chat:
    """One visitor's conversation on one account."""

    account: str
    visitor: UUID

    @property
    def name(self) -> str:
        """As notifications call it."""
        return f"{self.account} {self.visitor.hex}"


async def customer_of(pool: Pool, chat: Chat) -> str | None:
    """The customer whom the visitor was found to be. The visit is noted: who comes again is not forgotten."""
    found: str | None = await pool.fetchval(
        "UPDATE chat_visitors SET seen_at = now() WHERE account = $1 AND visitor = $2 RETURNING customer", chat.account, chat.visitor
    )
    return found


async def visitor_of(pool: Pool, account: str, customer: str) -> UUID | None:
    """The visitor that a customer is on this account, whatever browser they use."""
    found: UUID | None = await pool.fetchval("SELECT visitor FROM chat_visitors WHERE account = $1 AND customer = $2", account, customer)
    return found


async def bind(pool: Pool, chat: Chat, customer: str) -> bool:
    """Notes that the visitor is this customer; False when somebody else was it first, or the visitor is another's by now."""
    try:
        done = await pool.fetchval(
            """INSERT INTO chat_visitors AS known (account, visitor, customer) VALUES ($1, $2, $3)
               ON CONFLICT (account, visitor) DO UPDATE SET customer = $3, seen_at = now() WHERE known.customer IS NULL OR known.customer = $3
               RETURNING true""",
            chat.account, chat.visitor, customer,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        return False
    return bool(done)


async def since(pool: Pool, chat: Chat, after: int) -> tuple[list[Line], int]:
    """What changed after that number, and the number up to which this tells everything. After 0: the last messages, in their order."""
    first = f"SELECT {COLUMNS} FROM chat_messages WHERE account = $1 AND visitor = $2 AND version > $3 ORDER BY seq DESC LIMIT {SHOWN}"
    # With ties: one change may mark many messages, and its number must not be passed with a part of them.
    later = f"SELECT {COLUMNS} FROM chat_messages WHERE account = $1 AND visitor = $2 AND version > $3 ORDER BY version FETCH FIRST {AT_ONCE} ROWS WITH TIES"
    lines = [_line(row) for row in await pool.fetch(later if after else first, chat.account, chat.visitor, after)]
    return sorted(lines, key=lambda one: one.seq), max([after, *(one.version for one in lines)])


async def begin(pool: Pool, chat: Chat, said: Said, at: datetime) -> Line:
    """Keeps the visitor's message as one that is not sent yet; a repeat finds it as it stands."""
    async with pool.acquire() as connection, connection.transaction():
        known = await _find(connection, chat, said.id)
        if known is not None:
            return known
        version = await connection.fetchval(
            """INSERT INTO chat_visitors AS known (account, visitor, version) VALUES ($1, $2, 1)
               ON CONFLICT (account, visitor) DO UPDATE SET version = known.version + 1, seen_at = now() RETURNING version""",
            chat.account, chat.visitor,
        )  # fmt: skip
        await connection.execute(
            """INSERT INTO chat_messages (account, visitor, id, seq, version, ours, status, text, choice, at)
               VALUES ($1, $2, $3, $4, $4, false, 'pending', $5, $6, $7) ON CONFLICT DO NOTHING""",
            chat.account, chat.visitor, said.id, version, said.text, said.choice.id if said.choice else None, at,
        )  # fmt: skip
        line = await _find(connection, chat, said.id)
        assert line is not None
        return line


async def sent(pool: Pool, chat: Chat, identifier: UUID) -> Line | None:
    """The visitor's message is accepted for good; None where the visitor was erased meanwhile, and the message with them."""
    async with pool.acquire() as connection, connection.transaction():
        version = await _next(connection, chat)
        await connection.execute(
            "UPDATE chat_messages SET status = 'sent', version = $4 WHERE account = $1 AND visitor = $2 AND id = $3 AND status = 'pending'",
            chat.account, chat.visitor, identifier, version,
        )  # fmt: skip
        await _tell(connection, chat.name)
        return await _find(connection, chat, identifier)


async def deliver(pool: Pool, chat: Chat, identifier: UUID, content: Content, at: datetime) -> bool:
    """Puts a message of ours into the conversation, once whatever the repeats; False for a visitor whom nobody knows.

    What the visitor said before it was read: somebody, or a flow, has answered.
    """
    async with pool.acquire() as connection, connection.transaction():
        version = await _next(connection, chat)
        if version is None:
            return False
        if await _find(connection, chat, identifier) is not None:
            return True
        await connection.execute(
            """INSERT INTO chat_messages (account, visitor, id, seq, version, ours, status, text, choices, media, at)
               VALUES ($1, $2, $3, $4, $4, true, 'sent', $5, $6, $7, $8)""",
            chat.account, chat.visitor, identifier, version, content.text, _json(content.choices), _json(content.media), at,
        )  # fmt: skip
        await connection.execute(
            "UPDATE chat_messages SET status = 'read', version = $3 WHERE account = $1 AND visitor = $2 AND NOT ours AND status = 'sent'",
            chat.account, chat.visitor, version,
        )  # fmt: skip
        await _tell(connection, chat.name)
        return True


async def unmarked(pool: Pool, chat: Chat, up_to: int, status: Status) -> list[UUID]:
    """Messages of ours up to a place that are not marked so yet, the latest ones."""
    rows = await pool.fetch(
        f"""SELECT id FROM chat_messages WHERE account = $1 AND visitor = $2 AND ours AND seq <= $3 AND {RANKS.format("status")} < {RANKS.format("$4::text")}
            ORDER BY seq DESC LIMIT {MARKED}""",
        chat.account, chat.visitor, up_to, status,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def mark(pool: Pool, chat: Chat, messages: Sequence[UUID], status: Status) -> None:
    """Marks them; a mark never goes back."""
    async with pool.acquire() as connection, connection.transaction():
        version = await _next(connection, chat)
        await connection.execute(
            f"""UPDATE chat_messages SET status = $4, version = $5
                WHERE account = $1 AND visitor = $2 AND id = ANY($3::uuid[]) AND {RANKS.format("status")} < {RANKS.format("$4::text")}""",
            chat.account, chat.visitor, messages, status, version,
        )  # fmt: skip
        await _tell(connection, chat.name)


async def typing(pool: Pool, chat: Chat) -> None:
    """Tells every browser of the visitor that somebody writes to them."""
    await pool.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{chat.name} typing")


async def forget(pool: Pool, before: datetime, limit: int) -> int:
    """Drops what was said before that time, and visitors who have not come since; a few at a time. Gives how many."""
    said: str = await pool.execute(
        """DELETE FROM chat_messages WHERE (account, visitor, id) IN
           (SELECT account, visitor, id FROM chat_messages WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)""", before, limit,
    )  # fmt: skip
    gone: str = await pool.execute(
        """DELETE FROM chat_visitors WHERE (account, visitor) IN
           (SELECT account, visitor FROM chat_visitors WHERE seen_at < $1 ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED)""", before, limit,
    )  # fmt: skip
    return int(said.removeprefix("DELETE ")) + int(gone.removeprefix("DELETE "))


async def _next(connection: Connection, chat: Chat) -> int | None:
    """The next number of the conversation, whose row is locked until the commit; None for a visitor whom nobody knows."""
    found: int | None = await connection.fetchval(
        "UPDATE chat_visitors SET version = version + 1 WHERE account = $1 AND visitor = $2 RETURNING version", chat.account, chat.visitor
    )
    return found


async def _find(connection: Connection, chat: Chat, identifier: UUID) -> Line | None:
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM chat_messages WHERE account = $1 AND visitor = $2 AND id = $3", chat.account, chat.visitor, identifier
    )
    return _line(row) if row is not None else None


async def _tell(connection: Connection, words: str) -> None:
    """Heard by every ingest once the transaction is committed."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, words)


def _line(row: asyncpg.Record) -> Line:
    return Line(**{**row, "choices": orjson.loads(row["choices"]), "media": orjson.loads(row["media"])})


def _json(values: Sequence[BaseModel]) -> str:
    return orjson.dumps([one.model_dump(exclude_none=True) for one in values]).decode()

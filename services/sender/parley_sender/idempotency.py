"""One key, one answer: what was asked under an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) and what came of it.

The order of things, and why no kill between them loses, doubles or mixes anything up:

1. The request is decided: checked, its messages made, with ids that follow from tenant, key, body and place. Nothing is written.
2. `claim`, one statement: key, digest of the body, the whole answer, and the events for the bus (`outbox`). Of two requests with one key, whatever their
   bodies and replicas, exactly one gets the row; the other waits for it and then reads it: the same body, the same answer; another body, a refusal, of
   which nothing has left.
3. The events are published. 4. The outbox entry is deleted. 5. The caller is answered.

A kill before 2: nothing happened; the repeat begins anew. After 2: what is claimed will leave, for any replica says it from the outbox, and the repeat
reads the answer. After 3: it is said again, with the same ids, and the queue has each message once. To publish first and to note the key afterwards would
be shorter, but of two bodies under one key both would be on the bus before one of them is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from parley import cursor
from parley.contracts import Record
from parley.database import OUTSIDE, Pool
from parley.service import Context

KEPT = timedelta(days=3)
"""How long a key is remembered. The same key with the same body makes the same ids also later, and the queue knows those."""
AT_ONCE = 5_000
EVERY = 60.0
"""Seconds between two looks for keys to drop."""


class Reused(Exception):
    """The key stands for another request already."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller is told."""

    status: int
    body: bytes
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """A request by what makes it the same: whose, under which key, with which digest of route and body."""

    tenant: str
    key: str
    digest: bytes

    @property
    def identity(self) -> str:
        """In words, of which the ids of its messages are made. The body is among them: when the key is forgotten, a repeat still makes the same ids, and
        another request under it makes others."""
        return "\x1f".join(("request", self.tenant, self.key, self.digest.hex()))


def digest(route: str, body: Any) -> bytes:
    """Of a JSON value, however it was written: neither blanks nor the order of fields make another body."""
    return hashlib.sha256(route.encode() + b"\0" + orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()


async def answered(pool: Pool, asking: Asking) -> Answer | None:
    """The answer of the first request with this key. Raises `Reused` where that was another request."""
    row = await pool.fetchrow("SELECT digest, status, answer, location FROM requests WHERE tenant = $1 AND key = $2", asking.tenant, asking.key)
    if row is None:
        return None
    if row["digest"] != asking.digest:
        raise Reused
    return Answer(row["status"], row["answer"], row["location"])


async def claim(pool: Pool, asking: Asking, answer: Answer, records: Sequence[Record], now: datetime) -> int | None:
    """Makes this the request of its key, with its answer and its events; gives the number of the outbox entry. None: the key is somebody's already."""
    packed = await asyncio.to_thread(cursor.pack, records)  # a batch takes long enough for lanes to notice
    number: int | None = await pool.fetchval(
        """WITH mine AS (
               INSERT INTO requests (tenant, key, digest, status, answer, location, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT DO NOTHING RETURNING 1
           ) INSERT INTO outbox (records) SELECT $8::bytea FROM mine RETURNING seq""",
        asking.tenant, asking.key, asking.digest, answer.status, answer.body, answer.location, now, packed,
    )  # fmt: skip
    return number


async def forget(pool: Pool, before: datetime, limit: int = AT_ONCE) -> int:
    """Drops keys of before that time, the oldest first, and gives how many. A few at a time: no lock is held long, whoever else does the same."""
    done: str = await pool.execute(
        "DELETE FROM requests WHERE (tenant, key) IN (SELECT tenant, key FROM requests WHERE asked_at < $1 ORDER BY asked_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before, limit,
    )  # fmt: skip
    return int(done.removeprefix("DELETE "))


@dataclass(frozen=True)
class Forget:
    """The worker that keeps `requests` from growing for ever. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                if await forget(self.context.pool, self.context.clock() - KEPT) == AT_ONCE:
                    continue
            except OUTSIDE as error:
                structlog.get_logger().warning("old keys stay for now", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

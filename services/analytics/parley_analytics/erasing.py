"""Forgetting people and keeping what they counted for: another, random id stands wherever theirs stood, and their orders have no numbers any more.

For a while it is known, by a keyed hash, which id stands for whom: so what comes late of somebody erased, or comes again, finds the facts that it belongs
to, counts once, and brings nobody back. Then the hash is thrown away, and nothing leads from the person to the facts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from parley.database import OUTSIDE, Connection, Pool
from parley.service import Context
from parley_analytics.facts import Facts
from parley_analytics.goals import OrderKey

KEPT = timedelta(days=30)
"""How long something may come late: receipts of days, what a replay brings again (keep logs no longer), a request that was delivered again."""
EVERY = 3600.0
"""Seconds between two looks for hashes to throw away."""


def of_contact(key: bytes, contact: UUID) -> bytes:
    """The hash of a contact. Without the key nobody finds out whose it is by trying all numbers. Pure."""
    return hmac.digest(key, b"contact\x1f" + contact.bytes, "sha256")


def of_order(key: bytes, order: OrderKey) -> bytes:
    """The hash of an order. Pure."""
    return hmac.digest(key, "\x1f".join(("order", *order)).encode(errors="replace"), "sha256")


@dataclass(frozen=True)
class Veil:
    """Who was erased, and which orders were theirs."""

    key: bytes
    sql: str

    async def erase(self, connection: Connection, contacts: Iterable[UUID], now: datetime) -> None:
        """Takes these contacts out of all facts. Nobody else may write any meanwhile. Again changes nothing, but what is said late is awaited anew."""
        hashes = {of_contact(self.key, one): one for one in contacts}
        others = {hashes[hashed]: other for hashed, other in (await _veiled(connection, hashes, now)).items()}
        rows = await connection.fetch(
            "SELECT tenant, goal, order_id FROM orders WHERE contact_id = ANY($1::uuid[]) AND NOT erased ORDER BY tenant, goal, order_id",
            list(others),
        )
        named: list[OrderKey] = [(row["tenant"], row["goal"], row["order_id"]) for row in rows]
        orders = {of_order(self.key, one): one for one in named}
        numbers = await _veiled(connection, orders, now)
        await connection.execute(
            self.sql, list(others), list(others.values()),
            *([orders[one][place] for one in numbers] for place in range(3)), [str(one) for one in numbers.values()],
        )  # fmt: skip
        await _unscored(connection, others)

    async def over(self, connection: Connection, facts: Facts, now: datetime) -> Facts:
        """The facts, with what is said of people who were erased under the ids that stand for them."""
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM erased)"):
            return facts  # as mostly: then nobody has to be hashed
        contacts = {of_contact(self.key, one): one for one in facts.people()}
        orders = {of_order(self.key, one): one for one in facts.orders}
        rows = await connection.fetch("SELECT hashed, other FROM erased WHERE hashed = ANY($1::bytea[])", [*contacts, *orders])
        if not rows:
            return facts
        known = {row["hashed"]: row["other"] for row in rows}
        others = {contacts[hashed]: other for hashed, other in known.items() if hashed in contacts}
        late = [hashed for hashed, order in orders.items() if hashed not in known and facts.orders[order].contact_id in others]
        known |= await _veiled(connection, late, now)
        return facts.renamed(others, {orders[hashed]: str(other) for hashed, other in known.items() if hashed in orders})


async def _veiled(connection: Connection, hashes: Iterable[bytes] | Mapping[bytes, object], now: datetime) -> dict[bytes, UUID]:
    """The ids that stand for these, as they were given before, or new ones."""
    ordered = sorted(hashes)
    rows = await connection.fetch(
        "INSERT INTO erased AS e (hashed, other, at) SELECT hashed, other, $3 FROM unnest($1::bytea[], $2::uuid[]) AS given (hashed, other)"
        " ON CONFLICT (hashed) DO UPDATE SET at = GREATEST(e.at, excluded.at) RETURNING hashed, other",
        ordered, [uuid4() for _ in ordered], now,
    )  # fmt: skip
    return {row["hashed"]: row["other"] for row in rows}


async def _unscored(connection: Connection, contacts: Collection[UUID]) -> None:
    """No score of these contacts stays, and the round of scoring does not stand at one of them. Whoever holds the round's row waits for us and moves it himself."""
    await connection.execute("DELETE FROM scores WHERE contact_id = ANY($1::uuid[])", list(contacts))
    position: UUID | None = await connection.fetchval("SELECT position FROM scoring FOR UPDATE SKIP LOCKED")
    if position is not None and position in contacts:
        await connection.execute("UPDATE scoring SET position = $1", UUID(int=position.int >> 96 << 96))  # a little before: once more changes nothing


async def forget(pool: Pool, now: datetime) -> None:
    """Throws away the hashes of those of whom nothing was to be forgotten for `KEPT`."""
    await pool.execute("DELETE FROM erased WHERE at < $1", now - KEPT)


@dataclass(frozen=True)
class Forget:
    """The worker that throws hashes away once nothing can come late any more. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await forget(self.context.pool, self.context.clock())
            except OUTSIDE as error:
                structlog.get_logger().warning("hashes of the erased stay for now", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

"""The figures of a run, by channel: counted from the twin's ledger, the services' tables and the conversations on the bus, for this run's customers alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from parley import connecting, wire
from parley.contracts import ConversationChanged
from parley.database import OUTSIDE
from parley.demo.customers import ACCOUNTS, Customer
from parley.demo.fleet import Fleet
from parley.demo.witness import Tail, Witness, percentile


@dataclass(frozen=True)
class Row:
    """One channel's figures, or all channels'. `answered`: customers' messages that brought an answer; `opted_out`: customers that are out now."""

    received: int = 0
    answered: int = 0
    escalated: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    clicked: int = 0
    converted: int = 0
    opted_out: int = 0
    unknown: int = 0
    queue: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


COUNTS = tuple(one.name for one in fields(Row) if not one.name.endswith("_ms"))
DELIVERIES = """
    SELECT channel,
        count(*) FILTER (WHERE status IN ('sent', 'delivered', 'read')) AS sent,
        count(*) FILTER (WHERE status IN ('delivered', 'read')) AS delivered,
        count(*) FILTER (WHERE status = 'read') AS read,
        count(*) FILTER (WHERE status = 'unknown') AS unknown,
        count(*) FILTER (WHERE status = 'queued') AS queue
    FROM sender.deliveries WHERE contact_id = ANY($1::uuid[]) GROUP BY channel"""
"""How messages stand; one that was read has also been delivered and sent."""
FACTS = """
    SELECT channel, count(*) FILTER (WHERE clicked_at IS NOT NULL) AS clicked, count(*) FILTER (WHERE orders > 0) AS converted
    FROM analytics.messages JOIN analytics.cells USING (cell_id) WHERE contact_id = ANY($1::uuid[]) GROUP BY channel"""
"""Messages whose link a person followed, and those that an order is owed to, as analytics has counted them."""
OPTED_OUT = """
    SELECT channel, count(*) AS opted_out FROM sender.consents
    WHERE contact_id = ANY($1::uuid[]) AND purpose = 'reply' AND state = 'revoked' GROUP BY channel"""


@dataclass
class Counting:
    """Counts for the customers that have been told to it. Never raises while the database is away: the last figures stay."""

    fleet: Fleet
    tail: Tail
    witness: Witness = field(default_factory=Witness)
    escalations: Counter[UUID] = field(default_factory=Counter)
    _channels: dict[UUID, str] = field(default_factory=dict)
    _tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _pool: asyncpg.Pool[asyncpg.Record] | None = None

    def tell(self, customers: Iterable[Customer]) -> None:
        self._channels |= {one.contact: one.channel for one in customers}

    async def rows(self) -> dict[str, Row]:
        """The figures by channel."""
        for entry in self.tail.news():
            self.witness.apply(entry)
        with contextlib.suppress(*OUTSIDE):
            self._tables = await self._read()
        escalated: Counter[str] = Counter()
        for contact, times in self.escalations.items():
            if contact in self._channels:
                escalated[self._channels[contact]] += times
        return {channel: self._row(channel, escalated[channel]) for channel in ACCOUNTS}

    def totals(self, rows: Mapping[str, Row]) -> Row:
        """All channels together; the percentiles are of all messages, not of the channels' percentiles."""
        sums = {name: sum(getattr(one, name) for one in rows.values()) for name in COUNTS}
        return replace(Row(**sums), **_percentiles([one for values in self.witness.latencies.values() for one in values]))

    def _row(self, channel: str, escalated: int) -> Row:
        account, witness = ACCOUNTS[channel], self.witness
        counted = {"received": witness.received[account], "answered": witness.answered[account], "escalated": escalated}
        return replace(Row(**counted, **self._tables.get(channel, {})), **_percentiles(witness.latencies[account]))

    async def _read(self) -> dict[str, dict[str, int]]:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(self.fleet.settings.database.get_secret_value(), min_size=1, max_size=2, command_timeout=10)
        found: dict[str, dict[str, int]] = {}
        for statement in (DELIVERIES, FACTS, OPTED_OUT):
            for row in await self._pool.fetch(statement, list(self._channels)):
                found.setdefault(row["channel"], {}).update({name: row[name] for name in row.keys() if name != "channel"})  # noqa: SIM118
        return found

    async def follow_conversations(self) -> None:
        """Counts who was handed over to people, from the beginning of the topic, until cancelled; waits while the bus is away."""
        settings = self.fleet.settings
        while True:
            consumer = AIOKafkaConsumer(settings.prefix + ConversationChanged.topic, auto_offset_reset="earliest", **connecting.options(settings))
            try:
                await consumer.start()
                self.escalations.clear()
                while True:
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        self.escalations.update(escalated(records))
            except (KafkaError, OSError, TimeoutError):
                await asyncio.sleep(1)
            finally:
                with contextlib.suppress(Exception):
                    await consumer.stop()

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


@contextlib.asynccontextmanager
async def counting(fleet: Fleet) -> AsyncIterator[Counting]:
    """Counts from now on."""
    found = Counting(fleet, Tail(fleet.premises.ledger, end=True))
    following = asyncio.create_task(found.follow_conversations())
    try:
        yield found
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await found.close()


def escalated(records: Sequence[object]) -> list[UUID]:
    """Who was handed over, once each time."""
    found: list[UUID] = []
    for one in records:
        with contextlib.suppress(wire.Unreadable):
            data = wire.decode(ConversationChanged.topic, one.headers, one.value).data  # type: ignore[attr-defined]
            if isinstance(data, ConversationChanged) and data.change == "escalated":
                found.append(data.contact_id)
    return found


def _percentiles(seconds: Sequence[float]) -> dict[str, Any]:
    values = {name: percentile(seconds, share) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))}
    return {name: round(value * 1000, 1) if value is not None else None for name, value in values.items()}

"""The stage that counts: a batch of events becomes facts and differences of counters, in the step's transaction.

Three short statements when people clicked or ordered, and one for all the rest (`sql/count.sql`), behind the question who was erased (`erasing`).
Nothing hangs on the order, the repetition or the cutting of batches, nor on which replica takes them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources

from parley.contracts import CustomerActed, DeliveryChanged, EngagementRecorded
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_analytics.erasing import Veil
from parley_analytics.facts import Facts, cell_id, gather

WINDOW = timedelta(days=7)
"""How long after a click an order is owed to it."""
LOCK = 1_634_628_729
"""The class of our advisory locks in the database (any number that nobody else uses)."""
LOCKS = 1024  # the numbers below are contacts', this one is the erasures'
"""Contacts share this many locks: a batch never needs more, however many of its people clicked."""


def statement(name: str) -> str:
    """The SQL in `sql/<name>.sql`."""
    return (resources.files("parley_analytics") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Count:
    """Counts deliveries, engagement and orders, and forgets people. Produces nothing."""

    veil: Veil
    count: str
    orders: str
    attribute: str
    name: str = "analytics"
    topics: tuple[str, ...] = (DeliveryChanged.topic, EngagementRecorded.topic, CustomerActed.topic)

    @classmethod
    def prepared(cls, key: bytes) -> Count:
        """`key`: the secret of the installation, under which it is known for a while who was erased."""
        return cls(Veil(key, statement("erase")), statement("count"), statement("orders"), statement("attribute"))

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        facts = gather(one.event for one in batch)
        if facts.empty:
            return ()
        await self._turn(connection, erasing=bool(facts.erased))
        if facts.erased:
            await self.veil.erase(connection, facts.erased, now)
        facts = await self.veil.over(connection, facts, now)
        if facts.clicks or facts.orders:
            await self._attribute(connection, facts)
        if facts.messages:
            await self._count(connection, facts)
        return ()

    async def _turn(self, connection: Connection, erasing: bool) -> None:
        """Batches may count at the same time; while somebody is erased nobody counts, or what another replica is just writing would stay."""
        await connection.execute(f"SELECT pg_advisory_xact_lock{'' if erasing else '_shared'}($1, $2)", LOCK, LOCKS)

    async def _attribute(self, connection: Connection, facts: Facts) -> None:
        """Attributes the orders of everybody who clicked or ordered anew, and adds what moved to the facts.

        A contact's clicks and orders come on different topics, which for a moment two replicas may hold: whoever comes second must see
        what the first one wrote, so they take turns, contact by contact.
        """
        contacts = {click.contact_id for click in facts.clicks} | {order.contact_id for order in facts.orders.values()}
        locks = sorted({zlib.crc32(contact.bytes) % LOCKS for contact in contacts})
        await connection.execute("SELECT pg_advisory_xact_lock($1, number) FROM unnest($2::integer[]) AS number", LOCK, locks)
        await connection.execute(
            self.orders,
            *columns(facts.clicks, 3),
            *columns(facts.orders, 2),
            [one.contact_id for one in facts.orders.values()],
            [one.at for one in facts.orders.values()],
            [one.value for one in facts.orders.values()],
            [one.currency for one in facts.orders.values()],
        )
        for before, after, contact in await connection.fetch(self.attribute, list(contacts), WINDOW):
            for message_id, orders in ((before, -1), (after, 1)):
                if message_id is not None:
                    facts.message(message_id, contact).orders += orders

    async def _count(self, connection: Connection, facts: Facts) -> None:
        messages = facts.messages.values()
        cells = {one.cell: cell_id(one.cell) for one in messages if one.cell is not None}
        await connection.execute(
            self.count,
            list(cells.values()),
            *columns(cells, 5),
            list(facts.messages),
            [one.contact_id for one in messages],
            [None if one.cell is None else cells[one.cell] for one in messages],
            *zip(*(one.times for one in messages), strict=True),
            [one.orders for one in messages],
        )


def columns(rows: Iterable[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as columns, also when there are none."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]

"""Two normalisers on one database: whatever order and however cut, each thing passes once and nobody is parted."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st

from parley import database as db
from parley.addresses import Address
from parley.config import Config, Tenant
from parley.contracts import Customer, CustomerActed, CustomerEvent, Envelope
from parley.cursor import Place
from parley.step import Arrived
from parley_ingest import people, repeats
from parley_ingest.normalise import Normalise
from tests.ingesting import NOW

pytestmark = pytest.mark.stack
STAGE = Normalise(Config({name: Tenant(name, None, ("en",)) for name in ("acme", "other")}, {}))
PEOPLE = [(tenant, f"c{n}", f"+8210000000{n:02}") for tenant in ("acme", "other") for n in range(5)]


class Book:
    """The schema of ingest in a database of the test's own, and two connections, as two normalisers have them."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def __aenter__(self) -> "Book":
        self.pool = await db.connect(self._dsn, "ingest", size=4)
        await db.migrate(self.pool, "ingest", "parley", "parley_ingest")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.close()

    async def normalise(self, batches: list[list[Arrived]]) -> list[tuple[UUID, str, str]]:
        """Natural id, tenant and contact of all that passes, batch by batch in transactions of its own. A deadlock would come out as an error."""
        found = []
        for batch in batches:
            async with self.pool.acquire() as connection, connection.transaction():
                found += await STAGE.apply(connection, batch, NOW)
        return [(UUID(one.id), one.tenant, str(one.data.contact_id)) for one in found if isinstance(one.data, CustomerActed)]


def arrived(tenant: str, who: Customer, event_id: str) -> Arrived:
    data = CustomerEvent(customer=who, name="cart.abandoned", occurred_at=NOW)
    return Arrived(Envelope(id=event_id, source="shop", time=NOW, tenant=tenant, data=data), Place("parley.customers", 0), 0, None)


@st.composite
def shuffled(draw) -> list[list[list[Arrived]]]:
    """Events of a few people, by phone, by customer id or by both, repeated, shuffled, cut into batches for two normalisers."""
    events = []
    for number in range(draw(st.integers(2, 12))):
        tenant, identifier, phone = draw(st.sampled_from(PEOPLE))
        by = draw(st.sampled_from(("phone", "id", "both")))
        who = Customer(id=None if by == "phone" else identifier, addresses={} if by == "id" else {"sms": phone})
        events += [arrived(tenant, who, f"e{number}")] * draw(st.integers(1, 3))
    mixed = draw(st.permutations(events))
    hands: list[list[list[Arrived]]] = [[[]], [[]]]
    for event in mixed:
        hand = hands[draw(st.integers(0, 1))]
        if draw(st.integers(0, 2)) == 0:
            hand.append([])
        hand[-1].append(event)
    return hands


def test_each_thing_passes_once_and_nobody_is_parted(database):
    """Property: natural ids pass once; a person has one contact by phone and by id; tenants share none; no deadlock."""
    with asyncio.Runner() as runner:
        book = Book(database)
        runner.run(book.__aenter__())

        @options(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(shuffled())
        def holds(hands):
            async def main():
                await book.pool.execute("TRUNCATE seen, addresses, ties, merges")
                first, second = await asyncio.gather(*(book.normalise(hand) for hand in hands))
                return first + second, await book.pool.fetch("SELECT tenant, scheme, address, contact_id, founds FROM addresses")

            passed, rows = runner.run(main())
            events = [one.event for hand in hands for batch in hand for one in batch]
            sent = {(one.tenant, one.id) for one in events}
            named = {(one.tenant, one.data.customer.id) for one in events if one.data.customer.addresses}
            of = {(row["tenant"], row["scheme"], row["address"]): str(row["contact_id"]) for row in rows}

            assert len(sent) == len(passed) == len({natural for natural, _, _ in passed})
            for tenant, identifier, phone in PEOPLE:
                if (tenant, identifier) in named:
                    assert of[tenant, "customer", identifier] == of[tenant, "phone", phone]
            assert len({(tenant, contact) for (tenant, _, _), contact in of.items()}) == len(set(of.values()))
            assert {(tenant, contact) for _, tenant, contact in passed} <= {(row["tenant"], str(row["founds"])) for row in rows}

        holds()
        runner.run(book.__aexit__())


def test_who_is_overtaken_believes_the_first(database, run):
    """Another normaliser learns the phone number while ours learns customer and number: one contact for both in the end."""

    async def main():
        phone, identifier = Address("acme", "phone", "+821000000000"), Address("acme", "customer", "c")
        async with Book(database) as book:
            async with book.pool.acquire() as theirs, book.pool.acquire() as ours:
                other = theirs.transaction()
                await other.start()
                (stranger,) = await people.contacts(theirs, [(phone,)])
                async with ours.transaction():
                    waiting = asyncio.create_task(people.contacts(ours, [(identifier, phone)]))
                    while not await book.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                        await asyncio.sleep(0.01)
                    await other.commit()
                    (known,) = await waiting
            return stranger, known, {row["contact_id"] for row in await book.pool.fetch("SELECT contact_id FROM addresses")}

    stranger, known, book = run(main())

    assert stranger == known
    assert {stranger} == book


def test_old_ids_are_forgotten_and_young_ones_are_not(database, run):
    """After 30 days no provider repeats anything; a few at a time, the oldest first."""

    async def main():
        async with Book(database) as book:
            ages = [timedelta(days=days) for days in (1, 29, 31, 32, 33)]
            ids = [uuid4() for _ in ages]
            await book.pool.execute(
                "INSERT INTO seen (id, seen_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])", ids, [NOW - age for age in ages]
            )
            gone = [await repeats.forget(book.pool, NOW - repeats.KEPT, limit=2) for _ in range(3)]
            left = {row["id"] for row in await book.pool.fetch("SELECT id FROM seen")}
            return gone, left == set(ids[:2])

    assert ([2, 1, 0], True) == run(main())


def test_two_that_forget_at_once_do_not_wait_for_each_other(database, run):
    """Each replica may clean up: what one has in hand, the other passes over."""

    async def main():
        async with Book(database) as book:
            await book.pool.execute(
                "INSERT INTO seen (id, seen_at) SELECT gen_random_uuid(), $1 FROM generate_series(1, 10)", NOW - timedelta(days=40)
            )
            async with book.pool.acquire() as first, first.transaction():
                mine = await repeats.forget(first, NOW, limit=6)
                async with asyncio.timeout(5):
                    other = await repeats.forget(book.pool, NOW, limit=6)
            return mine, other

    assert (6, 4) == run(main())


def test_the_oldest_are_found_by_their_index(database, run):
    """With many ids the clean-up reads the few that are old, not the table."""

    async def main():
        async with Book(database) as book:
            await book.pool.execute("INSERT INTO seen (id, seen_at) SELECT gen_random_uuid(), $1 FROM generate_series(1, 20000)", NOW)
            await book.pool.execute("ANALYZE seen")
            plan = await book.pool.fetch(
                "EXPLAIN SELECT id FROM seen WHERE seen_at < $1 ORDER BY seen_at LIMIT 5000 FOR UPDATE SKIP LOCKED", NOW - repeats.KEPT
            )
            return "\n".join(row[0] for row in plan)

    assert "Index Scan using seen_by_age" in run(main())

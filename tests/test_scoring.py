"""The worker that scores everybody, on real PostgreSQL and Kafka: what it reads, what it tells, and that a round is told once, whatever happens in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

import pytest

from parley import config, wire
from parley import database as db
from parley.bus import Bus, BusUnavailable
from parley.contracts import ContactErased, ContactScored, Envelope
from parley.metrics import Metrics
from parley.service import Context
from parley_analytics import scored
from parley_analytics.scoring import CHUNK, ROUND, Scoring
from parley_analytics.stage import ERASING
from tests.conftest import CONFIG, until
from tests.ingesting import records

pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CELL = UUID(int=1)
NAMES = UUID(int=99)


def contact(number: int) -> UUID:
    """The id of a contact: a hash, as ingest makes them."""
    return uuid5(NAMES, str(number))


@dataclass
class Analytics:
    """A schema with facts, the worker, a clock that is set by hand, and what lies on the bus."""

    context: Context
    clock: list[datetime] = field(default_factory=lambda: [T0])

    @property
    def worker(self) -> Scoring:
        return Scoring(self.context)

    async def message(self, person: UUID, at: datetime, **facts: datetime) -> None:
        """A message that left for a person, and what came of it."""
        names = ["message_id", "contact_id", "cell_id", "sent_at", *facts]
        places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
        await self.context.pool.execute(f"INSERT INTO messages ({', '.join(names)}) VALUES ({places})", uuid4(), person, CELL, at, *facts.values())

    async def order(self, person: UUID, at: datetime, value: int = 10, goal: str = "order.placed") -> None:
        await self.context.pool.execute(
            "INSERT INTO orders (tenant, goal, order_id, contact_id, at, value, currency) VALUES ('acme', $1, $2, $3, $4, $5, 'KRW')",
            goal, str(uuid4()), person, at, value,
        )  # fmt: skip

    async def buyers(self, count: int) -> None:
        """People who ordered, some of them again and again."""
        rows = [(str(uuid4()), contact(10_000 + one), T0 - timedelta(days=300 - 50 * time)) for one in range(count) for time in range(1 + one % 7)]
        await self.context.pool.execute(
            "INSERT INTO orders (tenant, goal, order_id, contact_id, at, value, currency) SELECT 'acme', 'order.placed', order_id, contact_id, at, 20, 'KRW'"
            " FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS given (order_id, contact_id, at)",
            *map(list, zip(*rows, strict=True)),
        )  # fmt: skip

    async def round(self, worker: Scoring | None = None) -> None:
        """A round from its beginning to its end."""
        while await (worker or self.worker).step(self.clock[0]):
            pass

    async def told(self) -> list[Envelope]:
        """What was told, in order within a partition."""
        return [wire.decode(ContactScored.topic, one.headers, one.value) for one in await records(self.context.settings, ContactScored.topic)]

    async def of(self, person: UUID) -> list[ContactScored]:
        return [one.data for one in await self.told() if one.data.contact_id == person]


@contextlib.asynccontextmanager
async def analytics(settings) -> AsyncIterator[Analytics]:
    pool = await db.connect(settings.database.get_secret_value(), "analytics")
    bus = Bus(settings, client="test-analytics")
    clock = [T0]
    try:
        await db.migrate(pool, "analytics", "parley", "parley_analytics")
        await bus.ensure_topics()
        await pool.execute(
            "INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose, language, flow, step)"
            " VALUES ($1, 'acme', 'spring', 'sms', '', 'marketing', '', '', '')", CELL,
        )  # fmt: skip
        yield Analytics(Context(settings, config.load(CONFIG, SECRETS), pool, bus, Metrics(), lambda: clock[0]), clock)
    finally:
        await bus.stop()
        await pool.close()


class _Any(Mapping[str, str]):
    """An environment in which every secret is set."""

    def __getitem__(self, name: str) -> str:
        return "secret"

    def __iter__(self):
        return iter(())

    def __len__(self) -> int:
        return 0


SECRETS = _Any()


def test_a_round_tells_what_people_are_like(settings, run):
    """Who buys and clicks is a fan, who lets messages pass is silent; of whom nothing is to be told, nothing is."""
    fan, silent, nobody = contact(1), contact(2), contact(3)

    async def main():
        async with analytics(settings) as one:
            for days in range(1, 9):
                await one.message(silent, T0 - timedelta(days=days))
            await one.message(fan, T0, clicked_at=T0)
            await one.order(fan, T0)
            await one.order(fan, T0, goal="customer.recommended")
            await one.message(nobody, T0 - timedelta(days=1000))
            await one.round()
            return [await one.of(person) for person in (fan, silent, nobody)], await one.context.pool.fetchval("SELECT count(*) FROM scores")

    ((loved,), (quiet,), none), kept = run(main())

    assert (62, 0) == (loved.fan, loved.silent)
    assert quiet.fan == 0 and quiet.silent == 72
    assert ([], 2, T0) == (none, kept, loved.at)


def test_a_round_is_told_once_and_the_next_one_only_what_moved(settings, run):
    """An hour later nobody is much different; a day of silence later one is."""
    person = contact(1)

    async def main():
        async with analytics(settings) as one:
            for days in range(4):
                await one.message(person, T0 - timedelta(days=days))
            await one.round()
            await one.round()
            one.clock[0] = T0 + ROUND
            await one.round()
            first = len(await one.told())
            for days in range(4):
                await one.message(person, T0 + timedelta(minutes=days))
            one.clock[0] = T0 + timedelta(days=1)
            await one.round()
            return first, [(found.silent, found.at) for found in await one.of(person)]

    first, told = run(main())

    assert (1, 2) == (first, len(told))
    assert told[0][0] < told[1][0] and [T0, T0 + timedelta(days=1)] == [at for _, at in told]


def test_a_best_hour_needs_a_round_in_which_the_others_are_seen(settings, run):
    """Everybody clicks at nine in the evening in Seoul; who has never acted is told of their hour in the next round, in the tenant's own time."""
    evening = datetime(2026, 11, 23, 11, 5, tzinfo=UTC)

    async def main():
        async with analytics(settings) as one:
            for number in range(60):
                for days in range(2):
                    await one.message(contact(number), evening - timedelta(days=days), clicked_at=evening - timedelta(days=days))
            await one.message(contact(1000), T0)
            await one.round()
            one.clock[0] = T0 + ROUND
            await one.round()
            return [(found.best_hour, found.best_hour_of) for found in await one.of(contact(1000))]

    assert [(None, None), (20, "segment")] == run(main())


def test_buyers_are_told_what_to_expect_of_them(settings, run):
    """With enough buyers to learn from, each is told whether and when they order again, and what they will spend."""

    async def main():
        async with analytics(settings) as one:
            await one.buyers(200)
            await one.round()
            often, once = await one.of(contact(10_006)), await one.of(contact(10_000))
            return often, once, await one.context.pool.fetchval("SELECT model ->> 'buying' IS NOT NULL FROM forecasts WHERE tenant = 'acme'")

    (often,), (once,), learned = run(main())

    assert learned
    assert often.order_again > once.order_again > 0
    assert ("KRW", True) == (often.currency, often.lifetime_value > once.lifetime_value > 0)


def test_many_are_scored_in_chunks_and_whoever_comes_next_goes_on(settings, run):
    """A chunk is counted whole or not at all: one whose events do not reach the bus is done again by another process, with the same ids."""

    async def main():
        async with analytics(settings) as one:
            await one.context.pool.execute(
                "INSERT INTO messages (message_id, contact_id, cell_id, sent_at) SELECT gen_random_uuid(), contact_id, $2, $3 FROM unnest($1::uuid[]) AS g (contact_id)",
                [contact(number) for number in range(CHUNK + 10)], CELL, T0,
            )  # fmt: skip
            broken = Scoring(replace(one.context, bus=Silent(one.context.bus)))
            with contextlib.suppress(BusUnavailable):
                await one.round(broken)
            half, position = (
                await one.context.pool.fetchval("SELECT count(*) FROM scores"),
                await one.context.pool.fetchval("SELECT position FROM scoring"),
            )
            published = {event.id for event in await one.told()}
            await one.round()
            return half, position, published, [event.id for event in await one.told()], await one.context.pool.fetchval("SELECT count(*) FROM scores")

    half, position, before, after, whole = run(main())

    assert (0, UUID(int=0), CHUNK) == (half, position, len(before))
    assert (CHUNK + 10, CHUNK + 10) == (len(set(after)), whole)
    assert before < set(after) and len(after) == 2 * CHUNK + 10


class Silent:
    """A bus that takes everything and does not say so, so many times: the process does not learn that its events are there."""

    def __init__(self, bus: Bus, times: int = 1000) -> None:
        self.bus, self.times = bus, times

    async def publish(self, rows, timeout: float) -> None:
        await self.bus.publish(rows, timeout)
        self.times -= 1
        if self.times >= 0:
            raise BusUnavailable("no answer")


def test_one_replica_works_at_a_time(settings, run):
    """While a chunk is locked the other has nothing to do, and waits for nobody."""

    async def main():
        async with analytics(settings) as one:
            await one.message(contact(1), T0)
            while not await one.context.pool.fetchval("SELECT count(*) = $1 FROM forecasts", len(one.worker.tenants)):
                await one.worker.step(T0)
            async with one.context.pool.acquire() as other, other.transaction():
                await other.execute("SELECT 1 FROM scoring FOR UPDATE")
                return await asyncio.wait_for(one.worker.step(T0), 5), await one.worker.step(T0)

    assert (False, False) == run(main())


def test_who_was_erased_is_forgotten_and_not_spoken_of(settings, run):
    """At once, also where the round stands just at the person; a random id stands for them in the facts, and nothing is told of it."""
    from types import SimpleNamespace

    from parley_analytics.stage import Count

    person = contact(1)

    async def main():
        async with analytics(settings) as one:
            await one.message(person, T0)
            await one.order(person, T0)
            pool = one.context.pool
            while await pool.fetchval("SELECT position FROM scoring") != person:
                await one.worker.step(T0)
            assert await pool.fetchval("SELECT count(*) FROM scores") == 1
            erasure = Envelope(id="e", source="test", time=T0, tenant="acme", data=ContactErased(contact_id=person, at=T0))
            async with pool.acquire() as connection, connection.transaction():
                await Count.prepared(b"test").apply(connection, [SimpleNamespace(event=erasure)], T0)
            left = await pool.fetchval("SELECT count(*) FROM scores"), await pool.fetchval("SELECT position = $1 FROM scoring", person)
            await one.round()
            one.clock[0] = T0 + timedelta(days=1)
            await one.round()
            return left, [event.data.contact_id for event in await one.told()], await pool.fetchval("SELECT count(*) FROM scores")

    assert ((0, False), [person], 0) == run(main())


def test_nobody_is_scored_while_somebody_is_erased(settings, run):
    """Else what was read of a person a moment before would come back as a row."""

    async def main():
        async with analytics(settings) as one:
            await one.message(contact(1), T0)
            while not await one.context.pool.fetchval("SELECT count(*) = $1 FROM forecasts", len(one.worker.tenants)):
                await one.worker.step(T0)
            async with one.context.pool.acquire() as other:
                erasing = other.transaction()
                await erasing.start()
                await other.execute("SELECT pg_advisory_xact_lock($1, $2)", *ERASING)
                scoring = asyncio.create_task(one.worker.step(T0))

                async def waits() -> bool:
                    return scoring.done() or await one.context.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

                await until(waits, "scoring to wait, or to end")
                ended = scoring.done()
                await erasing.rollback()
            return ended, await scoring, len(await one.told())

    assert (False, True, 1) == run(main())


def test_whose_tenant_wants_no_scores_has_none(settings, run):
    """What was told before is taken back once."""
    person = contact(1)

    async def main():
        async with analytics(settings) as one:
            await one.message(person, T0)
            await one.round()
            tenants = {name: replace(tenant, scores=False) for name, tenant in one.context.config.tenants.items()}
            off = Scoring(replace(one.context, config=replace(one.context.config, tenants=tenants)))
            for hours in (1, 2):
                one.clock[0] = T0 + hours * ROUND
                await one.round(off)
            return [(found.fan, found.silent) for found in await one.of(person)], await one.context.pool.fetchval("SELECT count(*) FROM scores")

    assert ([(0, 25), (0, 0)], 0) == run(main())


def test_what_has_faded_away_is_taken_back(settings, run):
    """Facts that are no longer kept say nothing: the person is told as unknown, once."""
    person = contact(1)

    async def main():
        async with analytics(settings) as one:
            await one.message(person, T0)
            await one.round()
            await one.context.pool.execute("DELETE FROM messages")
            for hours in (1, 2):
                one.clock[0] = T0 + hours * ROUND
                await one.round()
            return [(found.fan, found.silent) for found in await one.of(person)], await one.context.pool.fetchval("SELECT count(*) FROM scores")

    assert ([(0, 25), (0, 0)], 0) == run(main())


def test_the_worker_goes_on_until_it_is_stopped(settings, run):
    """A bus that gives no answer once costs a rest, and the events are told again under the same ids; then it ends when it is told to."""
    person = contact(1)

    async def main():
        async with analytics(settings) as one:
            await one.message(person, T0)
            stopping = asyncio.Event()
            working = asyncio.create_task(Scoring(replace(one.context, bus=Silent(one.context.bus, times=1)), every=0.1).run(stopping))

            async def ended() -> bool:
                return await one.context.pool.fetchval("SELECT ended AND round = $1 FROM scoring", T0)

            await until(ended, "the round to end")
            stopping.set()
            await asyncio.wait_for(working, 5)
            return [event.id for event in await one.told()]

    first, second = run(main())

    assert first == second


def test_what_others_date_into_antiquity_stops_nobody(settings, run):
    """Systems have a least and a greatest time, and tell them: such an order says nothing, such a read receipt neither."""
    person = contact(1)

    async def main():
        async with analytics(settings) as one:
            await one.message(person, T0, read_at=datetime.min.replace(tzinfo=UTC))
            await one.message(person, T0)
            for at in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), T0):
                await one.order(person, at)
            await one.round()
            return [(found.fan, found.silent) for found in await one.of(person)]

    assert [(29, 14)] == run(main())


def test_people_are_found_by_indexes(settings, run):
    """Ten thousand people, two orders of one, an answer of another: each once, in order."""

    async def main():
        async with analytics(settings) as one:
            people = [contact(number) for number in range(2000)]
            await one.context.pool.execute(
                "INSERT INTO messages (message_id, contact_id, cell_id, sent_at) SELECT gen_random_uuid(), contact_id, $2, $3"
                " FROM unnest($1::uuid[]) AS given (contact_id), generate_series(1, 3)", people, CELL, T0,
            )  # fmt: skip
            for buyer in (people[0], contact(5000), contact(5000)):
                await one.order(buyer, T0)
            async with one.context.pool.acquire() as connection:
                first = await scored.following(connection, UUID(int=0), 700)
                rest = await scored.following(connection, first[-1], 5000)
            return first, rest, sorted({*people, contact(5000)})

    first, rest, everybody = run(main())

    assert 700 == len(first)
    assert everybody == first + rest

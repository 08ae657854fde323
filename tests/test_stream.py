"""The runtime on real Kafka and real PostgreSQL: exactly once in its effects, whatever fails."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from parley import database as db
from parley import wire
from parley.bus import Bus, BusUnavailable
from parley.contracts import Channel, ConsentChanged, ConsentState, Customer, CustomerActed, Envelope, MessageReceived, Purpose
from parley.metrics import Metrics
from parley.step import Caused
from parley.stream import Stream
from tests.conftest import until

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def said(contact: UUID, text: str) -> Envelope:
    """A customer's message, as the normaliser publishes it."""
    data = MessageReceived(contact_id=contact, message_id=uuid4(), account="a", channel="sms", address="+1", kind="text", text=text, received_at=NOW)
    return Envelope(id=str(uuid4()), source="test", time=NOW, tenant="acme", data=data)


@dataclass
class Counting:
    """A stage that adds each text to its contact's list and says so; it cannot bear the word "poison"."""

    name: str = "counting"
    topics: tuple[str, ...] = ("parley.inbound",)
    fail: list[BaseException] = field(default_factory=list)

    async def apply(self, connection, batch, now):
        if self.fail:
            raise self.fail.pop()
        if any(one.event.data.text == "poison" for one in batch):
            raise ValueError("poison cannot be read")
        await connection.executemany("INSERT INTO effects VALUES ($1, $2)", [(one.event.data.contact_id, one.event.data.text) for one in batch])
        return [Caused(one, agreed(one.event.data.contact_id)) for one in batch]


class Choosing(Counting):
    """One that wants of the tenant `acme` alone."""

    async def wanted(self, connection, tenants):
        assert await connection.fetchval("SELECT 1") == 1, "it can ask the database"
        return tenants & {"acme"}


def agreed(contact: UUID) -> ConsentChanged:
    return ConsentChanged(contact_id=contact, channel=Channel.SMS, purpose=Purpose.REPLY, state=ConsentState.GRANTED, source="test", at=NOW)


class Running:
    """A stream with its own connections, as a process would have them."""

    def __init__(self, settings, stage, stream=Stream):
        self.settings, self.stage, self.make = settings, stage, stream

    async def __aenter__(self):
        self.pool = await db.connect(self.settings.database.get_secret_value(), "counting")
        await db.migrate(self.pool, "counting", "parley")
        await self.pool.execute("CREATE TABLE IF NOT EXISTS effects (contact_id uuid, text text)")
        self.bus = Bus(self.settings, client="test")
        await self.bus.ensure_topics()
        self.stream = self.make(self.stage, self.pool, self.bus, self.settings, Metrics(), lambda: NOW)
        await self.bus.broker.start()
        return self

    async def __aexit__(self, *_):
        await self.stream.stop()
        await self.bus.stop()
        await self.pool.close()

    async def crash(self):
        """Ends without any of the farewells of a clean stop."""
        await self.bus.broker.stop()
        self.pool.terminate()

    async def effects(self) -> list[str]:
        return sorted(row["text"] for row in await self.pool.fetch("SELECT text FROM effects"))

    def applied(self, count: int):
        async def enough() -> bool:
            return await self.pool.fetchval("SELECT count(*) FROM effects") >= count

        return until(enough, f"{count} effects")


async def read_topic(settings, topic: str, least: int) -> list:
    """All records of a topic, once there are at least `least`."""
    consumer = AIOKafkaConsumer(settings.prefix + topic, bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: list = []

    async def enough() -> bool:
        found.extend(record for batch in (await consumer.getmany(timeout_ms=200)).values() for record in batch)
        return len(found) >= least

    try:
        await until(enough, f"{least} records in {topic}")
        found.extend(record for batch in (await consumer.getmany(timeout_ms=300)).values() for record in batch)
    finally:
        await consumer.stop()
    return found


def ids(records) -> Counter:
    return Counter(dict(record.headers)["ce_id"] for record in records)


def test_each_event_has_its_effect_and_its_output_once(settings):
    """What goes in comes out, keyed, in order."""

    async def main():
        contact = uuid4()
        async with Running(settings, Counting()) as one:
            await one.bus.publish([wire.encode(said(contact, f"{n:03}")) for n in range(100)])
            await one.applied(100)
            outputs = await read_topic(settings, "parley.consent", 100)
            return await one.effects(), ids(outputs)

    effects, outputs = asyncio.run(main())

    assert ([f"{n:03}" for n in range(100)], 100, 1) == (effects, len(outputs), max(outputs.values()))


def test_a_guilty_event_goes_to_the_dead_letters_and_the_rest_goes_on(settings):
    """Halving finds it; its neighbours of the same batch are applied."""

    async def main():
        contact = uuid4()
        words = ["a", "b", "poison", "c", "d"]
        async with Running(settings, Counting()) as one:
            await one.bus.publish([wire.encode(said(contact, word)) for word in words])
            await one.applied(4)
            dead = await read_topic(settings, "parley.dead", 1)
            return await one.effects(), [dict(record.headers)["error"] for record in dead]

    assert asyncio.run(main()) == (["a", "b", "c", "d"], [b"ValueError: poison cannot be read"])


def test_what_is_no_event_goes_to_the_dead_letters_as_it_was(settings):
    """Bytes that nobody can read stop nobody."""

    async def main():
        async with Running(settings, Counting()) as one:
            broken = ("parley.inbound", b"k", [("x", b"\xff")], b"\xff\x00 not json")
            await one.bus.publish([broken, wire.encode(said(uuid4(), "fine"))])
            await one.applied(1)
            dead = await read_topic(settings, "parley.dead", 1)
            return await one.effects(), dead[0].value

    assert asyncio.run(main()) == (["fine"], b"\xff\x00 not json")


def test_what_a_stage_does_not_want_is_passed_over_unread(settings):
    """Other tenants' records cost nothing, not even where they cannot be read; who says no tenant is read; and the cursor stands behind all of them."""

    async def main():
        mine, theirs = said(uuid4(), "mine"), said(uuid4(), "theirs").model_copy(update={"tenant": "globex"})
        async with Running(settings, Choosing()) as one:
            topic = one.stage.topics[0]
            unread, broken = (topic, b"k", [("ce_tenant", b"globex")], b"not json"), (topic, b"k", [], b"not json")
            await one.bus.publish([wire.encode(theirs), unread, broken, wire.encode(mine)])
            await one.applied(1)
            dead = await read_topic(settings, "parley.dead", 1)
            await until(lambda: _none(one.stream.lag), "the end of the log")
            return await one.effects(), [record.headers[0][0] for record in dead], await one.pool.fetchval("SELECT sum(next_offset) FROM cursors")

    assert asyncio.run(main()) == (["mine"], ["error"], 4)


async def _none(count) -> bool:
    return await count() == 0


def test_too_many_dead_letters_stop_the_stage(settings):
    """A fault of our own must not empty a topic into the bin."""

    async def main():
        strict = settings.model_copy(update={"dead_streak": 5})
        async with Running(strict, Counting()) as one:
            await one.bus.publish([wire.encode(said(uuid4(), "poison")) for _ in range(30)])

            async def stopped() -> bool:
                return one.stream.stopped is not None

            await until(stopped, "the stage to stop")
            return one.stream.stopped

    assert "dead letters in a row" in asyncio.run(main())


def test_a_fault_of_the_database_is_waited_out(settings):
    """Nothing is blamed on the event when PostgreSQL is away."""

    async def main():
        faults = [asyncpg.CannotConnectNowError("starting up"), ConnectionResetError(), asyncpg.DeadlockDetectedError("deadlock")]
        async with Running(settings, Counting(fail=faults)) as one:
            await one.bus.publish([wire.encode(said(uuid4(), "a"))])
            await one.applied(1)
            return await one.effects(), faults

    assert asyncio.run(main()) == (["a"], [])


def test_a_crash_between_commit_and_publish_loses_no_output(settings):
    """The next owner finds the outputs in the cursor and publishes them, with the same ids."""

    async def main():
        async def never(records, timeout=0):
            if records:
                raise BusUnavailable("the broker is gone")

        contact = uuid4()
        first = Running(settings.model_copy(update={"drain": 0.5}), Counting())
        await first.__aenter__()
        publish, first.bus.publish = first.bus.publish, never
        await publish([wire.encode(said(contact, "a"))])
        await first.applied(1)
        await first.crash()
        async with Running(settings, Counting()) as second:
            outputs = await read_topic(settings, "parley.consent", 1)
            return await second.effects(), len(ids(outputs))

    assert asyncio.run(main()) == (["a"], 1)


def test_two_workers_and_a_crash_in_the_middle_apply_everything_once(settings):
    """Rebalances hand partitions over without loss and without doubles."""

    async def main():
        first, second = Running(settings, Counting()), Running(settings, Counting())
        await first.__aenter__()
        texts = [f"{n:04}" for n in range(1500)]
        records = [wire.encode(said(uuid4(), text)) for text in texts]
        await first.bus.publish(records[:500])
        await first.applied(100)
        await second.__aenter__()
        await second.bus.publish(records[500:1000])
        await first.crash()
        await second.bus.publish(records[1000:])
        await second.applied(1500)
        outputs = await read_topic(settings, "parley.consent", 1500)
        effects = await second.effects()
        await second.__aexit__()
        with contextlib.suppress(Exception):
            await first.bus.stop()
        return effects == texts, len(ids(outputs))

    assert asyncio.run(main()) == (True, 1500)


class Skipping(Stream):
    """A stream that is once handed a batch without its first record, as happens when a fetch overtakes a rebalance."""

    skipped = False

    async def handle(self, records):
        if not self.skipped and len(records) > 1:
            self.skipped = True
            records = records[1:]
        await super().handle(records)


def test_a_batch_from_beyond_the_cursor_is_read_again(settings):
    """The records between the cursor and the batch are not lost."""

    async def main():
        contact = uuid4()
        async with Running(settings, Counting(), Skipping) as one:
            await one.bus.publish([wire.encode(said(contact, f"{n}")) for n in range(5)])
            await one.applied(5)
            return one.stream.skipped, await one.effects()

    assert asyncio.run(main()) == (True, ["0", "1", "2", "3", "4"])


class Asking(Stream):
    """A stream that asks for the ends of the log when a fetch might already wait there for records."""

    took: float | None = None

    async def _load(self, places, consumer):
        for place in places:
            await consumer.position(TopicPartition(*place))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        found = await super()._load(places, consumer)
        self.took = time.monotonic() - began
        return found


def test_what_is_taken_over_is_not_fetched_meanwhile(settings, monkeypatch):
    """A broker answers in order: behind a fetch that waits for records it would say only afterwards where the log ends."""
    monkeypatch.setattr("parley.bus.WAIT_MS", 4_000)

    async def main():
        async with Running(settings, Counting(), Asking) as one:
            await until(lambda: _known(one.stream), "the partitions to be taken")
            await one.bus.publish([wire.encode(said(uuid4(), "a"))])
            await one.applied(1)
            return one.stream.took

    assert asyncio.run(main()) < 2


async def _known(stream: Asking) -> bool:
    return stream.took is not None


class Late(Stream):
    """A stream whose first look at the cursors does not end."""

    looks = 0

    async def _load(self, places, consumer):
        self.looks += 1
        if self.looks == 1:
            await asyncio.Event().wait()
        return await super()._load(places, consumer)


def test_cursors_that_are_not_known_in_time_are_waited_for_by_the_first_batch(settings, monkeypatch):
    """A rebalance does not wait for them for ever, and what is assigned is read afterwards."""
    monkeypatch.setattr("parley.stream.ADOPT_WAIT", 0.1)

    async def main():
        async with Running(settings, Counting(), Late) as one:
            await one.bus.publish([wire.encode(said(uuid4(), "a"))])
            await one.applied(1)
            return one.stream.looks, await one.effects()

    assert (2, ["a"]) == asyncio.run(main())


def test_a_cursor_moved_by_somebody_else_is_believed(settings):
    """The compare-and-set fences: what another owner has applied is not applied again."""

    async def main():
        contact = uuid4()
        async with Running(settings, Counting()) as one:
            await one.bus.publish([wire.encode(said(contact, "a"))])
            await one.applied(1)
            await one.pool.execute("UPDATE cursors SET next_offset = next_offset + 1, pending = '' WHERE next_offset > 0")
            await one.bus.publish([wire.encode(said(contact, "done elsewhere"))])
            await one.bus.publish([wire.encode(said(contact, "b"))])
            await one.applied(2)
            return await one.effects()

    assert asyncio.run(main()) == ["a", "b"]


def test_what_a_crash_of_the_database_took_away_is_done_again(settings):
    """Effects and cursor go together (decision 46): the running stream finds its cursor behind, and reads again from there."""

    async def main():
        contact = uuid4()
        async with Running(settings, Counting()) as one:
            await one.bus.publish([wire.encode(said(contact, "a"))])
            await one.applied(1)
            async with one.pool.acquire() as connection, connection.transaction():
                await connection.execute("DELETE FROM effects")
                await connection.execute("UPDATE cursors SET next_offset = next_offset - 1, pending = '' WHERE next_offset > 0")
            await one.bus.publish([wire.encode(said(contact, "b"))])
            await one.applied(2)
            return await one.effects()

    assert ["a", "b"] == asyncio.run(main())


def test_customer_events_resolve_to_their_own_type():
    """One type, two topics: the topic tells the model."""
    acted = CustomerActed(contact_id=uuid4(), customer=Customer(id="c"), name="order.placed", occurred_at=NOW)
    topic, _, headers, value = wire.encode(Envelope(id="1", source="t", time=NOW, tenant="acme", data=acted))

    assert acted == wire.decode(topic, headers, value).data

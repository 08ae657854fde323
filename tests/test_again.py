"""`parley replay analytics` on real Kafka and PostgreSQL: every number made anew from the log, beside the service and in its place, equal to the last digit."""

import asyncio
import contextlib
import itertools
import random
import signal
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from aiokafka import TopicPartition
from rich.console import Console

from parley import connecting, database, history, service, wire
from parley.bus import Bus
from parley.contracts import (
    ConsentChanged,
    ContactDrawn,
    ContactErased,
    ConversationChanged,
    CustomerActed,
    Data,
    DeliveryChanged,
    EngagementRecorded,
    MessageReceived,
    Record,
)
from parley.settings import SettingsError
from parley_analytics import again, rebuild
from parley_analytics.app import SERVICE
from tests.conftest import until
from tests.test_cli import PARLEY, environment, parley

pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
QUIET = Console(quiet=True)
TOPICS = ("parley.deliveries", "parley.engagement", "parley.inbound", "parley.conversations")
PEOPLE = [UUID(int=number) for number in range(1, 40)]


def story(number: int, chance: random.Random) -> list[Data]:
    """What may come of one message: in any order, some of it twice."""
    contact, message, at = chance.choice(PEOPLE), UUID(int=1_000 + number), T0 + timedelta(minutes=chance.randrange(20_000))
    campaign, variant = chance.choice([("spring", "a"), ("spring", "b"), ("autumn", None), (None, None)])
    delivery = {
        "message_id": message, "contact_id": contact, "channel": chance.choice(["sms", "email"]), "account": "a", "campaign": campaign,
        "purpose": "marketing" if campaign else "reply", "variant": variant, "language": chance.choice(["en", "ko"]),
    }  # fmt: skip
    statuses = chance.choice([("sent", "delivered"), ("sent", "read"), ("delivered", "sent", "delivered"), ("failed",), ("sent",), ("suppressed",)])
    found: list[Data] = [DeliveryChanged(**delivery, status=one, reason="spam", at=at + timedelta(seconds=n)) for n, one in enumerate(statuses)]
    for kind, by in chance.choices(
        [("opened", "human"), ("clicked", "human"), ("clicked", "scanner"), ("opened", "prefetch")], k=chance.randrange(3)
    ):
        hit = UUID(int=chance.getrandbits(128))
        found.append(EngagementRecorded(message_id=message, contact_id=contact, kind=kind, by=by, hit=hit, rules=1, at=at + timedelta(minutes=9)))
    if chance.random() < 0.3:
        told = {"order_id": f"o{number}", "total": chance.randrange(1, 90), "currency": chance.choice(["KRW", "USD"])}
        acted = {"contact_id": contact, "customer": {"id": "c"}, "name": "order.placed", "properties": told}
        found.append(CustomerActed(**acted, occurred_at=at + timedelta(minutes=chance.randrange(20))))
    talk = {"conversation_id": message, "contact_id": contact, "team": "care", "at": at + timedelta(minutes=5)}
    changes = chance.choice([(), ("opened", "answered", "resolved"), ("opened", "escalated", "assigned", "replied")])
    found += [ConversationChanged(**talk, change=one) for one in changes]
    if campaign and chance.random() < 0.4:
        drawn = {"experiment": "greeting", "campaign": campaign, "weights": {"a": 1, "b": 1}, "flow": "f"}
        found.append(ContactDrawn(contact_id=contact, variant=chance.choice("ab"), at=at, **drawn))
    said = {"contact_id": contact, "channel": delivery["channel"], "address": "a"}
    if chance.random() < 0.2:
        found.append(
            MessageReceived(
                message_id=UUID(int=chance.getrandbits(128)), account="a", kind="text", text="ok", received_at=at + timedelta(hours=1), **said
            )
        )
    if chance.random() < 0.1:
        found.append(ConsentChanged(purpose="marketing", state="revoked", source="s", at=at + timedelta(hours=2), **said))
    if chance.random() < 0.01:
        found.append(ContactErased(contact_id=contact, at=at))
    chance.shuffle(found)
    return found


def log(count: int, seed: int = 1) -> list[Record]:
    """The stories of so many messages, as they come onto the bus."""
    chance = random.Random(seed)
    events = [one for number in range(count) for one in story(number + seed * 100_000, chance)]
    return [wire.record_of(data, f"{seed}-{n}", "test", T0.isoformat(), "acme") for n, data in enumerate(events)]


@dataclass
class Running:
    """A running analytics, and what replays it."""

    one: service.Running
    bus: Bus

    async def counts(self, records: list[Record]) -> None:
        """Publishes, and returns once the service has read it all."""
        await self.bus.publish(records)
        await self.rests()

    async def rests(self) -> None:
        async def so() -> bool:
            return not any([await stream.lag() for stream in self.one.streams])

        await until(so, "everything is read", 90)

    async def all(self) -> dict[str, list[str]]:
        """Every row of every table that counts something, as text."""
        async with self.one.context.pool.acquire() as connection:
            names = [one for one in await rebuild.tables(connection, "analytics") if one != "cursors" and rebuild.counts(one)]
            return {one: sorted(map(str, await connection.fetch(await rebuild.told(connection, "analytics", one)))) for one in names}


@pytest.fixture
def here(settings, tmp_path):
    (tmp_path / "accounts.yaml").write_text("tenants: {acme: {timezone: Asia/Seoul}}")
    return settings.model_copy(update={"config": tmp_path, "drain": 5.0})


@contextlib.asynccontextmanager
async def running(settings):
    bus = Bus(settings, client="test")
    async with service.running(SERVICE, settings) as one:
        try:
            yield Running(one, bus)
        finally:
            await bus.stop()


@contextlib.asynccontextmanager
async def replaying(settings):
    async with again.ready(settings, QUIET) as one:
        yield one


async def replayed(settings, since: datetime | None = None) -> int:
    """A replay in this process; gives how many records its stages read."""
    async with replaying(settings) as one:
        return sum(reading.records for reading in await one.run(since))


async def spoil(analytics: Running) -> None:
    """Wrong numbers, missing facts, as a mistake in an older version may have left them."""
    for wrong in ("UPDATE counters SET sent = sent + 7", "DELETE FROM messages WHERE opened = 1"):
        await analytics.one.context.pool.execute(wrong)


async def differing(settings) -> dict[str, int]:
    """The tables that are not what the log makes of them, by the number of rows."""
    async with replaying(settings) as one:
        return {table: count for table, count in (await one.compare(None)).items() if count}


async def schemas(settings) -> set[str]:
    connection = await database.single(settings.database.get_secret_value(), "analytics")
    try:
        return {row["nspname"] for row in await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'analytics%'")}
    finally:
        await connection.close()


def test_all_numbers_are_made_anew_equal_to_the_last_digit(here, run):
    """Also where the live ones are wrong, and without the service noticing: it counts on in the new tables, where it was."""

    async def main():
        async with running(here) as analytics:
            await analytics.counts(log(300))
            right = await analytics.all()
            await spoil(analytics)
            wrong = await differing(here)
            await replayed(here)
            anew = await analytics.all()
            await analytics.counts(log(300, seed=2))
            return right, wrong, anew, await differing(here), await schemas(here), [stream.stopped for stream in analytics.one.streams]

    right, wrong, anew, afterwards, left, stopped = run(main())

    assert right == anew
    assert {"counters", "messages"} <= wrong.keys()
    assert all(right[table] for table in ("counters", "messages", "people", "orders", "erased", "replies", "opt_outs", "arms", "talk_counts"))
    assert ({}, {"analytics"}, {None}) == (afterwards, left, set(stopped))


FROM_THE_LOG = frozenset(
    {
        *("arms", "cells", "counters", "designs", "drawn", "erased", "hits", "messages", "money", "opt_outs"),
        *("orders", "people", "reasons", "replies", "spenders", "spending", "talk_counts", "talk_zones", "talks", "unowed", "worth"),
    }
)


def test_of_every_table_it_is_known_who_fills_it(here):
    """A new one is made anew from the log, carried along or summed up: else a replay would leave it empty, and nobody would notice."""

    async def main():
        async with running(here):
            connection = await asyncpg.connect(here.database.get_secret_value())
            try:
                return set(await rebuild.tables(connection, "analytics"))
            finally:
                await connection.close()

    found = asyncio.run(main())
    known = FROM_THE_LOG | {*rebuild.WORKERS, "cursors", "migrations", "rolled"}

    assert known <= found
    assert set() == {table for table in found - known if not rebuild.SUMS.fullmatch(table)}


@pytest.mark.kills
def test_the_service_counts_on_while_the_schemas_are_swapped(here, run):
    """Replay after replay under a stream of events: nothing is counted twice, nothing is left out."""

    async def main():
        async with running(here) as analytics:
            await analytics.counts(log(500))
            stopping = asyncio.Event()
            stream = asyncio.create_task(publish_slowly(analytics.bus, stopping))
            read = [await replayed(here) for _ in range(2)]
            stopping.set()
            await stream
            await analytics.rests()
            return read, await differing(here)

    (first, second), differ = run(main())

    assert {} == differ
    assert first < second


async def publish_slowly(bus: Bus, stopping: asyncio.Event) -> None:
    for seed in itertools.count(2):
        records = log(20, seed)
        for start in range(0, len(records), 20):
            await bus.publish(records[start : start + 20])
            if stopping.is_set():
                return
            await asyncio.sleep(0.05)


@pytest.mark.kills
def test_what_was_killed_goes_on(here, run):
    """SIGKILL while the log is read: the next run goes on where it was. Killed right behind the swap: the next one ends what was begun."""
    given = {"kafka": here.kafka, "database": here.database.get_secret_value(), "config": here.config, "prefix": here.prefix, "secret": "test"}

    async def main():
        async with running(here) as analytics:
            await analytics.counts(log(1_000))
            await spoil(analytics)
            process = await asyncio.create_subprocess_exec(
                PARLEY, "replay", "analytics", env=environment(**given, batch=5), stdout=subprocess.DEVNULL
            )
            await until(lambda: begun(here), "the log is being read", 60)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            killed = await schemas(here)
            async with replaying(here) as one:
                rest = await one._made(None, 0)
                await analytics.counts(log(50, seed=2))
                await one._swap()
            swapped = await schemas(here)
            await replayed(here)
            (rest,) = (reading for reading in rest if reading.stage.name == "analytics")
            return killed, rest, swapped, await schemas(here), await differing(here)

    killed, rest, swapped, left, differ = run(main())

    assert {"analytics", "analytics_next"} == killed
    assert {"analytics", "analytics_before"} == swapped
    assert {"analytics"} == left
    assert 0 < rest.records < sum(topic in rest.stage.topics for topic, *_ in log(1_000)), "only what was left was read"
    assert {} == differ


async def begun(settings) -> bool:
    """Whether a replay has come further than its beginning."""
    connection = await database.single(settings.database.get_secret_value(), "analytics")
    try:
        if not await rebuild.noted(connection):
            return False
        return sum([sum(places.values()) for places in (await rebuild.standing(connection, rebuild.NEXT)).values()]) > 100
    finally:
        await connection.close()


def test_where_the_beginning_is_gone_the_rest_is_read_over_what_was_counted(here, run):
    """Without a moment it is refused in a sentence; with one, what was counted stays, and what was not, though the log has it, comes in."""

    async def main():
        async with running(here) as analytics:
            await analytics.counts(log(200))
            await forget_all(here)
            before = datetime.now(UTC)
            await analytics.counts(log(200, seed=2))
            right = await analytics.all()
            await analytics.one.context.pool.execute("UPDATE counters SET sent = 0 WHERE false")
            with pytest.raises(SettingsError, match="does not reach back to its beginning .* Say --from"):
                await replayed(here)
            await replayed(here, before - timedelta(minutes=1))
            return right, await analytics.all()

    right, anew = run(main())

    assert right == anew


async def forget_all(settings) -> None:
    """The log loses what it holds, as by retention."""
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    ends = {TopicPartition(*place): one.end for place, one in (await history.held(settings, TOPICS)).items()}
    admin = AIOKafkaAdminClient(**connecting.options(settings))
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in ends.items()})
    finally:
        await admin.close()


def test_what_cannot_be_processed_is_passed_over_and_counted(here, run):
    """A record that is no event, and one at which the stage stumbles, are in the dead letters already; all others are read."""

    async def main():
        async with running(here) as analytics:
            records = log(50)
            await analytics.counts([*records, ("parley.deliveries", b"k", [("ce_id", b"x")], b"nonsense"), *log(50, seed=2)])
            async with replaying(here) as one:
                readings = await one.run(None)
            return sum(reading.dead for reading in readings if reading.stage.name == "analytics"), await differing(here)

    assert (1, {}) == run(main())


def test_only_one_replays_at_a_time(here, run):
    """The second is refused in a sentence."""

    async def main():
        async with running(here), replaying(here):
            with pytest.raises(SettingsError, match="another replay of analytics is running"):
                await replayed(here)

    run(main())


@pytest.mark.parametrize("words, why", [
    (("--account", "sms"), "--account sms: numbers are made anew for all tenants"),
    (("--from", "yesterday"), "--from 'yesterday' is no time"),
    ((), "start `parley analytics` of this version first"),
])  # fmt: skip
def test_a_replay_that_makes_no_sense_is_refused_in_a_sentence(here, empty_database, words, why):
    """Exit status 2, nothing read."""
    done = parley("replay", "analytics", *words, kafka=here.kafka, database=empty_database, config=here.config, secret="test")

    assert (2, True) == (done.returncode, why in done.stderr), done.stderr


def test_the_command_says_what_it_did(here, run):
    """A dry run says where the numbers differ and changes nothing; then it is done for good."""
    given = {"kafka": here.kafka, "database": here.database.get_secret_value(), "config": here.config, "prefix": here.prefix, "secret": "test"}

    async def main():
        async with running(here) as analytics:
            await analytics.counts(log(100))
            right = await analytics.all()
            await spoil(analytics)
            wrong = await analytics.all()
            dry = await asyncio.to_thread(parley, "replay", "analytics", "--dry-run", **given)
            still = await analytics.all()
            done = await asyncio.to_thread(parley, "replay", "analytics", "--from", T0.isoformat(), **given)
            return dry, done, wrong == still, right == await analytics.all()

    dry, done, untouched, mended = run(main())

    assert (0, 0) == (dry.returncode, done.returncode), dry.stderr + done.stderr
    assert (True, True) == (untouched, mended)
    assert "counters" in dry.stdout
    assert "analytics" in done.stdout

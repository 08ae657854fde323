"""The bus keeps the order in which records were handed to it, however many at once; and it lets go of a Kafka that is silent, with all that hangs on it."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError

from parley.bus import TOGETHER, Bus, BusUnavailable, TopicsRefused
from parley.contracts import TOPICS
from parley.local import free_port
from parley.settings import Settings
from tests.conftest import until
from tests.half import MAKE, METADATA, PRODUCE, PRODUCER_ID, VERSIONS, Half, half
from tests.ingesting import records
from tests.own_tls import server_tls

TOPIC = "parley.raw"
ONE = [(TOPIC, b"key", [], b"value")]


def bus(kafka: str, **more: str) -> Bus:
    return Bus(Settings(kafka=kafka, database="postgresql://nobody", **more), client="test")


async def nothing_left(one: Half, before: set) -> None:
    """Neither a connection nor a task is left of the producers that came in vain."""

    async def so() -> bool:
        return one.open == 0 and asyncio.all_tasks() <= before

    await until(so, f"all to be let go of: {one.open} connections, {asyncio.all_tasks() - before}", 5)


@pytest.mark.stack
def test_what_is_published_later_is_never_before(settings, run):
    """Of one key, with many publishes under way: single records and batches of our own mixed, those behind a batch that has to wait too."""
    sizes = [1, TOGETHER, 2, 3 * TOGETHER, 1, 1, TOGETHER + 1] * 12

    async def main() -> list[bytes]:
        bus = Bus(settings, client="test")
        await bus.ensure_topics()
        number, publishes = 0, []
        for size in sizes:
            values = [b"%08d" % (number + place) for place in range(size)]
            publishes.append(asyncio.create_task(bus.publish([(TOPIC, b"one", [], value) for value in values])))
            number += size
            await asyncio.sleep(0)
        await asyncio.gather(*publishes)
        await bus.stop()
        return [record.value for record in await records(settings, TOPIC)]

    found = run(main())

    assert sum(sizes) == len(found)
    assert sorted(found) == found


@pytest.mark.stack
@pytest.mark.parametrize("at_once", [1, 100])
def test_topics_that_are_missing_are_made_and_others_stay_as_they_are(settings, run, monkeypatch, at_once):
    """Also where two replicas make them at the same time."""
    monkeypatch.setattr("parley.bus.MADE_AT_ONCE", at_once)

    async def main() -> dict[str, int]:
        ours = [Bus(settings, client=f"test{number}") for number in range(2)]
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
        await admin.start()
        await admin.create_topics([NewTopic(settings.prefix + TOPIC, 1, 1)])
        await asyncio.gather(*(one.ensure_topics() for one in ours))
        found: dict[str, int] = {}

        async def known() -> bool:
            told = await admin.describe_topics([settings.prefix + name for name in TOPICS])
            found.update({one["topic"].removeprefix(settings.prefix): len(one["partitions"]) for one in told})
            return all(found.values())

        await until(known, "all topics to be known")
        await admin.close()
        await asyncio.gather(*(one.stop() for one in ours))
        return found

    assert dict.fromkeys(TOPICS, settings.partitions) | {TOPIC: 1} == run(main())


@pytest.mark.stack
def test_topics_that_kafka_does_not_make_are_named(settings, run):
    """Which, why in the broker's own words, and the setting to look at; nothing of it is made."""
    ours = Bus(settings.model_copy(update={"replication": 3}), client="test")

    with pytest.raises(TopicsRefused) as told:
        run(ours.ensure_topics())

    names = ", ".join(sorted(settings.prefix + name for name in TOPICS))
    assert str(told.value).startswith(f"{names} cannot be made (INVALID_REPLICATION_FACTOR: ")
    assert "only 1 broker" in str(told.value) and "Set PARLEY_REPLICATION" in str(told.value)


def test_who_may_not_make_topics_needs_only_that_they_are_there(run):
    """Kafka says "not authorised" of all then, whether they are there or not."""
    refused = [(name, 29, None) for name in TOPICS]

    async def made(there: list[str]) -> None:
        async with half({VERSIONS, METADATA, MAKE}, there, refused) as one:
            await bus(one.address).ensure_topics()

    run(made([*TOPICS]))
    with pytest.raises(TopicsRefused, match=rf"^{TOPICS[-1]} cannot be made \(TOPIC_AUTHORIZATION_FAILED\). Allow the user of PARLEY_KAFKA_USER"):
        run(made([*TOPICS[:-1]]))


@pytest.mark.parametrize("answers", [set(), {VERSIONS}, {VERSIONS, METADATA}], ids=["nothing", "hello", "metadata"])
def test_a_start_that_hangs_is_given_up_and_tried_anew(run, monkeypatch, answers):
    """Wherever Kafka falls silent: whoever publishes hears of it long before the time is up, the next one tries again, and nothing is left of either."""
    monkeypatch.setattr("parley.bus.START_WITHIN", 0.2)

    async def main() -> tuple[str, str, int]:
        async with half(answers) as one:
            ours, before = bus(one.address), asyncio.all_tasks()
            said = []
            for _ in range(2):
                with pytest.raises(BusUnavailable) as told:
                    await ours.publish(ONE, timeout=10)
                said.append(str(told.value))
                del told  # an exception holds what it went through
            await nothing_left(one, before)
            return one.address, *said, one.asked.count(VERSIONS)

    address, first, second, asked = run(main())

    assert first == second
    assert f"Kafka at {address} lets nobody in (no answer within 0.2 s)" in first and "PARLEY_KAFKA" in first
    assert asked >= 2


def test_where_nobody_listens_the_error_says_so(run):
    """What is wrong, where, and what to look at."""
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(BusUnavailable, match=rf"Kafka at {address} lets nobody in \(.*Unable to bootstrap.*\): see .* PARLEY_KAFKA"):
        run(bus(address).publish(ONE, timeout=5))


def test_who_makes_topics_does_not_hang_either(run, monkeypatch):
    """A service that starts beside a silent Kafka says so, and tries anew."""
    monkeypatch.setattr("parley.bus.START_WITHIN", 0.2)

    async def main() -> None:
        async with half({VERSIONS}) as one, asyncio.timeout(5):
            before = asyncio.all_tasks()
            with pytest.raises(KafkaConnectionError, match=rf"Kafka at {one.address} lets nobody in \(no answer within 0.2 s\): see .* PARLEY_KAFKA"):
                await bus(one.address).ensure_topics()
            await nothing_left(one, before)

    run(main())


def test_a_producer_that_hangs_is_let_go_of(run, monkeypatch):
    """aiokafka would try for ever to hand over what it has. Who waits for the same producer hears of its end, and publishes again."""
    monkeypatch.setattr("parley.bus.STOP_WITHIN", 0.2)

    async def main() -> list[str]:
        async with half({VERSIONS, METADATA, PRODUCER_ID}, [TOPIC]) as one:
            ours, before = bus(one.address), asyncio.all_tasks()
            said = await asyncio.gather(*(ours.publish(ONE, timeout=seconds) for seconds in (0.3, 20)), return_exceptions=True)
            await nothing_left(one, before)
            return [str(each) for each in said]

    late, other = run(main())

    assert "has not acknowledged within 0.3 s" in late
    assert "was given up" in other


@pytest.mark.parametrize("trusts", [True, False])
def test_kafka_is_spoken_to_over_tls(run, monkeypatch, tmp_path, trusts):
    """With `PARLEY_KAFKA_SECURITY=SSL`: by who trusts the broker's certificate, and by nobody else."""
    tls, trusted = server_tls(tmp_path)
    monkeypatch.setattr("parley.bus.STOP_WITHIN", 0.1)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted if trusts else tmp_path / "nobody.pem"))

    async def main() -> tuple[list[int], str]:
        async with half({VERSIONS, METADATA, PRODUCER_ID}, [TOPIC], tls=tls) as one:
            ours = bus(one.address, kafka_security="SSL")
            with pytest.raises(BusUnavailable) as told:
                await ours.publish(ONE, timeout=0.5)
            await ours.stop()
            return one.asked, str(told.value)

    asked, said = run(main())

    assert (trusts, [PRODUCE] * trusts) == ("has not acknowledged" in said, asked[-1:])

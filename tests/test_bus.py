"""The bus keeps the order in which records were handed to it, however many at once."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from parley.bus import TOGETHER, Bus
from parley.contracts import TOPICS
from tests.conftest import until
from tests.ingesting import records

TOPIC = "parley.raw"


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

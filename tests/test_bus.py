"""The bus keeps the order in which records were handed to it, however many at once."""

import asyncio

import pytest

from parley.bus import TOGETHER, Bus
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

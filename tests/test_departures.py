"""What is claimed and waits for its moment: nothing more is asked for than may be claimed."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from parley.contracts import Content, Purpose
from parley_sender.departures import Departures
from parley_sender.ledger import Claimed
from parley_sender.pace import Bucket, Pace

T0 = datetime(2026, 11, 25, 12, tzinfo=UTC)


def claimed() -> Claimed:
    return Claimed(uuid4(), uuid4(), Purpose.MARKETING, "u1", Content(text="tea"), 1, 1, 0, 0, 0, None, None, None, "{}", 1, 1)


def test_a_slow_lane_does_not_ask_again_and_again(run):
    """At three a second one message is all that is claimed ahead; while it waits nobody is woken, nor by a turn that claimed nothing."""
    asked: list[bool] = []

    async def main() -> None:
        now = asyncio.get_running_loop().time()
        departures = Departures(Pace(Bucket.empty(3.0, 1, 1.0, now)), lambda: T0, lambda _: None, lambda _: None, lambda: asked.append(True))
        departures.add([claimed()])
        running = asyncio.create_task(departures.run())
        for _ in range(5):
            departures.add([])
            await asyncio.sleep(0)
        running.cancel()

    run(main())

    assert [] == asked

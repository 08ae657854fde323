"""Whether everything has come to rest: nothing unread on the bus, nothing open in the queue, nothing said and not settled, and no change meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from parley import connecting
from parley.database import OUTSIDE
from parley.demo.fleet import SERVICES, Fleet

LOOKS, EVERY = 3, 0.3
"""So many looks in a row must find nothing to do and nothing changed: receipts and events that are on their way show up in between."""
WITHIN = 90.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw. `marks` are figures that grow with whatever is done."""

    lag: int
    open: int
    unsettled: int
    unjudged: int
    unready: tuple[str, ...]
    marks: tuple[int, ...]

    @property
    def restless(self) -> str | None:
        """Why this is no rest, in words; None when it is."""
        found = [f"{count} {what}" for count, what in self._waiting() if count]
        found += [f"{name} not ready" for name in self.unready]
        return ", ".join(found) or None

    def _waiting(self) -> tuple[tuple[int, str], ...]:
        settling = (self.unsettled, "customers' messages not settled"), (self.unjudged, "clicks not judged")
        return (self.lag, "records not read"), (self.open, "deliveries open"), *settling


async def quiet(fleet: Fleet, within: float = WITHIN) -> str | None:
    """Waits until everything is at rest; gives a sentence when it is not within so many seconds."""
    end, before, calm, reason = time.monotonic() + within, None, 0, "nothing could be seen"
    while calm < LOOKS:
        if time.monotonic() > end:
            return f"it did not come to rest within {within:.0f} s: {reason}"
        try:
            seen = await asyncio.wait_for(look(fleet), 20)
        except (*OUTSIDE, KafkaError, aiohttp.ClientError) as error:
            before, calm, reason = None, 0, f"{type(error).__name__}: {error}"
        else:
            calm = calm + 1 if seen.restless is None and (before is None or before.marks == seen.marks) else 0
            before, reason = seen, seen.restless or "something still changes"
        await asyncio.sleep(EVERY)
    return None


async def look(fleet: Fleet) -> Look:
    """One look at the bus, the tables and the twin. Raises what those raise while they are away."""
    connection = await asyncpg.connect(fleet.settings.database.get_secret_value(), timeout=5)
    try:
        cursors = [row for name in SERVICES for row in await connection.fetch(f"SELECT topic, partition, next_offset FROM {name}.cursors")]
        opened = await connection.fetchval("SELECT count(*) FROM sender.deliveries WHERE status = 'queued'")
        unjudged = await connection.fetchval("SELECT count(*) FROM ingest.hits WHERE NOT settled")
    finally:
        await connection.close()
    ends = await _ends(fleet, {TopicPartition(row["topic"], row["partition"]) for row in cursors})
    lag = sum(max(0, ends[TopicPartition(row["topic"], row["partition"])] - row["next_offset"]) for row in cursors)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        # Side by side: each service asks Kafka for its lag, which waits behind its own long poll.
        ready = await asyncio.gather(*(_ready(session, fleet.url(name)) for name in SERVICES))
        unready = tuple(name for name, answer in zip(SERVICES, ready, strict=True) if not answer)
        async with session.get(f"{fleet.url('twin')}/control/summary") as answer:
            total = (await answer.json())["total"]
    return Look(lag, opened, _unsettled(total), unjudged, unready, (*sorted(ends.values()), *(total[name] for name in sorted(total))))


def _unsettled(total: Mapping[str, Any]) -> int:
    """Customers' messages that were said and are neither taken nor given up."""
    count = {name: int(total.get(name, 0)) for name in ("said", "said_acknowledged", "said_refused", "said_given_up")}
    return count["said"] - count["said_acknowledged"] - count["said_refused"] - count["said_given_up"]


async def _ends(fleet: Fleet, places: set[TopicPartition]) -> dict[TopicPartition, int]:
    """The end of each partition that a stage reads."""
    if not places:
        return {}
    consumer = AIOKafkaConsumer(enable_auto_commit=False, request_timeout_ms=5000, **connecting.options(fleet.settings))
    await consumer.start()
    try:
        return {place: int(end) for place, end in (await consumer.end_offsets(sorted(places))).items()}
    finally:
        await consumer.stop()


async def _ready(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(f"{url}/readyz") as answer:
        return answer.status == 200

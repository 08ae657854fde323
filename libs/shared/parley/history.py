"""What topics hold: read once, from a time or a place to a present end, without a group and without moving anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from parley import connecting
from parley.cursor import Place
from parley.settings import Settings

SILENT = 30.0
"""Seconds without a record, short of the end, after which Kafka is given up."""


class Stretch(NamedTuple):
    """Some records, in order within a partition; `done` of `total` have been read with them."""

    records: Sequence[ConsumerRecord]
    done: int
    total: int


class Held(NamedTuple):
    """What the log holds of a partition: its first offset, the first one since a moment (its end where there is none), and its end."""

    first: int
    since: int
    end: int


async def read(settings: Settings, topic: str, since: datetime | None = None) -> AsyncIterator[Stretch]:
    """The records of a topic of the contract that came onto the bus since then. Raises KafkaError and TimeoutError."""
    spans = {place: (one.since, one.end) for place, one in (await held(settings, [topic], since)).items()}
    async for stretch in between(settings, spans):
        yield stretch


async def held(settings: Settings, topics: Iterable[str], since: datetime | None = None) -> dict[Place, Held]:
    """What the log holds of these topics of the contract, by partition. Raises KafkaError and TimeoutError."""
    consumer = _reader(settings)
    await consumer.start()
    try:
        names = [settings.prefix + topic for topic in topics]
        places = [TopicPartition(name, one) for name in names for one in sorted(await partitions(consumer, name))]
        if not places:
            return {}
        firsts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        starts = firsts if since is None else await _since(consumer, ends, since)
        return {Place(one.topic, one.partition): Held(firsts[one], starts[one], ends[one]) for one in places}
    finally:
        await consumer.stop()


async def between(settings: Settings, spans: Mapping[Place, tuple[int, int]]) -> AsyncGenerator[Stretch]:
    """The records from the first offset up to but without the second, by partition. Raises KafkaError and TimeoutError.

    What is gone from the log by now is missing. A stretch has no more records than a step of a service.
    """
    ends = {TopicPartition(*place): end for place, (start, end) in spans.items() if start < end}
    if not ends:
        return
    consumer = _reader(settings)
    await consumer.start()
    try:
        consumer.assign(list(ends))
        for one in ends:
            consumer.seek(one, spans[Place(one.topic, one.partition)][0])
        total, done, todo = sum(end - spans[Place(*one)][0] for one, end in ends.items()), 0, set(ends)
        while todo:
            async with asyncio.timeout(SILENT):
                batches = await consumer.getmany(*todo, timeout_ms=1000, max_records=settings.batch)
            found = [record for one, batch in batches.items() for record in batch if record.offset < ends[one]]
            todo = {one for one in todo if await consumer.position(one) < ends[one]}
            done += len(found)
            if found:
                yield Stretch(found, done if todo else total, total)
    finally:
        await consumer.stop()


def _reader(settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **connecting.options(settings))


async def partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    """The partitions of a topic; none where it does not exist."""
    await consumer._client.force_metadata_update()
    consumer.subscribe([topic])
    found = consumer.partitions_for_topic(topic)
    for _ in range(20):
        if found:
            break
        await asyncio.sleep(0.1)
        found = consumer.partitions_for_topic(topic)
    consumer.unsubscribe()
    return found or set()


async def _since(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], since: datetime) -> dict[TopicPartition, int]:
    """The first offset of each partition since then; its end where there is none."""
    found = await consumer.offsets_for_times(dict.fromkeys(ends, int(since.timestamp() * 1000)))
    return {one: at.offset if at is not None else ends[one] for one, at in found.items()}

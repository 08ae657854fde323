"""What a topic holds: read once, from a time to its present end, without a group and without moving anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from parley.settings import Settings

SILENT = 30.0
"""Seconds without a record, short of the end, after which Kafka is given up."""


class Stretch(NamedTuple):
    """Some records, in order within a partition; `done` of `total` have been read with them."""

    records: Sequence[ConsumerRecord]
    done: int
    total: int


async def read(settings: Settings, topic: str, since: datetime | None = None) -> AsyncIterator[Stretch]:
    """The records of a topic of the contract that came onto the bus since then. Raises KafkaError and TimeoutError."""
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **settings.kafka_options())
    await consumer.start()
    try:
        places = [TopicPartition(settings.prefix + topic, one) for one in await partitions(consumer, settings.prefix + topic)]
        if not places:
            return
        ends = await consumer.end_offsets(places)
        starts = await _starts(consumer, places, since)
        todo = {one: end for one, end in ends.items() if (starts[one] if starts[one] is not None else end) < end}
        consumer.assign(list(todo))
        for one in todo:
            consumer.seek(one, starts[one])
        total, done = sum(end - (starts[one] or 0) for one, end in todo.items()), 0
        while todo:
            async with asyncio.timeout(SILENT):
                batches = await consumer.getmany(*todo, timeout_ms=1000)
            found = [record for one, batch in batches.items() for record in batch if record.offset < ends[one]]
            todo = {one: end for one, end in todo.items() if await consumer.position(one) < end}
            done += len(found)
            if found:
                yield Stretch(found, done if todo else total, total)
    finally:
        await consumer.stop()


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


async def _starts(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], since: datetime | None) -> dict[TopicPartition, int | None]:
    """The first offset of each partition since then; None where there is none."""
    if since is None:
        return dict(await consumer.beginning_offsets(places))
    found = await consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1000)))
    return {one: at.offset if at is not None else None for one, at in found.items()}

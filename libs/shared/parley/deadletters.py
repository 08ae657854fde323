"""The dead letters, read for people: when, from where, why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from rich.console import Console
from rich.table import Table

from parley.contracts import DEAD_TOPIC
from parley.settings import Settings


async def newest(settings: Settings, limit: int) -> list[ConsumerRecord]:
    """The newest `limit` dead letters, the newest first."""
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **settings.kafka_options())
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.prefix + DEAD_TOPIC, one) for one in (await _partitions(consumer, settings.prefix + DEAD_TOPIC))]
        ends = await consumer.end_offsets(partitions) if partitions else {}
        consumer.assign(partitions)
        for one, end in ends.items():
            consumer.seek(one, max(0, end - limit))
        found: list[ConsumerRecord] = []
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            batches = await asyncio.wait_for(consumer.getmany(timeout_ms=1000), 30)
            found += [record for batch in batches.values() for record in batch]
        return sorted(found, key=lambda record: record.timestamp, reverse=True)[:limit]
    finally:
        await consumer.stop()


async def show(settings: Settings, limit: int) -> None:
    """Prints them as a table."""
    table = Table("when", "id", "stage", "from", "why")
    for record in await newest(settings, limit):
        said = {name: raw.decode(errors="replace") for name, raw in record.headers}
        place = f"{said.get('topic')}/{said.get('partition')}@{said.get('offset')}"
        when = datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="seconds")
        table.add_row(when, said.get("ce_id", ""), said.get("stage", ""), place, said.get("error", ""))
    Console().print(table)


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
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

"""The dead letters, read for people: when, from where, why; and sent again once the cause is mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from rich.console import Console
from rich.table import Table
from rich.text import Text

from parley import connecting, history
from parley.bus import Bus
from parley.contracts import DEAD_TOPIC, Record
from parley.settings import Settings

SAYING = 5
"""Headers that a dead letter has more than the event: error, stage, topic, partition, offset."""


async def newest(settings: Settings, limit: int) -> list[ConsumerRecord]:
    """The newest `limit` dead letters, the newest first."""
    consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **connecting.options(settings))
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.prefix + DEAD_TOPIC, one) for one in await history.partitions(consumer, settings.prefix + DEAD_TOPIC)]
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
        said = _said(record)
        place = f"{said.get('topic')}/{said.get('partition')}@{said.get('offset')}"
        when = datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="seconds")
        table.add_row(when, said.get("ce_id", ""), said.get("stage", ""), place, said.get("error", ""))
    Console().print(table)


async def inspect(settings: Settings, event_id: str) -> bool:
    """Prints everything of the dead letters of one event, what it says too. False when there is none."""
    found = await _chosen(settings, lambda said: said.get("ce_id") == event_id)
    for record in found:
        table = Table("what", "value", title=f"dead letter {record.partition}@{record.offset}")
        for name, value in {**_said(record), "value": (record.value or b"").decode(errors="replace")}.items():
            table.add_row(name, Text(value))
        Console().print(table)
    return bool(found)


async def retry(settings: Settings, *, event_id: str | None = None, stage: str | None = None) -> int:
    """Puts the events back onto the topics that they came from, each once, in the order in which they died; gives how many.

    An event brings the place of its dead letter as its origin: to send the same letter twice has no second effect.
    """
    found = await _chosen(settings, lambda said: (event_id in (None, said.get("ce_id"))) and (stage in (None, said.get("stage"))))
    latest: dict[tuple[str, str], ConsumerRecord] = {}
    for record in found:
        said = _said(record)
        which = said["stage"], said.get("ce_id") or f"{record.partition}@{record.offset}"
        latest.pop(which, None)  # it died again: then its last letter counts, at its own place
        latest[which] = record
    bus = Bus(settings, client="parley-dead")
    try:
        await bus.publish([_again(record, settings.prefix) for record in latest.values()])
    finally:
        await bus.stop()
    return len(latest)


async def _chosen(settings: Settings, wanted: Callable[[Mapping[str, str]], bool]) -> list[ConsumerRecord]:
    """The dead letters that are wanted, in order within a partition."""
    return [record async for stretch in history.read(settings, DEAD_TOPIC) for record in stretch.records if wanted(_said(record))]


def _again(record: ConsumerRecord, prefix: str) -> Record:
    said = _said(record)
    kept = [(name, raw) for name, raw in record.headers[:-SAYING] if name != "ce_origin"]
    origin = f"retry:{record.topic}:{record.partition}:{record.offset}:0"
    return said["topic"].removeprefix(prefix), record.key or b"", [*kept, ("ce_origin", origin.encode())], record.value or b""


def _said(record: ConsumerRecord) -> dict[str, str]:
    return {name: raw.decode(errors="replace") for name, raw in record.headers}

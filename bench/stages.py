"""Stages at full speed: a real `Stream` over a filled log, and the bare loops that do the least with the same records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from bench.ground import Ground, empty
from parley import connecting, database
from parley.bus import Bus
from parley.metrics import Metrics
from parley.service import Context, Service
from parley.settings import Settings
from parley.stream import Stream

WITHIN = 180.0
"""Seconds after which a round is given up: something is broken then, and a figure would say nothing."""


class Timed(Stream):
    """A stream that knows when its first batch came and when the cursors reached the end of the log."""

    def __init__(self, *args: Any, total: int) -> None:
        super().__init__(*args)
        self.began = self.ended = 0.0
        self.done = asyncio.Event()
        self._total = total

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        self.began = self.began or time.perf_counter()
        await super().handle(records)
        if sum(self._cursors.values()) >= self._total and not self.done.is_set():
            self.ended = time.perf_counter()
            self.done.set()


async def through_stream(ground: Ground, service: Service, total: int) -> float:
    """Events a second of a service's first stage over the `total` records on its topics, from an empty schema; every effect committed and published."""
    await empty(ground.settings, service.name)
    return await following(ground, service, total, total)


async def following(ground: Ground, service: Service, new: int, total: int) -> float:
    """As `through_stream`, over the `new` records at the end of topics that hold `total` by now: it goes on where it stood."""
    settings = ground.settings
    pool = await database.connect(settings.database.get_secret_value(), service.name)
    await database.migrate(pool, service.name, *service.packages)
    bus = Bus(settings, client="bench")
    context = Context(settings, ground.premises.config, pool, bus, Metrics())
    stage = (await service.build(context)).stages[0]
    stream = Timed(stage, pool, bus, settings, context.metrics, context.clock, total=total)
    try:
        await bus.broker.start()
        await asyncio.wait_for(stream.done.wait(), WITHIN)
    finally:
        await stream.stop()
        await bus.stop()
        await pool.close()
    return new / (stream.ended - stream.began)


async def bare(settings: Settings, topics: Sequence[str], total: int, write_to: str | None = None) -> float:
    """Records a second of a bare loop: read a batch, decode the JSON, and with `write_to` send one record for each and wait for all of them."""
    consumer = AIOKafkaConsumer(auto_offset_reset="earliest", enable_auto_commit=False, **connecting.options(settings))
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, max_batch_size=131_072, linger_ms=0, **connecting.options(settings))
    await consumer.start()
    await producer.start()
    try:
        names = [settings.prefix + topic for topic in topics]
        consumer.assign([TopicPartition(name, number) for name in names for number in range(settings.partitions)])
        return await asyncio.wait_for(_loop(consumer, producer, settings, total, settings.prefix + write_to if write_to else None), WITHIN)
    finally:
        await consumer.stop()
        await producer.stop()


async def _loop(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, settings: Settings, total: int, write_to: str | None) -> float:
    began, taken = 0.0, 0
    while taken < total:
        found = await consumer.getmany(timeout_ms=1000, max_records=settings.batch)
        began = began or time.perf_counter()
        records = [record for part in found.values() for record in part]
        for record in records:
            orjson.loads(record.value)
        if write_to is not None:
            await asyncio.gather(*[await producer.send(write_to, record.value, key=record.key) for record in records])
        taken += len(records)
    return total / (time.perf_counter() - began)

"""The edge over HTTP, signatures checked, against bare `send_and_wait`; and the time of its answer at half load."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from aiokafka import AIOKafkaProducer

from bench.ground import Ground, environment, ground
from bench.load import closed_loop, open_loop
from bench.measure import Comparison, Finding, Latency, alternate, schedule
from bench.webhooks import Webhook, webhooks
from parley.contracts import Record
from parley.demo.fleet import Child
from parley.settings import Settings

REQUESTS = 12_000
IN_FLIGHT = 200
OPEN_SECONDS = 10.0
ROOT = Path(__file__).parents[1]


class Door(Child):
    """The door alone as a process (see `bench.door`)."""

    def __init__(self, here: Ground) -> None:
        port = urlsplit(here.premises.config.accounts["acme-sms"].public_url or "").port
        assert port is not None, "premises give every account a hook"
        super().__init__("ingest", port, here.fleet.logs / "door.log", (), environment(here, port, PYTHONPATH=str(ROOT)), "/readyz")
        self._command = [sys.executable, "-m", "bench.door"]


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """The door alone against the floor, then at half of what it held."""
    async with ground(settings) as here:
        fresh = (webhooks(here.premises.config, REQUESTS, place * REQUESTS) for place in count())
        records = [one.record(here.premises.config) for one in next(fresh)]
        door = Door(here)
        await door.start()
        try:
            ours, floor = await alternate(
                lambda: closed_loop(door.url, [one.raw() for one in next(fresh)], IN_FLIGHT), lambda: _bare(here.settings, records), rounds
            )
            times = await _half(door.url, fresh, ours.median / 2)
        finally:
            await door.stop()
    floor_is = f"aiokafka: send_and_wait of the same records, {IN_FLIGHT} in flight"
    return [
        Comparison("edge_vs_send_and_wait", f"ingest: the edge over HTTP, {IN_FLIGHT} in flight", "requests/s", ours, floor, floor_is, target=0.3),
        Latency("edge", "ingest: the edge's answer at half load", "requests/s", ours.median / 2, ours.median, times),
    ]


async def _half(url: str, fresh: Iterator[list[Webhook]], rate: float) -> Sequence[float]:
    due = list(schedule(rate, OPEN_SECONDS))
    requests = [one.raw() for _ in range(1 + len(due) // REQUESTS) for one in next(fresh)]
    return await open_loop(url, requests[: len(due)], due, IN_FLIGHT)


async def _bare(settings: Settings, records: Sequence[Record]) -> float:
    """Records a second of as many senders as there are requests in flight, each waiting for its record before the next."""
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, max_batch_size=131_072, linger_ms=0, **settings.kafka_options())
    waiting = iter(records)

    async def send() -> None:
        for topic, key, headers, value in waiting:
            await producer.send_and_wait(settings.prefix + topic, value, key=key, headers=headers)

    await producer.start()
    try:
        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
        return len(records) / (time.perf_counter() - began)
    finally:
        await producer.stop()

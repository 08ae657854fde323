"""The edge over HTTP, signatures checked, against bare `send_and_wait`; and the time of its answer at half load."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from aiokafka import AIOKafkaProducer

from bench.ground import Ground, environment, ground
from bench.load import closed_loop, open_loop
from bench.measure import Comparison, Finding, Latency, Series, alternate, schedule
from bench.webhooks import Webhook, webhooks
from parley import connecting
from parley.contracts import Record
from parley.demo.fleet import Child
from parley.local import free_port
from parley.settings import Settings

REQUESTS = 12_000
IN_FLIGHT = 200
OPEN_SECONDS = 10.0
ROOT = Path(__file__).parents[1]


class Door(Child):
    """The door alone as a process (see `bench.door`): a replica of ingest, as far as the load is concerned."""

    def __init__(self, here: Ground) -> None:
        port = free_port()
        super().__init__("ingest", port, here.fleet.logs / f"door-{port}.log", (), environment(here, port, PYTHONPATH=str(ROOT)), "/readyz")
        self._command = [sys.executable, "-m", "bench.door"]


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """One replica and two of them against the floor, then two at half of what they held."""
    async with ground(settings) as here, contextlib.AsyncExitStack() as stack:
        fresh = (webhooks(here.premises.config, REQUESTS, place * REQUESTS) for place in count())
        records = [one.record(here.premises.config) for one in next(fresh)]
        urls: list[str] = []

        async def started() -> None:
            door = Door(here)
            await door.start()
            stack.push_async_callback(door.stop)
            urls.append(door.url)

        async def compared() -> tuple[Series, Series]:
            ours = lambda: closed_loop(urls, [one.raw() for one in next(fresh)], IN_FLIGHT)  # noqa: E731
            return await alternate(ours, lambda: _bare(here.settings, records), rounds)

        await started()
        alone = await compared()
        await started()
        both = await compared()
        rate = both[0].median
        times = await _half(urls, fresh, rate / 2)
    floor_is = f"aiokafka: send_and_wait of the same records, {IN_FLIGHT} in flight"
    return [
        Comparison(
            "edge_vs_send_and_wait", f"ingest: the edge over HTTP, two replicas, {IN_FLIGHT} in flight", "requests/s", *both, floor_is, target=0.3
        ),
        Comparison("edge_alone_vs_send_and_wait", "ingest: the same with one replica", "requests/s", *alone, floor_is),
        Latency("edge", "ingest: the edge's answer at half load, two replicas", "requests/s", rate / 2, rate, times),
    ]


async def _half(urls: Sequence[str], fresh: Iterator[list[Webhook]], rate: float) -> Sequence[float]:
    due = list(schedule(rate, OPEN_SECONDS))
    requests = [one.raw() for _ in range(1 + len(due) // REQUESTS) for one in next(fresh)]
    return await open_loop(urls, requests[: len(due)], due, IN_FLIGHT)


async def _bare(settings: Settings, records: Sequence[Record]) -> float:
    """Records a second of as many senders as there are requests in flight, each waiting for its record before the next."""
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, max_batch_size=131_072, linger_ms=0, **connecting.options(settings))
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

"""Analytics, every fact counted, against a loop that only reads and decodes: by one replica, which is one core at most, and by two."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count

import asyncpg

from bench.ground import Ground, environment, fill, ground
from bench.measure import Comparison, Finding, alternate
from bench.stages import WITHIN, bare, through_stream
from bench.traffic import fates
from parley.contracts import Record
from parley.demo.fleet import Child
from parley.local import free_port
from parley.settings import Settings
from parley_analytics.app import SERVICE
from parley_analytics.stage import Count

MESSAGES, CONTACTS = 15_000, 10_000
TARGET_RATE = 15_000
"""Events a second that suffice, whatever the floor does."""
LOOK = 0.02
"""Seconds between two looks at the cursors."""


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """The stage over the fates of messages, from empty tables; then two whole services, with all their stages and workers, over those of others."""
    records = fates(MESSAGES, CONTACTS)
    fresh = (fates(MESSAGES, CONTACTS, seed=place, first=place * MESSAGES) for place in count(1))
    async with ground(settings) as here:
        await fill(here.settings, records)
        one = await alternate(lambda: through_stream(here, SERVICE, len(records)), lambda: _least(here, len(records)), rounds)
    async with ground(settings) as here, _replicas(here) as pids:
        await _taken(here, pids, records)
        two = await alternate(lambda: _taken(here, pids, next(fresh)), lambda: _least(here, len(records)), rounds)
    floor_is = "aiokafka: getmany, orjson"
    return [
        Comparison("analytics_alone_vs_bare", "analytics: facts and counters, one replica", "events/s", *one, floor_is),
        Comparison("analytics_vs_bare", "analytics: the same, two replicas", "events/s", *two, floor_is, target=0.5, or_rate=TARGET_RATE),
    ]


async def _least(here: Ground, total: int) -> float:
    """The floor, over as many records."""
    return await bare(here.settings, Count.topics, total)


@contextlib.asynccontextmanager
async def _replicas(here: Ground) -> AsyncIterator[Sequence[int]]:
    """Two replicas of the service, ready; gives their processes."""
    ports = (free_port(), free_port())
    children = [Child("analytics", port, here.fleet.logs / f"analytics-{port}.log", (), environment(here, port), "/readyz") for port in ports]
    async with contextlib.AsyncExitStack() as stack:
        for child in children:
            await child.start()
            stack.push_async_callback(child.stop)
        yield [pid for child in children if (pid := child.pid)]


async def _taken(here: Ground, pids: Sequence[int], records: Sequence[Record]) -> float:
    """Events a second by services that are halted until all of the records are on the bus."""
    connection = await asyncpg.connect(here.settings.database.get_secret_value())
    try:
        before = await _done(connection)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            await fill(here.settings, records)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        began = time.perf_counter()
        async with asyncio.timeout(WITHIN):
            while await _done(connection) < before + len(records):
                await asyncio.sleep(LOOK)
        return len(records) / (time.perf_counter() - began)
    finally:
        await connection.close()


async def _done(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """Events behind the cursors of the stage."""
    return int(await connection.fetchval("SELECT COALESCE(sum(next_offset), 0) FROM analytics.cursors WHERE stage = 'analytics'"))

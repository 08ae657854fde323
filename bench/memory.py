"""Memory of a whole ingest, doors and stages, while a million events go through it: sampled whenever all that came is normalised."""

from __future__ import annotations

import asyncio

import asyncpg

from bench.ground import Ground, environment, ground
from bench.load import closed_loop
from bench.measure import Finding, Memory, Sample
from bench.webhooks import webhooks
from parley.contracts import RawReceived
from parley.demo.fleet import Child
from parley.local import free_port
from parley.settings import Settings

EVENTS, SLICE = 1_000_000, 20_000
PEOPLE = 50_000
"""Who write: as many contacts, each of them again and again."""
IN_FLIGHT = 50
WITHIN = 600.0
"""Seconds that a slice may take to be normalised."""


async def run(settings: Settings, _: int, events: int = EVENTS, slice_: int = SLICE) -> list[Finding]:
    """One ingest, so many events, slice by slice; a sample after each."""
    async with ground(settings) as here:
        port = free_port()
        ingest = Child("ingest", port, here.fleet.logs / "memory.log", (), environment(here, port), "/readyz")
        await ingest.start()
        try:
            samples = [Sample(0, await _held(ingest))]
            for first in range(0, events, slice_):
                requests = [one.raw() for one in webhooks(here.premises.config, slice_, first, people=PEOPLE)]
                await closed_loop([ingest.url], requests, IN_FLIGHT)
                await asyncio.wait_for(_normalised(here, first + slice_), WITHIN)
                samples.append(Sample(first + slice_, await _held(ingest)))
        finally:
            await ingest.stop()
    return [Memory(tuple(samples))]


async def _held(child: Child) -> int:
    """The bytes of memory that the process has, as the system counts them."""
    asked = await asyncio.create_subprocess_exec("ps", "-o", "rss=", "-p", str(child.pid), stdout=asyncio.subprocess.PIPE)
    told, _ = await asked.communicate()
    return int(told) * 1024


async def _normalised(here: Ground, events: int) -> None:
    """Returns once the cursors say that so many are done."""
    connection = await asyncpg.connect(here.settings.database.get_secret_value())
    try:
        query = "SELECT sum(next_offset) FROM ingest.cursors WHERE stage = 'normalise' AND topic = $1"
        while (await connection.fetchval(query, here.settings.prefix + RawReceived.topic) or 0) < events:
            await asyncio.sleep(0.2)
    finally:
        await connection.close()

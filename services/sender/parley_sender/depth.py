"""How the sender stands, as gauges from its tables: what waits and how long, what is unknown, how lanes are set. Each replica tells of all of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import structlog
from prometheus_client import Gauge

from parley.database import OUTSIDE
from parley.service import Context

EVERY, SHARE = 10.0, 30
"""Seconds between two looks, at least; and at least so many times as long as a look takes: at a million messages that is a minute."""
PAGES, PAUSE = 500, 0.05
"""Pages of the queue that are counted at once (some 30,000 messages, in a few milliseconds), and seconds between: who counts a million in one go takes both
cores of a small server for a fifth of a second, and each reply in it waits."""
BLOCKS = "SELECT pg_relation_size('queue') / current_setting('block_size')::int"
WAITING = """SELECT part AS lane, purpose, sum(depth)::bigint AS depth, min(since) AS since FROM (
               SELECT line, count(*) AS depth, min(due_at) AS since FROM queue WHERE ctid >= $1 AND ctid < $2 AND state <> 'calling' GROUP BY line) AS waiting
           JOIN lines USING (line) GROUP BY part, purpose"""
LANES = "SELECT lane, paused_by IS NOT NULL AS paused, coalesce(broken_until > $1, false) AS broken FROM lanes"
UNKNOWN = "SELECT tenant, count(*) AS count, min(changed_at) AS since FROM deliveries WHERE status = 'unknown' GROUP BY tenant"
OUTBOX = "SELECT count(*) AS count, min(at) AS since FROM outbox"

Labels = tuple[str, ...]

log = structlog.get_logger()


@dataclass
class Depth:
    """The worker that keeps `parley_queue_*`, `parley_lane_*`, `parley_unknown*` and `parley_outbox_*`."""

    context: Context
    _shown: set[tuple[Gauge, Labels]] = field(default_factory=set)

    async def run(self, stopping: asyncio.Event) -> None:
        """Refreshes until the stop. While the database is away the last figures stay."""
        while not stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self.refresh()
            except OUTSIDE as error:
                log.warning("gauges of the sender not refreshed", cause=f"{type(error).__name__}: {error}")
            took = asyncio.get_running_loop().time() - began
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), min(60.0, max(EVERY, SHARE * took)))

    async def refresh(self) -> None:
        """Sets what stands in the tables; a lane that ran empty, and a tenant of whom nothing is unknown any more, go to 0."""
        pool, metrics, now = self.context.pool, self.context.metrics, self.context.clock()
        depths, since = await self._waiting()
        unknown, lanes, outbox = await pool.fetch(UNKNOWN), await pool.fetch(LANES, now), await pool.fetchrow(OUTBOX)
        self._set(metrics.queue_depth, depths)
        self._set(metrics.queue_age_seconds, {labels: _seconds(at, now) for labels, at in since.items()})
        self._set(metrics.unknown, {(row["tenant"],): row["count"] for row in unknown})
        self._set(metrics.unknown_age_seconds, {(row["tenant"],): _age(row, now) for row in unknown})
        self._set(metrics.lane_paused, {(row["lane"],): row["paused"] for row in lanes})
        self._set(metrics.lane_circuit_open, {(row["lane"],): row["broken"] for row in lanes})
        metrics.outbox_entries.set(outbox["count"] if outbox else 0)
        metrics.outbox_age_seconds.set(_age(outbox, now) if outbox else 0)

    async def _waiting(self) -> tuple[dict[Labels, int], dict[Labels, datetime]]:
        """How many wait by lane and purpose, and since when the first does; page after page of the queue, so that what moves meanwhile may count twice or not."""
        blocks = await self.context.pool.fetchval(BLOCKS)
        depths: dict[Labels, int] = {}
        since: dict[Labels, datetime] = {}
        for first in range(0, max(1, blocks), PAGES):
            if first:
                await asyncio.sleep(PAUSE)
            for row in await self.context.pool.fetch(WAITING, (first, 0), (first + PAGES, 0)):
                labels = row["lane"], row["purpose"]
                depths[labels] = depths.get(labels, 0) + row["depth"]
                since[labels] = min(since.get(labels, row["since"]), row["since"])
        return depths, since

    def _set(self, gauge: Gauge, found: Mapping[Labels, float]) -> None:
        for labels, value in found.items():
            gauge.labels(*labels).set(value)
        for one, labels in self._shown:
            if one is gauge and labels not in found:
                gauge.labels(*labels).set(0)
        self._shown |= {(gauge, labels) for labels in found}


def _age(row: asyncpg.Record, now: datetime) -> float:
    """Seconds since the oldest; 0 where there is none, or where it is due later."""
    return _seconds(row["since"], now) if row["since"] is not None else 0.0


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())

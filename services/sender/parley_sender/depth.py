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

EVERY = 10.0
"""Seconds between two looks; counting a million rows of an index takes a tenth of one."""
QUEUE = """SELECT part AS lane, purpose, sum(depth)::bigint AS depth, min(since) AS since FROM (
               SELECT line, count(*) AS depth, min(due_at) AS since FROM queue WHERE state <> 'calling' GROUP BY line) AS waiting
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
            try:
                await self.refresh()
            except OUTSIDE as error:
                log.warning("gauges of the sender not refreshed", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

    async def refresh(self) -> None:
        """Sets what stands in the tables; a lane that ran empty, and a tenant of whom nothing is unknown any more, go to 0."""
        pool, metrics, now = self.context.pool, self.context.metrics, self.context.clock()
        queue, unknown, lanes = await pool.fetch(QUEUE), await pool.fetch(UNKNOWN), await pool.fetch(LANES, now)
        outbox = await pool.fetchrow(OUTBOX)
        self._set(metrics.queue_depth, {(row["lane"], row["purpose"]): row["depth"] for row in queue})
        self._set(metrics.queue_age_seconds, {(row["lane"], row["purpose"]): _age(row, now) for row in queue})
        self._set(metrics.unknown, {(row["tenant"],): row["count"] for row in unknown})
        self._set(metrics.unknown_age_seconds, {(row["tenant"],): _age(row, now) for row in unknown})
        self._set(metrics.lane_paused, {(row["lane"],): row["paused"] for row in lanes})
        self._set(metrics.lane_circuit_open, {(row["lane"],): row["broken"] for row in lanes})
        metrics.outbox_entries.set(outbox["count"] if outbox else 0)
        metrics.outbox_age_seconds.set(_age(outbox, now) if outbox else 0)

    def _set(self, gauge: Gauge, found: Mapping[Labels, float]) -> None:
        for labels, value in found.items():
            gauge.labels(*labels).set(value)
        for one, labels in self._shown:
            if one is gauge and labels not in found:
                gauge.labels(*labels).set(0)
        self._shown |= {(gauge, labels) for labels in found}


def _age(row: asyncpg.Record, now: datetime) -> float:
    """Seconds since the oldest; 0 where there is none, or where it is due later."""
    return max(0.0, (now - row["since"]).total_seconds()) if row["since"] is not None else 0.0

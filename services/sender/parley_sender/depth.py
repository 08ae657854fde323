"""How much waits, and how long: gauges by lane and purpose, refreshed from the queue's index."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog

from parley.database import OUTSIDE
from parley.service import Context

EVERY = 10.0
"""Seconds between two looks; counting a million rows of an index takes a tenth of one."""

log = structlog.get_logger()


@dataclass
class Depth:
    """The worker that keeps `parley_queue_depth` and `parley_queue_age_seconds`."""

    context: Context
    _shown: set[tuple[str, str]] = field(default_factory=set)

    async def run(self, stopping: asyncio.Event) -> None:
        """Refreshes until the stop. While the database is away the last figures stay."""
        while not stopping.is_set():
            try:
                await self.refresh()
            except OUTSIDE as error:
                log.warning("queue depth not refreshed", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

    async def refresh(self) -> None:
        """Sets what waits; a lane that ran empty goes to 0."""
        rows = await self.context.pool.fetch(
            "SELECT part AS lane, purpose, sum(depth)::bigint AS depth, min(since) AS since FROM ("
            "  SELECT line, count(*) AS depth, min(due_at) AS since FROM queue WHERE state <> 'calling' GROUP BY line) AS waiting"
            " JOIN lines USING (line) GROUP BY part, purpose"
        )
        now, metrics = self.context.clock(), self.context.metrics
        found = {(row["lane"], row["purpose"]): row for row in rows}
        for labels in self._shown | found.keys():
            row = found.get(labels)
            metrics.queue_depth.labels(*labels).set(row["depth"] if row else 0)
            metrics.queue_age_seconds.labels(*labels).set(max(0.0, (now - row["since"]).total_seconds()) if row else 0)
        self._shown |= found.keys()

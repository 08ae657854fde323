"""The rates of recent campaigns as Prometheus gauges, refreshed from the counters; a bounded number of series, and none that stays for ever."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from parley.database import OUTSIDE
from parley.service import Context
from parley_analytics.rates import COUNTS, rates
from parley_analytics.selecting import sums
from parley_analytics.stage import statement

EVERY = 15.0
"""Seconds between two refreshes: the interval at which Prometheus usually comes by."""
RECENT = timedelta(days=7)
CAMPAIGNS = 50
CELLS = 500
"""At most this many campaigns, and combinations of campaign, channel and variant; four series each."""

Labels = tuple[str, str, str, str, str]
"""Tenant, campaign, channel, variant, rate."""

log = structlog.get_logger()


@dataclass
class Gauges:
    """The worker that keeps `parley_campaign_rate`."""

    context: Context
    sql: str = field(default_factory=lambda: statement("recent").format(counts=sums(COUNTS)))
    shown: set[Labels] = field(default_factory=set)

    async def run(self, stopping: asyncio.Event) -> None:
        """Refreshes until it is stopped. While the database is away the last figures stay."""
        while not stopping.is_set():
            try:
                await self.refresh()
            except OUTSIDE as error:
                log.warning("rates not refreshed", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

    async def refresh(self) -> None:
        """Sets the series of the campaigns that sent something in the last week, and removes all others."""
        gauge = self.context.metrics.campaign_rate
        found: set[Labels] = set()
        for row in await self.context.pool.fetch(self.sql, self.context.clock() - RECENT, CAMPAIGNS, CELLS):
            for name, rate in rates(dict(row)).items():
                if rate is not None:
                    labels = (row["tenant"], row["campaign"], row["channel"], row["variant"], name)
                    gauge.labels(*labels).set(rate.value)
                    found.add(labels)
        for labels in self.shown - found:
            gauge.remove(*labels)
        self.shown = found

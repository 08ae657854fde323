"""The rates of recent campaigns as Prometheus gauges, read as reports are; a bounded number of series, and none that stays for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from parley.config import Tenant
from parley.database import OUTSIDE, Pool
from parley.service import Context
from parley_analytics import selecting
from parley_analytics.query import BY, Query
from parley_analytics.rates import COUNTS, rates
from parley_analytics.reports import asking
from parley_analytics.rollups import COUNTERS

EVERY = 15.0
"""Seconds between two refreshes: the interval at which Prometheus usually comes by."""
RECENT = timedelta(days=7)
AHEAD = timedelta(days=1)
"""By how much the clock of whoever sent a message may be ahead of ours."""
CAMPAIGNS = 50
CELLS = 500
"""At most this many campaigns, and combinations of campaign, channel and variant, of all tenants together."""

Labels = tuple[str, str, str, str, str]
"""Tenant, campaign, channel, variant, rate."""

log = structlog.get_logger()


class Recent(NamedTuple):
    """What a combination of campaign, channel and variant came to lately."""

    tenant: str
    campaign: str
    channel: str
    variant: str
    counts: Mapping[str, int]


@dataclass
class Gauges:
    """The worker that keeps `parley_campaign_rate`."""

    context: Context
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
        for one in await recent(self.context.pool, self.context.config.tenants, self.context.clock()):
            for name, rate in rates(one.counts).items():
                if rate is not None:
                    labels = (one.tenant, one.campaign, one.channel, one.variant, name)
                    gauge.labels(*labels).set(rate.value)
                    found.add(labels)
        for labels in self.shown - found:
            gauge.remove(*labels)
        self.shown = found


async def recent(pool: Pool, tenants: Mapping[str, Tenant], now: datetime) -> list[Recent]:
    """The campaigns that sent most lately, whoever's they are: those with the most first."""
    asked = {
        name: Query(("campaign",), now - RECENT, now + AHEAD, tenant.timezone, campaigns=True, limit=CAMPAIGNS) for name, tenant in tenants.items()
    }
    sent = {(name, campaign): number for name, query in asked.items() for campaign, number in (await _largest(pool, name, query)).items()}
    largest = sorted(sent, key=lambda one: (-sent[one], one))[:CAMPAIGNS]
    rows = [
        row for name, query in asked.items() for row in await _parts(pool, name, query, [campaign for owner, campaign in largest if owner == name])
    ]
    place = {one: number for number, one in enumerate(largest)}
    return sorted(rows, key=lambda one: (place[one.tenant, one.campaign], -one.counts["sent"], one.channel, one.variant))[:CELLS]


async def _largest(pool: Pool, tenant: str, query: Query) -> dict[str, int]:
    """A tenant's campaigns, with what they sent."""
    async with asking(pool, tenant, query) as asked:
        rows = await asked.fetch(selecting.page(tenant, query, asked.summed, None))
    return {row["campaign"]: row["value"] for row in rows if row["value"]}


async def _parts(pool: Pool, tenant: str, query: Query, campaigns: list[str]) -> list[Recent]:
    """These campaigns by channel and variant, as far as those sent anything."""
    if not campaigns:
        return []
    async with asking(pool, tenant, query) as asked:
        rows = await asked.fetch(selecting.added(COUNTERS, tenant, replace(query, group_by=BY), asked.summed, campaigns))
    return [Recent(tenant, row["campaign"], row["channel"], row["variant"], {name: row[name] for name in COUNTS}) for row in rows if row["sent"]]

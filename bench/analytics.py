"""Analytics, every fact counted, against a loop that only reads and decodes."""

from __future__ import annotations

from bench.ground import fill, ground
from bench.measure import Comparison, Finding, alternate
from bench.stages import bare, through_stream
from bench.traffic import fates
from parley.settings import Settings
from parley_analytics.app import SERVICE
from parley_analytics.stage import Count

MESSAGES, CONTACTS = 15_000, 10_000
TARGET_RATE = 15_000
"""Events a second that suffice, whatever the floor does."""


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """The stage over the fates of messages, from empty tables."""
    records = fates(MESSAGES, CONTACTS)
    async with ground(settings) as here:
        await fill(here.settings, records)
        ours, floor = await alternate(
            lambda: through_stream(here, SERVICE, len(records)), lambda: bare(here.settings, Count.topics, len(records)), rounds
        )
    compared = Comparison(
        "analytics_vs_bare", "analytics: facts and counters", "events/s", ours, floor, "aiokafka: getmany, orjson",
        target=0.5, or_rate=TARGET_RATE,
    )  # fmt: skip
    return [compared]

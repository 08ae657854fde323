"""The normaliser, every event once and its contact known, against a loop that only reads, decodes and writes."""

from __future__ import annotations

import dataclasses

from bench.ground import fill, ground
from bench.measure import Comparison, Finding, alternate
from bench.stages import bare, through_stream
from bench.webhooks import webhooks
from parley.contracts import MessageReceived, RawReceived
from parley.service import Context, Parts
from parley.settings import Settings
from parley_ingest.app import SERVICE
from parley_ingest.normalise import Normalise

EVENTS, PEOPLE = 30_000, 5_000


async def _alone(context: Context) -> Parts:
    """The stage without the doors of the service."""
    return Parts(stages=[Normalise(context.config)])


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """The stage over `parley.raw`: six messages of a person on average, by three providers in turn, none seen before."""
    alone = dataclasses.replace(SERVICE, build=_alone)
    async with ground(settings) as here:
        await fill(here.settings, [one.record(here.premises.config) for one in webhooks(here.premises.config, EVENTS, people=PEOPLE)])
        ours, floor = await alternate(
            lambda: through_stream(here, alone, EVENTS),
            lambda: bare(here.settings, (RawReceived.topic,), EVENTS, write_to=MessageReceived.topic),
            rounds,
        )
    return [
        Comparison(
            "normaliser_vs_bare", "ingest: the normaliser", "events/s", ours, floor, "aiokafka: getmany, orjson, send and gather a batch", target=0.5
        )
    ]

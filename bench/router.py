"""The router with state against a loop that only reads, decodes and writes."""

from __future__ import annotations

from bench.ground import fill, ground
from bench.measure import Comparison, Finding, alternate
from bench.stages import bare, through_stream
from bench.traffic import conversations
from parley.contracts import MessageReceived, MessageRequested
from parley.settings import Settings
from parley_router.app import SERVICE

EVENTS, CONTACTS = 40_000, 5_000


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """The stage over `parley.inbound`: eight events a contact on average, so nearly all of them find a state and change it."""
    async with ground(settings) as here:
        await fill(here.settings, conversations(EVENTS, CONTACTS))
        ours, floor = await alternate(
            lambda: through_stream(here, SERVICE, EVENTS),
            lambda: bare(here.settings, (MessageReceived.topic,), EVENTS, write_to=MessageRequested.topic),
            rounds,
        )
    compared = Comparison(
        "router_vs_bare", "router: read, decide with state, write", "events/s", ours, floor,
        "aiokafka: getmany, orjson, send and gather a batch", target=0.5,
    )  # fmt: skip
    return [compared]

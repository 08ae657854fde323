"""The sender with its ledger against bare posts of the same requests, with the same number under way, to the same twin."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import aiohttp
import asyncpg

from bench.ground import Ground, environment, fill, ground
from bench.measure import Comparison, Finding, alternate
from bench.traffic import address as address_of
from bench.traffic import enveloped
from parley.channels import PROVIDERS
from parley.channels.shape import HttpRequest, Outgoing
from parley.contracts import Channel, Content, MessageRequested, Purpose
from parley.demo.fleet import Child
from parley.demo.witness import Tail
from parley.local import free_port
from parley.settings import Settings
from parley.twin.ledger import TAKEN, Request
from parley.wire import natural_id
from parley_sender.underway import CONCURRENCY

MESSAGES = 8_000
ACCOUNTS = {Channel.SMS: "acme-sms", Channel.WHATSAPP: "acme-whatsapp"}
"""Half of the messages each: two lanes, so twice their concurrency."""
WITHIN = 120.0
TEXT = "주문하신 차가 오늘 출고되었어요. Your tea has left the house today."


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """Ours from the first record on the bus to the last message at the provider's door: taken in, queued, called, each attempt recorded.

    By one replica, which is one core at most, and by two, which with the provider's twin, PostgreSQL and Kafka have the machine's two cores.
    """
    batches = (requested(place) for place in count())
    async with ground(settings) as here:
        await here.fleet.start_one("twin")
        await here.fleet.behave({"*": {"receipts": False}})  # they would go to ingest, which is not part of this
        await here.fleet.start_one("sender")
        one = await alternate(lambda: _sent(here, next(batches)), lambda: _posted(here, next(batches)), rounds)
        async with _another(here):
            two = await alternate(lambda: _sent(here, next(batches)), lambda: _posted(here, next(batches)), rounds)
    floor_is = f"aiohttp: the same posts, {CONCURRENCY * len(ACCOUNTS)} under way"
    return [
        Comparison("sender_alone_vs_aiohttp", "sender: queue, gate, ledger, two lanes, one replica", "messages/s", *one, floor_is),
        Comparison("sender_vs_aiohttp", "sender: the same, two replicas, a lane each", "messages/s", *two, floor_is, target=0.35, and_rate=2_000),
    ]


@contextlib.asynccontextmanager
async def _another(here: Ground) -> AsyncIterator[None]:
    """A second replica, once it drives one of the lanes."""
    port = free_port()
    replica = Child("sender", port, here.fleet.logs / "sender-2.log", (), environment(here, port), "/readyz")
    await replica.start()
    connection = await asyncpg.connect(here.settings.database.get_secret_value())
    try:
        async with asyncio.timeout(WITHIN):
            while not await connection.fetchval("SELECT count(*) = 1 FROM sender.lanes WHERE lane = ANY($1) AND fence > 1", list(ACCOUNTS.values())):
                await asyncio.sleep(0.5)
        yield
    finally:
        await connection.close()
        await replica.stop()


def requested(batch: int) -> list[MessageRequested]:
    """Messages of one batch, each to somebody else."""
    return [_requested(batch * MESSAGES + place) for place in range(MESSAGES)]


def _requested(number: int) -> MessageRequested:
    channel = list(ACCOUNTS)[number % 2]
    return MessageRequested(
        contact_id=natural_id("bench", str(number)), message_id=natural_id("asked", str(number)), purpose=Purpose.REPLY, channels=(channel,),
        account=ACCOUNTS[channel], addresses={channel: address_of(number)}, content=Content(text=TEXT), expires_at=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip


async def _sent(here: Ground, messages: Sequence[MessageRequested]) -> float:
    """Messages a second through the sender."""
    tail, records = Tail(here.premises.ledger, end=True), [enveloped(one, place, "router:parley.inbound:0") for place, one in enumerate(messages)]
    began = time.time()
    await fill(here.settings, records)
    return len(messages) / (await _last_arrival(tail, {one.message_id for one in messages}) - began)


async def _posted(here: Ground, messages: Sequence[MessageRequested]) -> float:
    """Messages a second through bare posts."""
    tail, waiting = Tail(here.premises.ledger, end=True), iter([_built(here, one) for one in messages])

    async def post(http: aiohttp.ClientSession) -> None:
        for one in waiting:
            async with http.request(one.method, one.url, data=one.body, headers=one.headers) as answer:
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()) as http:
        began = time.time()
        await asyncio.gather(*(post(http) for _ in range(CONCURRENCY * len(ACCOUNTS))))
    return len(messages) / (await _last_arrival(tail, {one.message_id for one in messages}) - began)


def _built(here: Ground, message: MessageRequested) -> HttpRequest:
    account = here.premises.config.accounts[message.account or ""]
    outgoing = Outgoing(message.message_id, message.addresses[account.channel], message.content, datetime.now(UTC), account.public_url)
    return PROVIDERS[account.provider].build(outgoing, account)[0]


async def _last_arrival(tail: Tail, expected: set[UUID]) -> float:
    """When the last of the messages stood at the provider's door, by the twin's ledger."""
    last = 0.0
    async with asyncio.timeout(WITHIN):
        while expected:
            for entry in tail.news():
                if isinstance(entry, Request) and entry.verdict in TAKEN and entry.reference:
                    expected.discard(UUID(entry.reference))
                    last = max(last, entry.at)
            await asyncio.sleep(0.05)
    return last

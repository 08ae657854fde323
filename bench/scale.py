"""What a step of the router costs when there is more of everything: a thousand flows instead of one, a million contacts instead of a thousand."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import UUID

from aiokafka import ConsumerRecord

from bench.ground import ground
from bench.measure import Comparison, Finding, alternate
from bench.traffic import conversations, person
from parley import database, wire
from parley.contracts import Envelope, MessageReceived
from parley.cursor import Place
from parley.keyed import Keyed
from parley.settings import Settings
from parley.step import Arrived
from parley_router import catalogue
from parley_router.catalogue import Book
from parley_router.decide import decide, decided
from parley_router.state import ContactState, labels

FEW_FLOWS, MANY_FLOWS = 1, 1_000
FEW, MANY = 1_000, 1_000_000
EVENTS, BATCH, BATCHES = 4_000, 500, 12
TENANT = {"acme": ("ko", "en")}
WORTH = 1 / 1.2
"""A step may cost 1.2 times as much: five sixths of the rate."""
ONE = """flow: topic-{number}
version: 1
tenant: acme
start: {{{start}}}
steps:
  - say: {{ko: 안녕하세요, en: Hello}}
"""
STARTS = ("keywords: {{en: [topic {number}]}}", "event: topic.e{number}", "segment: segment-{number}", "intents: intent-{number}")
"""In turn: each way of beginning grows."""


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """Both comparisons; the floor of each is the small case."""
    return [await _flows(settings, rounds), await _contacts(settings, rounds)]


async def _flows(settings: Settings, rounds: int) -> Comparison:
    """Decisions a second, in the processor's time: the sample flows alone, and with a thousand more loaded."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        few, many = _book(settings.config, Path(folder) / "few", FEW_FLOWS), _book(settings.config, Path(folder) / "many", MANY_FLOWS)
    events = [wire.decode(topic, headers, value) for topic, _, headers, value in conversations(EVENTS, EVENTS // 8)]
    ours, floor = await alternate(lambda: _decided(events, many), lambda: _decided(events, few), rounds)
    return Comparison(
        "flows_1000_vs_1",
        "router: a decision with 1,000 flows more",
        "events/s",
        ours,
        floor,
        f"the same decisions with {FEW_FLOWS} flow more",
        WORTH,
    )


def _book(config: Path, folder: Path, count: int) -> Book:
    shutil.copytree(config / "flows", folder, ignore=shutil.ignore_patterns("tests"))
    for number in range(count):
        start = STARTS[number % len(STARTS)].format(number=number)
        (folder / f"topic-{number}.yaml").write_text(ONE.format(number=number, start=start), encoding="utf-8")
    return catalogue.load(folder, TENANT)


async def _decided(events: Sequence[Envelope], book: Book) -> float:
    held: dict[UUID, ContactState] = {}
    now, began = datetime.now(UTC), time.process_time()
    for event in events:
        key = cast(MessageReceived, event.data).contact_id
        held[key] = decided(held.get(key), event, now, book).state
    return len(events) / (time.process_time() - began)


async def _contacts(settings: Settings, rounds: int) -> Comparison:
    """Events a second through read, decide and write in one transaction a batch, over a table of so many contacts."""
    async with ground(settings) as here:
        pool = await database.connect(here.settings.database.get_secret_value(), "router")
        try:
            await database.migrate(pool, "router", "parley", "parley_router")
            book = catalogue.load(here.settings.config / "flows", TENANT)
            stage = Keyed("router", (MessageReceived.topic,), "contacts", ContactState, lambda s, e, n: decide(s, e, n, book), labels)
            await _stored(pool, MANY)
            ours, floor = await alternate(lambda: _applied(pool, stage, MANY), lambda: _applied(pool, stage, FEW), rounds)
        finally:
            await pool.close()
    return Comparison(
        "contacts_million_vs_1000", "router: a step among 1,000,000 contacts", "events/s", ours, floor, "the same among 1,000 of them", WORTH
    )


async def _stored(pool: database.Pool, count: int) -> None:
    """So many contacts who were talked with before."""
    state = ContactState(received=3, language="ko", profile={"news": "yes"}).model_dump_json(exclude_defaults=True)
    for start in range(0, count, 50_000):
        keys = [person(number) for number in range(start, min(count, start + 50_000))]
        await pool.execute(
            "INSERT INTO contacts (key, tenant, status, state, positions) SELECT key, 'acme', 'none', $2::jsonb, '\\x80' FROM unnest($1::uuid[]) AS key",
            keys, state,
        )  # fmt: skip
    await pool.execute("VACUUM ANALYZE contacts")


async def _applied(pool: database.Pool, stage: Keyed[ContactState], among: int) -> float:
    """Batches of single messages of contacts drawn from so many."""
    batches = [_batch(random.Random(place), among) for place in range(BATCHES)]
    began = time.perf_counter()
    for batch in batches:
        async with pool.acquire() as connection, connection.transaction():
            await stage.apply(connection, batch, datetime.now(UTC))
    return BATCHES * BATCH / (time.perf_counter() - began)


def _batch(draw: random.Random, among: int) -> list[Arrived]:
    numbers = draw.sample(range(among), BATCH)
    return [Arrived(_wrote(number), Place(MessageReceived.topic, 0), place, cast(ConsumerRecord, None)) for place, number in enumerate(numbers)]


def _wrote(number: int) -> Envelope:
    now = datetime.now(UTC)
    data = MessageReceived(
        contact_id=person(number), message_id=UUID(int=number), account="acme-sms", channel="sms", address="+821000000000", kind="text",
        text="faq", received_at=now,
    )  # fmt: skip
    return Envelope(id=str(number), source="bench", time=now, tenant="acme", subject=str(data.contact_id), started_at=now, data=data)

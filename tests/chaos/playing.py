"""One run: a Parley with data of its own, the customers of a seed, perhaps faults; then rest, and what there is to look at."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg

from parley.demo import evidence, fleet
from parley.demo.actor import Actor, Places
from parley.demo.customers import Customer, customers
from parley.demo.evidence import Evidence
from parley.demo.fleet import Fleet, Terms
from parley.demo.quiet import quiet
from parley.local import Places as Servers
from parley.local import free_port
from parley.settings import Settings
from tests.chaos.faults import Fault, Mood, faults, moods
from tests.chaos.inside import tables
from tests.chaos.striking import Striker

CONFIG = Path(__file__).parents[2] / "config"
PARTITIONS = 3
ARRIVALS = 10.0
"""Customers that come in a second where no faults are waited for."""
EACH = 6.0
"""Seconds for a fault, where nobody says how long it shall take."""
PATIENCE = 240.0
"""Seconds that customers wait for an answer: longer than any of these troubles, for whoever writes on does something else than in the untouched run."""
REST, SLICE = 420.0, 15.0
"""Seconds that everything may take to come to rest (a marketing message that failed twice is tried again after five minutes), and between two words on it."""
TOLD_EVERY = 10.0

Say = Callable[[str], None]
States = Mapping[UUID, Mapping[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What is played. `honour_keys`: whether the provider knows a repeat by its Idempotency-Key, and the accounts say so."""

    seed: int
    customers: Sequence[Customer]
    honour_keys: bool = True
    faults: Sequence[Fault] = ()
    moods: Sequence[Mood] = ()

    @property
    def untouched(self) -> Plan:
        """The same customers with nobody in their way, who need not come so slowly."""
        last = max(one.begins for one in self.customers)
        haste = min(1.0, len(self.customers) / ARRIVALS / last) if last else 1.0
        return replace(self, customers=[replace(one, begins=one.begins * haste) for one in self.customers], faults=(), moods=())


def plan(seed: int, kills: int, count: int, honour_keys: bool, seconds: float | None = None) -> Plan:
    """The plan of a seed: its customers come as long as faults strike."""
    span = kills * EACH if seconds is None else seconds
    coming = customers(seed, 1, count)
    last = max(one.begins for one in coming) or 1.0
    spread = [replace(one, begins=one.begins / last * span * 0.95) for one in coming] if kills else coming
    return Plan(seed, spread, honour_keys, faults(seed, kills, span), moods(seed, span))


@dataclass(frozen=True, slots=True)
class Calls:
    """A message's calls as sender knows them: how many it began, the requests that each takes, and by number what those came to whose end it saw."""

    begun: int = 0
    parts: int = 1
    outcomes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Aftermath:
    """What is there when everything has come to rest (`restless`: why it has not). `calls` by the message's id."""

    evidence: Evidence
    states: States
    calls: Mapping[str, Calls]
    seconds: float
    restless: str | None = None
    troubles: Sequence[str] = ()
    struck: Sequence[Fault] = ()
    ended: Sequence[str] = field(default=())


async def play(plan: Plan, data: Path, say: Say, servers: Settings | None = None) -> Aftermath:
    """One run over the data folder, with servers of its own where none are given. Raises `StackError` when something does not start (again)."""
    begun = time.monotonic()
    settings = servers or Settings(kafka="", database="", config=CONFIG, partitions=PARTITIONS)
    places = Servers(data, free_port(), free_port())
    terms = Terms(settings, data, {}, plan.seed, plan.honour_keys, places)
    async with fleet.running(terms, say) as parley:
        striker = Striker(parley, say)
        async with _actor(parley) as actor, asyncio.TaskGroup() as group:
            beside = [group.create_task(striker.watch()), group.create_task(_tell(actor, plan, say))]
            await asyncio.gather(actor.play_all(plan.customers), striker.carry_out(plan.faults, plan.moods))
            restless = await rest(parley, say)
            for one in beside:
                one.cancel()
        found = await evidence.gather(parley.settings, parley.premises.config, parley.premises.ledger)
        states, calls = await evidence.states(parley.settings), await _calls(parley.settings)
    return Aftermath(found, states, calls, time.monotonic() - begun, restless, actor.troubles, striker.done, striker.ended)


@contextlib.asynccontextmanager
async def _actor(parley: Fleet) -> AsyncIterator[Actor]:
    tokens = parley.premises.tokens
    places = Places(parley.url("twin"), parley.url("ingest"), parley.url("router"), tokens["shop"], tokens["staff"])
    connector = aiohttp.TCPConnector(limit=0, force_close=True)  # a kept connection to somebody who is killed says nothing of the next
    async with tables(parley.settings.database.get_secret_value()) as inside, aiohttp.ClientSession(connector=connector) as session:
        yield Actor(places, session, PATIENCE, inside)


async def rest(parley: Fleet, say: Say, within: float = REST) -> str | None:
    """Waits until everything is at rest and says meanwhile what for; gives a sentence when it is not within so many seconds."""
    end = time.monotonic() + within
    while (reason := await quiet(parley, SLICE)) is not None:
        waiting = await _waiting(parley.settings)
        say(f"waiting: {reason}{waiting}")
        if time.monotonic() > end:
            return f"not at rest within {within:.0f} s: {reason}{waiting}"
    return None


async def _waiting(settings: Settings) -> str:
    """When the open deliveries are due, and why they were put off."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
        connection = await asyncpg.connect(settings.database.get_secret_value(), timeout=5)
        try:
            rows = await connection.fetch(
                """SELECT message_id, lane, purpose, status, reason, attempt, failures, ceil(extract(epoch FROM due_at - now()))::int AS due
                   FROM sender.deliveries WHERE status = 'queued' ORDER BY due_at LIMIT 5"""
            )
        finally:
            await connection.close()
        return "".join(
            f"; {row['purpose']} message {row['message_id']} on {row['lane']} is {row['status']} ({row['reason']}, {row['attempt']} attempts,"
            f" {row['failures']} failures), due in {row['due']} s" for row in rows
        )  # fmt: skip
    return ""


async def _calls(settings: Settings) -> dict[str, Calls]:
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        made = await connection.fetch(
            "SELECT message_id, attempt, outcome FROM sender.attempts WHERE code IS DISTINCT FROM 'interrupted' ORDER BY message_id, attempt"
        )
        begun = await connection.fetch("SELECT message_id, attempt, parts FROM sender.deliveries")
    finally:
        await connection.close()
    outcomes: dict[UUID, dict[int, str]] = {}
    for row in made:
        outcomes.setdefault(row["message_id"], {})[row["attempt"]] = row["outcome"]
    return {str(row["message_id"]): Calls(row["attempt"], row["parts"], outcomes.get(row["message_id"], {})) for row in begun}


async def _tell(actor: Actor, plan: Plan, say: Say) -> None:
    while True:
        await asyncio.sleep(TOLD_EVERY)
        say(f"{actor.done} of {len(plan.customers)} customers are through")

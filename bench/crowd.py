"""What a crowd in the queue costs those who are not of it: replies beside a campaign of a million, a small tenant beside a large one, one message at the front
of a million instead of ten thousand; and what the sender holds meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from bench.backlog import Backlog, backlog
from bench.ground import Ground, ground
from bench.measure import Comparison, Finding, Holding, Series, Waits, schedule
from bench.traffic import enveloped
from parley.bus import Bus
from parley.contracts import Channel, Content, MessageRequested, Purpose
from parley.demo.witness import Tail
from parley.settings import Settings
from parley.twin.ledger import TAKEN, Request
from parley.wire import natural_id

LANE, SECOND = "acme-sms", "acme-app"
FEW, MANY, GONE = 10_000, 1_000_000, 300_000
RATE = "100/s"
"""Of the lane beside whose campaign replies are sent."""
REPLIES, SECONDS = 20.0, 20.0
"""Replies a second, for so many seconds."""
SMALL, LARGE, THEIR_RATE = 400, 40_000, "200/s"
WITHIN = 300.0
WORTH = 1 / 1.2
TWICE = 2.0
MOST_BYTES = 300 * 2**20


async def run(settings: Settings, rounds: int, many: int = MANY) -> list[Finding]:
    """All of it over one ground, for a million messages take a minute to write down."""
    async with ground(settings, burst=1) as here, backlog(here) as queue:
        await here.fleet.start_one("twin")
        await here.fleet.behave({"*": {"receipts": False}})
        await here.fleet.start_one("sender")
        numbers, crowd = count(), Crowd(here, queue)
        await queue.set(LANE, rate=RATE)
        await crowd.replies(next(numbers), SECONDS / 4)  # warm
        alone = await crowd.replies(next(numbers), SECONDS)
        few = [await crowd.drained(FEW, FEW) for _ in range(rounds + 1)][1:]
        await crowd.stand(LANE, "sms", many)
        await queue.set(LANE, rate=RATE)
        beside = await crowd.replies(next(numbers), SECONDS)
        held = resident(here)
        front = [await crowd.drained(FEW) for _ in range(rounds + 1)][1:]
        await crowd.gone(LANE, int(many * GONE / MANY))
        behind = [await crowd.drained(FEW) for _ in range(rounds + 1)][1:]
        held = max(held, resident(here))
        await queue.set(LANE, paused=True)
        tenants = await crowd.tenants(rounds)
    floor = Series(tuple(few))
    cost = "sender and its PostgreSQL: messages by a second of processor"
    return [
        Waits("reply_beside_campaign", f"sender: a reply, {many:,} advertisements queued and leaving at {RATE}", alone, beside, TWICE),
        tenants,
        Comparison("cost_by_backlog", f"{cost}, {many:,} queued", "messages/s", Series(tuple(front)), floor, f"{FEW:,} queued", WORTH),
        Comparison("cost_behind_consumed", f"{cost}, {int(many * GONE / MANY):,} of them gone", "messages/s", Series(tuple(behind)), floor, f"{FEW:,} queued", WORTH),
        Holding("sender_memory", f"sender, beside {many:,} queued", held, MOST_BYTES),
    ]  # fmt: skip


class Crowd:
    """The measurements, on one ground."""

    def __init__(self, here: Ground, queue: Backlog) -> None:
        self._here, self._queue = here, queue

    async def replies(self, batch: int, seconds: float) -> list[float]:
        """Seconds from the intended record on the bus to the provider's door, of replies in an open loop."""
        tail, due = Tail(self._here.premises.ledger, end=True), list(schedule(REPLIES, seconds))
        messages = [_reply(batch, place) for place in range(len(due))]
        intended: dict[str, float] = {}
        bus = Bus(self._here.settings, client="bench-replies")
        arriving = asyncio.create_task(_arrivals(tail, {str(one.message_id) for one in messages}))
        try:
            await bus.publish([enveloped(_reply(batch, -1), batch * 100_000 + 99_999, "router:parley.inbound:1")])  # connects
            async with asyncio.TaskGroup() as group:
                began = time.time() + 0.1
                for place, (one, at) in enumerate(zip(messages, due, strict=True)):
                    await asyncio.sleep(max(0.0, began + at - time.time()))
                    intended[str(one.message_id)] = began + at
                    group.create_task(bus.publish([enveloped(one, batch * 100_000 + place, "router:parley.inbound:1")]))
            return [at - intended[number] for number, at in (await arriving).items()]
        finally:
            arriving.cancel()
            await bus.stop()

    async def stand(self, lane: str, channel: str, number: int, tenant: str = "acme") -> None:
        """So many stand in a lane that is paused."""
        await self._queue.set(lane, paused=True)
        await self._still(lane)
        await self._queue.fill(lane, channel, number, tenant)

    async def gone(self, lane: str, number: int) -> None:
        await self._queue.set(lane, paused=True)
        await self._still(lane)
        await self._queue.consume(lane, number)

    async def drained(self, number: int, new: int = 0) -> float:
        """Messages by a second of processor, of the first so many that leave at no rate that binds; `new`: so many come to stand there before."""
        if new:
            await self.stand(LANE, "sms", new)
        tail, backends = Tail(self._here.premises.ledger, end=True), await self._queue.backends()
        before = self._spent(backends)
        await self._queue.set(LANE)
        await _so_many(tail, number)
        spent = self._spent(await self._queue.backends()) - before
        await self._queue.set(LANE, paused=True)
        await self._still(LANE)
        return number / spent

    async def tenants(self, rounds: int) -> Waits:
        """A small tenant's backlog in a lane of its own, and beside a hundred times as much of a large one, which is no newcomer: times from when it comes to
        stand there."""
        alone = [wait for _ in range(rounds) for wait in await self._small()]
        await self.stand(SECOND, "inapp", LARGE, "large")
        await self._small()  # once beside it without counting: both are new to the lane, and the large one came first
        beside = [wait for _ in range(rounds) for wait in await self._small()]
        return Waits(
            "small_tenant_beside_large", f"sender: {SMALL} messages of a tenant, {LARGE:,} of another queued, at {THEIR_RATE}", alone, beside, TWICE
        )

    async def _small(self) -> list[float]:
        first = self._queue.numbered + 1
        await self.stand(SECOND, "inapp", SMALL, "small")
        tail, began = Tail(self._here.premises.ledger, end=True), time.time()
        await self._queue.set(SECOND, rate=THEIR_RATE)
        people = {f"person-{number}" for number in range(first, first + SMALL)}
        found = await _arrivals(tail, people, lambda one: one.recipient)
        await self._queue.set(SECOND, paused=True)
        return [at - began for at in found.values()]

    async def _still(self, lane: str) -> None:
        """Until nothing of the lane is under way."""
        async with asyncio.timeout(WITHIN):
            query = "SELECT EXISTS (SELECT FROM queue JOIN lines USING (line) WHERE part = $1 AND state = 'calling')"
            await asyncio.sleep(1)
            while await self._queue.connection.fetchval(query, lane):
                await asyncio.sleep(0.1)

    def _spent(self, backends: Collection[int]) -> float:
        """Seconds of processor of the sender and of those who work for it; of the clock on the wall where the system does not tell."""
        pid = self._here.fleet.servers["sender"].pid
        try:
            return sum(_processor(one) for one in (pid, *backends))
        except OSError:
            return time.monotonic()


def _processor(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(here: Ground) -> int:
    """Bytes of memory of the sender's process."""
    with os.popen(f"ps -o rss= -p {here.fleet.servers['sender'].pid}") as told:
        return int(told.read()) * 1024


def _reply(batch: int, place: int) -> MessageRequested:
    number = f"{batch}/{place}"
    return MessageRequested(
        contact_id=natural_id("replied", number), message_id=natural_id("reply", number), purpose=Purpose.REPLY, channels=(Channel.SMS,), account=LANE,
        addresses={Channel.SMS: f"+659{batch:02d}{place % 100_000:05d}"}, content=Content(text="Your tea has left the house today."),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip


async def _arrivals(tail: Tail, expected: set[str], name: Callable[[Request], str | None] = lambda one: one.reference) -> dict[str, float]:
    """When each of them was at the provider's door."""
    found: dict[str, float] = {}
    async with asyncio.timeout(WITHIN):
        while len(found) < len(expected):
            for one in _taken(tail):
                if (mine := name(one)) in expected and mine is not None:
                    found.setdefault(mine, one.at)
            await asyncio.sleep(0.1)
    return found


async def _so_many(tail: Tail, number: int) -> None:
    async with asyncio.timeout(WITHIN):
        while number > 0:
            number -= sum(1 for _ in _taken(tail))
            await asyncio.sleep(0.05)


def _taken(tail: Tail) -> Iterator[Request]:
    return (one for one in tail.news() if isinstance(one, Request) and one.verdict in TAKEN)

"""From a customer's webhook to the provider's door: everything as processes of its own, at half of what they hold, timed from the intended start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import aiohttp

from bench.ground import Ground, ground
from bench.measure import Finding, Latency, schedule
from bench.traffic import address
from parley.demo.fleet import SERVICES
from parley.demo.quiet import quiet
from parley.demo.witness import Tail, caused
from parley.settings import Settings
from parley.twin.ledger import TAKEN, Request

BURST = 1_500
"""Messages said at once, to see how many a second are sustained."""
OPEN_SECONDS = 20.0
WITHIN = 90.0
CALLERS = 64
"""Customers' messages handed to the twin at the same time at most."""
LINES = {0: ("안녕하세요", "주문 조회", "A1001"), 1: ("hello", "track order", "A1001")}
"""What each customer writes, Korean and English in turn; the bot has an answer to each of them."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message of a customer: which account, from whom, what."""

    account: str
    sender: str
    text: str


def written(first: int) -> Iterator[Written]:
    """Messages without end, of new people from number `first` on: a thousand of them greet, then all ask, then all name an order, then a thousand others."""
    while True:
        for line in range(3):
            for number in range(first, first + 1000):
                yield Written("acme-whatsapp" if number % 3 == 0 else "acme-sms", address(number), LINES[number % 2][line])
        first += 1000


async def run(settings: Settings, _: int) -> list[Finding]:
    """First how many a second it sustains, then the times at half of that."""
    async with ground(settings) as here:
        await here.fleet.start()
        await _answers(here, islice(written(0), 300), [0.0] * 300)  # warm
        await _rest(here)
        sustained = await _sustained(here)
        due = list(schedule(sustained / 2, OPEN_SECONDS))
        times = await _answers(here, islice(written(200_000), len(due)), due)
    return [
        Latency("end_to_end", f"{', '.join(SERVICES)}: webhook to the provider's door, at half load", "messages/s", sustained / 2, sustained, times)
    ]


async def _sustained(here: Ground) -> float:
    """Messages a second that nothing piles up behind: as many at once, until all are answered and the last receipt of an answer is taken."""
    tail, began = Tail(here.premises.ledger, end=True), time.time()
    await _answers(here, islice(written(100_000), BURST), [0.0] * BURST)
    await _rest(here)
    return BURST / (max(entry.at for entry in tail.news()) - began)


async def _rest(here: Ground) -> None:
    """Waits until nothing is under way any more, so that one measurement does not carry the load of the one before."""
    if (reason := await quiet(here.fleet)) is not None:
        raise RuntimeError(reason)


@dataclass
class Awaited:
    """What was said and is not answered yet: intended times by the ids that an answer can have."""

    times: list[float] = field(default_factory=list)
    _intended: dict[str, tuple[str, float]] = field(default_factory=dict)
    _early: dict[str, float] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)

    def said(self, account: str, provider_id: str, intended: float) -> None:
        for number in caused(account, provider_id):
            self._intended[number] = (provider_id, intended)
            if number in self._early:
                self.arrived(number, self._early.pop(number))

    def arrived(self, reference: str, at: float) -> None:
        """A message stands at the provider's door; the first one for a customer's message answers it."""
        cause = self._intended.get(reference)
        if cause is None:
            self._early[reference] = at
        elif cause[0] not in self._answered:
            self._answered.add(cause[0])
            self.times.append(at - cause[1])


async def _answers(here: Ground, messages: Iterable[Written], due: Sequence[float]) -> list[float]:
    """Seconds from the intended start of each message to the arrival of its answer. Raises `TimeoutError` when one does not come."""
    tail, awaited, free = Tail(here.premises.ledger, end=True), Awaited(), asyncio.Semaphore(CALLERS)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CALLERS)) as http, asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        began = time.time() + 0.1

        async def say(one: Written, intended: float) -> None:
            async with free:
                body = {"account": one.account, "from": one.sender, "text": one.text}
                async with http.post(here.fleet.url("twin") + "/control/say", json=body) as answer:
                    awaited.said(one.account, (await answer.json())["provider_id"], intended)

        for one, place in zip(messages, due, strict=True):
            if (wait := began + place - time.time()) > 0:
                await asyncio.sleep(wait)
            group.create_task(say(one, began + place))
        while len(awaited.times) < len(due):
            for entry in tail.news():
                if isinstance(entry, Request) and entry.verdict in TAKEN and entry.reference:
                    awaited.arrived(entry.reference, entry.at)
            await asyncio.sleep(0.05)
    return awaited.times

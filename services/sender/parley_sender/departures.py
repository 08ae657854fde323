"""What is claimed and waits for its moment: the highest priority leaves first, as soon as every bucket has room; a reply passes what was claimed before it, and
tenants share alike also among what is claimed."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from uuid import UUID

from parley.contracts import Purpose
from parley_sender.claims import Claimed
from parley_sender.fair import Tags
from parley_sender.gate import LEAVE
from parley_sender.pace import Pace
from parley_sender.standing import of_tenant
from parley_sender.stops import Stops

RANK = {purpose: place for place, purpose in enumerate(Purpose)}
HORIZON, FARTHEST = 0.25, 0.6
"""Seconds for which messages are claimed ahead, as long as turns are short, and at most: so many are in doubt when the process is killed, beside the calls under
way. A lane whose next messages are not claimed when their moment comes stands still."""
TURNS, EASED = 3.0, 0.95
"""So many times as long as a turn takes, for it is begun when half is left; and of the longest turn so much counts after each shorter one."""
STILL, HEAR = 0.05, 0.02
"""Seconds of a standstill (the process got no processor) after which it first hears what came meanwhile, for so long, a STOP among it. After a long one it
asks the gate again (`stops.FROZEN`)."""
LATE = 1.0
"""Seconds of a pause after which what is claimed goes back to the queue: who waits longer shall not seem to be called for."""
AGED = LEAVE.total_seconds()
"""Seconds after which what is claimed is asked again at the gate, up to the last moment before its bytes leave: replies may pass it for long, a connection may
take long to be made, and no stop is heard while the connection that hears it is dead and nobody knows."""


@dataclass
class Departures:
    """`go` begins a call, given from when on the gate was asked; `stay` hands a message back that was not called for, `low` is told when little is left to leave."""

    pace: Pace
    clock: Callable[[], datetime]
    go: Callable[[Claimed, float], None]
    stay: Callable[[Claimed], None]
    low: Callable[[], None]
    stops: Stops = field(default_factory=Stops)
    whose: Callable[[str], UUID | None] = lambda _: None
    """By what a stop names an address, where it does."""
    free: Callable[[], bool] = lambda: True
    """Whether one more call may be under way; told by `changed` when it may be again."""
    closing: bool = False
    horizon: float = HORIZON
    """Seconds for which messages are claimed ahead."""
    _turn: float = 0.0
    _heap: list[tuple[int, int, int, float, Claimed]] = field(default_factory=list)
    """By class (a purpose's rank; 0 for what marketing is owed), by tag, in the order in which they came."""
    _count: count[int] = field(default_factory=count)
    _tags: list[Tags[str]] = field(default_factory=lambda: [Tags() for _ in RANK])
    """By class, of tenants."""
    _units: list[int] = field(default_factory=lambda: [0] * len(RANK))
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, purpose: Purpose) -> int:
        """Units that are claimed and have not left, of this purpose and those before it."""
        return sum(self._units[: RANK[purpose] + 1])

    def before(self, purpose: Purpose) -> int:
        """Of those before it alone."""
        return sum(self._units[: RANK[purpose]])

    def held(self, purpose: Purpose, tenant: str) -> int:
        """Units of a tenant that are claimed for this purpose; what is owed to marketing does not count."""
        return self._tags[RANK[purpose]].held.get(tenant, 0)

    def add(self, claimed: list[Claimed], asked_at: float) -> None:
        """Messages whose attempts are committed, in the order in which they may leave. `asked_at`: from when on the gate was asked."""
        for one in claimed:
            rank = 0 if one.owed else RANK[one.purpose]
            heapq.heappush(self._heap, (rank, self._tags[rank].enter(one.tenant, one.units), next(self._count), asked_at, one))
            self._units[RANK[one.purpose]] += one.units
        if claimed:
            self._news.set()

    def turned(self, seconds: float) -> None:
        """A turn took so long, from when it was due: on a busy machine, or with a slow database, more must be claimed ahead."""
        self._turn = max(min(seconds, FARTHEST / TURNS), self._turn * EASED)
        self.horizon = max(HORIZON, TURNS * self._turn)

    def clear(self) -> None:
        """Forgets what is claimed: it is somebody else's."""
        self._heap.clear()
        self._tags, self._units = [Tags() for _ in RANK], [0] * len(RANK)

    def close(self) -> None:
        """Nothing leaves any more; what is claimed is handed back."""
        self.closing = True
        self._news.set()

    def changed(self) -> None:
        """A pause or a rate is another, or somebody said stop."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            self._leave(loop.time())
            asleep, wait = loop.time(), self._wait(loop.time())
            if asleep < self.pace.left_at + STILL:  # its bytes may not have left: a standstill that begins now must be seen
                wait = STILL if wait is None else min(wait, STILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()
            if wait is not None and loop.time() > asleep + wait + STILL:
                self.pace.stood_still(asleep - STILL, loop.time())
                await asyncio.sleep(HEAR)

    def _wait(self, now: float) -> float | None:
        """Seconds until the first may leave; None while there is none, or while no call more may be under way."""
        return max(0.0, self.pace.at(self._heap[0][-1].units, now) - now) if self._heap and self.free() else None

    def _leave(self, now: float) -> None:
        """Lets go what may go now."""
        late = self.pace.paused_until > now + LATE
        self.stops.beat(now, self.clock())
        while self._heap:
            _, _, _, since, one = self._heap[0]
            if not (late or self._called_off(one, since, now)):
                if not self.free() or self.pace.at(one.units, now) > now:
                    break
                self.pace.take(one.units, one.address, one.purpose is not Purpose.REPLY, now)
                self._pop()
                self.go(one, since)
            else:
                self._pop()
                self.stay(one)
        if self._low(now):
            self.low()

    def _low(self, now: float) -> bool:
        """Whether half of the horizon is left, or less, and more may be claimed: at a slow rate one message is all of it."""
        left = self.of(Purpose.MARKETING)
        return left <= self.pace.ahead(now, self.horizon / 2) and left < self.pace.ahead(now, self.horizon)

    def _pop(self) -> None:
        rank, tag, _, _, one = heapq.heappop(self._heap)
        self._tags[rank].leave(one.tenant, one.units, tag)
        self._units[RANK[one.purpose]] -= one.units

    def called_off(self, one: Claimed, since: float) -> bool:
        """The last word on a message, for whoever is about to write its bytes: whether it must be asked again at the gate, where it was at `since`."""
        now = asyncio.get_running_loop().time()
        self.stops.beat(now, self.clock())
        return self._called_off(one, since, now)

    def _called_off(self, one: Claimed, since: float, now: float) -> bool:
        """Nothing leaves any more, it was asked too long ago, its time is over, or it was to be stopped since then, or may have been."""
        expired = one.expires_at is not None and one.expires_at <= self.clock()
        return self.closing or since + AGED <= now or expired or self.stops.said(since, partial(self._whom, one))

    def _whom(self, one: Claimed) -> Iterator[UUID]:
        """By what a stop may name it: the contact, the message itself, whoever has the address, all that the tenant sends."""
        yield one.contact_id
        yield one.message_id
        if (who := self.whose(one.address)) is not None:
            yield who
        yield of_tenant(one.tenant)

"""What a lane has claimed, from then until a turn writes down what came of it: it waits for its moment, is called for, and its call ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog

from parley.channels.shape import Account
from parley.failures import Outcome
from parley.service import Context
from parley_sender import standing
from parley_sender.call import LEAVES
from parley_sender.calling import Calling
from parley_sender.circuit import Circuit
from parley_sender.claims import Claimed
from parley_sender.departures import HEAR, STILL, Departures
from parley_sender.framing import CalledOff
from parley_sender.outcome import ACCOUNT_PAUSE, Finished
from parley_sender.pace import Leaving, Pace
from parley_sender.stops import Stops

log = structlog.get_logger()

CONCURRENCY = 256
"""Calls of a lane under way at once."""
ACCEPTED = 0.05
"""Seconds that the other side may take to take up a new connection: the call on it is counted so much later than it left."""


@dataclass
class Underway:
    """The claimed messages of one part of a lane. `wake`: a turn is due, for a call has ended or little is left to leave."""

    account: Account
    part: str
    context: Context
    calling: Calling
    circuit: Circuit
    stops: Stops
    pace: InitVar[Pace]
    wake: Callable[[], None]
    departures: Departures = field(init=False)
    over: list[tuple[Finished, Claimed]] = field(default_factory=list)
    """Calls that ended and are not written down, in the order of their ends."""
    _open: dict[UUID, asyncio.Task[None] | None] = field(default_factory=dict)
    """The others, and their calls where they are being called for."""
    _calls: int = 0

    def __post_init__(self, pace: Pace) -> None:
        whose = partial(standing.of_address, self.account.channel)
        self.departures = Departures(pace, self.context.clock, self._go, self._stay, self.wake, self.stops, whose, self._free)

    def __len__(self) -> int:
        """How many are claimed, and their calls have not ended."""
        return len(self._open)

    @property
    def messages(self) -> list[UUID]:
        """All that are this process's own."""
        return [*self._open, *(call.message_id for call, _ in self.over)]

    def add(self, claimed: Sequence[Claimed], owed: Set[UUID], asked_at: float) -> None:
        """What is claimed leaves when its moment comes, before all else what is `owed` to marketing. `asked_at`: from when on the gate was asked."""
        self._open.update((one.message_id, None) for one in claimed)
        self.departures.add([replace(one, owed=True) if one.message_id in owed else one for one in claimed], asked_at)

    def abandon(self) -> None:
        """Forgets calls that somebody else has settled meanwhile; their ends would mean nothing any more."""
        for task in self._open.values():
            if task is not None:
                task.cancel()
        self._open.clear()
        self.over.clear()
        self.departures.clear()

    def _free(self) -> bool:
        """Whether one more call may be made."""
        return self._calls < CONCURRENCY

    def _go(self, one: Claimed, asked_at: float) -> None:
        """The message's moment has come."""
        self.circuit.breaker.leaves(self.context.clock())
        self._calls += 1
        task = asyncio.create_task(self._call(one, asked_at, self.departures.pace.left_at))
        task.add_done_callback(self._called)
        self._open[one.message_id] = task

    def _stay(self, one: Claimed) -> None:
        """It was not called for after all: the next turn puts it back where it stood."""
        self.circuit.breaker.stayed()
        now = self.context.clock()
        self._end(one, Finished(one.message_id, one.purpose, one.attempt, one.failures, one.parts_done, None, now, now))

    def _called(self, _: asyncio.Task[None]) -> None:
        """A call is over, however it ended."""
        self._calls -= 1
        self.departures.changed()

    def _end(self, one: Claimed, call: Finished) -> None:
        self.over.append((call, one))
        self._open.pop(one.message_id, None)
        self.wake()

    async def _call(self, one: Claimed, asked_at: float, left: float) -> None:
        """Calls, and hands the end of it to the next turn. Whoever said STOP while the process stood still before that is heard first."""
        if asyncio.get_running_loop().time() > left + STILL:
            await asyncio.sleep(HEAR)
        leaving = Leaving(self.departures.pace, one.units, left)
        LEAVES.set(lambda made: self._leaves(one, asked_at, leaving, made))
        called_at = self.context.clock()
        done, outcome = await self.calling.surely(one, called_at)
        if leaving.called_off and done == one.parts_done:
            self._stay(one)
            return
        self._answered(outcome, called_at)
        ended_at = self.context.clock()
        if outcome.kind == "accepted" and one.started_at is not None:
            self.context.metrics.end_to_end_seconds.labels(one.purpose.value).observe((ended_at - one.started_at).total_seconds())
        self._end(one, Finished(one.message_id, one.purpose, one.attempt, one.failures, done, outcome, called_at, ended_at, one.gate))

    def _leaves(self, one: Claimed, asked_at: float, leaving: Leaving, made: bool) -> None:
        """A request is written now, or by the end of the loop's round, which may be a while: the loop writes what was written when it is through with the rest.
        Raises `CalledOff` where it must not: a token, a connection and the parts before it may have taken their time."""
        if self.departures.called_off(one, asked_at):
            leaving.called_off = True
            raise CalledOff
        if made or not leaving.begun:
            loop, later = asyncio.get_running_loop(), ACCEPTED if made else 0.0
            leaving.begun = True
            leaving.noted(loop.time() + later)
            loop.call_soon(lambda: leaving.noted(loop.time() + later))

    def _answered(self, outcome: Outcome, called_at: datetime) -> None:
        """What the provider's answer says of the lane as a whole."""
        now, here, pace = self.context.clock(), asyncio.get_running_loop().time(), self.departures.pace
        if self.circuit.judged(outcome, now, called_at):
            if seconds := self.circuit.shut(now):  # what is claimed goes back
                pace.pause(here + seconds)
            self.departures.changed()
        if outcome.kind == "throttled" and outcome.scope != "recipient":
            pace.throttled(here, outcome.retry_after.total_seconds() if outcome.retry_after else None)
            self.departures.changed()
        elif outcome.kind == "permanent" and outcome.scope == "account":
            log.error("the provider refuses the account; the lane pauses", lane=self.part, seconds=ACCOUNT_PAUSE.total_seconds())
            pace.pause(here + ACCOUNT_PAUSE.total_seconds())
            self.departures.changed()

"""One lane, driven by this process: turn after turn it records the calls that ended, asks the gate, and claims what may leave next.

A turn is one transaction, and calls begin only after its commit. What it says to the bus rides in the lane's row until it is published, while the next
turns go on, so a kill at any point loses no event; the row's fence and turn are compared before anything is written, so a process that lost its lane can write nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from parley import cursor
from parley.channels.shape import Account
from parley.contracts import Purpose
from parley.database import Connection
from parley.service import Context
from parley_sender import claims, holding, ledger, standing, takeover
from parley_sender.backlog import Backlog
from parley_sender.call import Calls
from parley_sender.calling import Calling
from parley_sender.circuit import Circuit
from parley_sender.claims import Claimed
from parley_sender.departures import Departures
from parley_sender.handover import packed
from parley_sender.holding import Hold, Wishes
from parley_sender.law import Law
from parley_sender.ledger import Changed
from parley_sender.limits import Limits
from parley_sender.outcome import Finished, settled
from parley_sender.queue import Waiting
from parley_sender.saying import Saying
from parley_sender.stops import Stops
from parley_sender.takeover import Before
from parley_sender.tell import records
from parley_sender.underway import Underway
from parley_sender.withheld import withheld

log = structlog.get_logger()

CLAIMED = 768
"""Messages claimed or called for: while a turn writes down what ended, there is something left to leave."""
IDLE = 0.5
"""Seconds after which a lane looks whether there is something to do, when nobody told it of anything."""
GATHER, LONGEST_GATHER = 0.004, 0.04
"""Seconds that a turn waits for more calls to end, so that a busy lane records many at once: as long as the last turn took, so that on a busy machine turns
become fewer and larger; at least, and at most."""
LOOK = 5.0
"""Seconds after which there is a turn though nothing happened: people may have set the lane otherwise."""


@dataclass
class Lane:
    """A part of an account's lane, mostly the whole. It outlives a lost connection: calls under way go on, and are recorded when the lane is held again."""

    account: Account
    part: str
    context: Context
    clients: Calls
    law: Law
    limits: Limits
    stops: Stops
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing is gathered: somebody waits for an answer, or another replica for the lane."""
    moved_at: float = 0.0
    """When it was taken up, or its last turn ended, by the loop's clock."""
    _hold: Hold | None = None
    _wishes: Wishes = field(default_factory=Wishes)
    _turned_at: float = 0.0
    _took: float = 0.0
    """Seconds of the last turn."""
    _urgent: bool = False
    """A reply has come to stand in a line since the last turn."""
    _hasty: bool = False
    """The last turn let replies through and nothing else."""
    _backlog: Backlog = field(init=False)
    _circuit: Circuit = field(init=False)
    _underway: Underway = field(init=False)
    _saying: Saying = field(init=False)

    def __post_init__(self) -> None:
        self._backlog = Backlog(self.part)
        self._circuit = Circuit(self.part, self.law)
        self._saying = Saying(self.context.bus, self.part)
        calling, pace = Calling(self.account, self.context, self.clients), self.limits.pace(self.account, 0.0)
        self._underway = Underway(self.account, self.part, self.context, calling, self._circuit, self.stops, pace, self.wake.set)

    @property
    def _departures(self) -> Departures:
        return self._underway.departures

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # --- what others tell it ---------------------------------------------------------------------------------------------------------

    def stirred(self, lines: Iterable[int] | None) -> None:
        """Something came to stand in these lines, or in any; or (None) people set the lane otherwise, which the next turn heeds."""
        self._urgent |= self._backlog.stirred(lines)
        if lines is None:
            self._turned_at = -LOOK
        self.wake.set()
        if self._urgent:
            self._hurry.set()

    def stopped(self) -> None:
        """What is claimed next may have to go back to the gate: in a slow lane its moment may be long in coming."""
        self._departures.changed()

    def rouse(self) -> None:
        """It shall look at once: it has to end, or somebody waits for an answer."""
        self.wake.set()
        self._hurry.set()

    def left(self, name: str) -> tuple[str, Hold, str] | None:
        """How it stands, for who takes it over now that its calls have ended; `name`: the hand-over's. None where it was never held."""
        told = packed(self.limits.handing(name, self._departures.pace, self.account, self._now))
        return (self.part, self._hold, told) if self._hold is not None else None

    # --- its life --------------------------------------------------------------------------------------------------------------------

    async def run(self, leaving: Callable[[], bool]) -> None:
        """Takes the lane over and drives it until told to leave; then waits for the calls under way and records them.

        Raises what the database raises, and `holding.Fenced`; whoever calls it may call it again when the lane is held again.
        """
        await self._take_over()
        self.clients.binds.take(self.account)
        self._departures.closing = False
        departing = asyncio.create_task(self._departures.run())
        try:
            while not leaving():
                await self._turn(claiming=True)
                await self._rest()
            self._departures.close()
            while self._underway or self._underway.over:
                await self._turn(claiming=False)
                if self._underway and not self._underway.over:
                    await self._rest()
            await self._saying.end()
        finally:
            departing.cancel()
            await asyncio.wait([departing])

    # --- a turn --------------------------------------------------------------------------------------------------------------------

    async def _turn(self, *, claiming: bool) -> None:
        """Records, claims, commits; then lets go, then publishes."""
        assert self._hold is not None
        self.wake.clear()
        self._hurry.clear()
        self._backlog.look_again(self._now)
        claiming = claiming and self._may_claim()
        if not self._underway.over and not (claiming and (self._backlog.untold or not self._backlog.idle)) and not self._due():
            return
        self._turned_at = asked_at = self._now
        # Somebody waits for an answer: it goes first, and what ended meanwhile is written down by the turn after.
        self._hasty, self._urgent = self._urgent and claiming and not self._hasty, False
        over, now = [] if self._hasty else self._underway.over[:], self.context.clock()
        hold = Hold(self._hold.fence, self._hold.turn + 1)
        async with self.context.pool.acquire() as connection, connection.transaction():
            wishes = await holding.keep(connection, self.part, self._hold)
            self._heed(wishes)
            finished = [(call, settled(call, self.account, now, self.law.policy(one.tenant))) for call, one in over]
            changes, chains = await ledger.record(connection, self.account.name, finished, hold)
            taken = await self._taken(connection) if claiming and not wishes.paused else []
            asked = await claims.ask(connection, taken, self.account, self.law, self._wait_to, hold, now)
            mine = await standing.promote(connection, [*chains, *asked.chains], now)
            if asked.stale:
                mine = standing.merged(mine, await standing.leave(connection, asked.stale, now))
            others = {part: lines for part, lines in mine.items() if part != self.part}
            await standing.tell(connection, others)
            said = records([*changes, *asked.kept], now)
            elsewhere = await self._circuit.rerouted(connection, now, self._now)
            await standing.tell(connection, elsewhere)
            await holding.move(connection, self.part, hold, cursor.pack([*self._saying.unsaid, *said]), self._circuit.until)
        self._hold = hold
        self._put_back(over)
        if len(asked.claimed) < len(taken) or self._hasty:
            self.wake.set()  # what the gate kept left room; what is not a reply has its turn
        if stirred := mine.get(self.part):  # none: nobody is woken, else a lane with a backlog would turn without a rest
            self.stirred(stirred)
        if elsewhere:
            self._backlog.reread()
        self._underway.add(asked.claimed, {one.message_id for one in taken if one.owed}, asked_at)
        self._observe(over, asked.kept)
        self._took = self._now - asked_at
        self._departures.turned(self._took)
        await self._saying.say(said)

    def _put_back(self, over: Sequence[tuple[Finished, Claimed]]) -> None:
        """These calls are written down; what was not called for stands in its line again."""
        del self._underway.over[: len(over)]
        self._backlog.lines.returned(Waiting(one.message_id, one.line, one.place, one.units) for call, one in over if call.outcome is None)

    def _due(self) -> bool:
        """Whether a turn is due though nothing happened: people may have set the lane otherwise, or what waits may take another way."""
        return self._now >= self._turned_at + LOOK or self._circuit.moves(self.context.clock(), self._now)

    async def _taken(self, connection: Connection) -> list[Waiting]:
        """The next messages in fair order, as many as there is room for."""
        await self._backlog.ask(connection)
        units = self._departures.pace.ahead(self._now, self._departures.horizon)
        purposes = (Purpose.REPLY,) if self._hasty else tuple(reversed(Purpose))
        return await self._backlog.take(connection, self._room(), units, self._departures, purposes)

    def _may_claim(self) -> bool:
        """A lane whose bind is not there, or from which nothing may leave soon, claims nothing: its messages wait, and no attempt is spent."""
        soon = self._departures.pace.at(1, self._now) <= self._now + self._departures.horizon
        return soon and self.clients.binds.ready(self.account) and self._room() > 0

    def _room(self) -> int:
        """How many messages may be claimed."""
        return self._circuit.room(self.context.clock(), len(self._underway), CLAIMED)

    def _wait_to(self, address: str, first: bool) -> float:
        """Seconds until something may leave to an address."""
        return self._departures.pace.to(address, first, self._now) - self._now

    def _heed(self, wishes: Wishes) -> None:
        """What people set while the lane runs."""
        if wishes != self._wishes:
            log.info("lane set otherwise", lane=self.part, paused=wishes.paused, rate=wishes.rate or self.account.rate)
            self.limits.set(self._departures.pace, self.account, wishes.rate, self._now)
            self._departures.changed()
            self._wishes = wishes

    def _observe(self, over: Sequence[tuple[Finished, Claimed]], kept: Sequence[Changed]) -> None:
        counts: dict[str, int] = {}
        for call, _ in over:
            if call.outcome is not None:
                counts[call.outcome.kind] = counts.get(call.outcome.kind, 0) + 1
        for kind, count in counts.items():
            self.context.metrics.attempts.labels(self.account.name, kind).inc(count)
        for (status, reason), count in withheld(kept).items():
            self.context.metrics.withheld.labels(self.account.name, status, reason).inc(count)

    # --- between turns -------------------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Until there is something to do: a call ended, something was queued, little is left to leave, the pace allows more, or it is time to look."""
        self.moved_at = now = self._now
        ahead = self._departures.pace.at(1, now) - now - self._departures.horizon / 2  # half a horizon early: what leaves next is claimed by then
        if wait := ahead > 0 and not self._backlog.idle:
            cause = "provider" if self._departures.pace.paused_until > now else "rate"
            self.context.metrics.throttle_seconds.labels(self.account.name, cause).inc(min(ahead, IDLE))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(IDLE, ahead) if wait else IDLE):
                await self.wake.wait()
        if self._underway:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_GATHER, max(GATHER, self._took))):
                    await self._hurry.wait()

    # --- taking over ---------------------------------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Makes this process the lane's driver. If it was before and nobody was between, its calls under way are still its own."""
        await self._saying.silence()
        before = Before(self._hold, self._underway.messages, self._circuit.until)
        taken = await takeover.take(self.context.pool, self.account, self.part, self.law, self.limits, before, self.context.clock())
        if taken.pace is not None:
            self._underway.abandon()
            self._circuit.begin(taken.broken_until)
            self._departures.pace, self._wishes = taken.pace, Wishes()
        self._hold = taken.hold
        self._backlog.begin(taken.lines, self._now)
        self._heed(taken.wishes)
        await self._saying.say(taken.said)

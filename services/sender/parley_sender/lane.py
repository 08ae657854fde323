"""One lane, driven by this process: turn after turn it records the calls that ended, asks the gate, claims what may leave, and makes the calls.

A turn is one transaction, and calls begin only after its commit. What it says to the bus rides in the lane's row until it is published, while the next
turns go on, so a kill at any point loses no event; the row's fence and turn are compared before anything is written, so a process that lost its lane can write nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import structlog

from parley import cursor
from parley.bus import BusUnavailable
from parley.channels.shape import Account, Outgoing
from parley.contracts import Purpose, Record
from parley.failures import Outcome
from parley.service import Context
from parley_sender import ledger
from parley_sender.call import Calls, fault
from parley_sender.gate import Candidate, Drop, Go, Hold, gate
from parley_sender.ledger import Claimed
from parley_sender.links import unsubscription
from parley_sender.outcome import ACCOUNT_PAUSE, Finished, kept, of_parts, settled
from parley_sender.pace import HORIZON, Pace
from parley_sender.queue import line
from parley_sender.tell import records

log = structlog.get_logger()

UNSAID = 5000
"""Records that may wait for the bus: while it is away a lane goes on for a moment, then stops too."""
CONCURRENCY = 256
"""Calls of a lane under way at once."""
IDLE = 0.5
"""Seconds after which a lane looks for what has become due, when nobody told it of anything."""
GATHER = 0.004
"""Seconds that a turn waits for more calls to end, so that a busy lane records many at once."""
AGAIN = 0.25
"""Seconds between tries to publish while the bus is away."""


@dataclass
class Lane:
    """An account's lane. It outlives a lost connection: calls under way go on, and are recorded when the lane is held again."""

    account: Account
    context: Context
    clients: Calls
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    moved_at: float = 0.0
    """When it was taken up, or its last turn ended, by the loop's clock."""
    _hold: ledger.Hold | None = None
    _pace: Pace = field(init=False)
    _owed: float = 0.0
    _calls: dict[UUID, tuple[UUID, asyncio.Task[None]]] = field(default_factory=dict)
    _over: list[Finished] = field(default_factory=list)
    _leaving: bool = False
    _unsaid: list[Record] = field(default_factory=list)
    _saying: asyncio.Task[None] | None = None

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def run(self, leaving: Callable[[], bool]) -> None:
        """Takes the lane over and drives it until told to leave; then waits for the calls under way and records them.

        Raises what the database raises, and `ledger.Fenced`; whoever calls it may call it again when the lane is held again.
        """
        self._leaving = False
        await self._take_over()
        self.clients.binds.take(self.account)
        while not leaving():
            await self._turn(claiming=True)
            await self._rest()
        self._leaving = True
        while self._calls or self._over:
            await self._turn(claiming=False)
            await self._rest()
        if self._saying is not None:
            await asyncio.wait([self._saying])

    # --- a turn --------------------------------------------------------------------------------------------------------------------

    async def _turn(self, *, claiming: bool) -> None:
        """Records, claims, commits; then calls, then publishes."""
        assert self._hold is not None
        self.wake.clear()
        room = CONCURRENCY - len(self._calls) if claiming and self._may_send() else 0
        if not room and not self._over:
            return
        over, now, clock = self._over[:], self.context.clock(), self._now
        hold = ledger.Hold(self._hold.fence, self._hold.turn + 1)
        async with self.context.pool.acquire() as connection, connection.transaction():
            await ledger.keep(connection, self.account.name, self._hold)
            finished = [(call, settled(call, self.account, now)) for call in over]
            changes = await ledger.record(connection, self.account.name, finished, hold)
            waiting = await ledger.due(connection, self.account.name, room, self._busy(), now) if room else {}
            chosen, dropped, held = self._choose(waiting, room, now)
            changes += await ledger.drop(connection, self.account.name, dropped, now)
            await ledger.hold_back(connection, held)
            pace, times = self._pace.plan([one.units for one, _ in chosen], clock)
            picked = chosen[: len(times)]
            claimed = await ledger.claim(connection, [one.message_id for one, _ in picked], hold, now) if picked else []
            said = records(changes, now)
            if not (over or claimed or dropped or held):
                return
            await ledger.move(connection, self.account.name, hold, cursor.pack([*self._unsaid, *said]))
        self._hold = hold
        self._pace = replace(self._pace, full_at=pace.full_at)  # a pause may have come meanwhile
        self._owed = picked[-1][1] if picked else self._owed
        del self._over[: len(over)]
        self._begin(claimed, times)
        self._observe(over)
        await self._say(said)

    def _busy(self) -> list[UUID]:
        """The contacts to whom a call is under way."""
        return [contact for contact, _ in self._calls.values()]

    def _may_send(self) -> bool:
        """A lane whose bind is not there claims nothing: its messages wait, and no attempt is spent."""
        return self.clients.binds.ready(self.account) and self._pace.next_at(self._now) <= self._now + HORIZON

    def _choose(
        self, waiting: dict[Purpose, list[Candidate]], room: int, now: datetime
    ) -> tuple[list[tuple[Candidate, float]], list[tuple[UUID, Drop]], list[tuple[UUID, datetime]]]:
        """Who may go, in order, `room` of them at most; whom the gate dropped; whom it holds."""
        verdicts = {one.message_id: gate(one, now) for some in waiting.values() for one in some}
        going = {purpose: [one for one in some if isinstance(verdicts[one.message_id], Go)] for purpose, some in waiting.items()}
        dropped = [(number, verdict) for number, verdict in verdicts.items() if isinstance(verdict, Drop)]
        held = [(number, verdict.until) for number, verdict in verdicts.items() if isinstance(verdict, Hold)]
        return [one for _, one in zip(range(room), line(going, self._owed), strict=False)], dropped, held

    # --- calls ---------------------------------------------------------------------------------------------------------------------

    def _begin(self, claimed: Sequence[Claimed], times: Sequence[float]) -> None:
        for one, at in zip(claimed, times, strict=False):
            self._calls[one.message_id] = one.contact_id, asyncio.create_task(self._call(one, at))

    async def _call(self, one: Claimed, at: float) -> None:
        """Waits for the message's time, calls, and hands the end of it to the next turn. A pause that comes meanwhile sends it back unsent."""
        if (wait := at - self._now) > 0:
            await asyncio.sleep(wait)
        called_at, outcome, done = self.context.clock(), None, one.parts_done
        if not self._leaving and self._pace.paused_until <= self._now:
            done, outcome = await self._surely(one, called_at)
            self._heed(outcome.kind, outcome.scope, outcome.retry_after.total_seconds() if outcome.retry_after else None)
        ended_at = self.context.clock()
        self._over.append(Finished(one.message_id, one.purpose, one.attempt, one.failures, done, outcome, called_at, ended_at))
        self._calls.pop(one.message_id, None)
        if outcome is not None and outcome.kind == "accepted" and one.started_at is not None:
            self.context.metrics.end_to_end_seconds.labels(one.purpose.value).observe((ended_at - one.started_at).total_seconds())
        self.wake.set()

    async def _surely(self, one: Claimed, at: datetime) -> tuple[int, Outcome]:
        """As `_deliver`, and a fault that nobody foresaw is an end too, a doubtful one: a call without an end would keep its contact waiting for ever."""
        try:
            done, outcome = await self._deliver(one, at)
            return done, kept(outcome)
        except Exception as error:
            return one.parts_done, fault("unknown", self.account, one.message_id, error)

    async def _deliver(self, one: Claimed, at: datetime) -> tuple[int, Outcome]:
        """Makes the calls of a message. Gives how many of its parts the provider has, and the outcome."""
        token = await self.clients.token(self.account, at, one.message_id)
        if isinstance(token, Outcome):
            return one.parts_done, token
        message = Outgoing(one.message_id, one.address, one.content, at, self.account.public_url, token, self._unsubscribe_url(one))
        done, outcomes = await self.clients.deliver(message, self.account, one.parts_done)
        if token is not None and outcomes[-1].scope == "account":
            self.clients.forget(self.account)
        return done, of_parts(outcomes)

    def _unsubscribe_url(self, one: Claimed) -> str | None:
        """Where one click takes the person off marketing: the address whose code was minted when the message was queued."""
        settings = self.context.settings
        code = unsubscription(one.purpose, self.account.channel, one.message_id, settings.secret.get_secret_value().encode())
        return f"{settings.links.rstrip('/')}/u/{code}" if code else None

    def _heed(self, kind: str, scope: str, pause: float | None) -> None:
        """What the provider's answer says of the lane as a whole."""
        if kind == "throttled" and scope != "recipient":
            self._pace = self._pace.throttled(self._now, pause)
        elif kind == "permanent" and scope == "account":
            log.error("the provider refuses the account; the lane pauses", lane=self.account.name, seconds=ACCOUNT_PAUSE.total_seconds())
            self._pace = self._pace.paused(self._now + ACCOUNT_PAUSE.total_seconds())

    def _observe(self, over: Sequence[Finished]) -> None:
        counts: dict[str, int] = {}
        for call in over:
            if call.outcome is not None:
                counts[call.outcome.kind] = counts.get(call.outcome.kind, 0) + 1
        for kind, count in counts.items():
            self.context.metrics.attempts.labels(self.account.name, kind).inc(count)

    # --- between turns -------------------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Until there is something to do: a call ended, something was queued, the pace allows more, or it is time to look."""
        self.moved_at = now = self._now
        ahead = self._pace.next_at(now) - now - HORIZON / 2  # half a horizon early: times are handed out without a break
        if ahead > 0:
            cause = "provider" if self._pace.paused_until > now else "rate"
            self.context.metrics.throttle_seconds.labels(self.account.name, cause).inc(min(ahead, IDLE))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), min(ahead, IDLE) if ahead > 0 else IDLE)
        if self._calls:
            await asyncio.sleep(GATHER)

    async def _say(self, said: Sequence[Record]) -> None:
        """Hands records to the publisher. What it has not published yet rides on in the lane's row; too much of it makes the lane wait."""
        self._unsaid += said
        if self._unsaid and (self._saying is None or self._saying.done()):
            self._saying = asyncio.create_task(self._publish())
        if len(self._unsaid) > UNSAID and self._saying is not None:
            await asyncio.wait([self._saying])

    async def _publish(self) -> None:
        """Publishes in order until nothing is left, however long the bus is away."""
        while self._unsaid:
            count = len(self._unsaid)
            try:
                await self.context.bus.publish(self._unsaid[:count])
                del self._unsaid[:count]
            except BusUnavailable as error:
                log.warning("changes of deliveries wait for the bus", lane=self.account.name, cause=str(error))
                await asyncio.sleep(AGAIN)
            except Exception as error:
                log.error("changes of deliveries cannot be told; trying again", lane=self.account.name, count=count, exc_info=error)
                await asyncio.sleep(AGAIN)

    async def _silence(self) -> None:
        """Ends the publisher: what it has not published stands in the lane's row."""
        if self._saying is not None:
            self._saying.cancel()
            await asyncio.wait([self._saying])
        self._unsaid = []

    # --- taking over ---------------------------------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Makes this process the lane's driver. If it was before and nobody was between, its calls under way are still its own."""
        now = self.context.clock()
        await self._silence()
        async with self.context.pool.acquire() as connection, connection.transaction():
            found, pending = await ledger.standing(connection, self.account.name)
            mine = self._hold is not None and found.fence == self._hold.fence
            hold = ledger.Hold(found.fence if mine else found.fence + 1, found.turn + 1)
            if not mine:
                self._abandon()
            alive = [*self._calls, *(call.message_id for call in self._over)]
            changes = await ledger.interrupted(connection, self.account, found if mine else None, alive, now)
            said = [*cursor.unpack(pending), *records(changes, now)]
            await ledger.move(connection, self.account.name, hold, cursor.pack(said))
        self._hold = hold
        if not mine:
            self._pace = Pace.empty(self.account.rate, self.account.burst, self._now)
        log.info("lane taken", lane=self.account.name, fence=hold.fence, doubtful=len(changes))
        await self._say(said)

    def _abandon(self) -> None:
        """Forgets calls that somebody else has settled meanwhile; their ends would mean nothing any more."""
        for _, task in self._calls.values():
            task.cancel()
        self._calls.clear()
        self._over.clear()

"""Which lanes this process drives: those that it has locked in PostgreSQL, on one connection whose end, however it comes, frees them for others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg
import structlog

from parley import database
from parley.service import Context
from parley_sender import holding, presence, standing
from parley_sender.call import calls
from parley_sender.holding import Fenced
from parley_sender.lane import Lane
from parley_sender.law import Law
from parley_sender.limits import Limits, parts, together
from parley_sender.presence import Connected
from parley_sender.spread import Spread
from parley_sender.stops import BEAT, Stops

log = structlog.get_logger()

LOOK = 0.25
"""Seconds between two looks at who drives what: for so long at most nobody sees that another died. (What ends in order is told at once.)"""
ALIVE = 5.0
"""Seconds within which the connection that holds the locks must answer, whatever it is asked: until then nobody hears of a stop. One that died without a word
(a firewall forgot it, a machine fell) has freed them at the other end, where somebody else drives the lanes by now; and one that is asked each second is not
forgotten."""
NOTED = 1.0
"""Seconds that it may take to note how a lane is left. Without the note whoever takes it waits for an empty second first."""
AWAY: tuple[type[BaseException], ...] = (*database.OUTSIDE, asyncpg.PostgresError)
AGAIN = 0.5
"""Seconds before a lost connection is made anew, or a lane that failed is taken up again."""


@dataclass
class Lanes:
    """The worker. A lane whose lock is had is driven until the stop or the end of the connection, then given up after its calls have ended.

    Lanes whose accounts share a limit are locked and driven together; one in shares has a lock for each of them. Where there are several replicas, each
    drives its share (`spread`).
    """

    context: Context
    law: Law
    _lanes: dict[str, Lane] = field(default_factory=dict)
    _groups: list[list[str]] = field(default_factory=list)
    _driven: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _given: set[str] = field(default_factory=set)
    """Lanes that end here, for others to drive."""
    _answered: asyncio.Condition = field(default_factory=asyncio.Condition)
    """Told at each answer of the connection that holds the locks."""
    _answered_at: float = 0.0
    _stops: Stops = field(default_factory=Stops)
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)
    """A lane ended here, another replica freed one or goes, or this one shall."""

    def unready(self) -> str | None:
        """Nothing leaves, though this worker lives: the connection for locks gives no answer, or a lane that is driven here ends no turn."""
        now, stuck = asyncio.get_running_loop().time(), self.context.settings.stuck
        if now - self._answered_at > stuck:
            return f"lanes: PostgreSQL has not answered for {now - self._answered_at:.0f} s"
        still = sorted(name for name in self._driven if now - self._lanes[name].moved_at > stuck)
        return f"lanes: no turn for more than {stuck:.0f} s of {', '.join(still)}" if still else None

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; survives an absent database and says so."""
        self._answered_at = asyncio.get_running_loop().time()
        async with calls(self.context) as clients:
            accounts, limits = self.context.config.accounts, Limits(self.context.config)
            self._lanes = {
                part: Lane(one, part, self.context, clients, self.law, limits, self._stops) for one in accounts.values() for part in parts(one)
            }
            self._groups = together(accounts)
            told = asyncio.create_task(stopping.wait())
            told.add_done_callback(lambda _: self._stirred.set())
            living = asyncio.create_task(self._live())
            try:
                while not stopping.is_set():
                    try:
                        await self._hold(stopping)
                    except AWAY as error:
                        log.warning("lanes wait for PostgreSQL", cause=f"{type(error).__name__}: {error}")
                    await _either(stopping, AGAIN)
            finally:
                told.cancel()
                living.cancel()

    async def _live(self) -> None:
        """Signs of life, by which it is known when there were none for a while. Until cancelled."""
        while True:
            self._stops.beat(asyncio.get_running_loop().time(), self.context.clock())
            await asyncio.sleep(BEAT)

    async def _hold(self, stopping: asyncio.Event) -> None:
        """One connection's time: takes the locks that are free, drives their lanes, and ends with the connection or, when all is left to others, at the stop."""
        connection = await database.single(self.context.settings.database.get_secret_value(), "sender", ALIVE)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: self._gone(lost))
        try:
            await connection.add_listener(standing.CHANNEL, self._told)
            await connection.add_listener(standing.STOPS, self._stopped)
            self._stops.listens(asyncio.get_running_loop().time())
            await connection.add_listener(presence.CHANNEL, lambda *_: self._stirred.set())
            for lane in self._lanes.values():
                lane.stirred(None)  # what was told while nobody listened
            await presence.announce(connection)
            seen = Spread()
            while not stopping.is_set() and not lost.is_set():
                self._stirred.clear()
                await self._look(connection, seen, stopping, lost)
                await _either(self._stirred, LOOK)
            if not lost.is_set():
                await self._leave(connection, lost)
        finally:
            self._gone(lost)
            self._wake(self._lanes)
            async with self._answered:
                self._answered.notify_all()
            await asyncio.gather(*self._driven.values())
            self._driven.clear()
            self._given.clear()
            await _close(connection)

    async def _look(self, connection: Connected, seen: Spread, stopping: asyncio.Event, lost: asyncio.Event) -> None:
        """Asks who is there, which tells as well that the connection lives; takes what is ours to take, ends what is others', frees what has ended."""
        await self._free_ended(connection)
        replicas, free = await self._ask(connection)
        groups, now = {one[0]: one for one in self._groups}, self._answered_at
        takes = seen.takes(list(groups), [one for one in self._driven if one in groups], replicas, free, now)
        await self._take(connection, [groups[name] for name in takes], stopping, lost)
        mine = [one for one in self._driven if one in groups and one not in self._given]
        self._give([part for name in seen.gives(list(groups), mine, now) for part in groups[name]])

    async def _ask(self, connection: Connected) -> tuple[frozenset[int], set[str]]:
        """Who is there, and what is free."""
        found = await presence.look(connection, [one[0] for one in self._groups], ALIVE)
        self._answered_at = asyncio.get_running_loop().time()
        async with self._answered:
            self._answered.notify_all()
        return found

    async def _leave(self, connection: Connected, lost: asyncio.Event) -> None:
        """Leaves every lane to the others, each as soon as its calls have ended."""
        await presence.withdraw(connection)
        self._give([name for name in self._driven if name not in self._given])
        while self._driven and not lost.is_set():
            self._stirred.clear()
            await self._free_ended(connection)
            await self._ask(connection)
            await _either(self._stirred, LOOK)

    def _give(self, names: Sequence[str]) -> None:
        """Lets lanes end here."""
        if names:
            log.info("lanes left to other replicas", lanes=names)
        self._given |= set(names)
        self._wake(names)

    async def _free_ended(self, connection: Connected) -> None:
        """Frees the locks of lanes that have ended here, with what whoever takes them must know. Those of a group end together.

        How they were left is written over another connection: rows of lanes may be locked for a while, and this one hears of no stop while it waits.
        """
        ended = [group for group in self._groups if group[0] in self._given and all(self._driven[part].done() for part in group)]
        if not ended:
            return
        named = [(self._lanes[part], name) for group in ended for name in [uuid4().hex] for part in group]
        left = [one for lane, name in named if (one := lane.left(name)) is not None]
        try:
            async with asyncio.timeout(NOTED), self.context.pool.acquire() as other, other.transaction():
                await holding.hand_over(other, left)
        except TimeoutError:
            log.warning("lanes left without a note of how they stand", lanes=[part for part, _, _ in left])
        parts = [lane.part for lane, _ in named]
        for part in parts:
            await self._lanes[part].clients.binds.leave(part)
            del self._driven[part]
        self._given -= set(parts)
        await presence.free(connection, parts)

    async def _take(self, connection: Connected, groups: Sequence[Sequence[str]], stopping: asyncio.Event, lost: asyncio.Event) -> None:
        """Drives the lanes of each group of which all locks are to be had."""
        if not groups:
            return
        had = await presence.take(connection, [name for group in groups for name in group])
        whole = [group for group in groups if had.issuperset(group)]
        await self._refuse(connection, [group for group in groups if not had.issuperset(group)], had)
        for name in [name for group in whole for name in group]:
            self._lanes[name].moved_at = self._answered_at
            self._driven[name] = asyncio.create_task(self._drive(self._lanes[name], stopping, lost))
            self._driven[name].add_done_callback(lambda _: self._stirred.set())

    async def _refuse(self, connection: Connected, groups: Sequence[Sequence[str]], had: set[str]) -> None:
        """Others have lanes of these groups."""
        if groups:
            await presence.free(connection, [name for group in groups for name in group if name in had], tell=False)
        for name in [name for group in groups for name in group]:
            await self._lanes[name].clients.binds.leave(name)

    async def _drive(self, lane: Lane, stopping: asyncio.Event, lost: asyncio.Event) -> None:
        """Drives a lane as long as its lock is ours; a fault of the database is waited out. Never raises."""
        while not lost.is_set():
            try:
                await lane.run(lambda: stopping.is_set() or lost.is_set() or lane.part in self._given)
                return
            except Fenced:
                log.warning("somebody else took the lane, or a commit's answer was lost", lane=lane.account.name)
                await self._still_held(lost)
            except AWAY as error:
                log.warning("lane waits for PostgreSQL", lane=lane.account.name, cause=f"{type(error).__name__}: {error}")
            except Exception as error:
                log.error("lane failed in an unforeseen way; taking it up again", lane=lane.account.name, exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), AGAIN)

    async def _still_held(self, lost: asyncio.Event) -> None:
        """Until the locks' connection has answered a question asked from now on, or is lost: who took a lane back without its lock would fight for it."""
        for _ in range(2):
            async with self._answered:
                if not lost.is_set():
                    await self._answered.wait()

    def _told(self, _: object, __: int, ___: str, told: object) -> None:
        """Something came to stand in lines of a lane, or it was set otherwise: its part, and the lines by number, none for any."""
        part, _, named = str(told).partition(" ")
        if part in self._lanes:
            self._lanes[part].stirred([int(one) for one in named.split(",")] if named else None)

    def _stopped(self, _: object, __: int, ___: str, told: object) -> None:
        """To whom nothing more shall leave: what is claimed for them is asked again at the gate; at once, where it is the next to leave."""
        self._stops.told(str(told), asyncio.get_running_loop().time())
        for name in self._driven:
            self._lanes[name].stopped()

    def _gone(self, lost: asyncio.Event) -> None:
        """The connection for locks and news is lost: nobody hears a stop, so nothing leaves. Told again, late perhaps, it says nothing of the next one."""
        if not lost.is_set():
            self._stops.deaf()
        lost.set()
        self._stirred.set()

    def _wake(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._lanes:
                self._lanes[name].rouse()


async def _either(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def _close(connection: Connected) -> None:
    with contextlib.suppress(TimeoutError, OSError, asyncpg.InterfaceError):
        await connection.close(timeout=5)

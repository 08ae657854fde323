"""Calls that flows wait for, made outside of any step: each answer comes back as an event, and is the only effect that a call has here.

A row is taken for a while by raising its time; whoever is killed in between leaves it to the next one, which asks again where that does nothing
twice and else says that nobody knows. The answer is on the bus before the row goes; a repeat of it meets another token in the state and means nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import aiohttp
import asyncpg
import structlog

from parley import database, wire
from parley.bus import BusUnavailable
from parley.contracts import CallReturned, Envelope, Record
from parley.service import Context
from parley_router.asking import Answer, ask, may_repeat
from parley_router.pausing import pause
from parley_router.services import Services
from parley_router.state import Wanted
from parley_router.waiting import CALLS

LOOK = 1.0
"""Seconds between two looks, for what no notification tells of: tries whose pause is over, calls that somebody was killed with."""
AGAIN = 0.5
EACH, ALL = 16, 128
"""Calls under way of one service, and of all together, in one process: a service that is slow holds nobody else up."""
PAUSES = (0.5, 2.0, 8.0, 30.0)
"""Seconds before the second, third, … try, where the service does not say."""
TRIES, WITHIN = 3, 60.0
"""Tries, and seconds of one, where no service says: questions to whoever answers inside of Parley."""
MARGIN, PUBLISH_WITHIN = 10.0, 8.0
"""Seconds beyond its time after which a call is held to be lost with its process, and those of them that the bus may take."""
STOP_WITHIN = 5.0
AWAY: tuple[type[BaseException], ...] = (*database.OUTSIDE, asyncpg.PostgresError)
TAKE = """WITH due AS (
    SELECT c.contact_id, c.token, c.asked_at, s.within FROM unnest($1::text[], $2::integer[], $3::interval[]) AS s (name, room, within)
    CROSS JOIN LATERAL (
        SELECT contact_id, token, asked_at FROM calls WHERE service = s.name AND due_at <= $4 ORDER BY due_at LIMIT s.room FOR UPDATE SKIP LOCKED
    ) AS c)
UPDATE calls SET asked_at = $4, due_at = $4 + due.within FROM due WHERE (calls.contact_id, calls.token) = (due.contact_id, due.token)
RETURNING calls.contact_id, calls.token, tenant, service, wanted, attempt + 1, calls.asked_at, due.asked_at IS NOT NULL"""
MINE = "(contact_id, token, asked_at) = ($1, $2, $3)"
"""Whether the row is still the one that was taken: by nobody else since, and its flow waits for it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was taken. `attempt` counts the tries of which is known how they ended, and this one. `doubtful`: there was one more, of which
    nobody knows it."""

    contact: UUID
    token: str
    tenant: str
    service: str
    wanted: Wanted
    attempt: int
    taken_at: datetime
    doubtful: bool

    @property
    def row(self) -> tuple[UUID, str, datetime]:
        return self.contact, self.token, self.taken_at


Answerer = Callable[[Call], Awaitable[Answer]]
"""Whoever answers a kind of question that is not for a service over HTTP."""


@dataclass
class Caller:
    """The worker. Every replica may run it. `inside`: who answers `read` and `answer`, by that word."""

    context: Context
    services: Services
    inside: Mapping[str, Answerer] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    """Everybody who was ever to be asked since this process began: services, kinds, and names that services.yaml does not have any more."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[asyncio.Task[None], str] = field(default_factory=dict)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; survives an absent database or bus, and then says so."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as http:
            while not stopping.is_set():
                try:
                    await self._listen(http, stopping)
                except AWAY as error:
                    log.warning("calls wait for PostgreSQL", cause=f"{type(error).__name__}: {error}")
                await pause(AGAIN, stopping)
            await self._end()

    async def _listen(self, http: aiohttp.ClientSession, stopping: asyncio.Event) -> None:
        """One connection's time: hears of calls as they are committed, and makes what is due."""
        async with _notified(self.context, self._told) as (connection, lost):
            self._known |= {row["service"] for row in await connection.fetch("SELECT DISTINCT service FROM calls")}
            while not stopping.is_set() and not lost.is_set():
                self._wake.clear()
                if not await self.take(http):
                    await pause(LOOK, self._wake, stopping, lost)

    def _told(self, _: object, __: int, ___: str, service: object) -> None:
        """Something is to be asked of this one."""
        self._known.add(str(service))
        self._wake.set()

    async def take(self, http: aiohttp.ClientSession) -> int:
        """Begins as many calls as are due and have room; how many."""
        room = self._room()
        rows = await self.context.pool.fetch(
            TAKE, list(room), list(room.values()), [timedelta(seconds=self._within(name)) for name in room], self.context.clock()
        ) if room else []  # fmt: skip
        for row in rows:
            contact, token, tenant, service, wanted, *rest = row
            task = asyncio.create_task(self._make(http, Call(contact, token, tenant, service, Wanted.model_validate_json(wanted), *rest)))
            self._running[task] = service
            task.add_done_callback(self._done)
        return len(rows)

    def _room(self) -> dict[str, int]:
        """How many more may be asked of each, those with the fewest under way first."""
        busy, left = Counter(self._running.values()), ALL - len(self._running)
        found: dict[str, int] = {}
        for name in sorted(self._known, key=lambda name: busy[name]):
            if (free := min(EACH - busy[name], left)) > 0:
                found[name] = free
                left -= free
        return found

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _make(self, http: aiohttp.ClientSession, call: Call) -> None:
        """One try, and what follows from it. A fault of ours ends the call with a word: the customer waits for it."""
        began = time.perf_counter()
        try:
            answer = await self._asked(http, call)
        except Exception as error:
            log.error("a call failed by a fault of ours", service=call.service, contact_id=str(call.contact), exc_info=error)
            answer = Answer(error=f"fault: {type(error).__name__}")
        again = answer.again and call.attempt < self._tries(call.service)
        self.context.metrics.calls.labels(call.service, "again" if again else answer.error or "answered").inc()
        self.context.metrics.call_seconds.labels(call.service).observe(time.perf_counter() - began)
        try:
            await (self._later(call, answer) if again else self._tell(call, answer))
        except AWAY as error:
            log.warning("a call's row stays until its time is over", service=call.service, cause=f"{type(error).__name__}: {error}")

    async def _asked(self, http: aiohttp.ClientSession, call: Call) -> Answer:
        if call.wanted.kind == "http":
            if (service := self.services.get(call.service)) is None:
                return Answer(error="services.yaml has no such service")
            if call.doubtful and not may_repeat(service, call.wanted):
                return Answer(error="unknown")
            return await ask(http, service, call.wanted, call.token)
        if (inside := self.inside.get(call.wanted.kind)) is None:
            return Answer(error="nobody here answers that")
        try:
            async with asyncio.timeout(WITHIN):
                return await inside(call)
        except TimeoutError:
            return Answer(error="timeout", again=True)

    async def _later(self, call: Call, answer: Answer) -> None:
        """Lets go of the row until the pause is over."""
        pause = answer.after if answer.after is not None else PAUSES[min(call.attempt, len(PAUSES)) - 1]
        await self.context.pool.execute(
            f"UPDATE calls SET attempt = $4, asked_at = NULL, due_at = $5 WHERE {MINE}", *call.row, call.attempt, self._in(pause)
        )

    async def _tell(self, call: Call, answer: Answer) -> None:
        """Puts the answer on the bus, then drops the row; while the bus is away the row is held on to."""
        while True:
            try:
                await self.context.bus.publish([self._returned(call, answer)], PUBLISH_WITHIN)
                break
            except BusUnavailable as error:
                log.warning("an answer waits for the bus", service=call.service, cause=str(error))
            await self.context.pool.execute(f"UPDATE calls SET due_at = $4 WHERE {MINE}", *call.row, self._in(MARGIN))
            await asyncio.sleep(AGAIN)
        await self.context.pool.execute(f"DELETE FROM calls WHERE {MINE}", *call.row)

    def _returned(self, call: Call, answer: Answer) -> Record:
        now = self.context.clock()
        data = CallReturned(
            contact_id=call.contact, call=call.wanted.service or call.wanted.kind, token=call.token,
            status=answer.status, body=answer.body, error=answer.error,
        )  # fmt: skip
        number = str(wire.natural_id("call", str(call.contact), call.token))
        return wire.encode(
            Envelope(id=number, source="parley/router", time=now, started_at=now, tenant=call.tenant, subject=str(call.contact), data=data)
        )

    def _in(self, seconds: float) -> datetime:
        return self.context.clock() + timedelta(seconds=seconds)

    def _tries(self, service: str) -> int:
        known = self.services.get(service)
        return known.tries if known is not None else TRIES

    def _within(self, service: str) -> float:
        known = self.services.get(service)
        return (known.timeout if known is not None else WITHIN) + MARGIN

    async def _end(self) -> None:
        """Waits a moment for what is under way; what is cut off is taken up by the next one when its time is over."""
        tasks = list(self._running)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _notified(context: Context, told: Callable[..., None]) -> AsyncIterator[tuple[asyncpg.Connection[asyncpg.Record], asyncio.Event]]:
    """A connection that hears of calls, and the event that it is lost."""
    connection = await database.single(context.settings.database.get_secret_value(), "router")
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    try:
        await connection.add_listener(CALLS, told)
        yield connection, lost
    finally:
        with contextlib.suppress(TimeoutError, OSError, asyncpg.InterfaceError):
            await connection.close(timeout=5)

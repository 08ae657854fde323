"""Posts what webhooks are to be told. What is taken is committed before its call, and what came of it after: killed in between, it is told again under its id."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import aiohttp
import asyncpg
import structlog

from parley import database, outside
from parley.outside import Lookup
from parley.service import Context
from parley_sender.notify import call, rows, signing
from parley_sender.notify.rows import Ended, Post
from parley_sender.notify.schedule import Answer, Health, health, verdict

log = structlog.get_logger()

LOOK = 0.5
"""Seconds between two looks while nothing ends here: what was just noted, tries whose pause is over, what somebody was killed with."""
AGAIN = 1.0
UPKEEP = 60.0
STOP_WITHIN = 5.0
AWAY: tuple[type[BaseException], ...] = (*database.OUTSIDE, asyncpg.PostgresError)


@dataclass
class Posting:
    """The worker. Every replica may run it."""

    context: Context
    addresses: Lookup = outside.lookup
    _running: dict[asyncio.Task[None], UUID] = field(default_factory=dict)
    _ended: list[Ended] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _http: aiohttp.ClientSession | None = None

    @property
    def local(self) -> bool:
        return self.context.settings.webhooks_local == "on"

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Posting]:
        """With its client; at the end, what is under way is waited for a moment, and written down."""
        async with call.client(self.local, self.addresses) as self._http:
            try:
                yield self
            finally:
                await self._end()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; survives an absent database, and then says so."""
        async with self.opened():
            upkeep = asyncio.create_task(self._kept_up(stopping))
            while not stopping.is_set():
                self._wake.clear()
                try:
                    begun, pause = await self.turn(self.context.clock()), LOOK
                except AWAY as error:
                    log.warning("webhooks wait for PostgreSQL", cause=f"{type(error).__name__}: {error}")
                    begun, pause = 0, AGAIN
                if not begun:
                    await _either(pause, stopping, self._wake)
            await upkeep

    async def turn(self, now: datetime) -> int:
        """Writes down what has ended, then begins what is due; how many. What cannot be written down now is kept for the next turn."""
        await self._settle(now)
        taken = await rows.take(self.context.pool, Counter(self._running.values()), now)
        for one in taken:
            task = asyncio.create_task(self._make(one, now))
            self._running[task] = one.webhook_id
            task.add_done_callback(self._done)
        return len(taken)

    async def quiet(self) -> None:
        """Until every call has ended."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def look_after(self, now: datetime) -> None:
        """Refreshes the gauges, and forgets what is old."""
        metrics, found = self.context.metrics, await self.context.pool.fetchrow(rows.GAUGES, now)
        assert found is not None
        for state in ("working", "failing", "disabled"):
            metrics.webhooks.labels(state).set(found[state])
        metrics.webhook_late_seconds.set(max(0.0, (now - found["oldest"]).total_seconds()) if found["oldest"] else 0.0)
        while await rows.forget(self.context.pool, now - rows.KEPT) == rows.AT_ONCE:
            pass

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _make(self, one: Post, now: datetime) -> None:
        assert self._http is not None
        key, clock = self.context.settings.secret.get_secret_value().encode(), self.context.clock
        keys = signing.secrets(key, one.webhook_id, one.generation, one.previous_until, now)
        content = one.body.encode()
        answer = await call.post(self._http, one.url, signing.headers(keys, one.event_id, now, content), content, self.local, now)
        self._ended.append(Ended(one, now, answer, verdict(answer, one.tries, clock(), f"{one.webhook_id}:{one.event_id}")))

    async def _settle(self, now: datetime) -> None:
        ended = list(self._ended)
        if not ended:
            return
        for row in await rows.settle(self.context.pool, ended, healths(ended, now), now):
            log.error("a webhook is disabled", tenant=row["tenant"], webhook_id=str(row["id"]), reason=row["disabled_reason"])
        del self._ended[: len(ended)]
        for one in ended:
            self.context.metrics.webhook_posts.labels(one.verdict.state).inc()
            self.context.metrics.webhook_seconds.observe(one.answer.seconds)

    async def _kept_up(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.look_after(self.context.clock())
            except AWAY as error:
                log.warning("old webhook posts stay for now", cause=f"{type(error).__name__}: {error}")
            await _either(UPKEEP, stopping)

    async def _end(self) -> None:
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=STOP_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(*AWAY):
            await self._settle(self.context.clock())


def healths(ended: Sequence[Ended], now: datetime) -> dict[tuple[UUID, str], Health]:
    """What calls say of their webhooks, by id and the address that was called; nothing of those that work as they did."""
    failing = {one.post.webhook_id for one in ended if one.post.failing}
    found: dict[tuple[UUID, str], list[tuple[Answer, datetime]]] = {}
    for one in ended:
        found.setdefault((one.post.webhook_id, one.post.url), []).append((one.answer, one.post.noted_at))
    said = {place: health(answers, now) for place, answers in found.items()}
    return {place: one for place, one in said.items() if not one.good or one.gone or one.paused_until or place[0] in failing}


async def _either(seconds: float, *events: asyncio.Event) -> None:
    """Until one of the events, or the time."""
    waits = [asyncio.create_task(one.wait()) for one in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()

"""Who listens here: the sockets and long polls of this process, woken by PostgreSQL's notifications whichever replica wrote.

A notification says only that there is something to read. One that is lost with its connection loses nothing: everybody is woken when the next one stands.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import asyncpg
import structlog

from parley import database
from parley.service import Context
from parley_ingest.chat import history
from parley_ingest.chat.history import CHANNEL, Chat

log = structlog.get_logger()

AGAIN = 0.5
"""Seconds before a lost connection is made anew."""
ALIVE = 15.0
"""Seconds between two looks whether the connection still answers."""
EVERY, AT_ONCE = 60.0, 5_000
"""Seconds between two looks for what is too old, and how many rows are dropped at a time."""


@dataclass(eq=False, slots=True)
class Ear:
    """One socket or long poll. `wake` is set when there may be something new; `typing` when somebody writes to the visitor."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    typing: bool = False


@dataclass
class Live:
    """The worker that holds the listening connection."""

    context: Context
    stopping: bool = False
    _ears: dict[str, set[Ear]] = field(default_factory=dict)

    @contextlib.contextmanager
    def listening(self, chat: Chat) -> Iterator[Ear]:
        """An ear for a conversation, as long as the block lasts."""
        ear = Ear()
        self._ears.setdefault(chat.name, set()).add(ear)
        try:
            yield ear
        finally:
            ears = self._ears[chat.name]
            ears.discard(ear)
            if not ears:
                del self._ears[chat.name]

    def count(self, chat: Chat) -> int:
        return len(self._ears.get(chat.name, ()))

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then everybody is woken to say goodbye. Survives an absent database."""
        while not stopping.is_set():
            try:
                await self._listen(stopping)
            except database.OUTSIDE as error:
                log.warning("web chat waits for PostgreSQL", cause=f"{type(error).__name__}: {error}")
            await _either(stopping, AGAIN)
        self.stopping = True
        self._wake_all()

    async def _listen(self, stopping: asyncio.Event) -> None:
        """One connection's time."""
        connection = await database.single(self.context.settings.database.get_secret_value(), "ingest")
        over = asyncio.Event()
        connection.add_termination_listener(lambda _: over.set())
        waiting = asyncio.create_task(stopping.wait())
        waiting.add_done_callback(lambda _: over.set())
        try:
            await connection.add_listener(CHANNEL, self._told)
            self._wake_all()  # whatever was written while nobody listened
            while not over.is_set():
                await _either(over, ALIVE)
                if not over.is_set():
                    await connection.execute("SELECT 1", timeout=5)
        finally:
            waiting.cancel()
            with contextlib.suppress(TimeoutError, OSError, asyncpg.InterfaceError):
                await connection.close(timeout=5)

    def _told(self, _: object, __: int, ___: str, words: object) -> None:
        name, _, more = str(words).rpartition(" ")
        typing = more == "typing"
        for ear in self._ears.get(name if typing else str(words), ()):
            ear.typing |= typing
            ear.wake.set()

    def _wake_all(self) -> None:
        for ears in self._ears.values():
            for ear in ears:
                ear.wake.set()


@dataclass(frozen=True)
class ForgetChats:
    """The worker that keeps conversations for ninety days. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                if await history.forget(self.context.pool, self.context.clock() - history.KEPT, AT_ONCE) >= AT_ONCE:
                    continue
            except database.OUTSIDE as error:
                log.warning("old conversations stay for now", cause=f"{type(error).__name__}: {error}")
            await _either(stopping, EVERY)


async def _either(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

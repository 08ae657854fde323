"""Requests that come at about the same time go through the door together: one publish for all of them costs little more than one for each would."""

from __future__ import annotations

import asyncio
from asyncio import Task, TimerHandle
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from parley.contracts import Record

log = structlog.get_logger()

PATIENCE = 0.02
"""Seconds that a record waits at most for the publish before it. Kafka answers within a few milliseconds; where it does not, nobody waits for others."""
ALONE = 65_536
"""Bytes from which on a record goes alone: were it too large for the bus, others would be refused with it."""

Kept = Callable[[Exception | None], None]
"""Told None once the record is kept for good, else why it is not."""


@dataclass
class Together:
    """The way of single records through the door. Every record is kept, or refused, as `accept` (a door's) would have done it alone."""

    accept: Callable[[Sequence[Record]], Awaitable[None]]
    _waiting: list[tuple[Record, Kept]] = field(default_factory=list)
    _under_way: set[Task[None]] = field(default_factory=set)
    _late: TimerHandle | None = None

    def add(self, record: Record, kept: Kept) -> None:
        """Takes a record; the answer comes later, never before this returns."""
        if len(record[3]) >= ALONE:
            self._go([(record, kept)])
            return
        self._waiting.append((record, kept))
        if len(self._waiting) > 1:
            return
        loop = asyncio.get_running_loop()
        if self._under_way:
            self._late = loop.call_later(PATIENCE, self._all)
        else:
            loop.call_soon(self._all)

    def _all(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        some, self._waiting = self._waiting, []
        if some:
            self._go(some)

    def _go(self, some: list[tuple[Record, Kept]]) -> None:
        task = asyncio.create_task(self._put(some))
        self._under_way.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: Task[None]) -> None:
        self._under_way.discard(task)
        self._all()

    async def _put(self, some: list[tuple[Record, Kept]]) -> None:
        error: Exception | None = None
        try:
            await self.accept([record for record, _ in some])
        except Exception as caught:
            error = caught
        for _, kept in some:
            try:
                kept(error)
            except Exception as odd:  # whoever cannot be told has gone; the others are told
                log.error("an outcome was not heard", exc_info=odd)

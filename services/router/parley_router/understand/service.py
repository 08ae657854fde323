"""Reads messages for a service: off the event loop, those that come together as one batch, the same message only once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from parley_router.understand.reading import Reading
from parley_router.understand.understanding import Asked, Understanding

TOGETHER = 32
"""Messages of one batch."""


class Reader:
    """`read` may be called by any number of tasks at once. One batch is computed at a time, and what comes meanwhile makes the next.

    `kept`: readings remembered, the least recently used forgotten first. `close` lets the batch under way end.
    """

    def __init__(self, understanding: Understanding, kept: int = 10_000) -> None:
        self._understanding = understanding
        self._kept = kept
        self._known: OrderedDict[Asked, Reading] = OrderedDict()
        self._waiting: dict[Asked, asyncio.Future[Reading]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="understanding")
        self._work: asyncio.Task[None] | None = None

    async def read(self, asked: Asked) -> Reading:
        """The reading. Raises what the encoder raises."""
        if (known := self._known.get(asked)) is not None:
            self._known.move_to_end(asked)
            return known
        future = self._waiting.get(asked)
        if future is None:
            future = self._waiting[asked] = asyncio.get_running_loop().create_future()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._read_waiting())
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Ends when the batch under way has; messages still waiting are cancelled."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self._thread.shutdown)

    async def _read_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := list(self._waiting)[:TOGETHER]:
            try:
                readings = await loop.run_in_executor(self._thread, self._understanding.read, batch)
            except Exception as error:
                self._fail(batch, error)
            else:
                self._tell(batch, readings)

    def _tell(self, batch: Sequence[Asked], readings: Sequence[Reading]) -> None:
        for asked, reading in zip(batch, readings, strict=True):
            self._known[asked] = reading
            if not (future := self._waiting.pop(asked)).done():
                future.set_result(reading)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)

    def _fail(self, batch: Sequence[Asked], error: Exception) -> None:
        for asked in batch:
            if not (future := self._waiting.pop(asked)).done():
                future.set_exception(error)

"""What a lane says to the bus, in order, while its turns go on. Until a record is published it rides in the lane's row, so a kill loses none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from parley.bus import Bus, BusUnavailable
from parley.contracts import Record

log = structlog.get_logger()

UNSAID = 5000
"""Records that may wait for the bus: while it is away a lane goes on for a moment, then stops too."""
AGAIN = 0.25
"""Seconds between tries to publish while the bus is away."""


@dataclass
class Saying:
    """One lane's publisher. `unsaid`: what is not known to be on the bus, oldest first."""

    bus: Bus
    lane: str
    unsaid: list[Record] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    async def say(self, said: Sequence[Record]) -> None:
        """Hands records to the publisher; too much that is not published makes the lane wait."""
        self.unsaid += said
        if self.unsaid and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._publish())
        if len(self.unsaid) > UNSAID and self._task is not None:
            await asyncio.wait([self._task])

    async def end(self) -> None:
        """Waits until all is said."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def silence(self) -> None:
        """Ends the publisher: what it has not published stands in the lane's row."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.unsaid = []

    async def _publish(self) -> None:
        """Publishes in order until nothing is left, however long the bus is away."""
        while self.unsaid:
            count = len(self.unsaid)
            try:
                await self.bus.publish(self.unsaid[:count])
                del self.unsaid[:count]
            except BusUnavailable as error:
                log.warning("changes of deliveries wait for the bus", lane=self.lane, cause=str(error))
                await asyncio.sleep(AGAIN)
            except Exception as error:
                log.error("changes of deliveries cannot be told; trying again", lane=self.lane, count=count, exc_info=error)
                await asyncio.sleep(AGAIN)

"""A stage over the log once more: as the service's own step, a transaction a batch with the cursor in it, but nothing is published."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import structlog
from aiokafka import ConsumerRecord

from parley import cursor, history, step
from parley.cursor import Cursor, Lost, Move, Place
from parley.database import OUTSIDE, Pool
from parley.settings import Settings
from parley.step import Arrived, Entry, Passed
from parley.stream import Choosy, Stage

log = structlog.get_logger()

NO_EVENTS: tuple[type[BaseException], ...] = (*OUTSIDE, Lost)
"""No event is to blame for these."""
Told = Callable[[int], None]
"""Told how many records were read since it was told last."""


@dataclass
class Reading:
    """One stage over the log, into the schema of a pool.

    Nothing is published: the service told it when it read these records. Nor is what cannot be processed put to the dead letters a second time.
    """

    stage: Stage
    pool: Pool
    settings: Settings
    told: Told
    records: int = 0
    dead: int = 0
    """Records that cannot be read, or be applied."""
    _cursors: dict[Place, Cursor] = field(default_factory=dict)

    async def begin(self, starts: Mapping[Place, int]) -> None:
        """Cursors where there are none yet: an interrupted run goes on where it was."""
        async with self.pool.acquire() as connection:
            await cursor.create(connection, self.stage.name, dict(starts))

    async def up_to(self, limits: Mapping[Place, int]) -> None:
        """Reads until every cursor is at its limit. Who else moves a cursor meanwhile has done what is to be done. Raises KafkaError and TimeoutError."""
        while spans := await self.left(limits):
            try:
                async with contextlib.aclosing(history.between(self.settings, spans)) as stretches:
                    async for stretch in stretches:
                        await self._take(stretch.records)
                await self._end({place: limits[place] for place in spans})
            except (Lost, asyncpg.TransactionRollbackError) as error:
                log.info("read by somebody else meanwhile", stage=self.stage.name, cause=str(error))

    async def left(self, limits: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
        """What there is to read yet, by partition."""
        async with self.pool.acquire() as connection:
            self._cursors = await cursor.load(connection, self.stage.name, list(limits))
        return {place: (one.next_offset, limits[place]) for place, one in self._cursors.items() if one.next_offset < limits[place]}

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        for part in step.by_bytes(await self._decoded(records), self.settings.batch_bytes):
            await self._apply(part)
        self.records += len(records)
        self.told(len(records))

    async def _end(self, ends: Mapping[Place, int]) -> None:
        """Goes past what is not in the log any more."""
        if (error := await self._attempt([], ends)) is not None:
            raise error

    async def _decoded(self, records: Sequence[ConsumerRecord]) -> list[Entry]:
        """The records read: all of them, or those of the tenants that the stage wants."""
        tenants = {tenant for record in records if (tenant := step.tenant_of(record)) is not None}
        if not isinstance(self.stage, Choosy) or not tenants:
            return list(step.decoded(records, self.settings.prefix))
        async with self.pool.acquire() as connection:
            return list(step.chosen(records, await self.stage.wanted(connection, tenants), self.settings.prefix))

    async def _apply(self, entries: Sequence[Entry]) -> None:
        """Applies entries in order; a batch that fails is halved until the guilty event stands alone, and that one is passed over."""
        parts = [list(entries)]
        while parts:
            part = parts.pop()
            guilt = await self._attempt(part, step.ends(part))
            if guilt is None:
                self.dead += sum(not isinstance(entry, Arrived | Passed) for entry in part)
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                log.warning("event cannot be processed", stage=self.stage.name, cause=f"{type(guilt).__name__}: {guilt}", **step.about(part))
                self.dead += 1
                parts.append([Passed(part[0].place, part[0].offset, part[0].record)])

    async def _attempt(self, part: Sequence[Entry], ends: Mapping[Place, int]) -> Exception | None:
        """One transaction: the effects of `part`, and the cursors at `ends`. Gives the exception when an event is to blame; nothing is written then."""
        good = [entry for entry in part if isinstance(entry, Arrived)]
        moves = [Move(place, self._cursors[place].next_offset, end, self._cursors[place].pending) for place, end in ends.items()]
        try:
            async with self.pool.acquire() as connection, connection.transaction():
                if good:
                    await self.stage.apply(connection, good, came(good))
                await cursor.move(connection, self.stage.name, moves)
        except NO_EVENTS:
            raise
        except Exception as error:
            return error
        self._cursors |= {move.place: Cursor(move.next_offset, move.pending) for move in moves}
        return None


def came(part: Sequence[Arrived]) -> datetime:
    """When the last of these came onto the bus: the time at which the service may have read them."""
    return datetime.fromtimestamp(max(entry.record.timestamp for entry in part) / 1000, UTC)

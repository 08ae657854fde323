"""The runtime: one step, exactly once in its effects. A stage says what a batch means; this module does the rest.

For each batch, in one PostgreSQL transaction: the stage applies the events (reads states, decides, writes states), and the cursor moves by
compare-and-set with the outputs in it. Then the outputs are published, then the place is committed to Kafka (for lag metrics only). A crash
at any point redoes the batch or repeats its outputs with the same ids; it never loses one. Errors of the database or the broker are waited
out; an event that is itself to blame is found by halving the batch and goes to `parley.dead`; past a limit of those the stage stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import structlog
from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from parley import cursor, step
from parley.bus import Bus, BusUnavailable
from parley.contracts import Record
from parley.cursor import Cursor, Lost, Move, Place
from parley.database import OUTSIDE, Connection, Pool
from parley.metrics import Metrics
from parley.settings import Settings
from parley.step import Arrived, Broken, Caused, DeadLimit, Entry, Passed

log = structlog.get_logger()

PAUSES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while PostgreSQL or Kafka is away; the last one goes on."""
COMMIT_EVERY = 1.0
OUTSIDE_STEP: tuple[type[BaseException], ...] = (*OUTSIDE, BusUnavailable, KafkaError)
ADOPT_WAIT = 15.0
"""Seconds that a rebalance waits for the cursors; after it the first batch waits for them."""


class Stage(Protocol):
    """What a service does with events: a name for its cursors, its topics, and the meaning of a batch."""

    @property
    def name(self) -> str: ...

    @property
    def topics(self) -> tuple[str, ...]: ...

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        """Writes the batch's effects through `connection` (inside the step's transaction) and gives the outputs, in order.

        Must have no other effect: the same batch may come again after a rollback. An exception that is not the database's blames an event.
        """
        ...


@runtime_checkable
class Choosy(Protocol):
    """What a stage offers beside that, where most of what its topics carry may concern nobody: what it does not want is not even decoded."""

    async def wanted(self, connection: Connection, tenants: Collection[str]) -> Collection[str]:
        """Those of these tenants whose events it wants to have. Asked when they have come and before they are read, outside the step's transaction."""
        ...


class Abandoned(Exception):
    """The partitions go to somebody else, or the process stops: the batch is left as it was."""


class Stream(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One stage running in one process."""

    def __init__(self, stage: Stage, pool: Pool, bus: Bus, settings: Settings, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self.stage = stage
        self.stopped: str | None = None
        """Why the stage stopped for good, in words; None while it runs."""
        self._pool, self._bus, self._settings, self._metrics, self._clock = pool, bus, settings, metrics, clock
        self._choosy: Choosy | None = stage if isinstance(stage, Choosy) else None
        self._cursors: dict[Place, int] = {}
        self._assigned: set[Place] = set()
        self._suspects: dict[Place, tuple[int, int]] = {}
        self._reached: dict[Place, datetime] = {}
        self._limit = DeadLimit(settings.dead_streak, settings.dead_ratio)
        self._turn = asyncio.Lock()
        self._leaving = asyncio.Event()
        self._closed = False
        self._progress = time.monotonic()
        self._committed = 0.0
        for topic in stage.topics:  # a counter that is born at 1 has not increased, for Prometheus
            metrics.dead.labels(stage.name, bus.prefix + topic)
        for kind in ("reread", "accepted"):
            metrics.gaps.labels(stage.name, kind)
        metrics.idle_seconds.labels(stage.name).set_function(self.idle_seconds)
        metrics.stage_stopped.labels(stage.name).set_function(lambda: self.stopped is not None)
        self._subscriber = bus.subscribe(f"parley.{stage.name}", stage.topics, self.handle, self)

    # --- Kafka's calls -------------------------------------------------------------------------------------------------------------

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """One batch, from records to published outputs. Never raises: what cannot be done now is done again."""
        if self._leaving.is_set() or self.stopped:
            return
        async with self._turn:
            try:
                entries = await self._expected(records)
                for part in step.by_bytes(entries, self._settings.batch_bytes):
                    await self._apply(part)
            except Abandoned:
                log.info("batch left to the next owner", stage=self.stage.name, records=len(records))
            except Exception as error:
                log.error("step failed in an unforeseen way; reading again from the cursor", stage=self.stage.name, exc_info=error)
                await self._forget(frozenset(self._cursors))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._assigned = {Place(one.topic, one.partition) for one in assigned}
        if self._closed:
            return
        self._leaving.clear()
        with self._paused(assigned), contextlib.suppress(TimeoutError, Abandoned):
            async with asyncio.timeout(ADOPT_WAIT), self._turn:
                await self._adopt(self._assigned - self._cursors.keys())

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Lets the running step end, then forgets: eager rebalancing takes all partitions and gives them anew."""
        await self._drain()
        self._cursors.clear()
        self._suspects.clear()
        self._reached.clear()
        self._assigned = set()

    async def stop(self) -> None:
        """Drains: the running step ends or is left whole to the next owner, and nothing more is taken."""
        self._closed = True
        await self._drain()

    async def lag(self) -> int:
        """Records between where this process stands and the end of the log. Raises KafkaError or TimeoutError when that cannot be known."""
        async with asyncio.timeout(5):
            behind = await self._behind()
        now, lag = self._clock(), sum(behind.values())
        self._reached |= {place: now for place, count in behind.items() if count == 0}
        late = max((now - self._reached.setdefault(place, now) for place in behind), default=timedelta())
        self._metrics.lag_records.labels(self.stage.name).set(lag)
        self._metrics.lag_seconds.labels(self.stage.name).set(max(0.0, late.total_seconds()))
        if lag == 0:
            self._progress = time.monotonic()
        return lag

    async def _behind(self) -> dict[Place, int]:
        """Records to go by partition: from its cursor, or, while the database does not give that, from the offset that Kafka was told."""
        consumer = self._subscriber.consumer
        places = sorted(self._assigned | self._cursors.keys())
        if consumer is None or not places:
            return {}
        ends = await consumer.end_offsets([TopicPartition(*place) for place in places])
        told = {place: await consumer.committed(TopicPartition(*place)) or 0 for place in places if place not in self._cursors}
        stands = told | self._cursors
        return {place: max(0, int(ends[TopicPartition(*place)]) - stands[place]) for place in places if place in stands}

    def idle_seconds(self) -> float:
        """Time since a step last ended, or since there was nothing to do."""
        return time.monotonic() - self._progress

    # --- taking over and giving back -----------------------------------------------------------------------------------------------

    async def _adopt(self, places: set[Place]) -> None:
        """Makes this process the reader of `places`: publishes again what the last owner may not have, and reads on from the cursor."""
        if not places:
            return
        consumer = self._subscriber.consumer
        found = await self._persist(lambda: self._load(sorted(places), consumer))
        for place, one in found.items():
            await self._publish(cursor.unpack(one.pending))
            self._cursors[place] = one.next_offset
            consumer.seek(TopicPartition(*place), one.next_offset)
        log.info("partitions taken", stage=self.stage.name, places=len(found))

    @contextlib.contextmanager
    def _paused(self, partitions: set[TopicPartition]) -> Iterator[None]:
        """Nothing of these is fetched meanwhile. A broker answers in order: what it is asked behind a fetch that waits for records, it answers after that."""
        consumer = self._subscriber.consumer
        consumer.pause(*partitions)
        try:
            yield
        finally:
            consumer.resume(*partitions)

    async def _load(self, places: list[Place], consumer: Any) -> dict[Place, Cursor]:
        partitions = [TopicPartition(*place) for place in places]
        async with self._pool.acquire() as connection:
            found = await cursor.load(connection, self.stage.name, places)
            if missing := [place for place in places if place not in found]:
                starts = await consumer.beginning_offsets([TopicPartition(*place) for place in missing])
                await cursor.create(connection, self.stage.name, {Place(one.topic, one.partition): offset for one, offset in starts.items()})
                found |= await cursor.load(connection, self.stage.name, missing)
        for one, end in (await consumer.end_offsets(partitions)).items():
            place = Place(one.topic, one.partition)
            if found[place].next_offset > end:
                self._stop_for_good(
                    f"the cursor of {self.stage.name} in {place.topic}/{place.partition} is at {found[place].next_offset}, beyond the end of the log"
                    f" ({end}): the topic was made anew or another Kafka is configured. Restore the topic, or delete this cursor row to begin again"
                )
                raise Abandoned
        return found

    async def _forget(self, places: frozenset[Place]) -> None:
        """Reads the cursors of `places` again and goes on from there, if the partitions are still ours."""
        for place in places:
            self._cursors.pop(place, None)
        with contextlib.suppress(Abandoned):
            await self._adopt(set(places) & self._assigned)

    async def _drain(self) -> None:
        self._leaving.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain), self._turn:
                await self._commit(force=True)

    # --- the step ------------------------------------------------------------------------------------------------------------------

    async def _expected(self, records: Sequence[ConsumerRecord]) -> list[Entry]:
        """The records that follow the cursors, decoded. What does not follow is read again: a batch fetched before a rebalance may come after it."""
        batches = step.by_place(records)
        await self._adopt((batches.keys() & self._assigned) - self._cursors.keys())
        following: list[ConsumerRecord] = []
        for place, batch in batches.items():
            expected = self._cursors.get(place)
            if expected is None:
                continue  # revoked meanwhile: the next owner reads it
            fresh = [record for record in batch if record.offset >= expected]
            if not fresh:
                continue
            first = fresh[0].offset
            if first > expected and self._suspects.get(place) != (expected, first):
                self._suspects[place] = (expected, first)
                self._metrics.gaps.labels(self.stage.name, "reread").inc()
                self._subscriber.consumer.seek(TopicPartition(*place), expected)
                continue
            if first > expected:
                self._metrics.gaps.labels(self.stage.name, "accepted").inc()
                log.warning(
                    "records are gone from the log", stage=self.stage.name, topic=place.topic, partition=place.partition, lost=first - expected
                )
            self._suspects.pop(place, None)
            following += fresh
        return await self._decoded(following)

    async def _decoded(self, records: Sequence[ConsumerRecord]) -> list[Entry]:
        """The records read: all of them, or those that the stage wants."""
        stage = self._choosy
        if stage is None:
            return list(step.decoded(records, self._bus.prefix))
        tenants = {tenant for record in records if (tenant := step.tenant_of(record)) is not None}
        wanted = await self._persist(lambda: self._wanted(stage, tenants)) if tenants else ()
        return list(step.chosen(records, wanted, self._bus.prefix))

    async def _wanted(self, stage: Choosy, tenants: Collection[str]) -> Collection[str]:
        async with self._pool.acquire() as connection:
            return await stage.wanted(connection, tenants)

    async def _apply(self, entries: Sequence[Entry]) -> None:
        """Applies entries in order; a batch that fails is halved until the guilty event stands alone, and that becomes a dead letter."""
        parts = [list(entries)]
        while parts:
            part = [entry for entry in parts.pop() if entry.offset >= self._cursors.get(entry.place, entry.offset + 1)]
            if not part:
                continue
            began = time.perf_counter()
            try:
                guilt = await self._persist(lambda part=part: self._attempt(part))  # type: ignore[misc]
            except Lost as lost:
                log.warning("cursor moved by another owner, or by a commit whose answer was lost", stage=self.stage.name, places=str(lost))
                # Forward or, where a replay put other tables there, back: what we hold need not follow it, so all of it is read again from the cursors.
                await self._forget(frozenset(self._cursors))
                raise Abandoned from lost
            if guilt is None:
                self._metrics.batch_seconds.labels(self.stage.name).observe(time.perf_counter() - began)
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                log.error("event cannot be processed", stage=self.stage.name, exc_info=guilt, **step.about(part))
                parts.append([Broken.of(part[0], f"{type(guilt).__name__}: {guilt}")])

    async def _attempt(self, part: Sequence[Entry]) -> Exception | None:
        """One transaction over `part`, then its outputs on the bus. Gives the exception when an event is to blame; nothing is written then."""
        good = [entry for entry in part if isinstance(entry, Arrived)]
        ends = step.ends(part)
        if not self._leaving.is_set():
            try:
                now = self._clock()  # one for all: what comes out says when it was decided, so that it can be decided again
                async with self._pool.acquire() as connection, connection.transaction():
                    with structlog.contextvars.bound_contextvars(**step.about(part)):
                        caused = await self.stage.apply(connection, good, now) if good else ()
                    outputs = step.outputs(self.stage.name, part, caused, now)
                    packed = {place: cursor.pack([record for _, record in rows]) for place, rows in outputs.items()}
                    moves = [Move(place, self._cursors[place], end, packed.get(place, b"")) for place, end in ends.items()]
                    await cursor.move(connection, self.stage.name, moves)
            except OUTSIDE_STEP:
                raise
            except Lost:
                raise
            except Exception as error:
                return error
            self._cursors |= ends
            await self._publish([record for rows in outputs.values() for _, record in rows])
            self._observe(part, outputs)
            await self._commit()
            return None
        raise Abandoned

    async def _persist(self, attempt: Callable[[], Any]) -> Any:
        """Calls `attempt` until it does not fail by the database or the broker, with growing pauses; `Abandoned` once we are to leave."""
        for tries in range(1_000_000):
            try:
                return await attempt()
            except OUTSIDE_STEP as error:
                self._metrics.failed.labels(self.stage.name, type(error).__name__).inc()
                log.warning("waiting", stage=self.stage.name, cause=f"{type(error).__name__}: {error}", tries=tries + 1)
            await self._pause(tries)
        raise Abandoned

    async def _publish(self, records: Sequence[Record]) -> None:
        """Publishes until it is known to be done. When we are to leave first, the next owner publishes: the records stand in the cursor."""
        tries = 0
        while True:
            try:
                await self._bus.publish(records)
                return
            except BusUnavailable as error:
                self._metrics.failed.labels(self.stage.name, "publish").inc()
                log.warning("outputs not acknowledged, publishing again", stage=self.stage.name, cause=str(error))
            await self._pause(tries)
            tries += 1

    async def _pause(self, tries: int) -> None:
        if self._leaving.is_set():
            raise Abandoned
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), PAUSES[min(tries, len(PAUSES) - 1)])
        if self._leaving.is_set():
            raise Abandoned

    async def _commit(self, *, force: bool = False) -> None:
        """Tells Kafka where we are, about once a second: dashboards and autoscalers read it, we do not."""
        consumer = self._subscriber.consumer
        if consumer is None or not self._cursors or (not force and time.monotonic() - self._committed < COMMIT_EVERY):
            return
        self._committed = time.monotonic()
        with contextlib.suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(consumer.commit({TopicPartition(*place): offset for place, offset in self._cursors.items()}), 5)

    def _observe(self, part: Sequence[Entry], outputs: step.Outputs) -> None:
        """Counts once a batch, and stops the stage past the limit of dead letters."""
        name, metrics = self.stage.name, self._metrics
        self._progress = time.monotonic()
        for topic, count in step.counted(entry.place.topic for entry in part).items():
            metrics.consumed.labels(name, topic).inc(count)
        for topic, count in step.counted(record[0] for rows in outputs.values() for _, record in rows).items():
            metrics.produced.labels(name, topic).inc(count)
        for dead in (entry for entry in part if isinstance(entry, Broken)):
            metrics.dead.labels(name, dead.place.topic).inc()
            log.warning("dead letter", stage=name, reason=dead.reason, **step.about([dead]))
        self._reached |= {entry.place: entry.event.time for entry in part if isinstance(entry, Arrived)}
        self._limit = self._limit.after([isinstance(entry, Broken) for entry in part if not isinstance(entry, Passed)])
        if reason := self._limit.passed():
            self._stop_for_good(f"{name} stopped: {reason}. See `parley dead list`, mend the cause, then restart")

    def _stop_for_good(self, reason: str) -> None:
        self.stopped = reason
        log.error("stage stopped", stage=self.stage.name, reason=reason)

"""What stands behind every door of ingest: what was accepted is on the bus, or, while the bus is away, on disk, in the order in which it came.

A circuit: the first publish that is not acknowledged in time opens it. All that is under way then goes to the spool in the order of its arrival, and
everything new goes behind it at once, without asking Kafka. The drainer publishes from the front of the spool; once the spool is empty, the circuit closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from parley.bus import RECORD_BYTES, BusUnavailable, TooLarge
from parley.contracts import Record
from parley.problem import Problem
from parley.service import Context
from parley.settings import PORTS
from parley_ingest.spool import Full, Spool, opened

log = structlog.get_logger()

PUBLISH_WITHIN = 8.0
"""Seconds, where there is no spool; below the shortest time-out of a provider that retries (Twilio 15 s, Meta about 20 s)."""
AWAY_AFTER = 2.0
"""Seconds without an acknowledgement after which Kafka is taken to be away. To be wrong costs an fsync, and a repeat that is dropped."""
PROBE_WITHIN = 10.0
"""Seconds that the drainer gives a batch."""
PAUSES = (0.1, 0.25, 0.5, 1.0)
BATCH = 1000
FULL_RETRY, AWAY_RETRY = "5", "2"
"""Seconds after which a caller may come again."""


@dataclass(eq=False, slots=True)
class _Flight:
    """Records on their way to the bus; `kept` once they went to the spool instead."""

    records: Sequence[Record]
    limit: asyncio.Timeout
    kept: asyncio.Future[None] | None = None


@dataclass
class Door:
    """The way of accepted records to the bus. Also the worker that drains the spool."""

    context: Context
    spool: Spool | None
    _away: bool = False
    _flights: dict[_Flight, None] = field(default_factory=dict)
    """In the order of their arrival."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, records: Sequence[Record]) -> None:
        """Returns once the records are kept for good. Raises problems 413 and 503; of a 503 nothing may have been kept, or all: send it again."""
        try:
            await self.put(records)
        except TooLarge as error:
            raise Problem(413, "The body is larger than the bus takes.") from error
        except Full as error:
            raise Problem(503, "Not accepted now: the spool is full. Send it again.", headers={"Retry-After": FULL_RETRY}) from error
        except BusUnavailable as error:
            raise Problem(503, "Not accepted now; send it again.", headers={"Retry-After": AWAY_RETRY}) from error

    async def put(self, records: Sequence[Record]) -> None:
        """Returns once the records are on the bus or, behind all that is there, in the spool. Raises `TooLarge`, `Full` or, without a spool, `BusUnavailable`."""
        if self.spool is None:
            await self.context.bus.publish(records, timeout=PUBLISH_WITHIN)
            return
        if self._away:
            await asyncio.shield(self._keep(records))
            return
        flight = _Flight(records, asyncio.timeout(None))
        self._flights[flight] = None
        try:
            async with flight.limit:
                await self.context.bus.publish(records, timeout=AWAY_AFTER)
        except TooLarge:
            raise
        except (BusUnavailable, TimeoutError) as error:
            if flight.kept is None:
                self._open(error)
            assert flight.kept is not None, "whoever opens the circuit keeps all that is under way"
            await asyncio.shield(flight.kept)
        finally:
            self._flights.pop(flight, None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Drains the spool whenever something is in it."""
        waiting = asyncio.create_task(stopping.wait())
        draining = asyncio.create_task(self._drain())
        try:
            await asyncio.wait({waiting, draining}, return_when=asyncio.FIRST_COMPLETED)
            if draining.done():
                draining.result()
        finally:
            waiting.cancel()
            draining.cancel()
            await asyncio.gather(waiting, draining, return_exceptions=True)
            if self.spool is not None:
                await self.spool.close()

    def _keep(self, records: Sequence[Record]) -> asyncio.Future[None]:
        assert self.spool is not None
        if any(len(value) + sum(len(name) + len(raw) for name, raw in headers) > RECORD_BYTES - 1024 for _, _, headers, value in records):
            raise TooLarge("a record is larger than the bus takes")
        return self.spool.append(records, self.context.clock().timestamp())

    def _open(self, cause: Exception) -> None:
        """Opens the circuit: what is under way lands in the spool, in order, before anything that comes later."""
        if not self._away:
            log.warning("Kafka does not acknowledge: the spool takes what comes", under_way=len(self._flights), cause=str(cause))
            self._away = True
            self._wake.set()
        for flight in [one for one in self._flights if one.kept is None]:
            try:
                flight.kept = self._keep(flight.records)
            except (Full, TooLarge) as error:
                flight.kept = asyncio.get_running_loop().create_future()
                flight.kept.set_exception(error)
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                flight.limit.reschedule(asyncio.get_running_loop().time())

    async def _drain(self) -> None:
        """Publishes from the front of the spool for ever; closes the circuit whenever it is empty."""
        spool = self.spool
        if spool is None:
            await asyncio.Event().wait()
            return
        while True:
            await self._wake.wait()
            while not spool.empty:
                early = spool.on_its_way
                batch = await spool.first(BATCH)
                if not batch.bytes:
                    if not early:  # to end is better than to wait for ever behind a door that says it is ready: a restart reads the folder anew
                        raise RuntimeError(f"the spool {spool.folder} holds {spool.left} bytes that it cannot find: its count is wrong")
                    await asyncio.sleep(0.005)  # what is left is on its way to the disk
                    continue
                await self._publish(spool, batch.records)
                await spool.drained(batch)
            # Nothing waits between this look and the next line: whatever comes from now on is behind all that was in the spool.
            self._away = False
            self._wake.clear()
            log.info("the spool is drained: Kafka takes what comes")

    async def _publish(self, spool: Spool, records: Sequence[Record]) -> None:
        """Returns when the records are on the bus, but for those that it will never take: these are set aside."""
        tries = 0
        while records:
            try:
                await self.context.bus.publish(records, timeout=PROBE_WITHIN)
                return
            except TooLarge:
                if len(records) == 1:
                    await spool.reject(records[0])
                    return
                for one in records:
                    await self._publish(spool, [one])
                return
            except BusUnavailable as error:
                self.context.metrics.failed.labels("spool", "publish").inc()
                log.info("the spool waits for Kafka", records=spool.records, cause=str(error))
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1


def door(context: Context) -> Door:
    """The door of a service, with what an earlier process left in the spool. Raises `SettingsError` when the spool cannot be used."""
    settings = context.settings
    if not settings.spool_bytes:
        return Door(context, None)
    spool = opened(settings.spool / f"{settings.prefix}{settings.port or PORTS['ingest']}", settings.spool_bytes)
    metrics = context.metrics
    metrics.spool_bytes.set_function(lambda: spool.held)
    metrics.spool_limit_bytes.set(settings.spool_bytes)
    metrics.spool_records.set_function(lambda: spool.records)
    metrics.spool_set_aside.set_function(lambda: spool.set_aside)
    metrics.spool_age_seconds.set_function(lambda: context.clock().timestamp() - spool.oldest if spool.oldest is not None else 0.0)
    found = Door(context, spool, _away=not spool.empty)
    if not spool.empty:
        found._wake.set()
    return found

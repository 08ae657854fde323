"""The one main of all four services: settings in, stages and routes running, a clean stop on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from starlette.routing import BaseRoute

from parley import config, database, express, web
from parley.bus import Bus
from parley.config import Config
from parley.database import Pool
from parley.express import Way
from parley.metrics import Metrics
from parley.settings import PORTS, Settings
from parley.stream import Stage, Stream

log = structlog.get_logger()

LAG_EVERY = 5.0
JOIN_WITHIN = 5.0
"""Seconds that a service which can do without Kafka waits for it before it opens."""

T = TypeVar("T")
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Worker(Protocol):
    """Something that runs beside the stages, such as the lanes of the sender."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Runs until `stopping` is set, then ends in order. Must survive an absent database or broker; an exception ends the service."""
        ...


@runtime_checkable
class Watched(Protocol):
    """What a worker offers beside that, where it may stand still while its task lives."""

    def unready(self) -> str | None:
        """Why `/readyz` must fail: no progress for `Settings.stuck` seconds; None while all is well."""
        ...


@dataclass(frozen=True)
class Context:
    """What a running service has at hand."""

    settings: Settings
    config: Config
    pool: Pool
    bus: Bus
    metrics: Metrics
    clock: Clock = utc_now


@dataclass(frozen=True)
class Parts:
    """What a service consists of."""

    routes: Sequence[BaseRoute] = ()
    stages: Sequence[Stage] = ()
    workers: Sequence[Worker] = ()
    ways: Mapping[str, Way] = field(default_factory=dict)
    """Short ways beside the routes, by path; each has a route too."""


@dataclass(frozen=True)
class Service:
    """A service: its name (also its schema), the packages with its migrations, and how it is put together."""

    name: str
    packages: tuple[str, ...]
    build: Callable[[Context], Awaitable[Parts]]
    opens_without_bus: bool = False
    """It takes what comes also while Kafka is away: then it listens, and is ready, without it."""
    by_keys: bool = False
    """Its statements name their rows by keys, in tables that are empty now and hold a million in a minute: no plan of it reads a table whole."""


def rarely_collect() -> None:
    """What a service is made of stays for ever, and what it works on is freed by counting references: looking for cycles at the usual pace
    took a sixth of a busy process's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def run(service: Service, settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises `ConfigError` before anything is started when the configuration cannot be used."""
    stopping = asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None

    def stop() -> None:
        if not stopping.is_set():  # a second signal does not cut the drain short
            stopping.set()
            main.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        async with running(service, settings) as one:
            rarely_collect()
            log.info("ready", service=service.name, port=one.port)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(one.tasks, return_when=asyncio.FIRST_COMPLETED)
            stopping.set()
            log.info("stopping", service=service.name)
            for task in one.tasks:
                if task.done():
                    task.result()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        log.info("stopped before it was up", service=service.name)


@dataclass
class Running:
    """A service that runs: where it listens, its streams and workers, the tasks of all."""

    port: int
    context: Context
    streams: Sequence[Stream]
    workers: Sequence[Worker]
    tasks: Sequence[asyncio.Task[None]]


@contextlib.asynccontextmanager
async def running(service: Service, settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Running]:
    """The service, started; stopped in order at the end: streams drain, workers end, then the connections close."""
    configuration = config.load(settings.config)
    async with contextlib.AsyncExitStack() as stack:
        socket = stack.enter_context(web.bound(settings.host, settings.port or PORTS[service.name]))
        pool = await _patiently("PostgreSQL", lambda: database.connect(settings.database.get_secret_value(), service.name, by_keys=service.by_keys))
        stack.push_async_callback(_close, pool)
        await _patiently("PostgreSQL", lambda: database.migrate(pool, service.name, *service.packages))
        bus = Bus(settings, client=f"parley-{service.name}")
        stack.push_async_callback(bus.stop)
        context = Context(settings, configuration, pool, bus, Metrics(), clock)
        parts = await service.build(context)
        streams = [Stream(stage, pool, bus, settings, context.metrics, context.clock) for stage in parts.stages]
        joining = asyncio.create_task(_join(bus))
        stack.push_async_callback(_cancelled, joining)
        if (await asyncio.wait([joining], timeout=JOIN_WITHIN if service.opens_without_bus else None))[0]:
            joining.result()
        checks, without_bus = [worker.unready for worker in parts.workers if isinstance(worker, Watched)], service.opens_without_bus
        application = web.application(parts.routes, streams, context.metrics, settings.stuck, without_bus=without_bus, checks=checks)
        unready = partial(web.unready, streams, settings.stuck, without_bus=without_bus, checks=checks)
        socket.listen(web.BACKLOG)
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(worker.run(stopping)) for worker in parts.workers]
        tasks += [asyncio.create_task(_watch(stream), name="endless") for stream in streams]
        tasks.append(asyncio.create_task(_ready(unready, context.metrics), name="endless"))
        tasks.append(asyncio.create_task(web.serve(application, socket, express.protocol(parts.ways, context.metrics.requests)), name="endless"))
        tasks.append(asyncio.create_task(_joined(joining), name="endless"))
        try:
            yield Running(socket.getsockname()[1], context, streams, parts.workers, tasks)
        finally:
            stopping.set()
            await asyncio.gather(*(stream.stop() for stream in streams))
            await _end(tasks, settings.drain)


async def _join(bus: Bus) -> None:
    """Waits for Kafka: the topics are there, and the stages read."""
    await _patiently("Kafka", bus.ensure_topics)
    await _patiently("Kafka", bus.broker.start)


async def _joined(joining: asyncio.Task[None]) -> None:
    """Ends only by the error that joining ended by."""
    await asyncio.shield(joining)
    await asyncio.Event().wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _end(tasks: Sequence[asyncio.Task[None]], drain: float) -> None:
    """Workers end by themselves within `drain` seconds; what listens or watches is cancelled."""
    watching = [task for task in tasks if task.get_name() == "endless"]
    for task in watching:
        task.cancel()
    _, late = await asyncio.wait(tasks, timeout=drain)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _close(pool: Pool) -> None:
    with contextlib.suppress(TimeoutError, OSError, asyncpg.InterfaceError):
        await asyncio.wait_for(pool.close(), 5)


async def _watch(stream: Stream) -> None:
    """Keeps the lag known; what it costs is one request to Kafka every few seconds."""
    while True:
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            await stream.lag()
        await asyncio.sleep(LAG_EVERY)


async def _ready(unready: Callable[[], Awaitable[str]], metrics: Metrics) -> None:
    """Keeps `parley_ready` at what `/readyz` would say, also where nobody asks for that."""
    while True:
        metrics.ready.set(not await unready())
        await asyncio.sleep(LAG_EVERY)


async def _patiently(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Waits for PostgreSQL or Kafka to come up, saying so: services of a cluster start in any order."""
    pause = 0.2
    while True:
        try:
            return await attempt()
        except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError):
            raise
        except (*database.OUTSIDE, KafkaError) as error:
            log.warning("waiting for " + what, cause=f"{type(error).__name__}: {error}", again_in=pause)
        await asyncio.sleep(pause)
        pause = min(5.0, pause * 2)

"""The one main of all four services: settings in, stages and routes running, a clean stop on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import asyncpg
import structlog
import uvicorn
from aiokafka.errors import KafkaError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from parley import config, database, problem
from parley.bus import Bus
from parley.config import Config
from parley.database import Pool
from parley.metrics import Metrics
from parley.settings import PORTS, Settings
from parley.stream import Stage, Stream

log = structlog.get_logger()

LAG_EVERY = 5.0

T = TypeVar("T")


class Worker(Protocol):
    """Something that runs beside the stages, such as the lanes of the sender."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Runs until `stopping` is set, then ends in order. Must survive an absent database or broker; an exception ends the service."""
        ...


@dataclass(frozen=True)
class Context:
    """What a running service has at hand."""

    settings: Settings
    config: Config
    pool: Pool
    bus: Bus
    metrics: Metrics
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Parts:
    """What a service consists of."""

    routes: Sequence[BaseRoute] = ()
    stages: Sequence[Stage] = ()
    workers: Sequence[Worker] = ()


@dataclass(frozen=True)
class Service:
    """A service: its name (also its schema), the packages with its migrations, and how it is put together."""

    name: str
    packages: tuple[str, ...]
    build: Callable[[Context], Awaitable[Parts]]


async def run(service: Service, settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises `ConfigError` before anything is started when the configuration cannot be used."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(service, settings) as service_:
        log.info("ready", service=service.name, port=service_.port)
        stop = asyncio.create_task(stopping.wait())
        done, _ = await asyncio.wait([stop, *service_.tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        log.info("stopping", service=service.name)
        for task in done - {stop}:
            task.result()


@dataclass
class Running:
    """A service that runs: where it listens, its streams, its tasks."""

    port: int
    context: Context
    streams: Sequence[Stream]
    tasks: Sequence[asyncio.Task[None]]


@contextlib.asynccontextmanager
async def running(service: Service, settings: Settings) -> AsyncIterator[Running]:
    """The service, started; stopped in order at the end: streams drain, workers end, then the connections close."""
    configuration = config.load(settings.config)
    async with contextlib.AsyncExitStack() as stack:
        pool = await _patiently("PostgreSQL", lambda: database.connect(settings.database.get_secret_value(), service.name))
        stack.push_async_callback(_close, pool)
        await _patiently("PostgreSQL", lambda: database.migrate(pool, service.name, *service.packages))
        bus = Bus(settings, client=f"parley-{service.name}")
        stack.push_async_callback(bus.stop)
        await _patiently("Kafka", bus.ensure_topics)
        context = Context(settings, configuration, pool, bus, Metrics())
        parts = await service.build(context)
        streams = [Stream(stage, pool, bus, settings, context.metrics, context.clock) for stage in parts.stages]
        await _patiently("Kafka", bus.broker.start)
        server, port = await _listen(_application(context, parts, streams), settings, service.name)
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(worker.run(stopping)) for worker in parts.workers]
        tasks += [asyncio.create_task(_watch(stream)) for stream in streams]
        tasks.append(asyncio.create_task(server))
        try:
            yield Running(port, context, streams, tasks)
        finally:
            stopping.set()
            await asyncio.gather(*(stream.stop() for stream in streams))
            await _end(tasks, settings.drain)


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
    task = asyncio.current_task()
    assert task is not None
    task.set_name("endless")
    while True:
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            await stream.lag()
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


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The service has its own signals."""
        yield


async def _listen(application: Starlette, settings: Settings, name: str) -> tuple[Coroutine[Any, Any, None], int]:
    options = uvicorn.Config(
        application, host=settings.host, port=settings.port or PORTS[name], log_config=None, access_log=False, http="httptools",
        ws="none", lifespan="off", timeout_keep_alive=75, server_header=False, date_header=False, backlog=2048,
    )  # fmt: skip
    server = _Server(options)
    try:
        socket = options.bind_socket()
    except SystemExit as error:
        raise OSError(f"port {options.port} is in use: set PARLEY_PORT to another, or stop what listens there") from error
    port: int = socket.getsockname()[1]
    return _serve(server, socket), port


async def _serve(server: _Server, socket: object) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.set_name("endless")
    try:
        await server.serve(sockets=[socket])  # type: ignore[list-item]
    except asyncio.CancelledError:
        server.should_exit = True
        await server.shutdown()


def _application(context: Context, parts: Parts, streams: Sequence[Stream]) -> Starlette:
    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reasons = [reason for stream in streams if (reason := await _unready(stream, context.settings.stuck))]
        return problem.document(503, "; ".join(reasons)) if reasons else PlainTextResponse("ready\n")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(context.metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def failed(request: Request, error: Exception) -> Response:
        log.error("request failed", path=request.scope.get("path"), exc_info=error)
        return problem.document(500, "The request could not be answered; the log of the service says why.")

    own = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *parts.routes], exception_handlers={HTTPException: problem.on_http_exception, Exception: failed})


async def _unready(stream: Stream, stuck: float) -> str | None:
    """Why a stage is not ready: stopped, or no progress though there is lag. A live task proves nothing."""
    if stream.stopped:
        return stream.stopped
    try:
        lag = await stream.lag()
    except (KafkaError, TimeoutError, OSError) as error:
        return f"{stream.stage.name}: Kafka does not answer ({type(error).__name__})" if stream.idle_seconds() > stuck else None
    if lag and stream.idle_seconds() > stuck:
        return f"{stream.stage.name}: no progress for {stream.idle_seconds():.0f} s with {lag} records to go"
    return None

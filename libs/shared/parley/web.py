"""The HTTP side of every service: health, metrics, counted requests, errors as problem documents, and a server that nobody can hold up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from asyncio import TimerHandle
from collections.abc import Callable, Iterator, Sequence

import structlog
import uvicorn
from aiokafka.errors import KafkaError
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from parley import problem
from parley.bus import BusUnavailable
from parley.database import OUTSIDE
from parley.metrics import Metrics
from parley.stream import Stream

log = structlog.get_logger()

BACKLOG = 2048
AT_ONCE = 0.5
"""Seconds in which Kafka must tell the lag, where a service is ready without it: who asks whether it is ready waits a second."""
HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers at most, give or take one read."""
WS_LIMIT = 65_536
"""Bytes of a WebSocket message at most. Not compressed: what inflates costs more than a short text is long."""
HEAD_WITHIN = 10.0
"""Seconds that they may take."""


def application(routes: Sequence[BaseRoute], streams: Sequence[Stream], metrics: Metrics, stuck: float, *, without_bus: bool = False,
                checks: Sequence[Callable[[], str | None]] = ()) -> ASGIApp:  # fmt: skip
    """A service's routes with `/healthz`, `/readyz` and `/metrics` beside them. `without_bus`: it is of use, and ready, also while Kafka is away.
    `checks`: what else may say why it is not ready."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reason = await unready(streams, stuck, without_bus=without_bus, checks=checks)
        return problem.document(503, reason) if reason else PlainTextResponse("ready\n")

    async def exposed(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    own = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", exposed)]
    handlers = {
        ClientDisconnect: _gone,
        **dict.fromkeys((HTTPException, *OUTSIDE, BusUnavailable, Exception), _refused),
    }
    inner = Starlette(routes=[*own, *routes], exception_handlers=handlers)
    inner.router.redirect_slashes = False  # a redirect made from what the caller says of the host is not ours to give
    return Counted(inner, metrics.requests)


class Counted:
    """Counts answers by route template and class of status. A path that no route has counts as `none`, so that nobody makes series at will."""

    def __init__(self, inner: ASGIApp, requests: Counter) -> None:
        self._inner, self._requests = inner, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._inner(scope, receive, counting)
        except Exception:
            if not status:
                raise  # else it is answered and in the log already; Starlette raises it once more for servers that log themselves
        finally:
            if status:
                self._requests.labels(getattr(scope.get("route"), "path", "none"), f"{status // 100}xx").inc()


async def unready(streams: Sequence[Stream], stuck: float, *, without_bus: bool, checks: Sequence[Callable[[], str | None]]) -> str:
    """Why a service is not ready, in words; empty while it is."""
    found = [*await asyncio.gather(*(_unready(stream, stuck, without_bus) for stream in streams)), *(check() for check in checks)]
    return "; ".join(reason for reason in found if reason)


async def _unready(stream: Stream, stuck: float, without_bus: bool) -> str | None:
    """Why a stage is not ready: stopped, or no progress though there is lag. A live task proves nothing."""
    if stream.stopped:
        return stream.stopped
    try:
        async with asyncio.timeout(AT_ONCE if without_bus else None):
            lag = await stream.lag()
    except (KafkaError, TimeoutError, OSError) as error:
        patient = without_bus or stream.idle_seconds() <= stuck
        return None if patient else f"{stream.stage.name}: Kafka does not answer ({type(error).__name__})"
    if lag and stream.idle_seconds() > stuck:
        return f"{stream.stage.name}: no progress for {stream.idle_seconds():.0f} s with {lag} records to go"
    return None


def refusal(error: Exception, route: str) -> Response:
    """What a caller is answered whose request ended in `error`; what the caller is not told stands in the log."""
    if isinstance(error, HTTPException):
        return problem.of(error)
    if isinstance(error, (*OUTSIDE, BusUnavailable)):
        log.warning("request refused for now", route=route, cause=f"{type(error).__name__}: {error}")
        return problem.document(503, "The database or the bus does not answer now; try again.", {"Retry-After": "2"})
    log.error("request failed", route=route, exc_info=error)
    return problem.document(500, "The request could not be answered; the log of the service says why.")


async def _refused(request: Request, error: Exception) -> Response:
    return refusal(error, _route(request))


async def _gone(_: Request, __: Exception) -> Response:
    return problem.document(400, "The request ended before its body did.")  # nobody hears it


def _route(request: Request) -> str:
    """The template, never the path: that may hold an address or a code."""
    return getattr(request.scope.get("route"), "path", "none")


# --- the server ------------------------------------------------------------------------------------------------------------------------


class Bounded(HttpToolsProtocol):
    """HTTP whose heads have a size and a time; uvicorn alone would keep whatever comes, and wait for ever."""

    _head = 0
    _waiting = True
    _timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._waiting = 0, True

    def on_headers_complete(self) -> None:
        self._received()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._waiting or self.transport.is_closing():
            return
        self._head += len(data)
        self._expect()
        if self._head > HEAD_LIMIT:
            self._refuse(b"431 Request Header Fields Too Large")

    def _expect(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_WITHIN, self._refuse, b"408 Request Timeout")

    def _received(self) -> None:
        self._waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        self._received()
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The service has its own signals."""
        yield


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that has the port and does not listen yet: until the service is up, callers are refused, not kept waiting.

    Raises OSError with a sentence when the port is not to be had.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be taken ({error.strerror})"
            raise OSError(f"port {port} of {host} {why}: set PARLEY_PORT to another, or stop what listens there") from error
        yield one


async def serve(inner: ASGIApp, socket: socket.socket, http: Callable[..., asyncio.Protocol] = Bounded) -> None:
    """Serves `inner` until it is cancelled; what is being answered then is answered first."""
    options = uvicorn.Config(
        inner, log_config=None, access_log=False, lifespan="off",
        http=http,  # type: ignore[arg-type]  # called like a class
        ws="websockets-sansio", ws_max_size=WS_LIMIT, ws_per_message_deflate=False,
        timeout_keep_alive=75, server_header=False, date_header=False, backlog=BACKLOG,
    )  # fmt: skip
    server = _Server(options)
    try:
        await server.serve(sockets=[socket])
    except asyncio.CancelledError:
        server.should_exit = True
        await server.shutdown()

"""The twin's HTTP door: the three providers' paths, the tenant's shop, and the control API behind them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from parley.twin import control, questions, shop
from parley.twin.shape import Call, TwinError
from parley.twin.twin import Reply, Twin, TwinOptions

STOP_WITHIN = 2.0
"""Seconds that calls under way may still take when the twin stops."""
WAITED: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
LAST_DATA = slice(52, 56)
"""Where Linux' tcp_info tells the milliseconds since bytes came in last (tcpi_last_data_recv)."""


@contextlib.asynccontextmanager
async def running_twin(options: TwinOptions) -> AsyncIterator[Twin]:
    """A twin that listens at `twin.url` inside this process. Raises `TwinError` when its port or its ledger is in use."""
    twin = Twin(options)
    runner = web.ServerRunner(_Server(_Door(twin).answer), shutdown_timeout=STOP_WITHIN)
    try:
        await twin.start()
        await runner.setup()
        await _listen(runner, options)
        port: int = runner.addresses[0][1]
        twin.url = f"http://{options.host}:{port}"
        yield twin
    finally:
        await runner.cleanup()
        await twin.stop()


async def serve(options: TwinOptions, say: Callable[[str], None] = lambda _: None) -> None:
    """Runs a twin until Ctrl-C or SIGTERM; `say` is told where it listens. Raises `TwinError` when it cannot start."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, ended.set)
    try:
        async with running_twin(options) as twin:
            _undisturbed()
            say(f"the provider twin listens at {twin.url}; its ledger is {options.ledger}")
            await ended.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _undisturbed() -> None:
    """Its ledger only grows: looking through it for cycles would stop the clock by which calls are judged."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)


class _Connection(web.RequestHandler):
    """A connection that knows when it last brought something: the moment in which a call's bytes reached this machine, not that in which we came to read them."""

    came = 0.0
    _socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if WAITED is not None:
            self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._socket is not None:
            self._socket.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.came = time.time() - self._waited()
        super().data_received(data)

    def _waited(self) -> float:
        """Seconds for which the bytes lay in the socket, by the kernel, in its ticks of some milliseconds."""
        if self._socket is None or WAITED is None:
            return 0.0
        return int.from_bytes(self._socket.getsockopt(socket.IPPROTO_TCP, WAITED, LAST_DATA.stop)[LAST_DATA], sys.byteorder) / 1000


class _Server(web.Server):
    def __call__(self) -> _Connection:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]  # None: no log of requests


class _Door:
    """Tells providers' paths from the control API, by hand: a router would cost more than the work behind it."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        arrived, path = time.time(), request.path
        provider = _provider(path) if request.method == "POST" else None
        if provider is None and path.startswith(shop.PREFIX):
            return _response(request, Reply(shop.answer(request.method, path, request.query, await request.read(), arrived)))
        asked = Call(path, request.headers, b"")
        if (
            request.method == "GET"
            and (found := questions.answer(asked, request.query, self._twin.accounts, self._twin.ledger.book, arrived)) is not None
        ):
            return _response(request, Reply(found))
        if provider is None:
            return await control.answer(self._twin, request)
        body = await request.read()
        reply = self._twin.take(provider, Call(path, request.headers, body), _arrival(request, arrived))
        if reply.pause:
            await asyncio.sleep(reply.pause)
        return _response(request, reply)


def _arrival(request: web.BaseRequest, otherwise: float) -> float:
    """When the last of the call came in."""
    return request.protocol.came if isinstance(request.protocol, _Connection) else otherwise


def _provider(path: str) -> str | None:
    """Whose path it is; None when it is none of a provider's."""
    if path.startswith("/2010-04-01/"):
        return "twilio"
    if path == "/messages":
        return "plain"
    return "meta" if path.startswith("/v") and path.endswith("/messages") else None


def _response(request: web.BaseRequest, reply: Reply) -> web.Response:
    """The answer; where there is none, the connection is closed and what is returned never leaves."""
    if reply.answer is None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    answer = reply.answer
    return web.Response(body=answer.body, status=answer.status, headers=answer.headers, content_type=answer.content_type)


async def _listen(runner: web.ServerRunner, options: TwinOptions) -> None:
    try:
        await web.TCPSite(runner, options.host, options.port, backlog=1024).start()
    except OSError as error:
        raise TwinError(f"port {options.port} is in use or not allowed: stop what listens there, or give another one with --port") from error

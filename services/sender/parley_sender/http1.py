"""HTTP/1.1 to providers on kept connections, which knows of each request whether a byte of it has left (decision 44)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohappyeyeballs import start_connection

from parley.channels.shape import HttpRequest, Response
from parley_sender.exchange import Exchange
from parley_sender.framing import Broken, CalledOff, NeverSent, Origin, framed, place

NAMES = 10.0
"""Seconds for which the addresses of a name are remembered."""
SECOND = 0.25
"""Seconds after which the next address is tried beside the first (RFC 8305)."""


class Doubtful(Exception):
    """The request may have left, and no answer came that could be read."""


@dataclass
class Client:
    """`within`: seconds of a request with its connection; `connect`: of a connection alone; `idle`: that a connection is kept unused."""

    within: float
    connect: float
    idle: float
    _tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    _free: dict[Origin, list[Exchange]] = field(default_factory=dict)
    """By when they were put aside, the last at the end, which is taken first: those that are not needed fall idle."""
    _names: dict[Origin, tuple[float, list[tuple[int, int, int, str, tuple[str, int]]]]] = field(default_factory=dict)
    _asking: dict[Origin, asyncio.Lock] = field(default_factory=dict)
    _sweeper: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._tls.set_alpn_protocols(["http/1.1"])

    async def answer(self, request: HttpRequest, leaves: Callable[[bool], object] | None = None) -> Response:
        """The answer. `leaves` is asked when there is a connection and nothing else is between the request and the wire, given whether that had to be made;
        it may raise `CalledOff`. Raises `NeverSent` and `Doubtful`."""
        origin, target, host = place(request.url)
        written = framed(request, target, host)
        until = asyncio.get_running_loop().time() + self.within
        kept = self._kept(origin)
        exchange = kept or await self._made(origin)
        try:
            if leaves is not None:
                leaves(kept is None)
        except CalledOff:
            self._keep(origin, exchange)
            raise
        try:
            async with asyncio.timeout_at(until):
                found = await exchange.ask(written)
        except (Broken, TimeoutError) as error:
            exchange.end()
            raise Doubtful(type(error).__name__ if isinstance(error, TimeoutError) else str(error)) from error
        except BaseException:
            exchange.end()
            raise
        self._keep(origin, exchange)
        return found

    def close(self) -> None:
        """Ends the connections that are kept; of those in use each call ends its own."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for exchange in [one for kept in self._free.values() for one in kept]:
            exchange.end()
        self._free.clear()

    def _kept(self, origin: Origin) -> Exchange | None:
        """A connection that stands and carries nothing, and has not been idle for so long that the other side may be about to end it."""
        kept, due = self._free.get(origin, []), asyncio.get_running_loop().time() - self.idle
        while kept:
            exchange = kept.pop()
            if exchange.open and exchange.kept_since > due:
                return exchange
            exchange.end()
        return None

    def _keep(self, origin: Origin, exchange: Exchange) -> None:
        if not exchange.open:
            return
        loop = asyncio.get_running_loop()
        exchange.kept_since = loop.time()
        self._free.setdefault(origin, []).append(exchange)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self.idle, self._sweep)

    def _sweep(self) -> None:
        """Ends what nobody needed for so long, and forgets addresses that are too old; looks again while there is something."""
        loop = asyncio.get_running_loop()
        now, due = loop.time(), loop.time() - self.idle
        self._names = {origin: known for origin, known in self._names.items() if known[0] > now}
        self._asking = {origin: lock for origin, lock in self._asking.items() if lock.locked()}
        for origin, kept in list(self._free.items()):
            for exchange in kept:
                if exchange.kept_since <= due:
                    exchange.end()
            self._free[origin] = [one for one in kept if one.open]
            if not self._free[origin]:
                del self._free[origin]
        self._sweeper = loop.call_later(self.idle / 4, self._sweep) if self._free else None

    async def _made(self, origin: Origin) -> Exchange:
        """A new connection, with its handshake. Raises `NeverSent`."""
        try:
            async with asyncio.timeout(self.connect):
                exchange = await self._connected(
                    origin, await start_connection(await self._addresses(origin), happy_eyeballs_delay=SECOND, interleave=1)
                )
                await asyncio.sleep(0)  # what the process was told while it stood still is heard before anything is written
        except (OSError, TimeoutError, ValueError) as error:  # ssl's errors are OSErrors; a name that cannot be one is a ValueError
            self._names.pop(origin, None)
            raise NeverSent(type(error).__name__) from error
        if not exchange.open:
            raise NeverSent("a connection that was closed at once")
        return exchange

    async def _connected(self, origin: Origin, where: socket.socket) -> Exchange:
        loop = asyncio.get_running_loop()
        name = origin.host if origin.secure else None
        try:
            _, exchange = await loop.create_connection(Exchange, sock=where, ssl=self._tls if origin.secure else None, server_hostname=name)
        except BaseException:
            where.close()
            raise
        return exchange

    async def _addresses(self, origin: Origin) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        """Where the name leads, asked once for all that wait for it."""
        loop = asyncio.get_running_loop()
        async with self._asking.setdefault(origin, asyncio.Lock()):
            until, found = self._names.get(origin, (0.0, []))
            if loop.time() >= until:
                found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)  # type: ignore[assignment]
                self._names[origin] = loop.time() + NAMES, found
            return found

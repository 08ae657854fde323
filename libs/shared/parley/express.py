"""The short way of requests that come whole: from the parser to whoever takes them, without an application in between.

A busy door spends more on tasks, scopes and messages of ASGI than on the request itself. So a service may name paths (`Way`) for which it takes a POST
as a value and answers it when it can. What is not a plain POST that came in one piece (no body, a slow body, `Expect`, an upgrade, a request behind
one that is not answered yet) goes to the application as if there was no other way; a route of the same path answers it there, by the same rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from prometheus_client import Counter
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from parley.web import Bounded, refusal


@dataclass(slots=True)
class Whole:
    """A POST, complete. Header names are in lower case; `client` is whom the proxies that we trust say it comes from."""

    client: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes over the wire: the head without its last line, and the body."""

    status: int
    head: bytes
    body: bytes

    @classmethod
    def of(cls, response: Response) -> Reply:
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
        return cls(response.status_code, STATUS_LINE[response.status_code] + lines, bytes(response.body))


Answer = Callable[[Reply | Exception], None]
"""To be called once, with the answer, or with the error that becomes one as it would in the application."""


@dataclass(frozen=True, slots=True)
class Way:
    """A path that has a short way. `take` answers now or later; it never waits. `route` is its name in metrics and logs."""

    route: str
    take: Callable[[Whole, Answer], None]


class _Deaf:
    """An event that nobody waits for."""

    def set(self) -> None:
        pass


class _Turn:
    """The request that is being answered, as far as uvicorn asks after it (it knows a cycle of ASGI in its place)."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")
    message_event = _Deaf()

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive, self.response_complete, self.disconnected = keep_alive, False, False


class Express(Bounded):
    """HTTP with short ways. Answers stay in the order of their requests: what is sent ahead of an answer waits with the application's."""

    _way: Way | None = None
    _body = b""
    _rests = 0.0
    """Since when nothing is under way, in the loop's time."""

    def __init__(self, *args: Any, ways: Mapping[bytes, Way], requests: Counter, **more: Any) -> None:
        super().__init__(*args, **more)
        self._ways, self._requests = ways, requests

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._head, self._waiting, self._way = 0, True, None

    def on_headers_complete(self) -> None:
        way = self._ways.get(self.url.partition(b"?")[0])
        if way is not None and self._short():
            self._received()
            self._way, self._body = way, b""
        else:
            self._long()

    def on_body(self, body: bytes) -> None:
        if self._way is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        way, self._way = self._way, None
        if way is None:
            super().on_message_complete()
        else:
            self._go(way)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._way is not None and not self.transport.is_closing():  # the rest of the body is to come
            self._way = None
            self._long()
            if self._body:
                super().on_body(self._body)

    def on_response_complete(self) -> None:
        """As uvicorn's, but with one timer a connection, not one a request: it looks how long nothing has come."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._rests = self.loop.time()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._timer is not None or not self.cycle.response_complete:
            return  # a request comes or is answered: it begins to rest once that is done
        left = self._rests + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """Asked for with every read; the timer looks for itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        super()._unset_keepalive_if_required()

    def _short(self) -> bool:
        free = self.cycle is None or self.cycle.response_complete
        return free and not self.expect_100_continue and self.parser.get_method() == b"POST" and not self.parser.should_upgrade()

    def _long(self) -> None:
        """The way of the application, from the beginning of the message on."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # in place: the scope has this list
        super().on_headers_complete()

    def _go(self, way: Way) -> None:
        turn = _Turn(self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive())
        self.cycle = turn  # type: ignore[assignment]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        query = self.url.partition(b"?")[2].decode("latin-1")
        body, self._body = self._body, b""
        answer = partial(self._answer, way, turn)
        try:
            way.take(Whole(self._caller(headers), query, headers, body), answer)
        except Exception as error:
            answer(error)

    def _answer(self, way: Way, turn: _Turn, said: Reply | Exception) -> None:
        assert not turn.response_complete, "a request is answered once"
        reply = said if isinstance(said, Reply) else Reply.of(refusal(said, way.route))
        turn.response_complete = True
        _count(self._requests, way.route, reply.status // 100).inc()
        if self.transport.is_closing():
            return
        if turn.keep_alive:
            self.transport.write(b"%b\r\n%b" % (reply.head, reply.body))
        else:
            self.transport.write(b"%bconnection: close\r\n\r\n%b" % (reply.head, reply.body))
            self.transport.close()
        self.on_response_complete()

    def _caller(self, headers: Mapping[str, str]) -> str:
        """As uvicorn's ProxyHeadersMiddleware tells the application: a forwarded address is believed when it comes from a proxy that is trusted."""
        host = self.client[0] if self.client else ""
        if "x-forwarded-for" in headers and host in self.app.trusted_hosts:
            told = b", ".join(value for name, value in self.headers if name == b"x-forwarded-for").decode("latin-1")
            return self.app.trusted_hosts.get_trusted_client_address(told)[0] or host
        return host


@lru_cache(maxsize=1000)
def _count(requests: Counter, route: str, kind: int) -> Counter:
    return requests.labels(route, f"{kind}xx")


def protocol(ways: Mapping[str, Way], requests: Counter) -> Callable[..., asyncio.Protocol]:
    """What `web.serve` speaks, with the short ways of a service by their path."""
    return partial(Express, ways={path.encode(): way for path, way in ways.items()}, requests=requests) if ways else Bounded

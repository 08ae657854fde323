"""What the end of a call means for its message, at real sockets: it never left, it may have arrived, or there is an answer.

What never left may be sent again; of everything else nobody knows but the provider. Over our own client of HTTP/1.1, and over httpx, which APNs needs.
"""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import NoReturn
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from parley.channels.shape import Account, HttpRequest
from parley.contracts import Channel
from parley.failures import Outcome
from parley.local.server import free_port
from parley_sender.call import CALLED_OFF, LEAVES, Calls, calls
from parley_sender.framing import CalledOff
from tests.own_tls import server_tls
from tests.pushing import pem

ACCOUNT = Account("lane", "t", "plain", Channel.SMS, "+1")
WITHIN = 0.6
BOTH = pytest.mark.parametrize("http2", [False, True], ids=["http1", "httpx"])
NEVER, DOUBTFUL = ("transient", "unreachable"), ("unknown", None)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a port of its own that does with each connection what `handle` says."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def clients() -> contextlib.AbstractAsyncContextManager[Calls]:
    """The sender's own, with little patience."""
    return calls(SimpleNamespace(settings=SimpleNamespace(call_timeout=WITHIN)))


async def posted(made: Calls, url: str, http2: bool) -> Outcome:
    return await made.answer(HttpRequest("POST", f"{url}/messages", {"content-type": "application/json"}, b"{}", http2), ACCOUNT, UUID(int=7))


def outcome(at: str | Handler, http2: bool, *, tls: ssl.SSLContext | None = None, scheme: str | None = None) -> Outcome:
    """What one call comes to, at an address or at a server of its own."""

    async def call() -> Outcome:
        async with contextlib.AsyncExitStack() as stack:
            made = await stack.enter_async_context(clients())
            url = at if isinstance(at, str) else await stack.enter_async_context(serving(at, tls))
            return await posted(made, f"{scheme}:{url.partition(':')[2]}" if scheme else url, http2)

    return asyncio.run(call())


def test_a_call_is_asked_when_its_bytes_are_about_to_leave():
    """When there is a connection, and told whether that had to be made for it: the rate counts it from then on. Called off then, nothing leaves, and the next
    call goes over the same connection."""
    connections, came = [], []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while one := await request(reader):
                came.append(one.partition(b" HTTP")[0])
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    def leaves(call: int, new: bool) -> None:
        asked.append((new, len(came)))
        if call == 0:
            raise CalledOff

    async def main() -> list[tuple[str, str | None]]:
        found = []
        async with clients() as made, serving(handle) as url:
            for call in range(3):
                LEAVES.set(partial(leaves, call))
                found.append(told(await posted(made, f"{url}/{call}", http2=False)))
        return found

    asked: list[tuple[bool, int]] = []
    assert [told(CALLED_OFF), ("accepted", None), ("accepted", None)] == asyncio.run(main())
    assert [(True, 0), (False, 0), (False, 1)] == asked
    assert [b"POST /1/messages", b"POST /2/messages"] == came
    assert 1 == len(connections)


def told(found: Outcome) -> tuple[str, str | None]:
    return found.kind, found.code


async def request(reader: asyncio.StreamReader) -> bytes:
    """A request whole: head and the two bytes of its body."""
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2)


def abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _aborts_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    abort(writer)


async def _aborts_before_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    abort(writer)


async def _aborts_after_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    abort(writer)


async def _closes_without_a_word(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    writer.close()


async def _stays_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def _says(words: bytes, then: Callable[[asyncio.StreamWriter], None] = lambda one: one.close()) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(words)
        await writer.drain()
        then(writer)

    return handle


OK = b'HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"id":"p1"}'
ENDS: dict[str, Handler] = {
    "reset at once": _aborts_at_once,
    "reset before the body": _aborts_before_the_body,
    "reset after the body": _aborts_after_the_body,
    "closed without an answer": _closes_without_a_word,
    "no answer": _stays_silent,
    "half a status line": _says(b"HTTP/1.1 2"),
    "half of the headers": _says(b"HTTP/1.1 202 Accepted\r\ncontent-"),
    "half of the body": _says(OK[:-4]),
    "half of the body, then reset": _says(OK[:-4], abort),
    "half of the body, then silence": _says(OK[:-4], lambda one: None),
    "a chunk that is cut": _says(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"),
    "a chunk that is none": _says(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{"),
    "no HTTP": _says(b"220 mail.example.com ESMTP\r\n"),
    "a body that is not compressed as it says": _says(b"HTTP/1.1 202 Accepted\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc"),
}


@BOTH
@pytest.mark.parametrize("end", ENDS)
def test_a_call_that_had_a_connection_and_no_answer_is_doubtful(end, http2):
    """However it ended: the provider may have the message."""
    assert told(outcome(ENDS[end], http2)) == DOUBTFUL


@BOTH
def test_a_whole_answer_is_what_the_provider_says(http2):
    found = outcome(_says(OK), http2)

    assert ("accepted", "p1") == (found.kind, found.provider_id)


@BOTH
def test_where_nobody_listens_nothing_left(http2):
    assert told(outcome(f"http://127.0.0.1:{free_port()}", http2)) == NEVER


@BOTH
def test_a_name_that_leads_nowhere_is_never_reached(http2):
    assert told(outcome("http://nowhere.invalid", http2)) == NEVER


@BOTH
@pytest.mark.parametrize("url", ["ftp://127.0.0.1:21", "http://[::1", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_never_called(url, http2):
    """A slip in `base_url`, found only now."""
    assert told(outcome(url, http2)) == NEVER


@BOTH
def test_a_connection_that_is_not_answered_in_time_carried_nothing(full, http2):
    """A host that drops what comes, as a firewall does: the time for a connection is over before that of the call."""
    assert told(outcome(full, http2)) == NEVER


@BOTH
def test_a_handshake_that_fails_comes_before_the_request(certificate, http2):
    """A certificate that nobody vouches for, and a server that speaks no TLS."""
    received: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(10))
        writer.close()

    secure, plain = outcome(hear, http2, tls=certificate), outcome(_says(b""), http2, scheme="https")

    assert ([NEVER, NEVER], []) == ([told(secure), told(plain)], [one for one in received if one])


@BOTH
def test_a_handshake_that_hangs_carried_nothing(http2):
    assert told(outcome(_stays_silent, http2, scheme="https")) == NEVER


@pytest.fixture
def full() -> Iterator[str]:
    """A port that listens, and whose queue is full: further connections wait for ever."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(8):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> ssl.SSLContext:
    """That of a server whom nobody vouches for."""
    return server_tls(tmp_path_factory.mktemp("tls"))[0]


@pytest.mark.parametrize("end", [*ENDS, "nobody there"])
def test_a_token_that_does_not_come_leaves_no_doubt_about_the_message(end, google_key):
    """However its call ended: the message has not left, and may later."""

    async def fetched() -> Outcome | str | None:
        async with contextlib.AsyncExitStack() as stack:
            made = await stack.enter_async_context(clients())
            handle = ENDS.get(end)
            url = await stack.enter_async_context(serving(handle)) if handle else f"http://127.0.0.1:{free_port()}"
            account = Account("lane", "t", "fcm", Channel.PUSH, "project", {"service_account": (google_key,)}, base_url=url)
            return await made.token(account, datetime(2026, 11, 24, 9, 30, tzinfo=UTC), UUID(int=7))

    assert ("transient", "no_token") == told(asyncio.run(fetched()))


@pytest.fixture(scope="module")
def google_key() -> str:
    return json.dumps({"client_email": "sender@project.iam.gserviceaccount.com", "private_key": pem(rsa.generate_private_key(65537, 2048))})


# --- every class of exception that httpx has ---------------------------------------------------------------------------------------------

BEFORE = frozenset({"ConnectError", "ConnectTimeout", "InvalidURL", "PoolTimeout", "UnsupportedProtocol"})
"""Raised only where no byte of the request has left."""


def classes(*roots: type[Exception]) -> Iterator[type[Exception]]:
    for root in roots:
        yield root
        yield from classes(*root.__subclasses__())


async def over(error: Exception) -> Outcome:
    """What a call comes to over an httpx whose connection ends so."""

    async def fail(_: object) -> NoReturn:
        raise error

    async with clients() as made, httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http2:
        return await posted(Calls(made.http1, http2, made.binds), "http://127.0.0.1", http2=True)


def test_every_exception_leaves_doubt_but_those_before_the_request():
    """A class that a new version brings is doubtful until somebody says here that nothing leaves before it."""
    every = sorted({*classes(httpx.HTTPError), httpx.InvalidURL}, key=lambda one: one.__name__)

    found = {one.__name__: told(asyncio.run(over(one.__new__(one)))) for one in every}

    assert {name: NEVER if name in BEFORE else DOUBTFUL for name in found} == found

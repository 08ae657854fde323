"""Our client of HTTP/1.1: a request leaves whole or not at all, and no answer is ever taken for that to another request."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TypeVar

import pytest
import uvloop
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from parley.channels.shape import HttpRequest, Response
from parley_sender.exchange import Exchange
from parley_sender.framing import LIMIT, Broken, NeverSent, framed, opened, place
from parley_sender.http1 import Client, Doubtful
from tests.own_tls import server_tls

T = TypeVar("T")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def post(url: str, body: bytes = b"{}", **headers: str) -> HttpRequest:
    return HttpRequest("POST", url, {"content-type": "application/json", **headers}, body)


def each(main: Callable[[], Coroutine[object, object, T]]) -> list[T]:
    """What it gives in the loop of the tests and in that of the service: their transports are not the same."""
    return [asyncio.run(main()), uvloop.run(main())]


@contextlib.asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[str]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/messages"
    finally:
        server.close()


@contextlib.asynccontextmanager
async def client(within: float = 5.0, idle: float = 15.0) -> AsyncIterator[Client]:
    made = Client(within, within / 2, idle)
    try:
        yield made
    finally:
        made.close()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """A request whole, of two bytes of body; its body."""
    await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(2)


def said(body: bytes, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)


# --- the answer --------------------------------------------------------------------------------------------------------------------------

ANSWERS = {
    "with a length": (said(b'{"id":"p1"}', b"X-Request: 7\r\n"), Response(200, {"x-request": "7", "content-length": "11"}, b'{"id":"p1"}')),
    "in chunks": (
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        Response(202, {"transfer-encoding": "chunked"}, b"abcde"),
    ),
    "without a body": (b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n", Response(204, {"x": "y"})),
    "of no bytes": (said(b""), Response(200, {"content-length": "0"})),
    "after another word": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + said(b"ok"), Response(200, {"content-length": "2"}, b"ok")),
    "with a header twice": (said(b"", b"a: 1\r\nA: 2\r\n"), Response(200, {"a": "1, 2", "content-length": "0"})),
    "compressed": (
        said(gzip.compress(b"abc", mtime=0), b"content-encoding: gzip\r\n"),
        Response(200, {"content-encoding": "gzip", "content-length": "23"}, b"abc"),
    ),
}


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 120), max_size=6))
def test_an_answer_is_the_same_however_it_is_cut(name, cuts):
    """And it is there with its last byte, not before."""
    words, expected = ANSWERS[name]
    ends = [*sorted({cut for cut in cuts if 0 < cut < len(words)}), len(words)]

    async def read() -> tuple[list[bool], Response]:
        exchange, written = connected()
        answer = exchange.ask(b"x")
        early = []
        for begin, end in zip([0, *ends], ends, strict=False):
            early.append(answer.done())
            exchange.data_received(words[begin:end])
        assert [b"x"] == written and exchange.open
        return early, answer.result()

    assert ([False] * len(ends), expected) == asyncio.run(read())


@given(st.sampled_from(sorted(ANSWERS)), st.data())
def test_an_answer_that_is_cut_short_is_none(name, data):
    words, _ = ANSWERS[name]
    length = data.draw(st.integers(0, len(words) - 1))

    async def read() -> None:
        exchange, _ = connected()
        answer = exchange.ask(b"x")
        exchange.data_received(words[:length]) if length else None
        exchange.eof_received()
        exchange.connection_lost(None)
        with pytest.raises(Broken):
            await answer

    asyncio.run(read())


@given(st.binary(max_size=200))
def test_whatever_comes_is_an_answer_or_the_end_of_the_connection(noise):
    """Nothing that a server says raises anything else, or leaves a connection in use that did not end its answer."""

    async def read() -> None:
        exchange, _ = connected()
        answer = exchange.ask(b"x")
        exchange.data_received(b"HTTP/1.1 " + noise)
        assert exchange.open == (answer.done() and answer.exception() is None and exchange._keeps)
        answer.cancel()

    asyncio.run(read())


def test_an_answer_without_a_length_ends_with_its_connection():
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nabc")
        writer.close()

    async def main() -> Response:
        async with serving(handle) as url, client() as http:
            return await http.answer(post(url))

    assert [b"abc"] * 2 == [one.body for one in each(main)]


def test_an_answer_without_an_end_is_given_up():
    async def read() -> None:
        exchange, _ = connected()
        answer = exchange.ask(b"x")
        exchange.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(LIMIT // 65_536 + 1):
            exchange.data_received(bytes(65_536))
        with pytest.raises(Broken, match="more than"):
            await answer

    asyncio.run(read())


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_grows_beyond_all_measure_is_not_opened(coding):
    bomb = gzip.compress(bytes(LIMIT + 1)) if coding == "gzip" else zlib.compress(bytes(LIMIT + 1))

    with pytest.raises(Broken, match="no end"):
        opened(bomb, {"content-encoding": coding})


class Recorded(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def connected() -> tuple[Exchange, list[bytes]]:
    """A connection without a network, and what is written on it."""
    exchange, transport = Exchange(), Recorded()
    exchange.connection_made(transport)
    return exchange, transport.written


# --- one connection for many, and never the answer of another ----------------------------------------------------------------------------


def test_calls_one_after_the_other_share_a_connection_and_those_at_once_do_not():
    ports: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.append(writer.get_extra_info("peername")[1])
        with contextlib.suppress(asyncio.IncompleteReadError):
            while body := await heard(reader):
                writer.write(said(body))

    async def main() -> list[bytes]:
        ports.clear()
        async with serving(handle) as url, client() as http:
            alone = [await http.answer(post(url, b"%02d" % number)) for number in range(3)]
            assert 1 == len(set(ports))
            return [one.body for one in (*alone, *await asyncio.gather(*(http.answer(post(url, b"%02d" % number)) for number in range(3, 10))))]

    assert ([[b"%02d" % number for number in range(10)]] * 2, 7) == (each(main), len(ports))


def test_the_answer_of_a_call_that_was_given_up_is_nobody_elses():
    """The first call's patience ends, its answer comes late; the second call has its own."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while body := await heard(reader):
                if body == b"01":
                    await reader.read()  # until the other side has gone
                writer.write(said(body))

    async def main() -> bytes:
        async with serving(handle) as url, client(within=0.3) as http:
            await http.answer(post(url, b"00"))
            with pytest.raises(Doubtful, match="TimeoutError"):
                await http.answer(post(url, b"01"))
            return (await http.answer(post(url, b"02"))).body

    assert [b"02"] * 2 == each(main)


@pytest.mark.parametrize("more", [said(b"no"), b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"junk"])
def test_a_connection_that_says_more_than_it_was_asked_is_not_used_again(more):
    """Whether it comes with the answer or after it. The answer stands: it came whole."""

    async def read(together: bool) -> tuple[Response, bool]:
        exchange, _ = connected()
        answer = exchange.ask(b"x")
        for words in (said(b"ok") + more,) if together else (said(b"ok"), more):
            exchange.data_received(words)
        return await answer, exchange.open

    expected = Response(200, {"content-length": "2"}, b"ok"), False

    assert [expected] * 2 == [asyncio.run(read(together)) for together in (False, True)]


def test_a_connection_that_its_server_has_closed_is_not_used_again():
    """Servers close what is idle. The next call leaves over a new one, and is not in doubt."""
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said(await heard(reader)))
        writer.close()
        closed.set()

    async def main() -> list[int]:
        async with serving(handle) as url, client() as http:
            found = []
            for _ in range(3):
                closed.clear()
                found.append((await http.answer(post(url))).status)
                await closed.wait()
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))
            return found

    assert [[200, 200, 200]] * 2 == each(main)


def test_an_answer_that_ends_its_connection_ends_it():
    async def read() -> bool:
        exchange, _ = connected()
        answer = exchange.ask(b"x")
        exchange.data_received(said(b"ok", b"connection: close\r\n"))
        await answer
        return exchange.open

    assert not asyncio.run(read())


def test_a_connection_that_was_idle_for_too_long_is_not_taken():
    """The other side may be about to close it."""
    ports = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername")[1])
        with contextlib.suppress(asyncio.IncompleteReadError):
            while body := await heard(reader):
                writer.write(said(body))

    async def main() -> None:
        async with serving(handle) as url, client(idle=0.0) as http:
            for _ in range(3):
                await http.answer(post(url))

    each(main)

    assert 6 == len(ports)


# --- the request -------------------------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["POST", "PUT", "DELETE"]),
    st.dictionaries(
        st.from_regex(r"x-[a-z]{1,8}", fullmatch=True),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
        max_size=4,
    ),
    st.binary(max_size=300),
    st.text(max_size=20),
)
def test_a_request_leaves_in_one_piece_of_which_nothing_but_its_own_is_part(method, headers, body, word):
    """Line, headers and body, whatever is in them."""
    written = framed(HttpRequest(method, "", headers, body), place("http://h/a?b=" + "".join(one for one in word if one not in "#\r\n\t"))[1], "h")
    head, _, rest = written.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    found = dict(one.split(": ", 1) for one in lines)

    assert (method, "HTTP/1.1", body) == (line.split(" ")[0], line.split(" ")[2], rest)
    assert headers.items() <= found.items()
    assert str(len(body)) == found.get("content-length", "0")


@pytest.mark.parametrize(
    "name, value", [("a", "b\r\nc: d"), ("a", "b\n"), ("a", "b\r"), ("a", "b\0"), ("a b", "c"), ("", "c"), ("a:", "c"), ("é", "c")]
)
def test_a_header_that_would_not_stay_one_never_leaves(name, value):
    with pytest.raises(NeverSent, match="a header"):
        framed(HttpRequest("POST", "", {name: value}, b""), "/", "h")


def test_an_address_with_credentials_is_refused_and_said_why():
    with pytest.raises(NeverSent, match="`credentials`"):
        place("https://user:secret@api.example.com/")


def test_another_library_reads_what_we_write(tmp_path):
    """aiohttp's server sees the request as it was meant, over TLS as well, and we trust only whom we are told to trust."""
    context, trusted = server_tls(tmp_path)
    asked = HttpRequest("POST", "", {"X-Key": "k", "content-type": "text/plain; charset=utf-8"}, "안녕".encode())

    async def echo(request: web.Request) -> web.Response:
        words = f"{request.method} {request.raw_path} {request.headers['x-key']} {request.headers['host'].partition(':')[0]} {await request.text()}"
        return web.Response(text=words, headers={"x-scheme": request.scheme})

    async def main(secure: bool) -> str:
        app = web.Application()
        app.router.add_post("/{tail:.*}", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "localhost", 0, ssl_context=context if secure else None)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        async with client() as http:
            if secure:
                http._tls.load_verify_locations(trusted)
            url = f"{'https' if secure else 'http'}://localhost:{port}/a/%2B/b?c=d%20e&f=g+h"
            found = await http.answer(HttpRequest(asked.method, url, asked.headers, asked.body))
        await runner.cleanup()
        return f"{found.headers['x-scheme']} {found.body.decode()}"

    expected = "POST /a/%2B/b?c=d%20e&f=g+h k localhost 안녕"

    assert [f"http {expected}"] * 2 == each(lambda: main(False))
    assert [f"https {expected}"] * 2 == each(lambda: main(True))

"""The short way of requests that come whole: what goes there, what does not, and that the caller cannot tell which it was."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from parley import express, web
from parley.express import Answer, Reply, Way, Whole
from parley.metrics import Metrics
from parley.problem import Problem

HEAD = b"POST /hooks/a?x=1 HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n"


class Side:
    """A service whose short way and whose route say who answered; answers of `wait` are held until they are let go."""

    def __init__(self) -> None:
        self.held: list[Answer] = []
        self.seen: list[Whole] = []
        self.metrics = Metrics()

    def take(self, request: Whole, answer: Answer) -> None:
        self.seen.append(request)
        match request.body:
            case b"wait!":
                self.held.append(answer)
            case b"400!!":
                raise Problem(400, "No.")
            case b"500!!":
                raise KeyError("+821012345678")
            case body:
                answer(Reply.of(Response(b"short:" + body, 200)))

    async def route(self, request: Request) -> Response:
        return Response(b"long:" + await request.body(), 200)


@contextmanager
def served(rests: float = 75.0) -> Iterator[tuple[Side, asyncio.Runner, int]]:
    """`rests`: seconds that a connection may be idle."""
    side = Side()
    application = web.application([Route("/hooks/{account}", side.route, methods=["GET", "POST"])], [], side.metrics, 1)
    made = express.protocol({"/hooks/a": Way("/hooks/{account}", side.take)}, side.metrics.requests)

    def http(**given: Any) -> asyncio.Protocol:
        one = made(**given)
        one.timeout_keep_alive = rests
        return one

    with asyncio.Runner() as runner, web.bound("127.0.0.1", 0) as one:
        one.listen()
        task = runner.get_loop().create_task(web.serve(application, one, http))
        yield side, runner, one.getsockname()[1]
        task.cancel()
        runner.run(asyncio.wait([task], timeout=5))


async def say(port: int, *pieces: bytes, until: bytes) -> bytes:
    """What is answered to the pieces, each sent once the one before has arrived, up to `until` or the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)  # so that they come apart
        async with asyncio.timeout(5):
            found = b""
            while until not in found and (more := await reader.read(65_536)):
                found += more
            return found
    finally:
        writer.close()


@pytest.mark.parametrize("pieces, who", [
    ([HEAD + b"\r\nhello"], b"short:hello"),
    ([HEAD[:20], HEAD[20:] + b"\r\nhello"], b"short:hello"),
    ([HEAD.replace(b"content-length: 5", b"transfer-encoding: chunked") + b"\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"], b"short:hello"),
    ([HEAD + b"\r\nhe", b"llo"], b"long:hello"),
    ([HEAD + b"\r\n", b"hello"], b"long:hello"),
    ([HEAD + b"expect: 100-continue\r\n\r\nhello"], b"long:hello"),
    ([HEAD.replace(b"/a", b"/b") + b"\r\nhello"], b"long:hello"),
    ([HEAD.replace(b"/a", b"/%61") + b"\r\nhello"], b"long:hello"),
    ([b"GET /hooks/a HTTP/1.1\r\nhost: h\r\n\r\n"], b"long:"),
])  # fmt: skip
def test_a_post_in_one_piece_goes_the_short_way_and_everything_else_the_long_one(pieces, who):
    """Whatever the way, nothing of the body is lost, and each is counted under the same route."""
    with served() as (side, runner, port):
        answer = runner.run(say(port, *pieces, until=who))

    assert answer.endswith(b"\r\n\r\n" + who)
    assert b"HTTP/1.1 200 OK" in answer and b"content-length: %d\r\n" % len(who) in answer
    assert 1 == side.metrics.requests.labels("/hooks/{account}", "2xx")._value.get()


def test_the_short_way_sees_what_was_sent():
    """Names in lower case, the query as it stood, the body exact."""
    with served() as (side, runner, port):
        runner.run(say(port, HEAD + b"X-Odd: a b\r\n\r\n\0\xff\r\n\n", until=b"short:"))

    assert [Whole("127.0.0.1", "x=1", {"host": "h", "content-length": "5", "x-odd": "a b"}, b"\0\xff\r\n\n")] == side.seen


def test_a_forwarded_address_is_believed_of_a_trusted_proxy():
    """As the application is told it: the last address that no proxy of ours has."""
    lines = b"x-forwarded-for: 203.0.113.9, 192.0.2.7\r\nx-forwarded-for: 127.0.0.1\r\n"
    with served() as (side, runner, port):
        runner.run(say(port, HEAD + lines + b"\r\nhello", until=b"short:hello"))

    assert ["192.0.2.7"] == [one.client for one in side.seen]


@pytest.mark.parametrize(
    "body, status, title", [(b"400!!", b"400 Bad Request", b"Bad request"), (b"500!!", b"500 Internal Server", b"Internal error")]
)
def test_an_error_of_the_short_way_is_a_problem_document(body, status, title):
    """The log has the route and the caller nothing of it; the connection goes on."""
    with served() as (side, runner, port), capture_logs() as logs:
        answer = runner.run(say(port, HEAD + b"\r\n" + body, HEAD + b"\r\nhello", until=b"short:hello"))

    assert answer.startswith(b"HTTP/1.1 " + status) and title in answer and b"application/problem+json" in answer
    assert b"+8210" not in answer
    assert (["/hooks/{account}"] if body == b"500!!" else []) == [one["route"] for one in logs if one["log_level"] == "error"]
    assert 1 == side.metrics.requests.labels("/hooks/{account}", body[:1].decode() + "xx")._value.get()


def test_answers_come_in_the_order_of_the_requests():
    """Who sends ahead of an answer is answered after it, by whichever way."""
    with served() as (side, runner, port):

        async def main() -> bytes:
            asking = asyncio.create_task(say(port, HEAD + b"\r\nwait!" + HEAD + b"\r\nhello", HEAD + b"\r\nagain", until=b":again"))
            while not side.held:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            side.held[0](Reply.of(Response(b"first", 200)))
            return await asking

        answer = runner.run(main())

    assert answer.index(b"first") < answer.index(b"long:hello") < answer.index(b":again")


@pytest.mark.parametrize("request_line", [HEAD + b"connection: close\r\n\r\nhello", HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\nhello"])
def test_who_wants_the_connection_closed_has_it_closed(request_line):
    """After the answer, and the answer says so."""
    with served() as (_, runner, port):
        answer = runner.run(say(port, request_line, until=b"never"))

    assert b"connection: close\r\n" in answer and answer.endswith(b"short:hello")


def test_a_stop_answers_what_is_under_way_first():
    """The answer comes, then the end of the connection."""
    side = Side()
    http = express.protocol({"/hooks/a": Way("/hooks/{account}", side.take)}, side.metrics.requests)

    async def main() -> bytes:
        with web.bound("127.0.0.1", 0) as one:
            one.listen()
            task = asyncio.create_task(web.serve(web.application([], [], side.metrics, 1), one, http))
            asking = asyncio.create_task(say(one.getsockname()[1], HEAD + b"\r\nwait!", until=b"never"))
            while not side.held:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.sleep(0.1)
            side.held[0](Reply.of(Response(b"kept", 200)))
            await asyncio.wait([task], timeout=5)
            return await asking

    assert asyncio.run(main()).endswith(b"kept")


def test_an_answer_to_who_has_gone_is_nobodys():
    """Nothing fails; the next one is served."""
    with served() as (side, runner, port):

        async def main() -> bytes:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"\r\nwait!")
            while not side.held:
                await asyncio.sleep(0.01)
            writer.close()
            await asyncio.sleep(0.1)
            side.held[0](Reply.of(Response(b"late", 200)))
            return await say(port, HEAD + b"\r\nhello", until=b"short:hello")

        assert runner.run(main()).endswith(b"short:hello")


def test_a_connection_at_rest_ends_and_one_in_use_does_not():
    """By what came last, on either way; also while a head, a body or an answer takes its time."""
    with served(rests=0.4) as (side, runner, port):

        async def main() -> tuple[bytes, float]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            pieces = [HEAD + b"\r\nhello", HEAD[:30], HEAD[30:] + b"\r\nh", b"ello", HEAD.replace(b"/a", b"/b") + b"\r\nhello", HEAD + b"\r\nwait!"]
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.3)
            await asyncio.sleep(0.3)
            side.held[0](Reply.of(Response(b"held", 200)))
            answered = asyncio.get_running_loop().time()
            found = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return found, asyncio.get_running_loop().time() - answered

        found, rested = runner.run(main())

    assert [b"short:hello", b"long:hello", b"long:hello", b"held"] == [one.partition(b"\r\n\r\n")[2] for one in found.split(b"HTTP/1.1 200 OK")[1:]]
    assert rested >= 0.3

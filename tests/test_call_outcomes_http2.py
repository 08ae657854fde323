"""What the end of a call over HTTP/2 means, at a real server: APNs speaks nothing else, and says by frames what HTTP/1 cannot."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from parley.failures import Outcome
from parley_sender.call import CALLED_OFF, LEAVES
from parley_sender.framing import CalledOff
from tests.own_tls import server_tls
from tests.test_call_outcomes import DOUBTFUL, clients, posted, told

H2 = h2.connection.H2Connection


@dataclass
class Server:
    """An HTTP/2 server that does with each request, once it has all of it, what `handle` says; the request counts from 1."""

    handle: Callable[[H2, int, int], bool]
    """Given the connection, the stream and the count; whether the connection is closed then."""
    requests: list[int] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = H2(h2.config.H2Configuration(client_side=False))
        link.initiate_connection()
        writer.write(link.data_to_send())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                ended = [one.stream_id for one in link.receive_data(data) if isinstance(one, h2.events.StreamEnded)]
                closing = False
                for stream in ended:
                    self.requests.append(stream)
                    closing |= self.handle(link, stream, len(self.requests))
                writer.write(link.data_to_send())
                await writer.drain()
                if closing:
                    break
        writer.close()


def taken(link: H2, stream: int, count: int) -> bool:
    link.send_headers(stream, [(":status", "202"), ("content-type", "application/json")])
    link.send_data(stream, f'{{"id":"p{count}"}}'.encode(), end_stream=True)
    return False


def refused(link: H2, stream: int, count: int) -> bool:
    link.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
    return False


def closed(link: H2, stream: int, count: int) -> bool:
    return True


def half(link: H2, stream: int, count: int) -> bool:
    link.send_headers(stream, [(":status", "202"), ("content-length", "11")])
    link.send_data(stream, b'{"id"')
    return True


def reset_in_the_body(link: H2, stream: int, count: int) -> bool:
    link.send_headers(stream, [(":status", "202")])
    link.send_data(stream, b'{"id"')
    link.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
    return False


def gone(link: H2, stream: int, count: int) -> bool:
    """The second request comes on a connection that was being given up: the last stream that was looked at is the first."""
    if count == 2:
        link.close_connection(last_stream_id=1)
        return True
    return taken(link, stream, count)


def silent(link: H2, stream: int, count: int) -> bool:
    return False


@contextlib.asynccontextmanager
async def listening(server: Server, tls: ssl.SSLContext) -> AsyncIterator[str]:
    found = await asyncio.start_server(server.serve, "localhost", 0, ssl=tls, family=2)
    try:
        yield f"https://localhost:{found.sockets[0].getsockname()[1]}"
    finally:
        found.close()


@pytest.fixture
def called(tmp_path, monkeypatch) -> Callable[..., list[Outcome]]:
    """Makes calls one after the other at a server of the given kind, over the sender's own client, which trusts that server."""
    context, file = server_tls(tmp_path, "h2")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    def call(server: Server, times: int = 1) -> list[Outcome]:
        async def main() -> list[Outcome]:
            async with listening(server, context) as url, clients() as made:
                return [await posted(made, url, http2=True) for _ in range(times)]

        return asyncio.run(main())

    return call


def test_an_answer_is_an_answer_and_the_connection_is_kept(called):
    """Two calls over one connection, in two streams."""
    server = Server(taken)
    found = called(server, times=2)

    assert (["p1", "p2"], [1, 3], 1) == ([one.provider_id for one in found], server.requests, server.connections)


def test_a_call_that_is_called_off_leaves_nothing(called):
    """It is asked when the connection stands and a stream is free; the next call has the stream."""
    asked: list[bool] = []

    def leaves(made: bool) -> None:
        asked.append(made)
        if made:
            raise CalledOff

    server, token = Server(taken), LEAVES.set(leaves)
    try:
        found = called(server, times=2)
    finally:
        LEAVES.reset(token)

    assert ([told(CALLED_OFF), ("accepted", None)], [True, False]) == ([told(one) for one in found], asked)
    assert ([1], 1) == (server.requests, server.connections)


@pytest.mark.parametrize("end", [refused, closed, half, reset_in_the_body, silent], ids=lambda one: one.__name__)
def test_a_request_that_was_whole_and_had_no_whole_answer_is_doubtful(called, end):
    """Even a refused stream, which the standard promises not to have been looked at: not each proxy keeps that promise."""
    assert [DOUBTFUL] == [told(one) for one in called(Server(end))]


def test_a_connection_that_is_being_given_up_costs_nothing(called):
    """It names the last stream that it looked at; the request behind that one goes over another connection, and was taken once."""
    server = Server(gone)
    found = called(server, times=2)

    assert (["accepted", "accepted"], [1, 3, 1], 2) == ([one.kind for one in found], server.requests, server.connections)

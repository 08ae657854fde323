"""A Kafka that answers a part of what it is asked, and is silent beside: what a frozen broker, or a broken way to it, looks like from here."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Collection, Sequence, Set

from aiokafka.protocol.admin import CreateTopicsResponse_v1
from aiokafka.protocol.metadata import MetadataResponse_v1
from aiokafka.protocol.transaction import InitProducerIdResponse_v0

PRODUCE, METADATA, VERSIONS, MAKE, PRODUCER_ID = 0, 3, 18, 19, 22
"""Kinds of requests, by Kafka's numbers; in the order VERSIONS, METADATA, PRODUCER_ID a producer asks them when it starts."""
SPOKEN = {PRODUCE: 3, METADATA: 1, VERSIONS: 0, MAKE: 1, PRODUCER_ID: 0}
"""The version that it knows of each."""


class Half:
    """One broker with some topics of one partition, which makes no others: `refused` is what it answers then. `open` counts its connections."""

    def __init__(self, answers: Set[int], topics: Collection[str], refused: Sequence[tuple[str, int, str]]) -> None:
        self.answers, self.topics, self.refused = answers, topics, refused
        self.asked: list[int] = []
        self.open = 0
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    (size,) = struct.unpack(">i", await reader.readexactly(4))
                    kind, _, number = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
                    self.asked.append(kind)
                    if kind in self.answers:
                        body = struct.pack(">i", number) + self.body(kind)
                        writer.write(struct.pack(">i", len(body)) + body)
        finally:
            self.open -= 1
            writer.close()

    def body(self, kind: int) -> bytes:
        if kind == VERSIONS:
            return struct.pack(">hi", 0, len(SPOKEN)) + b"".join(struct.pack(">hhh", one, version, version) for one, version in SPOKEN.items())
        if kind == METADATA:
            topics = [(0, name, False, [(0, 0, 1, [1], [1])]) for name in self.topics]
            return MetadataResponse_v1(brokers=[(1, "127.0.0.1", self.port, None)], controller_id=1, topics=topics).encode()
        if kind == MAKE:
            return CreateTopicsResponse_v1(topic_errors=self.refused).encode()
        assert kind == PRODUCER_ID
        return InitProducerIdResponse_v0(0, 0, 7, 0).encode()


@contextlib.asynccontextmanager
async def half(
    answers: Set[int], topics: Collection[str] = (), refused: Sequence[tuple[str, int, str]] = (), tls: ssl.SSLContext | None = None
) -> AsyncIterator[Half]:
    one = Half(answers, topics, refused)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one

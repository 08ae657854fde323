"""A Kafka that answers a part of what it is asked, and is silent from then on: what a frozen broker, or a broken way to it, looks like from here."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Set

from aiokafka.protocol.metadata import MetadataResponse_v1
from aiokafka.protocol.transaction import InitProducerIdResponse_v0

PRODUCE, METADATA, VERSIONS, PRODUCER_ID = 0, 3, 18, 22
"""Kinds of requests, by Kafka's numbers; in the order VERSIONS, METADATA, PRODUCER_ID a producer asks them when it starts."""


class Half:
    """One broker that leads partition 0 of the topics that are asked for; `open` counts its connections."""

    def __init__(self, answers: Set[int], topic: str) -> None:
        self.answers, self.topic = answers, topic
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
            kinds = [(VERSIONS, 0), (METADATA, 1), (PRODUCE, 3), (PRODUCER_ID, 0)]
            return struct.pack(">hi", 0, len(kinds)) + b"".join(struct.pack(">hhh", one, version, version) for one, version in kinds)
        if kind == METADATA:
            topics = [(0, self.topic, False, [(0, 0, 1, [1], [1])])]
            return MetadataResponse_v1(brokers=[(1, "127.0.0.1", self.port, None)], controller_id=1, topics=topics).encode()
        assert kind == PRODUCER_ID
        return InitProducerIdResponse_v0(0, 0, 7, 0).encode()


@contextlib.asynccontextmanager
async def half(answers: Set[int], topic: str) -> AsyncIterator[Half]:
    one = Half(answers, topic)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one

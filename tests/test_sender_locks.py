"""Who drives a lane when the connection that holds its lock dies without a word: one process at a time, on real PostgreSQL behind a wire that can be cut."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from parley.contracts import Content
from parley_sender import lanes, spread
from parley_sender.departures import FARTHEST
from tests.conftest import until
from tests.test_sender_lanes import Desk

pytestmark = pytest.mark.stack
LOCK = b"pg_advisory_lock_shared"
"""How a process says on that connection that it is there."""


@dataclass
class Wire:
    """TCP to PostgreSQL. The connection that asks for locks can fall silent: its server end is closed, and its client hears nothing of it."""

    host: str
    port: int
    locks: list[asyncio.StreamWriter] = field(default_factory=list)
    """Server ends of the connections that asked for locks."""
    dead: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    def silence(self) -> None:
        self.dead.add(self.locks[-1])
        self.locks[-1].close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self.host, self.port)

        async def answers() -> None:
            while data := await from_server.read(65_536):
                writer.write(data)

        answering = asyncio.create_task(answers())
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if LOCK in data and to_server not in self.locks:
                    self.locks.append(to_server)
                if to_server not in self.dead:
                    to_server.write(data)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        to_server.close()
        writer.close()


def test_a_lane_whose_lock_died_without_a_word_is_not_fought_for(settings, tmp_path, monkeypatch):
    """Another process takes it over, once; the first gives it up, and stands by. Nothing is sent twice, and whatever did not arrive is in doubt: it was claimed."""
    monkeypatch.setattr(lanes, "ALIVE", 1.0)
    place = urlsplit(settings.database.get_secret_value())

    async def main():
        wire = Wire(place.hostname, place.port)
        async with wire.running() as port:
            desk = Desk(settings, tmp_path, monkeypatch, rate="20/s", burst=1, honours_keys=False)
            async with first_behind(desk, wire, port) as one, one.sender():
                for n in range(100):
                    await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{n}"))
                await until(lambda: some(one), "some messages")
                wire.silence()
                await until(lambda: asked_again(wire), "a new connection for locks")
                await until(lambda: ended(one), "the end of the queue")
                sent = await one.one.context.pool.fetch("SELECT content ->> 'text' AS text FROM deliveries WHERE status = 'sent'")
                fence = await one.one.context.pool.fetchval("SELECT fence FROM lanes WHERE lane = 'app'")
                later = await one.one.context.pool.fetch("SELECT DISTINCT outcome FROM attempts WHERE fence = 2")
                return Counter(one.received()), {row["text"] for row in sent}, fence, [row["outcome"] for row in later]

    received, sent, fence, later = asyncio.run(main())

    assert ({1}, 2) == (set(received.values()), fence)
    assert sent <= set(received)
    assert ["accepted"] == later  # in doubt is only what the first had claimed
    assert len(received) >= 100 - 20 * FARTHEST - 3  # and what did not arrive is only what it had claimed ahead, and had not called for


def test_a_second_replica_gets_its_share_of_the_lanes(settings, tmp_path, monkeypatch):
    """What one drove alone is driven by both, while it is sent; every message arrives once, and when one of them ends the other drives all."""
    monkeypatch.setattr(spread, "STEADY", 0.5)

    async def main():
        async with Desk(settings, tmp_path, monkeypatch, rate="100/s", burst=2, shares=2).open() as one:
            await until(lambda: held(one, [2]), "both shares at the first")
            for n in range(300):
                await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{n}"))
            async with one.sender():
                await until(lambda: held(one, [1, 1]), "a share at each")
                await one.ends(sent=300)
            await until(lambda: held(one, [2]), "both shares at the one that is left")
            return Counter(one.received())

    assert asyncio.run(main()) == {f"{n}": 1 for n in range(300)}


async def held(one: Desk, wanted: list[int]) -> bool:
    """Whether so many locks of lanes are held by each process that is there."""
    rows = await one.one.context.pool.fetch(
        """SELECT count(*) - 1 AS lanes FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database()
           WHERE locktype = 'advisory' AND objsubid = 1 AND granted GROUP BY pid"""
    )
    return sorted(row["lanes"] for row in rows if row["lanes"]) == wanted


@contextlib.asynccontextmanager
async def first_behind(desk: Desk, wire: Wire, port: int) -> AsyncIterator[Desk]:
    """The desk, its sender's database at the end of the wire."""
    place = urlsplit(desk.settings.database.get_secret_value())
    there = place._replace(netloc=place.netloc.replace(f":{place.port}", f":{port}")).geturl()
    straight = desk.settings
    desk.settings = straight.model_copy(update={"database": SecretStr(there)})
    async with desk.open() as one:
        await until(lambda: driven(one), "a driver of the lane")
        desk.settings = straight
        yield one


async def driven(one: Desk) -> bool:
    return bool(await one.one.context.pool.fetchval("SELECT count(*) FROM lanes WHERE fence = 1"))


async def some(one: Desk) -> bool:
    return len(one.received()) > 20


async def ended(one: Desk) -> bool:
    """All have left; those that were under way at the takeover are in doubt."""
    statuses = await one.statuses()
    return 100 == statuses["sent"] + statuses["unknown"]


async def asked_again(wire: Wire) -> bool:
    return len(wire.locks) > 1

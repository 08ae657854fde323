"""A STOP is heard up to the moment in which a call's bytes leave, on real Kafka and PostgreSQL: what the call waits for before it gives nobody leave."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
import structlog

from parley.channels import PROVIDERS, plain
from parley.channels.shape import HttpRequest
from parley.contracts import Channel, ConsentState, Content, Purpose
from parley_sender import departures, standing
from parley_sender.consents import Agreement, agree
from parley_sender.lanes import Lanes
from tests.conftest import until
from tests.test_sender_faults import in_parts, story
from tests.test_sender_lanes import Desk

pytestmark = pytest.mark.stack
OK = b'HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"id":"p1"}'


class Provider:
    """A server that answers its first request once it may, the others at once."""

    def __init__(self):
        self.paths, self.may_answer = [], asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = next(int(line.split(": ")[1]) for line in head.split("\r\n") if line.startswith("content-length: "))
                await reader.readexactly(length)
                self.paths.append(head.split(" ")[1])
                if len(self.paths) == 1:
                    await self.may_answer.wait()
                writer.write(OK)

    async def asked(self) -> bool:
        return bool(self.paths)


@pytest.fixture
def stopped(settings, tmp_path, monkeypatch):
    """Has a message asked for at a provider that is the plain one but for some functions; says STOP while the first request waits for its answer, and lets it
    be answered when that is heard. Gives the paths that were asked for, and where the message stands."""

    def stop(text: str, functions) -> tuple[list[str], tuple[object, ...]]:
        async def main():
            async with Provider().running() as provider:
                made = SimpleNamespace(**{**vars(plain), **functions(provider)})
                for module in ("call", "accept"):
                    monkeypatch.setattr(f"parley_sender.{module}.PROVIDERS", {**PROVIDERS, "plain": made})
                async with Desk(settings, tmp_path, monkeypatch, honours_keys=False, base_url=provider.url).open() as one:
                    await one.ask(text)
                    await until(provider.asked, "the first request")
                    before = asyncio.get_running_loop().time()
                    await one.agree(Purpose.REPLY, ConsentState.REVOKED)
                    await until(lambda: heard(one, before), "the stop is heard")
                    provider.may_answer.set()
                    await until(lambda: ended(one), "an end")
                    return provider.paths, (await story(one))[0][:2]

        return asyncio.run(main())

    return stop


async def heard(one: Desk, since: float) -> bool:
    (lanes,) = (worker for worker in one.one.workers if isinstance(worker, Lanes))
    known = await one.one.context.pool.fetchval("SELECT EXISTS (SELECT FROM consents)")  # else a standstill of this machine would be taken for it
    return known and lanes._stops.said(since, lambda: [one.contact])


async def ended(one: Desk) -> bool:
    return "queued" not in await one.statuses()


def test_a_stop_while_a_token_is_fetched(stopped):
    """The token comes, and nothing is sent with it: the gate is asked again."""

    def functions(provider):
        return {
            "token_request": lambda account, now: HttpRequest("POST", f"{provider.url}/token", {}, b""),
            "token_answer": lambda response: ("token", timedelta(hours=1)),
        }

    paths, end = stopped("offer", functions)

    assert (["/token"], ("suppressed", "opted_out")) == (paths, end)


def test_a_stop_between_the_parts_of_a_message(stopped):
    """The part that is under way cannot be called back; the rest does not leave, and the story says so."""
    paths, end = stopped(" ".join(letter * 200 for letter in "abc"), lambda _: {"build": in_parts})

    assert (1, ("sent", "opted_out: stopped after part 1 of 3")) == (len(paths), end)


def test_a_stop_while_nobody_listened(settings, tmp_path, monkeypatch):
    """The lane's turns fail, then its connection for news ends; what it had claimed is seconds from being too old. Nobody tells it of the stop: it asks again."""
    monkeypatch.setattr(departures, "HORIZON", 3.0)
    people = [uuid4() for _ in range(6)]

    async def main():
        async with Desk(settings, tmp_path, monkeypatch, rate="2/s", burst=1).open() as one:
            pool, now = one.one.context.pool, datetime.now(UTC)
            for place, contact in enumerate(people):
                await one.publish(contact_id=contact, message_id=uuid4(), addresses={Channel.INAPP: f"u{place}"}, content=Content(text="tea"))
            await until(lambda: pool.fetchval("SELECT count(*) >= 4 FROM queue WHERE state = 'calling'"), "several are claimed")
            with structlog.testing.capture_logs() as told:
                await pool.execute("ALTER TABLE attempts RENAME TO mislaid")
                await until(lambda: said(told, "lane waits for PostgreSQL"), "a turn that fails")
                await pool.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
                async with pool.acquire() as connection, connection.transaction():
                    stops = [Agreement(contact, "inapp", "reply", "revoked", now, "acme") for contact in people]
                    await standing.tell_stops(connection, await agree(connection, stops, now))
                before = len(one.twin.ledger.book.entries)
                await pool.execute("ALTER TABLE mislaid RENAME TO attempts")
            await until(lambda: ended(one), "an end of all")
            return before, len(one.twin.ledger.book.entries), await one.statuses()

    before, after, statuses = asyncio.run(main())

    assert (before, len(people)) == (after, statuses["suppressed"] + before) and before < len(people) - 2


async def said(told: list[dict[str, object]], event: str) -> bool:
    return any(one["event"] == event for one in told)

"""A STOP, and whatever else means that nothing more shall leave, is heard up to the moment in which a call's bytes leave, on real Kafka and PostgreSQL: what the call
waits for before it gives nobody leave."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
import structlog

from parley import database
from parley.channels import PROVIDERS, plain
from parley.channels.shape import HttpRequest
from parley.contracts import Channel, ConsentState, Content, EngagementRecorded, ErasureRequested, Purpose
from parley.failures import Outcome
from parley_sender import departures, standing
from parley_sender.consents import Agreement, agree
from parley_sender.lanes import Lanes
from parley_sender.stops import Stops
from tests.conftest import until
from tests.telling import Open
from tests.test_sender_faults import in_parts, story
from tests.test_sender_lanes import Desk

pytestmark = pytest.mark.stack
HERE = {"channel": "inapp", "address": "u1"}
LONG = " ".join(letter * 200 for letter in "abc")
OK = b'HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"id":"p1"}'


class Provider:
    """A server that answers its first request once it may, the others at once."""

    def __init__(self):
        self.paths, self.may_answer, self._waits = [], asyncio.Event(), None

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
                    self._waits = writer
                    await self.may_answer.wait()
                if len(self.paths) > 1 or self._waits is writer:
                    writer.write(OK)

    def answer(self) -> None:
        """The first request, at once."""
        self._waits.write(OK)
        self._waits = None
        self.may_answer.set()

    async def asked(self) -> bool:
        return bool(self.paths)


@pytest.fixture
def held(settings, tmp_path, monkeypatch):
    """A desk over a provider that is the plain one but for some functions, with a message whose first request waits for its answer."""

    @contextlib.asynccontextmanager
    async def hold(text: str, functions):
        async with Provider().running() as provider:
            made = SimpleNamespace(**{**vars(plain), **functions(provider)})
            for module in ("call", "accept"):
                monkeypatch.setattr(f"parley_sender.{module}.PROVIDERS", {**PROVIDERS, "plain": made})
            async with Open(settings, tmp_path, monkeypatch, honours_keys=False, base_url=provider.url).open() as one:
                (number,) = await one.ask(text)
                await until(provider.asked, "the first request")
                yield one, provider, number

    return hold


async def refuses(one: Open, _: UUID) -> list[UUID]:
    await one.agree(Purpose.REPLY, ConsentState.REVOKED)
    await known(one, "consents")
    return [one.contact]


async def lists(one: Open, _: UUID) -> list[UUID]:
    """As a person does it, for one account."""
    await one.call("PUT", "/suppressions", {**HERE, "scope": "account", "account": "app"})
    return [standing.of_address(*HERE.values())]


async def imports(one: Open, _: UUID) -> list[UUID]:
    """More addresses than are named: their tenant is."""
    some = [{**HERE, "address": f"u{number}", "reason": "imported"} for number in range(standing.MOST_NAMED + 1)]
    await one.call("POST", "/suppressions/import", some)
    return [standing.of_tenant("acme")]


async def imports_for_everybody(one: Open, _: UUID) -> list[UUID]:
    """More than are named, whoever writes to them: nobody is."""
    some = [{**HERE, "address": f"u{number}", "reason": "imported", "scope": "global"} for number in range(standing.MOST_NAMED + 1)]
    await one.call("POST", "/suppressions/import", some, key="root")
    return []


async def complains(one: Open, number: UUID) -> list[UUID]:
    await one.event(EngagementRecorded(message_id=number, contact_id=one.contact, kind="complained", by="human", at=datetime.now(UTC)))
    await known(one, "suppressions")
    return [standing.of_address(*HERE.values())]


async def is_erased(one: Open, _: UUID) -> list[UUID]:
    await one.event(ErasureRequested(contact_id=one.contact, at=datetime.now(UTC)))
    await known(one, "deliveries WHERE address = 'erased'")
    return [one.contact]


async def known(one: Open, what: str) -> None:
    """Until it is in the tables: a standstill of this machine would be taken for its being heard."""
    await until(lambda: one.one.context.pool.fetchval(f"SELECT EXISTS (SELECT FROM {what})"), what)


def stops_of(one: Open) -> Stops:
    (lanes,) = (worker for worker in one.one.workers if isinstance(worker, Lanes))
    return lanes._stops


async def heard(one: Open, whom: list[UUID], since: float) -> bool:
    return stops_of(one).said(since, lambda: whom)


async def ended(one: Desk) -> bool:
    return "queued" not in await one.statuses()


@pytest.fixture
def stopped(held):
    """Has a message asked for, says that nothing more shall leave while the first request waits for its answer, and lets it be answered when that is heard. Gives
    the paths that were asked for, and where the message stands."""

    def stop(text: str, functions, says) -> tuple[list[str], tuple[object, ...]]:
        async def main():
            async with held(text, functions) as (one, provider, number):
                before = asyncio.get_running_loop().time()
                whom = await says(one, number)
                await until(lambda: heard(one, whom, before), "it is heard")
                provider.may_answer.set()
                await until(lambda: ended(one), "an end")
                return provider.paths, (await story(one))[0][:2]

        return asyncio.run(main())

    return stop


def fetching(provider: Provider) -> dict[str, object]:
    """The functions of a provider that wants a token."""
    return {
        "token_request": lambda account, now: HttpRequest("POST", f"{provider.url}/token", {}, b""),
        "token_answer": lambda response: ("token", timedelta(hours=1)),
    }


@pytest.mark.parametrize(
    "says, end",
    [
        (refuses, ("suppressed", "opted_out")), (lists, ("suppressed", "asked")), (imports, ("suppressed", "imported")),
        (imports_for_everybody, ("suppressed", "imported")),
        (complains, ("suppressed", "complained")), (is_erased, ("expired", "expired")),
    ],
    ids=["refused", "listed", "imported", "imported for everybody", "complained", "erased"],
)  # fmt: skip
def test_a_stop_while_a_token_is_fetched(stopped, says, end):
    """The token comes, and nothing is sent with it: the gate is asked again."""
    assert (["/token"], end) == stopped("offer", fetching, says)


def test_a_stop_between_the_parts_of_a_message(stopped):
    """The part that is under way cannot be called back; the rest does not leave, and the story says so."""
    paths, end = stopped(LONG, lambda _: {"build": in_parts}, refuses)

    assert (1, ("sent", "opted_out: stopped after part 1 of 3")) == (len(paths), end)


@pytest.mark.parametrize(
    "text, functions, paths, end",
    [("offer", fetching, 1, ("suppressed", "opted_out")), (LONG, lambda _: {"build": in_parts}, 1, ("sent", "opted_out: stopped after part 1 of 3"))],
    ids=["token", "parts"],
)
def test_a_stop_that_is_read_together_with_the_answer(held, text, functions, paths, end):
    """The process stood still for a moment, too short to be taken for frozen: the answer was there first, then came the stop. It is heard before more leaves."""

    async def main():
        async with held(text, functions) as (one, provider, _):
            with elsewhere() as run:
                connection = run(database.single(one.settings.database.get_secret_value(), "sender"))
                provider.answer()
                run(refused(connection, [one.contact]))  # this loop stands still
                run(asyncio.sleep(0.05))  # until it is told
                await until(lambda: ended(one), "an end")
                run(connection.close())
                return len(provider.paths), (await story(one))[0][:2]

    assert (paths, end) == asyncio.run(main())


@contextlib.contextmanager
def elsewhere():
    """Runs what it is given on a loop of its own, and waits for it without giving ours a turn."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda task: asyncio.run_coroutine_threadsafe(task, loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def refused(connection, people: list[UUID]) -> None:
    """As the intake does it."""
    now = datetime.now(UTC)
    async with connection.transaction():
        await agree(connection, [Agreement(contact, "inapp", "reply", "revoked", now, "acme") for contact in people], now)


def test_an_address_that_is_gone_gets_nothing_more(settings, tmp_path, monkeypatch):
    """A call learns it while another contact's message to the address, which had the gate's leave, waits for its moment."""
    monkeypatch.setattr(departures, "HORIZON", 10.0)
    gone = SimpleNamespace(**{**vars(plain), "interpret": lambda _: Outcome("permanent", "gone", "no such app", drop_address=True)})
    monkeypatch.setattr("parley_sender.call.PROVIDERS", {**PROVIDERS, "plain": gone})

    async def main():
        async with (
            Provider().running() as provider,
            Open(settings, tmp_path, monkeypatch, rate="20/min", burst=1, base_url=provider.url).open() as one,
        ):
            await one.publish(contact_id=uuid4(), message_id=uuid4(), content=Content(text="first"))
            await until(provider.asked, "the first request")
            await one.publish(contact_id=uuid4(), message_id=uuid4(), content=Content(text="second"))
            claimed = "SELECT count(*) = 2 FROM queue WHERE state = 'calling'"
            await until(lambda: one.one.context.pool.fetchval(claimed), "the second is claimed")
            provider.may_answer.set()
            await until(lambda: ended(one), "an end")
            return len(provider.paths), [row[:2] for row in await story(one)]

    assert (1, [("failed", "provider:gone"), ("suppressed", "address_gone")]) == asyncio.run(main())


def test_a_stop_is_heard_while_a_lane_that_is_left_waits_for_its_row(settings, tmp_path, monkeypatch):
    """Somebody has the row locked for long: the connection that hears of stops is not the one that waits."""
    monkeypatch.setattr("parley_sender.lanes.ALIVE", 60.0)  # else it would give up, and take everybody for stopped

    async def main():
        async with Open(settings, tmp_path, monkeypatch).open() as one:
            await one.ask("hello")
            await one.ends(sent=1)
            pool, contact, before = one.one.context.pool, uuid4(), asyncio.get_running_loop().time()
            waits = (
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM lanes WHERE lane = ANY%FOR UPDATE')"
            )
            async with pool.acquire() as other, other.transaction():
                await other.execute("SELECT FROM lanes FOR UPDATE")
                (lanes,) = (worker for worker in one.one.workers if isinstance(worker, Lanes))
                lanes._give(["app"])
                await until(lambda: pool.fetchval(waits), "the lane's end waits")
                async with pool.acquire() as connection:
                    await refused(connection, [contact])
                await until(lambda: heard(one, [contact], before), "it is heard", 5)
            await one.ask("again")
            await one.ends(sent=2)

    asyncio.run(main())


def test_a_stop_while_nobody_listened(settings, tmp_path, monkeypatch):
    """The lane's turns fail, then its connection for news ends; what it had claimed is seconds from being too old. Nobody tells it of the stop: it asks again."""
    monkeypatch.setattr(departures, "HORIZON", 3.0)
    people = [uuid4() for _ in range(6)]

    async def main():
        async with Desk(settings, tmp_path, monkeypatch, rate="2/s", burst=1).open() as one:
            pool = one.one.context.pool
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
                async with pool.acquire() as connection:
                    await refused(connection, people)
                before = len(one.twin.ledger.book.entries)
                await pool.execute("ALTER TABLE mislaid RENAME TO attempts")
            await until(lambda: ended(one), "an end of all")
            return before, len(one.twin.ledger.book.entries), await one.statuses()

    before, after, statuses = asyncio.run(main())

    assert (before, len(people)) == (after, statuses["suppressed"] + before) and before < len(people) - 2


async def said(told: list[dict[str, object]], event: str) -> bool:
    return any(one["event"] == event for one in told)

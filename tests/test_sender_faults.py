"""Faults of ours in the middle of sending, on real Kafka and PostgreSQL: what they do to a message is said, and the rest goes on."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4, uuid5

import asyncpg
import orjson
import pytest

from parley import wire
from parley.channels import PROVIDERS, plain
from parley.channels.shape import Account, HttpRequest, Outgoing, Response
from parley.contracts import Channel, ConsentState, Content, DeliveryChanged, ErasureRequested, Purpose
from parley.failures import Outcome
from tests.conftest import until
from tests.ingesting import records
from tests.test_sender_lanes import Desk
from tests.test_service import readiness

pytestmark = pytest.mark.stack


@pytest.fixture
def made_up(settings, tmp_path, monkeypatch):
    """A desk whose provider is the plain one but for what a test puts in its place."""

    def desk(**functions: object) -> Desk:
        provider = SimpleNamespace(**{**vars(plain), **functions})
        for module in ("call", "accept"):
            monkeypatch.setattr(f"parley_sender.{module}.PROVIDERS", {**PROVIDERS, "plain": provider})
        return Desk(settings, tmp_path, monkeypatch, honours_keys=False)

    return desk


def stumbling(function, error: Exception | None = None):
    """The function, but the first time it is asked it raises, or answers what nobody could mean."""
    asked: list[object] = []

    def stumble(*given: object) -> object:
        asked.append(given)
        if len(asked) > 1:
            return function(*given)
        if error is not None:
            raise error
        return None

    return stumble


async def tried(one: Desk) -> bool:
    return bool(await one.one.context.pool.fetchval("SELECT count(*) FROM attempts"))


async def story(one: Desk) -> list[tuple[object, ...]]:
    """Status, reason, parts that the provider has and failures of each message, in the order in which they were asked for."""
    return [tuple(row) for row in await one.one.context.pool.fetch("SELECT status, reason, parts_done, failures FROM deliveries ORDER BY seq")]


@pytest.mark.parametrize("error", [TypeError("secret words"), None])
def test_an_answer_that_we_stumble_over_leaves_its_message_unknown(made_up, error):
    """The provider may have taken it, so nobody sends again; the contact's next message leaves, and the sender can stop."""

    async def main():
        async with made_up(interpret=stumbling(plain.interpret, error)).open() as one:
            await one.ask("in doubt", "after")
            await one.ends(unknown=1, sent=1)
            attempts = await one.one.context.pool.fetch("SELECT outcome, code, reason FROM attempts ORDER BY called_at")
            return await story(one), tuple(attempts[0]), one.received()

    told, attempt, received = asyncio.run(main())

    assert [("unknown", "fault", 0, 0), ("sent", None, 1, 0)] == told
    assert ("unknown", "fault", "TypeError" if error else "AttributeError") == attempt
    assert ["in doubt", "after"] == received


def test_a_message_that_we_stumble_over_before_anything_left_is_tried_again(made_up):
    """It is definite that the provider does not have it."""

    async def main():
        async with made_up(build=stumbling(plain.build, TypeError("x"))).open() as one:
            await one.ask("hello")
            await one.ends(sent=1)
            attempts = await one.one.context.pool.fetch("SELECT outcome, code FROM attempts ORDER BY attempt")
            return await story(one), [tuple(row) for row in attempts], one.received()

    told, attempts, received = asyncio.run(main())

    assert [("sent", None, 1, 1)] == told
    assert [("transient", "fault"), ("accepted", None)] == attempts
    assert ["hello"] == received


def test_a_token_that_we_stumble_over_leaves_its_message_for_later(made_up):
    """No token, so nothing left."""
    token = {"token_request": stumbling(lambda account, now: None, TypeError("x")), "token_answer": lambda response: None}

    async def main():
        async with made_up(**token).open() as one:
            await one.ask("hello")
            await until(lambda: tried(one), "an attempt")
            return await story(one), one.received()

    assert ([("queued", "fault", 0, 1)], []) == asyncio.run(main())


def test_a_message_that_has_no_requests_fails_in_words(made_up):
    """Also where an older Parley made more requests of it than this one would."""

    async def main():
        async with made_up(build=lambda message, account: []).open() as one:
            await one.ask("hello")
            await one.ends(failed=1)
            return await story(one)

    assert [("failed", "provider:unbuildable", 0, 0)] == asyncio.run(main())


@pytest.mark.parametrize(
    "outcome, end",
    [
        (Outcome("accepted", provider_id="a\0b"), ("sent", None)),
        (Outcome("accepted", provider_id="x" * 5000), ("sent", None)),
        (Outcome("permanent", "\ud800\0", "\0" * 5000), ("failed", "provider:\ufffd")),
        (Outcome("transient", "503", retry_after=timedelta(days=900_000_000)), ("queued", "provider:503")),
    ],
)
def test_whatever_a_provider_answers_can_be_written_down(made_up, outcome, end):
    """One such answer does not hold the lane up: the next message leaves."""
    answers = iter([outcome])

    async def main():
        async with made_up(interpret=lambda response: next(answers, None) or plain.interpret(response)).open() as one:
            await one.ask("strange")
            await until(lambda: tried(one), "an attempt")
            await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text="next"))
            await until(lambda: second(one), "the next message")
            return [row[:2] for row in await story(one)]

    async def second(one: Desk) -> bool:
        return 2 == len(one.received()) and not await one.one.context.pool.fetchval("SELECT count(*) FROM queue WHERE state = 'calling'")

    assert [end, ("sent", None)] == asyncio.run(main())


def test_a_change_that_could_not_be_told_is_told(made_up, monkeypatch):
    """Whatever the fault was: nobody waits for the lane's next message to hear of this one."""

    async def main():
        async with made_up().open() as one:
            bus = one.one.context.bus
            publish, faults = bus.publish, [RuntimeError("x")]

            async def once_faulty(some, *within):
                if faults and any(b'"sent"' in value for *_, value in some):
                    raise faults.pop()
                await publish(some, *within)

            monkeypatch.setattr(bus, "publish", once_faulty)
            await one.ask("hello")
            await until(lambda: told(one), "the change on the bus")
            return faults

    async def told(one: Desk) -> bool:
        return any(data.status == "sent" for data in await changes(one))

    assert [] == asyncio.run(main())


def test_a_lane_that_ends_no_turn_is_not_ready(made_up):
    """Though its task lives and tries again: a mistake in its tables, say. When that is mended the lane moves and is ready."""

    async def main():
        async with stuck_soon(made_up()).open() as one:
            before = await readiness(one.one, 200)
            await one.one.context.pool.execute("ALTER TABLE attempts RENAME TO mislaid")
            await one.ask("hello")
            stuck = await readiness(one.one, 503)
            await one.one.context.pool.execute("ALTER TABLE mislaid RENAME TO attempts")
            after = await readiness(one.one, 200)
            await one.ends(sent=1)
            return before, orjson.loads(stuck)["detail"], after

    assert ("ready\n", "lanes: no turn for more than 1 s of app", "ready\n") == asyncio.run(main())


def test_lanes_without_their_locks_are_not_ready(made_up, database):
    """Nobody drives them while PostgreSQL is away."""

    async def main():
        name = database.rpartition("/")[2]
        async with stuck_soon(made_up()).open() as one:
            await readiness(one.one, 200)
            admin = await asyncpg.connect(database.replace(name, "postgres"))
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            away = await readiness(one.one, 503, "lanes: PostgreSQL has not answered for ")
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await admin.close()
            return orjson.loads(away)["detail"], await readiness(one.one, 200)

    away, back = asyncio.run(main())

    assert "lanes: PostgreSQL has not answered for" in away and "ready\n" == back


def stuck_soon(desk: Desk) -> Desk:
    desk.settings = desk.settings.model_copy(update={"stuck": 1.0})
    return desk


# --- messages of several parts ---------------------------------------------------------------------------------------------------------


def in_parts(message: Outgoing, account: Account) -> list[HttpRequest]:
    """A request a word."""
    words = message.content.text.split(" ")
    numbers = [uuid5(message.message_id, word) for word in words]
    return [
        request
        for number, word in zip(numbers, words, strict=True)
        for request in plain.build(replace(message, message_id=number, content=Content(text=word)), account)
    ]


def only(taken: int):
    """A provider that takes so many requests, and is then out of order."""
    answers: list[Outcome] = []

    def interpret(response: Response) -> Outcome:
        answers.append(plain.interpret(response) if len(answers) < taken else Outcome("transient", "503"))
        return answers[-1]

    return interpret


LONG = " ".join(letter * 200 for letter in "abc")


async def parts_left(one: Desk, count: int) -> UUID:
    """Asks for a message of three parts and waits until so many have left and it waits for another try."""
    (number,) = await one.ask(LONG)
    await until(lambda: tried(one), "an attempt")
    assert [("queued", "provider:503", count, 1)] == await story(one)
    return number


@pytest.mark.parametrize(
    "left, early, late, end",
    [
        (0, (), (), ("suppressed", "opted_out")),
        (1, (), (), ("sent", "opted_out: stopped after part 1 of 3")),
        (2, (), (), ("sent", "opted_out: stopped after part 2 of 3")),
        (1, ("delivered",), (), ("delivered", "opted_out: stopped after part 1 of 3")),
        (1, (), ("delivered",), ("delivered", "opted_out: stopped after part 1 of 3")),
    ],
)
def test_what_the_gate_stops_after_some_parts_is_sent_in_part(made_up, left, early, late, end):
    """Nobody may say of it that it was held back: the story says how far it went and why no further, also when its receipts come."""

    async def main():
        async with made_up(build=in_parts, interpret=only(left)).open() as one:
            await parts_left(one, left)
            provider_id = await one.one.context.pool.fetchval("SELECT provider_id FROM deliveries")
            for status in early:
                await one.receipt(status, provider_id=provider_id)
            await one.agree(Purpose.REPLY, ConsentState.REVOKED)
            await until(lambda: ended(one), "the gate's word")
            for status in late:
                await one.receipt(status, provider_id=provider_id)
            await one.ends(**{end[0]: 1})
            events = [data for data in await changes(one) if data.status == end[0]]
            return (await story(one))[0][:2], [data.reason for data in events], await one.one.context.pool.fetchval("SELECT count(*) FROM parked")

    assert (end, [end[1]], 0) == asyncio.run(main())


@pytest.mark.parametrize("left, end", [(0, ("suppressed", "erased")), (1, ("sent", "erased: stopped after part 1 of 3"))])
def test_erasing_says_of_some_parts_that_they_left(made_up, left, end):
    """And of the rest that it never will."""

    async def main():
        async with made_up(build=in_parts, interpret=only(left)).open() as one:
            await parts_left(one, left)
            await one.event(ErasureRequested(contact_id=one.contact, addresses={Channel.INAPP: "u1"}, at=datetime.now(UTC)))
            await one.ends(**{end[0]: 1})
            return (await story(one))[0][:2]

    assert end == asyncio.run(main())


async def ended(one: Desk) -> bool:
    return "queued" not in await one.statuses()


async def changes(one: Desk) -> list[DeliveryChanged]:
    return [wire.decode(DeliveryChanged.topic, each.headers, each.value).data for each in await records(one.settings, DeliveryChanged.topic)]

"""What does not arrive over one channel is told over the next, once: the rule with values alone, the worker on real PostgreSQL and Kafka against the twin."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from parley import cursor, history, wire
from parley.contracts import (
    Channel,
    Content,
    DeliveryChanged,
    DeliveryStatus,
    Envelope,
    ErasureRequested,
    MessageRequested,
    ReceiptReceived,
    Template,
)
from parley.cursor import Place
from parley.local import free_port
from parley.service import running
from parley.step import Arrived
from parley.twin.behaviour import Behaviour
from parley.twin.server import running_twin
from parley.twin.shape import Account as TwinAccount
from parley.twin.twin import TwinOptions
from parley_sender import erasing, intake, receipts, remaining, standing
from parley_sender.accept import accepted
from parley_sender.app import SERVICE
from parley_sender.fallbacks import Fallbacks
from parley_sender.instead import KEPT, Later, Over, Stand, Tell, fate, instead
from parley_sender.law import Law
from parley_sender.outbox import Outbox
from tests.conftest import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
T0 = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
AFTER = timedelta(minutes=1)
NUMBER = "+821012345678"


# --- when ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status, reason, resend, passed, found",
    [
        ("sent", None, False, AFTER - timedelta(seconds=1), Later(T0 + AFTER)),
        ("sent", None, False, AFTER, Tell("not delivered within 60 s")),
        ("delivered", None, False, AFTER, Over()),
        ("read", None, True, AFTER, Over()),
        ("failed", "provider:131026", False, timedelta(0), Tell("provider:131026")),
        ("failed", "opted_out", False, AFTER, Over()),
        ("unknown", "no_answer", False, AFTER, Later(T0 + AFTER + KEPT)),
        ("unknown", "no_answer", False, AFTER + KEPT, Over()),
        ("unknown", "no_answer", True, timedelta(0), Later(T0 + AFTER)),
        ("unknown", "no_answer", True, AFTER, Tell("not delivered within 60 s, and nobody knows whether it left")),
        ("queued", None, False, AFTER, Later()),
        ("queued", "quiet_hours", False, AFTER, Later()),
        ("queued", "window_closed", False, timedelta(0), Later(T0 + AFTER)),
        ("queued", "window_closed", False, AFTER, Tell("window_closed")),
        ("suppressed", "address_gone", False, timedelta(0), Tell("address_gone")),
        ("suppressed", "opted_out", False, AFTER, Over()),
        ("suppressed", "cancelled", False, AFTER, Over()),
        ("expired", "expired", False, AFTER, Over()),
    ],
)
def test_when_a_message_is_told_elsewhere(status, reason, resend, passed, found):
    """So long after it was sent, at once when it failed for good, never where the person refused or it may have arrived."""
    assert found == fate(Stand(DeliveryStatus(status), reason, T0, AFTER), resend, T0 + passed)


@given(st.sampled_from([DeliveryStatus.SENT, DeliveryStatus.FAILED]), st.booleans())
def test_what_arrived_in_part_is_told_nowhere_else(status, resend):
    """The person has the beginning of it."""
    assert Over() == fate(Stand(status, "provider:500", T0, AFTER, parts=3, parts_done=1), resend, T0 + AFTER)


def asked(**more: object) -> MessageRequested:
    return MessageRequested(
        **{"contact_id": uuid4(), "message_id": uuid4(), "purpose": "transactional", "channels": ("whatsapp", "inapp", "sms"), "fallback_after": 60,
           "addresses": {Channel.WHATSAPP: NUMBER, Channel.INAPP: "u1", Channel.SMS: NUMBER}, "content": Content(text="hi"), **more}
    )  # fmt: skip


def test_the_next_channel_has_an_address_and_an_account():
    """The last one waits for nothing more; the id is the same however often it is asked for."""
    first = asked(account="w", not_before=T0)
    second = instead(first, Channel.WHATSAPP, lambda _: True, T0)
    third = instead(second, Channel.INAPP, lambda _: True, T0)

    assert ((Channel.INAPP, Channel.SMS), 60, None, None) == (second.channels, second.fallback_after, second.account, second.not_before)
    assert ((Channel.SMS,), None, second.message_id) == (third.channels, third.fallback_after, third.instead_of)
    assert second == instead(first, Channel.WHATSAPP, lambda _: True, T0)
    assert (Channel.SMS,) == instead(first, Channel.WHATSAPP, lambda channel: channel is Channel.SMS, T0).channels
    assert None is instead(third, Channel.SMS, lambda _: True, T0)
    assert None is instead(asked(expires_at=T0), Channel.WHATSAPP, lambda _: True, T0)


def test_a_template_is_said_in_words_elsewhere():
    """Where there are any; a form of one account is nothing to another."""
    form = Template(name="offer", language="ko")
    worded, wordless = (
        instead(asked(content=Content(text=text, template=form)), Channel.WHATSAPP, lambda _: True, T0).content.template for text in ("hi", "")
    )

    assert (None, form) == (worded, wordless)


# --- the worker ------------------------------------------------------------------------------------------------------------------------


class Post:
    """A sender over the twin with an app, which tells no receipts, and a number; and the worker, whose turns a test takes by itself."""

    def __init__(self, one, twin):
        self.context, self.twin = one.context, twin
        self.law = Law.load(one.context.config, one.context.settings)
        self.box = Outbox(one.context)
        self.ahead = timedelta(0)
        clocked = replace(one.context, clock=lambda: datetime.now(UTC) + self.ahead)
        self.worker = Fallbacks(clocked, self.law, self.box)

    @property
    def pool(self):
        return self.context.pool

    async def ask(self, **more: object) -> UUID:
        """Takes a request as intake does."""
        request = asked(**{"channels": ("inapp", "sms"), **more})
        now = datetime.now(UTC)
        event = Envelope(id=str(uuid4()), source="test", time=now, tenant="acme", data=request)
        delivery = accepted(event, request, self.law, b"test", "https://p.example")
        async with self.pool.acquire() as connection, connection.transaction():
            await intake.insert(connection, [delivery])
            await remaining.remember(connection, [delivery])
            await standing.tell(connection, await standing.enter(connection, {request.message_id: delivery.lane}, now))
        return request.message_id

    async def sent(self, **more: object) -> UUID:
        number = await self.ask(**more)
        await self.stands(number, "sent")
        return number

    async def stands(self, number: UUID, *statuses: str) -> None:
        async def there() -> bool:
            return await self.status(number) in statuses

        await until(there, f"the message is {' or '.join(statuses)}")

    async def status(self, number: UUID) -> str:
        return await self.pool.fetchval("SELECT status FROM deliveries WHERE message_id = $1", number)

    async def turn(self, ahead: timedelta = timedelta(0)) -> None:
        """A turn of the worker, so much later."""
        self.ahead = ahead
        await self.worker.turn()

    async def followers(self, number: UUID) -> list[tuple[str, str]]:
        """What is told in a message's place: channel and lane."""
        rows = await self.pool.fetch("SELECT channel, lane FROM deliveries WHERE instead_of = $1 ORDER BY seq", number)
        return [tuple(row) for row in rows]

    async def receipt(self, connection, number: UUID, status: str) -> None:
        data = ReceiptReceived(account="app", status=status, message_id=number, at=datetime.now(UTC))
        await receipts.apply(connection, [(_arrived(data), data)], datetime.now(UTC))

    async def receive(self, number: UUID, status: str) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await self.receipt(connection, number, status)

    async def kept(self) -> int:
        return await self.pool.fetchval("SELECT count(*) FROM fallbacks")


def _arrived(data) -> Arrived:
    event = Envelope(id=str(uuid4()), source="test", time=datetime.now(UTC), tenant="acme", data=data)
    return Arrived(event, Place(data.topic, 0), 0, None)


@contextlib.asynccontextmanager
async def post(settings, folder: Path, unknown: str = "hold", **behaviour: object) -> AsyncIterator[Post]:
    accounts = [TwinAccount(name=name, provider="plain", channel=channel, sender=name, credentials={"symmetric": SECRET})
                for name, channel in (("app", "inapp"), ("number", "sms"))]  # fmt: skip
    moods = {"*": Behaviour(receipts=False), "app": Behaviour(receipts=False, **behaviour)}
    async with running_twin(TwinOptions(folder / "ledger.jsonl", port=0, accounts=accounts, behaviours=moods)) as twin:
        (folder / "secret").write_text(SECRET)
        usual = {
            "tenant": "acme",
            "provider": "plain",
            "rate": "1000/s",
            "burst": 100,
            "credentials": {"symmetric": "file:secret"},
            "base_url": twin.url,
        }
        file = {"tenants": {"acme": {}}, "accounts": {one.name: {**usual, "channel": one.channel, "sender": one.sender} for one in accounts}}
        file["accounts"]["closed"] = {**usual, "channel": "whatsapp", "sender": "closed"}
        (folder / "accounts.yaml").write_text(yaml.safe_dump(file))
        (folder / "policies.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {"unknown": {"transactional": unknown}}}}))
        async with running(SERVICE, settings.model_copy(update={"config": folder, "port": free_port()})) as one:
            yield Post(one, twin)


def posted(settings, folder: Path, main, **more: object):
    async def run():
        async with post(settings, folder, **more) as one:
            return await main(one)

    return asyncio.run(run())


@pytest.mark.stack
def test_what_is_not_delivered_in_time_arrives_over_the_next_channel(settings, tmp_path):
    """Once, in place of the first, which says so; what the bus is to hear goes with it, and the first can still be told as delivered."""

    async def main(one):
        number = await one.sent(fallback_after=1, content=Content(text="hello"))

        async def there() -> bool:
            await one.turn()
            return [said.text for said in one.twin.inboxes.of(NUMBER)] == ["hello"]

        await until(there, "the text at the number")
        await one.turn()
        await one.receive(number, "delivered")
        second = await one.pool.fetchval("SELECT message_id FROM deliveries WHERE instead_of = $1", number)
        await one.stands(second, "sent")
        await until(lambda: _heard(one, second, number, "sent"), "the bus to hear of it")
        note = await one.pool.fetchval("SELECT detail FROM notes WHERE message_id = $1 AND what = 'fallback'", number)
        return number, await one.followers(number), note, await one.status(number), await one.kept()

    number, followers, note, status, kept = posted(settings, tmp_path, main)

    assert ([("sms", "number")], "delivered", 0) == (followers, status, kept)
    assert str(wire.natural_id("fallback", str(number), "sms")) in note and "not delivered within 1 s" in note


async def _heard(one: Post, number: UUID, first: UUID, status: str) -> bool:
    """Whether the bus has heard of a message, at each step in whose place it is told."""
    found = []
    async for stretch in history.read(one.context.settings, DeliveryChanged.topic):
        said = [wire.decode(DeliveryChanged.topic, record.headers, record.value).data for record in stretch.records]
        found += [(one.status, one.instead_of) for one in said if one.message_id == number]
    return found == [("queued", first), (status, first)]


@pytest.mark.stack
def test_a_request_on_the_bus_is_told_elsewhere_too(settings, tmp_path):
    """Nobody but the sender's own worker looks; the story tells why it went where it went."""

    async def main(one):
        request = asked(channels=("inapp", "sms"), fallback_after=1, content=Content(text="hello"))
        event = Envelope(id=str(uuid4()), source="test", time=datetime.now(UTC), tenant="acme", data=request)
        await one.context.bus.publish([wire.encode(event)])
        await until(lambda: _texts(one, ["hello"]), "the text at the number")
        route = await one.pool.fetchval("SELECT route FROM deliveries WHERE message_id = $1", request.message_id)
        return route, await one.followers(request.message_id)

    route, followers = posted(settings, tmp_path, main)

    assert ({"by": "only", "why": "the account of this channel"}, [("sms", "number")]) == (orjson.loads(route), followers)


async def _texts(one: Post, wanted: list[str]) -> bool:
    return [said.text for said in one.twin.inboxes.of(NUMBER)] == wanted


@pytest.mark.stack
def test_nothing_is_told_before_its_time_nor_after_it_arrived(settings, tmp_path):
    async def main(one):
        early, arrived = await one.sent(), await one.sent()
        await one.receive(arrived, "delivered")
        await one.turn(AFTER - timedelta(seconds=10))
        await one.turn(2 * AFTER)
        return await one.followers(early), await one.followers(arrived), await one.kept()

    assert ([("sms", "number")], [], 0) == posted(settings, tmp_path, main)


@pytest.mark.stack
def test_a_failure_for_good_is_told_elsewhere_at_once(settings, tmp_path):
    """By its receipt; one that comes back as delivered afterwards tells nothing twice."""

    async def main(one):
        number = await one.sent()
        await one.receive(number, "failed")
        await one.turn(timedelta(seconds=1))
        await one.receive(number, "delivered")
        await one.turn(2 * AFTER)
        return await one.followers(number), await one.status(number)

    assert ([("sms", "number")], "delivered") == posted(settings, tmp_path, main)


@pytest.mark.stack
@pytest.mark.parametrize("unknown, told", [("hold", []), ("resend", [("sms", "number")])])
def test_what_is_in_doubt_is_told_elsewhere_by_policy_alone(settings, tmp_path, unknown, told):
    """Where the tenant had rather that it arrives twice than not at all."""

    async def main(one):
        number = await one.ask()
        await one.pool.execute("DELETE FROM queue WHERE message_id = $1", number)
        await one.pool.execute("UPDATE deliveries SET status = 'unknown', called_at = now() WHERE message_id = $1", number)
        await one.turn(2 * AFTER)
        return await one.followers(number), await one.kept()

    assert (told, 1 - len(told)) == posted(settings, tmp_path, main, unknown=unknown)


@pytest.mark.stack
def test_a_closed_window_is_no_end(settings, tmp_path):
    """Nobody writes, so the provider takes nothing: after its time the message ends there, and is told over the next channel."""

    async def main(one):
        number = await one.ask(channels=("whatsapp", "sms"))
        await until(lambda: _holds(one, number), "the gate's hold")
        await one.turn(AFTER / 2)
        early = await one.followers(number)
        await one.turn(2 * AFTER)
        row = await one.pool.fetchrow("SELECT status, reason FROM deliveries WHERE message_id = $1", number)
        return early, await one.followers(number), tuple(row), await one.pool.fetchval("SELECT count(*) FROM queue WHERE message_id = $1", number)

    assert ([], [("sms", "number")], ("expired", "window_closed"), 0) == posted(settings, tmp_path, main)


async def _holds(one: Post, number: UUID) -> bool:
    return await one.pool.fetchval("SELECT reason FROM deliveries WHERE message_id = $1", number) == "window_closed"


@pytest.mark.stack
def test_a_receipt_that_comes_first_prevents_it(settings, tmp_path):
    """Also where it is not committed yet when the worker looks: the rows are its own."""

    async def main(one):
        number = await one.sent()
        async with one.pool.acquire() as connection, connection.transaction():
            await one.receipt(connection, number, "delivered")
            await one.turn(2 * AFTER)
        await one.turn(2 * AFTER)
        return await one.followers(number), await one.kept()

    assert ([], 0) == posted(settings, tmp_path, main)


@pytest.mark.stack
def test_a_receipt_that_comes_second_changes_the_first_alone(settings, tmp_path):
    """It waits for the worker, and is told in the story of a message that was told elsewhere."""

    async def main(one):
        number = await one.sent()
        async with _blocked(one) as release:
            turn = asyncio.create_task(one.turn(2 * AFTER))
            await until(lambda: _stuck(one), "the worker before its commit")
            receipt = asyncio.create_task(one.receive(number, "delivered"))
            await until(lambda: _stuck(one, 2), "the receipt behind it")
            await release()
        await asyncio.gather(turn, receipt)
        return await one.followers(number), await one.status(number)

    assert ([("sms", "number")], "delivered") == posted(settings, tmp_path, main)


@pytest.mark.stack
def test_a_kill_before_the_commit_leaves_nothing_and_one_after_it_everything(settings, tmp_path):
    """The connection dies when all is written: nothing was told. Then again, to the end, and nobody could publish it: it is there, for whoever can."""

    async def main(one):
        number = await one.sent()
        async with _blocked(one) as release:
            turn = asyncio.create_task(one.turn(2 * AFTER))
            await until(lambda: _stuck(one), "the worker before its commit")
            await one.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            killed = await asyncio.gather(turn, return_exceptions=True)
            await release()
        nothing = await one.followers(number), await one.kept()
        one.box._behind = True
        await one.turn(2 * AFTER)
        entry = await one.pool.fetchval("SELECT records FROM outbox")
        said = [wire.decode(topic, headers, value).data for topic, _, headers, value in cursor.unpack(entry)]
        return killed, nothing, await one.followers(number), [(said.instead_of, said.status) for said in said], number

    killed, nothing, followers, said, number = posted(settings, tmp_path, main)

    assert isinstance(killed[0], asyncpg.PostgresError | asyncpg.InterfaceError)
    assert (([], 1), [("sms", "number")], [(number, "queued")]) == (nothing, followers, said)


@contextlib.asynccontextmanager
async def _blocked(one: Post):
    """Nobody can write to the outbox until it is released: a worker that gets there has done all but commit."""
    connection = await asyncpg.connect(one.context.settings.database.get_secret_value())
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE sender.outbox IN ACCESS EXCLUSIVE MODE")
    try:
        yield transaction.rollback
    finally:
        await connection.close()


async def _stuck(one: Post, most: int = 1) -> bool:
    """Whether so many wait for locks: the outbox's own sweep may be one of them."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query !~ 'FROM outbox'"
    return await one.pool.fetchval(query) >= most


@pytest.mark.stack
def test_who_is_erased_is_told_nothing_more(settings, tmp_path):
    """What was kept for later goes with the person: addresses and texts."""

    async def main(one):
        number = await one.sent(content=Content(text="private words"))
        contact = await one.pool.fetchval("SELECT contact_id FROM deliveries WHERE message_id = $1", number)
        async with one.pool.acquire() as connection, connection.transaction():
            await erasing.erase(connection, [_arrived(ErasureRequested(contact_id=contact, at=datetime.now(UTC)))], b"test", datetime.now(UTC))
        await one.turn(2 * AFTER)
        return await one.followers(number), await one.kept()

    assert ([], 0) == posted(settings, tmp_path, main)


@pytest.mark.stack
def test_a_message_has_one_slot_over_all_of_its_channels(settings, tmp_path):
    """To the person both are one: the second is not kept back by the cap that the first used up."""

    async def main(one):
        number = await one.sent()
        await one.turn(2 * AFTER)
        called = await one.pool.fetchval("SELECT called_at FROM deliveries WHERE message_id = $1", number)
        return called, await one.pool.fetchval("SELECT reserved FROM queue JOIN deliveries USING (message_id) WHERE instead_of = $1", number)

    called, reserved = posted(settings, tmp_path, main)

    assert called is not None
    assert called == reserved


events = st.lists(st.sampled_from(["delivered", "read", "failed", "turn", "time"]), max_size=8)


@pytest.mark.stack
def test_no_order_of_events_tells_it_twice(settings, tmp_path):
    """Whatever receipts come when, however often it is looked at: at most once, surely where a look found it due, and never where it was not."""

    async def main(one):
        loop = asyncio.get_running_loop()
        found: list[tuple[bool, bool, int]] = []

        async def play(order: list[str]) -> None:
            number, ahead, status, may, must = await one.sent(), timedelta(seconds=1), "sent", False, False
            for what in order:
                if what == "time":
                    ahead += AFTER
                elif what == "turn":
                    await one.turn(ahead)
                    must = must or status == "failed" or (status == "sent" and ahead > AFTER)
                else:
                    await one.receive(number, what)
                    status = max(status, what, key=["sent", "failed", "delivered", "read"].index)
                    may = may or status == "failed"  # the sender's own worker may look before the next event
            found.append((may, must, len(await one.followers(number))))

        @profile(max_examples=25)
        @given(events)
        def plays(order: list[str]) -> None:
            asyncio.run_coroutine_threadsafe(play(order), loop).result(60)
            may, must, count = found[-1]
            assert int(must) <= count <= int(may or must), order

        await asyncio.to_thread(plays)
        return len(found)

    assert posted(settings, tmp_path, main) >= 10

"""Sender on real Kafka and PostgreSQL against the twin: what it is asked to send arrives once, in order, or is known not to have."""

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
import yaml

from parley import database, wire
from parley.contracts import Channel, ConsentChanged, ConsentState, Content, Envelope, MessageReceived, MessageRequested, Purpose, ReceiptReceived
from parley.local import free_port
from parley.service import Running, running
from parley.twin.behaviour import Behaviour
from parley.twin.server import running_twin
from parley.twin.shape import Account as TwinAccount
from parley.twin.twin import Twin, TwinOptions
from parley_sender import holding
from parley_sender.app import SERVICE
from parley_sender.handover import unpacked
from parley_sender.holding import Hold
from tests.conftest import until

pytestmark = pytest.mark.stack
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY, SPY = "staff-key", "another-tenants-key"


class Desk:
    """A sender at work over the plain provider's twin, and what a test asks of both."""

    def __init__(self, settings, folder: Path, monkeypatch, **account: object):
        self.settings, self.folder, self.monkeypatch, self.account = settings, folder, monkeypatch, account
        self.contact = uuid4()

    @contextlib.asynccontextmanager
    async def open(self, **behaviour: object):
        accounts = [TwinAccount(name="app", provider="plain", channel="inapp", sender="acme", credentials={"symmetric": SECRET})]
        moods = {"*": Behaviour(receipts=False, **behaviour)}
        async with running_twin(TwinOptions(self.folder / "ledger.jsonl", port=0, accounts=accounts, behaviours=moods)) as self.twin:
            self._configure(self.twin)
            async with self.sender() as self.one:
                yield self

    def _configure(self, twin: Twin) -> None:
        self.monkeypatch.setenv("APP_SECRET", SECRET)
        self.monkeypatch.setenv("STAFF_KEY", KEY)
        self.monkeypatch.setenv("SPY_KEY", SPY)
        account = {"tenant": "acme", "provider": "plain", "channel": "inapp", "sender": "acme", "rate": "1000/s", "burst": 100,
                   "credentials": {"symmetric": "env:APP_SECRET"}, "base_url": twin.url, **self.account}  # fmt: skip
        key = {"tenant": "acme", "scopes": ["messages:read"], "token": "env:STAFF_KEY"}
        keys = {"staff": key, "spy": {**key, "tenant": "other", "token": "env:SPY_KEY"}}
        file = {"tenants": {"acme": {}, "other": {}}, "accounts": {"app": account}, "keys": keys}
        (self.folder / "accounts.yaml").write_text(yaml.safe_dump(file))

    def sender(self) -> contextlib.AbstractAsyncContextManager[Running]:
        return running(SERVICE, self.settings.model_copy(update={"config": self.folder, "port": free_port()}))

    async def ask(self, *texts: str, **more: object) -> list[UUID]:
        """Requests for this contact, one a text."""
        return [await self.publish(message_id=uuid4(), content=Content(text=text), **more) for text in texts]

    async def publish(self, **more: object) -> UUID:
        request = MessageRequested(
            **{"contact_id": self.contact, "purpose": "reply", "channels": ("inapp",), "addresses": {Channel.INAPP: "u1"}, **more}
        )
        await self.event(request)
        return request.message_id

    async def event(self, data: object) -> None:
        now = datetime.now(UTC)
        await self.one.context.bus.publish(
            [wire.encode(Envelope(id=str(uuid4()), source="test", time=now, tenant="acme", started_at=now, data=data))]
        )

    async def agree(self, purpose: Purpose, state: ConsentState) -> None:
        await self.event(ConsentChanged(contact_id=self.contact, channel="inapp", purpose=purpose, state=state, source="test", at=datetime.now(UTC)))

    async def receipt(self, status: str, **by: object) -> None:
        await self.event(ReceiptReceived(account="app", status=status, at=datetime.now(UTC), **by))

    async def statuses(self) -> Counter[str]:
        connection = await asyncpg.connect(self.settings.database.get_secret_value())
        rows = await connection.fetch("SELECT status FROM sender.deliveries")
        await connection.close()
        return Counter(row["status"] for row in rows)

    async def ends(self, **wanted: int) -> None:
        """Waits until deliveries stand as wanted."""
        await until(lambda: self._stand(wanted), f"deliveries {wanted}")

    async def _stand(self, wanted: dict[str, int]) -> bool:
        return dict(await self.statuses()) == wanted

    def received(self) -> list[str | None]:
        """The texts that reached the customer, in order."""
        return [one.text for one in self.twin.inboxes.of("u1")]


@pytest.fixture
def desk(settings, tmp_path, monkeypatch):
    return lambda **account: Desk(settings, tmp_path, monkeypatch, **account)


def test_messages_of_a_contact_arrive_once_and_in_order(desk):
    """Each has one attempt, and the bus hears that it is queued and sent."""

    async def main():
        async with desk().open() as one:
            texts = [f"{n:02}" for n in range(20)]
            await one.ask(*texts)
            await one.ends(sent=20)
            attempts = await one.one.context.pool.fetch("SELECT outcome, provider_id IS NOT NULL AS named FROM attempts")
            return texts, one.received(), {tuple(row) for row in attempts}, len(attempts)

    texts, received, kinds, count = asyncio.run(main())

    assert (texts, {("accepted", True)}, 20) == (received, kinds, count)


def test_a_repeated_request_is_sent_once(desk):
    """The message id is what makes it one."""

    async def main():
        async with desk().open() as one:
            number = uuid4()
            for _ in range(3):
                await one.publish(message_id=number, content=Content(text="once"))
            await one.ask("after")
            await one.ends(sent=2)
            return one.received()

    assert asyncio.run(main()) == ["once", "after"]


def test_a_stop_ends_what_is_queued_and_only_its_answer_leaves(desk):
    """The answer itself records the wish, before any other word of it has come."""

    async def main():
        async with desk(rate="2/s", burst=1).open() as one:
            await one.agree(Purpose.MARKETING, ConsentState.GRANTED)
            await one.ask(*[f"offer {n}" for n in range(30)], purpose="marketing")
            await until(lambda: _any(one.received()), "a first offer")
            await one.ask("You are out.", notice="opted_out")
            await until(lambda: _any([text for text in one.received() if text == "You are out."]), "the answer")
            await one.ask("late reply")
            await one.ask("late offer", purpose="marketing")
            await until(lambda: _none_queued(one), "an end of the queue")
            return one.received(), await one.statuses()

    received, statuses = asyncio.run(main())

    assert received[-1] == "You are out."
    assert statuses["suppressed"] == 33 - statuses["sent"] > 0


def test_marketing_waits_for_a_consent_that_comes_late(desk):
    """Request and consent travel on topics of their own."""

    async def main():
        async with desk().open() as one:
            await one.ask("offer", purpose="marketing")
            await until(lambda: _held(one), "the gate's hold")
            await one.agree(Purpose.MARKETING, ConsentState.GRANTED)
            await one.ends(sent=1)
            return one.received()

    assert asyncio.run(main()) == ["offer"]


def test_free_text_waits_for_the_customer_to_write(desk):
    """Where the provider takes it only for a while after their last word: it is told as held, and leaves as soon as they write."""

    async def main():
        async with desk(window="24h").open() as one:
            await one.ask("are you there?", purpose="transactional")
            await until(lambda: _held(one), "the gate's hold")
            reason, before = await one.one.context.pool.fetchval("SELECT reason FROM deliveries"), one.received()
            said = MessageReceived(contact_id=one.contact, message_id=uuid4(), account="app", channel="inapp", address="u1", kind="text", text="hello",
                                   received_at=datetime.now(UTC))  # fmt: skip
            await one.event(said)
            await one.ends(sent=1)
            return reason, before, one.received()

    assert asyncio.run(main()) == ("window_closed", [], ["are you there?"])


def test_a_cap_holds_over_campaigns_and_leaves_the_slot_to_the_higher_priority(desk, tmp_path):
    """Two a day: of three campaigns' messages the one of the highest priority goes though it came last."""
    (tmp_path / "policies.yaml").write_text("tenants: {acme: {caps: [{purpose: marketing, per: day, most: 2}]}}")

    async def main():
        async with desk(rate="1/s", burst=1).open() as one:
            await one.agree(Purpose.MARKETING, ConsentState.GRANTED)
            await one.ask("first", purpose="transactional")
            for place, priority in enumerate((0, 0, 5)):
                await one.ask(f"offer {priority}", purpose="marketing", campaign=f"c{place}", priority=priority, channels=("inapp",))
            await one.ends(sent=3, suppressed=1)
            return sorted(one.received()), await one.one.context.pool.fetchval("SELECT reason FROM deliveries WHERE status = 'suppressed'")

    received, reason = asyncio.run(main())

    assert ["first", "offer 0", "offer 5"] == received
    assert reason == "capped: 2 in a day"


def test_a_429_costs_no_attempt_and_loses_nothing(desk):
    """The lane pauses, slows down, and all arrive."""

    async def main():
        async with desk().open(throttle=20) as one:
            for n in range(60):
                await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{n}"))
            await one.ends(sent=60)
            failures = await one.one.context.pool.fetchval("SELECT max(failures) FROM deliveries")
            return failures, one.twin.ledger.book.summary()["total"]

    failures, total = asyncio.run(main())

    assert (0, 60, 0) == (failures, total["messages"], total["sent_twice"])
    assert total["throttled"] > 0


@pytest.mark.parametrize("keys, end", [(True, "sent"), (False, "unknown")])
def test_a_call_without_an_answer_is_never_sent_twice(desk, keys, end):
    """With keys it is made again and known; without it stays unknown."""

    async def main():
        async with desk(honours_keys=keys).open(hang_after_accepting=1.0, hang_ms=20, honour_keys=keys) as one:
            await one.ask("maybe")
            await until(lambda: _any(one.received()), "the message at the twin")
            one.twin.behave({"*": Behaviour(receipts=False, honour_keys=keys)})
            await one.ends(**{end: 1})
            return one.received()

    assert asyncio.run(main()) == ["maybe"]


@pytest.mark.parametrize("fate, end", [("hang_after_accepting", "unknown"), ("fail_rate", "suppressed")])
def test_what_is_stopped_after_a_call_in_doubt_is_unknown(desk, fate, end):
    """Nobody may say of a message that perhaps arrived that it was held back; what the provider surely did not take is suppressed."""

    async def main():
        async with desk(honours_keys=True).open(**{fate: 1}) as one:
            await one.ask("hello")
            await until(lambda: _any(one.twin.ledger.book.entries), "the call at the twin")
            await one.agree(Purpose.REPLY, ConsentState.REVOKED)
            await until(lambda: _none_queued(one), "the end of it")
            return dict(await one.statuses()), await one.one.context.pool.fetchval("SELECT reason FROM deliveries")

    assert ({end: 1}, "opted_out") == asyncio.run(main())


def test_a_receipt_settles_what_is_unknown(desk):
    """By our echoed id; a later, lower word changes nothing."""

    async def main():
        async with desk(honours_keys=False).open(hang_after_accepting=1.0, hang_ms=20) as one:
            (number,) = await one.ask("maybe")
            await one.ends(unknown=1)
            for status in ("delivered", "sent", "failed"):
                await one.receipt(status, message_id=number)
            await one.ends(delivered=1)
            return await one.one.context.pool.fetchval("SELECT count(*) FROM attempts")

    assert asyncio.run(main()) == 1


def test_a_receipt_before_its_message_is_joined(desk):
    """By the provider's id, which is only known with the answer to our call."""

    async def main():
        async with desk().open(latency_ms=400) as one:
            await one.ask("hello")
            await until(lambda: _any(one.received()), "the call at the twin")
            (call,) = one.twin.inboxes.of("u1")
            await one.receipt("read", provider_id=call.provider_id)
            await one.receipt("delivered", provider_id=call.provider_id)
            await one.ends(read=1)
            return await one.one.context.pool.fetchval("SELECT count(*) FROM parked")

    assert asyncio.run(main()) == 0


@pytest.mark.parametrize("keys, end", [(True, {"sent": 1}), (False, {"unknown": 1})])
def test_what_a_dead_process_was_calling_is_doubtful(desk, keys, end):
    """Its successor repeats it under the same key, or says that nobody knows."""

    async def main():
        async with desk(honours_keys=keys, rate="1/h").open() as one:
            await one.ask("in doubt")
            await one.ends(queued=1)
            await one.one.context.pool.execute("UPDATE queue SET state = 'calling', attempt = 1, fence = 0, called_at = now()")
            one.account = {"honours_keys": keys}
            one._configure(one.twin)
            await _end(one.one)
            async with one.sender() as one.one:
                await one.ends(**end)
                return await one.one.context.pool.fetchval("SELECT reason FROM deliveries"), one.received()

    assert asyncio.run(main()) == ((None, ["in doubt"]) if keys else ("interrupted", []))


def test_two_senders_drive_a_lane_one_after_the_other(desk):
    """The second takes over when the first ends, and nothing is sent twice or left."""

    async def main():
        async with desk(rate="100/s", burst=1).open() as one, one.sender():
            asked = (one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{n}")) for n in range(400))
            await asyncio.gather(*asked)  # four seconds of them: the first sender does not end with the last
            await until(lambda: _any(one.twin.inboxes.of("u1")[20:]), "some messages")
            await until(lambda: _all_queued(one, 400), "all of them in the queue")
            await _end(one.one)
            async with one.sender() as one.one:
                await one.ends(sent=400)
                return Counter(one.received()), await one.one.context.pool.fetchval("SELECT fence FROM lanes WHERE lane = 'app'")

    received, fence = asyncio.run(main())

    assert {f"{n}": 1 for n in range(400)} == dict(received)
    assert fence >= 2


def test_a_lane_that_is_left_in_order_is_told_of_once(desk):
    """What its buckets held is good for whoever takes it next; where somebody drove it since it says nothing any more."""

    async def main():
        async with desk().open() as one:
            await one.ask("hello")
            await one.ends(sent=1)
        connection = await database.single(one.settings.database.get_secret_value(), "sender")
        try:
            async with connection.transaction():
                before = await holding.row(connection, "app")
                await holding.move(connection, "app", Hold(before.hold.fence + 1, before.hold.turn + 1), b"", None)
                after = await holding.row(connection, "app")
            return before.left, after.left
        finally:
            await connection.close()

    (told, ago), after = asyncio.run(main())

    assert 1 == sum(units for _, units in unpacked(told, 0.0).own.sent) and 0 <= ago
    assert after is None


def test_a_fenced_lane_writes_nothing_and_comes_back(desk):
    """Somebody else moved the lane's row: what was claimed is given up, and taken over like a stranger's."""

    async def main():
        async with desk().open(latency_ms=300) as one:
            await one.ask("slow")
            await until(lambda: _any(one.received()), "the call at the twin")
            await one.one.context.pool.execute("UPDATE lanes SET fence = fence + 7 WHERE lane = 'app'")
            await one.ends(sent=1)
            return one.twin.ledger.book.summary()["total"]

    total = asyncio.run(main())

    assert (1, 1, 0) == (total["messages"], total["replayed"], total["sent_twice"])


def test_a_message_tells_its_story_to_its_own_tenant(desk):
    """Status, attempts and consent; never the text or the address."""

    async def main():
        async with desk().open() as one:
            (number,) = await one.ask("secret words")
            await one.ends(sent=1)
            base, bearer = f"http://127.0.0.1:{one.one.port}/v1", {"authorization": f"Bearer {KEY}"}
            async with aiohttp.ClientSession() as http:
                story = await (await http.get(f"{base}/messages/{number}", headers=bearer)).json()
                lanes = await (await http.get(f"{base}/lanes", headers=bearer)).json()
                refused = [(await http.get(f"{base}/messages/{path}", headers=head)).status
                           for path, head in ((number, {}), (number, {"authorization": f"Bearer {SPY}"}), (uuid4(), bearer), ("x", bearer))]  # fmt: skip
            return story, lanes, refused

    story, lanes, refused = asyncio.run(main())

    assert ("sent", [("accepted", 1)]) == (story["status"], [(one["outcome"], one["attempt"]) for one in story["attempts"]])
    assert "secret" not in str(story) and "u1" not in str(story)
    assert [("app", 1000.0)] == [(one["lane"], one["rate_per_second"]) for one in lanes["lanes"]]
    assert [401, 404, 404, 400] == refused


def test_a_lost_database_is_survived(desk):
    """Every connection of the sender is cut in the middle of the work; nothing is lost or sent twice."""

    async def main():
        async with desk(rate="200/s", burst=1).open() as one:
            for n in range(150):
                await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{n}"))
            await until(lambda: _any(one.received()[10:]), "some messages")
            other = await asyncpg.connect(one.settings.database.get_secret_value())
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parley-sender' AND datname = current_database()"
            )
            await other.close()
            await one.ends(sent=150)
            return Counter(one.received())

    assert dict(asyncio.run(main())) == {f"{n}": 1 for n in range(150)}


async def _end(one: Running) -> None:
    """Stops a sender as SIGTERM would: its streams drain, its workers end."""
    for task in one.tasks:
        task.cancel()
    await asyncio.gather(*one.tasks, return_exceptions=True)
    await asyncio.gather(*(stream.stop() for stream in one.streams))


async def _any(found) -> bool:
    return bool(found)


async def _all_queued(one: Desk, count: int) -> bool:
    return count == sum((await one.statuses()).values())


async def _none_queued(one: Desk) -> bool:
    return "queued" not in await one.statuses()


async def _held(one: Desk) -> bool:
    return bool(await one.one.context.pool.fetchval("SELECT count(*) FROM queue WHERE state = 'timed'"))

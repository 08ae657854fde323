"""The sender's binds on real Kafka, PostgreSQL and TCP: messages reach the operator once and in order, and what it delivers is answered once it is on the bus."""

import asyncio
import base64
import contextlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import yaml

from parley import wire
from parley.channels import smpp
from parley.contracts import Channel, ConsentChanged, Content, Envelope, MessageRequested, RawReceived, ReceiptReceived
from parley.local import free_port
from parley.service import Running, running
from parley_sender import smpp as binds
from parley_sender import smpp_session
from parley_sender.app import SERVICE
from parley_sender.lanes import Lanes
from tests.conftest import until
from tests.ingesting import records
from tests.smsc import BAD_PASSWORD, OK, Smsc, written
from tests.test_channel_smpp import PHONE
from tests.test_ingest_door import kafka_away
from tests.test_sender_lanes import _end as end

pytestmark = pytest.mark.stack
RECEIPT = b"id:%s sub:001 dlvrd:001 submit date:2611241200 done date:2611241201 stat:DELIVRD err:000 text:x"


class Desk:
    """A sender with an account at an operator of our own."""

    def __init__(self, settings, folder: Path, monkeypatch):
        self.settings, self.folder, self.contact = settings.model_copy(update={"call_timeout": 3.0}), folder, uuid4()
        monkeypatch.setenv("OP_ID", "esme1")
        monkeypatch.setenv("OP_PASSWORD", "secret08")
        monkeypatch.setattr(binds, "PAUSES", (0.05, 0.1))

    @contextlib.asynccontextmanager
    async def open(self, options: str = "", *, rate: str = "1000/s", burst: int = 100, **behaviour: object):
        async with Smsc(**behaviour).running() as self.smsc:
            self._configure(options, rate, burst)
            async with self.sender() as self.one:
                yield self

    def _configure(self, options: str, rate: str, burst: int) -> None:
        account = {"tenant": "acme", "provider": "smpp", "channel": "sms", "sender": "+447700900100", "rate": rate, "burst": burst,
                   "credentials": {"system_id": "env:OP_ID", "password": "env:OP_PASSWORD"}, "base_url": self.smsc.url + options}  # fmt: skip
        (self.folder / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "accounts": {"op": account}}))

    def sender(self) -> contextlib.AbstractAsyncContextManager[Running]:
        return running(SERVICE, self.settings.model_copy(update={"config": self.folder, "port": free_port()}))

    async def ask(self, *texts: str, apart: bool = False) -> list[UUID]:
        """Requests, a text each, to one contact or each to another."""
        numbers = []
        for text in texts:
            request = MessageRequested(message_id=uuid4(), contact_id=uuid4() if apart else self.contact, purpose="reply", channels=("sms",),
                                       addresses={Channel.SMS: PHONE}, content=Content(text=text))  # fmt: skip
            numbers.append(request.message_id)
            await self.event(request)
        return numbers

    async def event(self, data: object) -> None:
        now = datetime.now(UTC)
        event = Envelope(id=str(uuid4()), source="test", time=now, tenant="acme", started_at=now, data=data)
        await self.one.context.bus.publish([wire.encode(event)])

    async def ends(self, **wanted: int) -> None:
        async def stand() -> bool:
            rows = await self.one.context.pool.fetch("SELECT status FROM deliveries")
            return dict(Counter(row["status"] for row in rows)) == wanted

        await until(stand, f"deliveries {wanted}")

    async def bound(self, times: int = 1) -> None:
        async def there() -> bool:
            return self.smsc.bound >= times and bool(self.smsc.binds)

        await until(there, f"bind {times}")

    async def raw(self) -> list[RawReceived]:
        return [wire.decode("parley.raw", one.headers, one.value).data for one in await records(self.settings, "parley.raw")]


@pytest.fixture
def desk(settings, tmp_path, monkeypatch) -> Desk:
    return Desk(settings, tmp_path, monkeypatch)


def test_messages_arrive_once_and_in_order(desk):
    """Each with one attempt, under the operator's id in the form of receipts, and long ones in parts."""

    async def main():
        async with desk.open() as one:
            await one.ask(*[f"{n:02}" for n in range(10)], "a" * 200)
            await one.ends(sent=11)
            rows = await one.one.context.pool.fetch("SELECT provider_id FROM deliveries ORDER BY seq")
            attempts = await one.one.context.pool.fetchval("SELECT count(*) FROM attempts")
            return one.smsc.texts, [row["provider_id"] for row in rows], attempts

    texts, ids, attempts = asyncio.run(main())

    assert [f"{n:02}" for n in range(10)] == texts[:10] and 12 == len(texts)
    assert ([f"a{n:06x}" for n in range(1, 12)], 11) == (ids, attempts)


def test_the_window_is_never_exceeded(desk):
    """Of many messages only so many wait for an answer at once."""

    async def main():
        async with desk.open("?window=3", hold=asyncio.Event()) as one:
            await one.ask(*map(str, range(12)), apart=True)
            await until(lambda: full(one.smsc), "a full window")
            one.smsc.hold.set()
            await one.ends(sent=12)
            return one.smsc.most

    async def full(smsc: Smsc) -> bool:
        return smsc.most >= 3

    assert 3 == asyncio.run(main())


def test_what_waits_in_the_window_hears_a_stop(desk):
    """It has not left: it goes back to the gate, and the operator never sees it."""

    async def main():
        async with desk.open("?window=1", hold=asyncio.Event()) as one:
            pool = one.one.context.pool
            await one.ask("under way", apart=True)
            await until(lambda: full(one.smsc), "a full window")
            (waits,) = await one.ask("waits", apart=True)
            await until(lambda: pool.fetchval("SELECT count(*) = 2 FROM queue WHERE state = 'calling'"), "both are called for")
            contact, before = await pool.fetchval("SELECT contact_id FROM deliveries WHERE message_id = $1", waits), asyncio.get_running_loop().time()
            said = ConsentChanged(contact_id=contact, channel="sms", purpose="reply", state="revoked", source="test", at=datetime.now(UTC))
            await one.event(said)
            (lanes,) = (worker for worker in one.one.workers if isinstance(worker, Lanes))
            await until(lambda: stopped(pool, lanes, contact, before), "the stop is heard")
            one.smsc.hold.set()
            await one.ends(sent=1, suppressed=1)
            return one.smsc.texts

    async def stopped(pool, lanes: Lanes, contact: UUID, since: float) -> bool:
        known = await pool.fetchval("SELECT EXISTS (SELECT FROM consents WHERE contact_id = $1)", contact)
        return known and lanes._stops.said(since, lambda: [contact])

    async def full(smsc: Smsc) -> bool:
        return smsc.most == 1

    assert ["under way"] == asyncio.run(main())


def test_a_throttled_bind_slows_down_and_loses_nothing(desk):
    """0x58 costs no attempt."""

    async def main():
        async with desk.open(throttle=3) as one:
            await one.ask(*map(str, range(10)), apart=True)
            await one.ends(sent=10)
            failures = await one.one.context.pool.fetchval("SELECT max(failures) FROM deliveries")
            return failures, Counter(one.smsc.texts)

    assert (0, Counter(map(str, range(10)))) == asyncio.run(main())


def test_a_break_in_the_middle_makes_unknown_and_nothing_twice(desk):
    """The operator took the third message and fell over before it said so; the others go over the next bind."""

    async def main():
        async with desk.open(cut_after=3) as one:
            await one.ask("0", "1", "2")
            await one.ends(sent=2, unknown=1)
            await one.bound(2)
            await one.ask("3", "4")
            await one.ends(sent=4, unknown=1)
            return one.smsc.texts

    assert ["0", "1", "2", "3", "4"] == asyncio.run(main())


def test_messages_wait_for_an_operator_that_is_away(desk):
    """Nobody spends an attempt while there is no bind, and a gauge says that there is none; when the operator is back, the bind is too."""

    async def main():
        async with desk.open() as one:
            await until(lambda: stands(one, 1), "a gauge that says so")
            await one.smsc.stop()
            await until(lambda: stands(one, 0), "the end of the bind")
            await one.ask("0", "1")
            await one.ends(queued=2)
            await one.smsc.start()
            await one.ends(sent=2)
            attempts = await one.one.context.pool.fetch("SELECT outcome FROM attempts")
            return one.smsc.texts, [row["outcome"] for row in attempts], await stands(one, 1)

    async def stands(one: Desk, bound: int) -> bool:
        return bound == one.one.context.metrics.registry.get_sample_value("parley_smpp_bound", {"lane": "op"})

    assert (["0", "1"], ["accepted"] * 2, True) == asyncio.run(main())


def test_an_operator_that_never_answers_leaves_unknown(desk, monkeypatch):
    """After the time for a call; a silent connection is asked whether it lives, and made anew when it does not."""
    monkeypatch.setattr(smpp_session, "QUIET", 0.3)
    monkeypatch.setattr(smpp_session, "ANSWER", 0.5)

    async def main():
        async with desk.open(mute=True) as one:
            await one.bound()
            await one.ask("maybe")
            await one.ends(unknown=1)
            await one.bound(2)
            return one.smsc.texts, one.smsc.enquired

    texts, enquired = asyncio.run(main())

    assert ["maybe"] == texts and enquired >= 1


def test_wrong_credentials_are_not_tried_again_at_once(desk):
    """Operators lock accounts that knock too often; the queue waits."""

    async def main():
        async with desk.open(password="another") as one:
            await one.ask("0")
            await one.ends(queued=1)
            await until(lambda: knocked(one.smsc), "a refused bind")
            await one.ask("1")
            await one.ends(queued=2)
            return one.smsc.refused

    async def knocked(smsc: Smsc) -> bool:
        return smsc.refused > 0

    assert 1 == asyncio.run(main()) and BAD_PASSWORD in smpp.ACCOUNT


def test_what_the_operator_delivers_is_on_the_bus_when_it_is_answered(desk):
    """Messages and receipts, as they came, keyed by the sender or the receipt's id, with the connection that they came by."""

    async def main():
        async with desk.open() as one:
            await one.bound()
            answers = [await one.smsc.deliver(b"hello"), await one.smsc.deliver(RECEIPT % b"A000001", esm_class=4)]
            return answers, await one.raw()

    answers, raw = asyncio.run(main())
    by_sender = {one.sender: one for one in raw}
    hello = base64.b64decode(by_sender[PHONE].body)

    assert [OK, OK] == [one.status for one in answers] and {PHONE, "a000001"} == set(by_sender)
    assert written("deliver_sm", source_addr=PHONE[1:], destination_addr="447700900100", short_message=b"hello") == hello
    assert {"SMPP"} == {one.method for one in raw} and 1 == len({one.headers[smpp.CONNECTION] for one in raw})


def test_what_cannot_be_read_is_refused_for_good(desk):
    """With 0x65, so that the operator does not send it for ever; the bind stands, and what it does not know is nacked."""

    async def main():
        async with desk.open() as one:
            await one.bound()
            broken = await one.smsc.deliver(b"x", source_addr="")
            query = await one.smsc.binds[-1].ask("query_sm", message_id="1", source_addr="1")
            link = await one.smsc.binds[-1].ask("enquire_link")
            return broken.status, query.command, link.status, await one.raw(), one.smsc.bound

    assert (0x65, "generic_nack", OK, [], 1) == asyncio.run(main())


def test_what_we_stumble_over_comes_again_and_the_bind_stands(desk, monkeypatch):
    """A fault of ours: nothing is refused for good, and what comes beside it is taken."""
    right = smpp_session.record

    def stumbling(pdu: bytes, *about: object):
        if b"strange" in pdu:
            raise TypeError("x")
        return right(pdu, *about)

    monkeypatch.setattr(smpp_session, "record", stumbling)

    async def main():
        async with desk.open() as one:
            await one.bound()
            answers = [(await one.smsc.deliver(text)).status for text in (b"strange", b"hello", b"strange")]
            return answers, len(await one.raw()), one.smsc.bound

    assert ([0x64, OK, 0x64], 1, 1) == asyncio.run(main())


def test_nothing_is_answered_while_the_bus_is_away(desk, monkeypatch):
    """And a repeat that comes meanwhile waits for the same answer: one record, two answers."""
    monkeypatch.setattr(smpp_session, "RESENT", 0.0)

    async def main():
        async with desk.open() as one:
            await one.bound()
            bind, bus = one.smsc.binds[-1], one.one.context.bus
            there = bus._settings
            await kafka_away(one, silent=False)
            answers = []
            for _ in range(2):
                answers.append(asyncio.create_task(one.smsc.deliver(b"hello")))
                await asyncio.sleep(0)  # written; what is asked next is answered after it was read
                await bind.ask("enquire_link")
            early = any(answer.done() for answer in answers)
            bus._settings = there
            return early, [(await answer).status for answer in answers], len(await one.raw())

    assert (False, [OK, OK], 1) == asyncio.run(main())


def test_a_receipt_reaches_its_message(desk):
    """By the id that the answer gave, whatever its capitals."""

    async def main():
        async with desk.open() as one:
            await one.ask("hello")
            await one.ends(sent=1)
            await one.smsc.deliver(RECEIPT % b"A000001", esm_class=4)
            (raw,) = await one.raw()
            account = one.one.context.config.accounts["op"]
            (receipt,) = smpp.parse(smpp.Request("SMPP", "", raw.headers, base64.b64decode(raw.body)), account)
            await one.event(ReceiptReceived(account="op", provider_id=receipt.provider_id, status=receipt.status, at=datetime.now(UTC)))
            await one.ends(delivered=1)

    asyncio.run(main())


def test_a_stop_unbinds(desk):
    """The operator hears goodbye, and sends nothing more our way."""

    async def main():
        async with desk.open() as one:
            await one.ask("0")
            await one.ends(sent=1)
        return one.smsc.unbound

    assert 1 == asyncio.run(main())


def test_two_senders_hold_one_bind_one_after_the_other(desk):
    """Whoever drives the lane has the bind; the second binds when the first has gone, and everything is sent once."""

    async def main():
        async with desk.open(rate="40/s", burst=1) as one, one.sender():
            await one.ask(*map(str, range(160)), apart=True)  # four seconds of them: the first sender does not end with the last
            await until(lambda: some(one.smsc), "some messages")
            await until(lambda: queued(one), "all of them in the queue")
            alone = one.smsc.bound
            await end(one.one)
            await one.ends(sent=160)
            return alone, one.smsc.bound, one.smsc.unbound, Counter(one.smsc.texts)

    async def some(smsc: Smsc) -> bool:
        return len(smsc.taken) > 20

    async def queued(one: Desk) -> bool:
        return 160 == await one.one.context.pool.fetchval("SELECT count(*) FROM deliveries")

    assert (1, 2, 1, Counter(map(str, range(160)))) == asyncio.run(main())

"""Erasing a person: nothing of them stays in any table, whatever they refused stays refused, and nobody else loses anything."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parley import database as db
from parley import service, wire
from parley.channels.shape import Account
from parley.config import Config, Tenant, load
from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    ContactAbsorbed,
    ContactErased,
    ContactMerged,
    Content,
    ConversationChanged,
    Customer,
    CustomerEvent,
    Data,
    DeliveryChanged,
    Envelope,
    ErasureRequested,
    LinkMinted,
    MessageRequested,
    Purpose,
)
from parley.cursor import Place
from parley.local import free_port
from parley.policies import Policies
from parley.step import Arrived
from parley.twin.behaviour import Behaviour
from parley.twin.server import running_twin
from parley.twin.shape import Account as TwinAccount
from parley.twin.twin import TwinOptions
from parley_analytics.app import SERVICE as ANALYTICS
from parley_ingest.app import SERVICE as INGEST
from parley_ingest.erasing import NOBODY
from parley_ingest.tracking import Links
from parley_router.app import SERVICE as ROUTER
from parley_router.decide import decide
from parley_router.state import ContactState
from parley_sender import erasing, packs
from parley_sender.app import SERVICE as SENDER
from parley_sender.intake import Intake
from parley_sender.law import Law
from tests.conftest import CONFIG, until
from tests.ingesting import raw
from tests.test_normalise_races import STAGE, Book
from tests.test_router import ADDRESS, BOOK, CONTACT, T0, acted, envelope, received
from tests.test_router_merging import OLD, STATES, YOUNG

NOW = T0 + timedelta(hours=1)


# --- the book ---------------------------------------------------------------------------------------------------------------------------


def event(who: Customer, name: str = "order.placed", tenant: str = "acme", **properties: Any) -> Arrived:
    data = CustomerEvent(customer=who, name=name, properties=properties, occurred_at=T0)
    return Arrived(Envelope(id=str(uuid4()), source="shop", time=T0, tenant=tenant, data=data), Place("parley.customers", 0), 0, None)


def person(identifier: str | None = None, **addresses: str) -> Customer:
    return Customer(id=identifier, addresses=addresses)


async def told(book: Book, *batch: Arrived) -> list[Data]:
    """What comes of a batch, in a transaction of its own."""
    async with book.pool.acquire() as connection, connection.transaction():
        return [one.data for one in await STAGE.apply(connection, batch, NOW)]


async def addresses(book: Book) -> set[tuple[str, str]]:
    return {(row["tenant"], row["address"]) for row in await book.pool.fetch("SELECT tenant, address FROM addresses")}


def booked(database: str, main: Any) -> Any:
    async def run():
        async with Book(database) as book:
            return await main(book)

    return asyncio.run(run())


@pytest.mark.stack
def test_the_book_forgets_the_person_and_nobody_else(database):
    """Every address goes, with what was said of them; the same at another brand stays, and so does who shares a number but has an id of their own."""

    async def main(book):
        await told(
            book, event(person("c1", sms=ADDRESS, email="a@b.example")), event(person("c2", whatsapp=ADDRESS)), event(person("c1"), tenant="other")
        )
        await told(book, event(person("c1", telegram="7"), "customer.identified"), event(person("c3", email="other@b.example")))
        found = await told(book, event(person("c1", email="other@b.example"), "customer.erased"))
        return found, await addresses(book), await book.pool.fetchval("SELECT count(*) FROM ties WHERE 'c1' IN (one_address, other_address)")

    found, left, ties = booked(database, main)

    assert [ContactErased(contact_id=wire.natural_id("contact", "acme", "customer", "c1"), at=NOW)] == found
    assert {("acme", "c2"), ("acme", "c3"), ("acme", "other@b.example"), ("other", "c1")} == left
    assert 0 == ties


@pytest.mark.stack
def test_every_contact_that_the_person_was_hears_of_it(database):
    """Who was joined to them had a state of their own, and deliveries."""

    async def main(book):
        contacts = [(await told(book, event(who)))[0].contact_id for who in (person("c1"), person(telegram="7"))]
        await told(book, event(person("c1"), "contacts.merged", other={"addresses": {"telegram": "7"}}))
        return contacts, await told(book, event(person(telegram="7"), "customer.erased")), await addresses(book)

    contacts, found, left = booked(database, main)

    assert (sorted(contacts), set()) == ([one.contact_id for one in found], left)


@pytest.mark.stack
def test_somebody_unknown_is_not_made_known_to_be_erased(database):
    async def main(book):
        return await told(book, event(person("c1", sms=ADDRESS), "customer.erased")), await addresses(book)

    assert ([], set()) == booked(database, main)


@pytest.mark.stack
def test_links_and_chats_of_the_person_go_too(database):
    """A link is forgotten by word on its compacted topic, so that the log forgets it as well; who follows it then finds nothing."""
    visitor = uuid4()

    async def main(book):
        (first,) = await told(book, event(person("c1", webchat=str(visitor))))
        link = LinkMinted(contact_id=first.contact_id, message_id=uuid4(), code="abcdef", url="https://shop.example/?u=1", at=T0)
        await Links().apply(book.pool, [minted(link)], NOW)
        for who in (visitor, other := uuid4()):
            await book.pool.execute("INSERT INTO chat_visitors (account, visitor, customer, version) VALUES ('chat', $1, $2, 5)", who, str(who))
            await book.pool.execute(
                "INSERT INTO chat_messages (account, visitor, id, seq, version, ours, status, text, at)"
                " VALUES ('chat', $1, $2, 1, 1, false, 'sent', 'hello', now())", who, uuid4(),
            )  # fmt: skip
        stage = type(STAGE)(Config({"acme": Tenant("acme", None, ("en",))}, {"chat": Account("chat", "acme", "webchat", Channel.WEBCHAT, "acme")}))
        async with book.pool.acquire() as connection, connection.transaction():
            found = [one.data for one in await stage.apply(connection, [event(person("c1"), "customer.erased")], NOW)]
        await Links().apply(book.pool, [minted(one) for one in found if isinstance(one, LinkMinted)], NOW)
        chats = [tuple(row) for row in await book.pool.fetch("SELECT visitor, customer, version FROM chat_visitors ORDER BY customer NULLS FIRST")]
        left = [row["visitor"] for row in await book.pool.fetch("SELECT visitor FROM chat_messages")]
        return found, chats, left, other, await book.pool.fetchval("SELECT count(*) FROM links")

    found, chats, left, other, links = booked(database, main)

    assert [("abcdef", "", NOBODY)] == [(one.code, one.url, one.contact_id) for one in found if isinstance(one, LinkMinted)]
    assert ([(visitor, None, 5), (other, str(other), 5)], [other], 0) == (chats, left, links)


@pytest.mark.stack
def test_a_message_received_after_the_erasure_is_a_contact_again(database):
    """The address is free: whoever writes from it next is somebody new, under the id that the address always gives."""

    async def main(book):
        (first,) = await told(book, event(person(sms=ADDRESS)))
        await told(book, event(person(sms=ADDRESS), "customer.erased"))
        (again,) = await told(book, event(person(sms=ADDRESS)))
        return first.contact_id, again.contact_id

    first, again = booked(database, main)

    assert first == again


def minted(data: LinkMinted) -> Arrived:
    return Arrived(Envelope(id=str(uuid4()), source="s", time=T0, tenant="acme", data=data), Place("parley.links", 0), 0, None)


# --- what the router knows ------------------------------------------------------------------------------------------------------------


def forgotten(state: ContactState, contact: UUID = CONTACT, at: datetime = NOW) -> tuple[ContactState, Sequence[Data]]:
    return decide(state, envelope(ContactErased(contact_id=contact, at=at), at), at, BOOK)


def after(*events: Data) -> ContactState:
    state = None
    for place, data in enumerate(events):
        state, _ = decide(state, envelope(data, T0 + timedelta(minutes=place), str(place)), T0, BOOK)
    return state


def test_only_refusals_stay():
    """Name, orders, route, conversation and where they stood: gone. What was granted is granted no more, what was refused stays."""
    known = after(
        acted("customer.updated", name="Minji", tags=["vip"]), acted("order.placed", order_id="A1"), received("hi"), received("yes"), received("STOP")
    )
    state, results = forgotten(known)

    assert {"consents", "erased"} == state.model_dump(exclude_defaults=True).keys()
    assert {f"sms:{purpose}" for purpose in Purpose} == set(state.consents)
    assert state.opted_out(Channel.SMS)
    assert ErasureRequested(contact_id=CONTACT, addresses={Channel.SMS: ADDRESS}, at=NOW) == results[-1]


def test_consents_are_told_again_without_the_address():
    """The compacted topic keeps the last word on each for ever; of a grant that is `pending`, and later than the grant."""
    state, results = forgotten(after(received("hi"), received("yes")))
    consents = [one for one in results if isinstance(one, ConsentChanged)]

    assert [(Channel.SMS, Purpose.MARKETING, ConsentState.PENDING, None, NOW)] == [
        (one.channel, one.purpose, one.state, one.address, one.at) for one in consents
    ]
    assert {} == state.consents


def test_nobody_waits_for_a_person_any_more():
    """The conversation that people had open is resolved, for the figures; the bot does not say a word."""
    _, results = forgotten(after(received("agent")))

    assert ["resolved"] == [one.change for one in results if isinstance(one, ConversationChanged)]
    assert not any(isinstance(one, MessageRequested) for one in results)


def test_a_contact_that_was_part_of_another_stands_alone_and_brings_nothing_back():
    """The erasure is not passed on; what was under way between the two brings refusals alone."""
    part, absorbs = decide(STATES[YOUNG], envelope(ContactMerged(contact_id=YOUNG, into=OLD, version=1, at=T0), T0), T0, BOOK)
    alone, _ = forgotten(part, YOUNG)
    survivor, _ = forgotten(STATES[OLD], OLD)
    survivor, _ = decide(survivor, envelope(absorbs[0], NOW), NOW, BOOK)
    again, _ = decide(alone, envelope(ContactMerged(contact_id=YOUNG, into=OLD, version=2, at=T0), NOW), NOW, BOOK)

    assert isinstance(absorbs[0], ContactAbsorbed)
    assert (None, alone) == (alone.into, again)
    assert {"consents", "erased"} == survivor.model_dump(exclude_defaults=True).keys()
    assert {ConsentState.REVOKED} == {one.state for one in survivor.consents.values()}


def test_who_comes_back_is_somebody_new():
    """Welcomed as on the first day; joined again, if that is what is said later."""
    state, _ = forgotten(after(received("hi"), received("yes")))
    _, results = decide(state, envelope(received("hello there"), NOW, "back"), NOW, BOOK)
    joined, _ = decide(state, envelope(ContactMerged(contact_id=CONTACT, into=OLD, version=9, at=NOW + timedelta(1)), NOW), NOW, BOOK)

    assert any(isinstance(one, MessageRequested) and one.flow == "welcome@1" for one in results)
    assert OLD == joined.into


@given(st.lists(st.sampled_from(["hi", "yes", "no", "STOP", "START", "agent", "2", "A-100", "?"]), max_size=8))
def test_nothing_that_was_said_survives(texts):
    """Property: whatever the conversation, the state afterwards holds no word, address or number of it."""
    state, _ = forgotten(after(acted("customer.updated", name="Minji"), *(received(text) for text in texts)))

    assert not any(word in state.model_dump_json() for word in (ADDRESS, "Minji", "A-100", "acme-sms", "welcome"))


# --- what the sender holds ------------------------------------------------------------------------------------------------------------


class Desk:
    """Sender's stage on a database of the test's own: nothing leaves, for no lane runs."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._dsn = dsn
        account = {"tenant": "acme", "provider": "plain", "channel": "sms", "sender": "s", "credentials": {"symmetric": "env:S"}}
        (folder / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "accounts": {"sms": account}}))
        self.stage = Intake(Law(load(folder, {"S": "x"}), Policies(), packs.load()), b"secret", "https://l.example")

    async def __aenter__(self) -> "Desk":
        self.pool = await db.connect(self._dsn, "sender", size=2)
        await db.migrate(self.pool, "sender", "parley", "parley_sender")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.close()

    async def take(self, *batch: Data, at: datetime = T0) -> list[Data]:
        entries = [
            Arrived(Envelope(id=str(uuid4()), source="r", time=at, tenant="acme", started_at=at, data=data), Place(data.topic, 0), place, None)
            for place, data in enumerate(batch)
        ]
        async with self.pool.acquire() as connection, connection.transaction():
            return [one.data for one in await self.stage.apply(connection, entries, NOW)]

    async def stands(self, *messages: UUID) -> list[tuple[str, str | None, str, str]]:
        rows = await self.pool.fetch("SELECT message_id, status, reason, address, content::text FROM deliveries")
        found = {row["message_id"]: tuple(row)[1:] for row in rows}
        return [found[one] for one in messages]


def request(text: str, contact: UUID = CONTACT, **more: Any) -> MessageRequested:
    return MessageRequested(
        contact_id=contact, message_id=uuid4(), purpose="reply", channels=("sms",), addresses={"sms": ADDRESS}, content=Content(text=text), **more
    )


def consent(state: ConsentState, contact: UUID = CONTACT, at: datetime = T0) -> list[ConsentChanged]:
    return [ConsentChanged(contact_id=contact, channel="sms", address=ADDRESS, purpose=one, state=state, source="keyword", at=at) for one in Purpose]


ERASE = ErasureRequested(contact_id=CONTACT, addresses={Channel.SMS: ADDRESS}, at=NOW)


def desked(database: str, folder: Path, main: Any) -> Any:
    async def run():
        async with Desk(database, folder) as desk:
            return await main(desk)

    return asyncio.run(run())


@pytest.mark.stack
def test_texts_and_addresses_go_and_what_is_queued_never_leaves(database, tmp_path):
    """What was sent stays sent, for the counts; what a call is under way for is not repeated; who asked again since is served."""
    sent, calling, queued, lost, later = (request(text) for text in ("one", "two", "three", "four", "five"))

    async def main(desk):
        await desk.take(sent, calling, queued, lost)
        await desk.pool.execute("UPDATE deliveries SET status = 'sent', provider_id = 'p', reason = NULL WHERE message_id = $1", sent.message_id)
        await desk.pool.execute("DELETE FROM queue WHERE message_id = $1", sent.message_id)
        await desk.pool.execute("UPDATE queue SET state = 'calling', attempt = 1 WHERE message_id = $1", calling.message_id)
        await desk.pool.execute("UPDATE queue SET attempt = 1, doubt = true WHERE message_id = $1", lost.message_id)
        await desk.pool.execute("INSERT INTO attempts VALUES ($1, 1, 1, now(), now(), 'accepted', NULL, 'to +821012345678', 'p')", sent.message_id)
        results = await desk.take(ERASE, later)
        expires = await desk.pool.fetchval("SELECT expires_at FROM deliveries WHERE message_id = $1", calling.message_id)
        reasons = await desk.pool.fetchval("SELECT count(reason) FROM attempts")
        rows = await desk.stands(*(one.message_id for one in (sent, calling, queued, lost, later)))
        open_ = {row[0] for row in await desk.pool.fetch("SELECT message_id FROM queue")}
        return results, rows, expires, reasons, open_

    results, rows, expires, reasons, open_ = desked(database, tmp_path, main)

    assert [("sent", None), ("queued", None), ("suppressed", "erased"), ("unknown", "erased"), ("queued", None)] == [row[:2] for row in rows]
    assert [("erased", "{}")] * 4 + [(ADDRESS, '{"text": "five"}')] == [row[2:] for row in rows]
    assert (NOW, 0, {calling.message_id, later.message_id}) == (expires, reasons, open_)
    assert {queued.message_id: "suppressed", lost.message_id: "unknown", later.message_id: "queued"} == {
        one.message_id: one.status for one in results if isinstance(one, DeliveryChanged)
    }


@pytest.mark.stack
def test_a_refusal_outlives_the_contact_under_a_hash_of_the_address(database, tmp_path):
    """Whoever comes with the number later, under whatever id, has refused it too, until they say otherwise; other numbers have not."""
    back, other = uuid4(), uuid4()

    async def main(desk):
        await desk.take(*consent(ConsentState.REVOKED), request("hi"))
        await desk.take(ERASE)
        await desk.take(request("again", back), request("else", other, account=None).model_copy(update={"addresses": {"sms": "+821099999999"}}))
        known = {
            (row["contact_id"], row["state"])
            for row in await desk.pool.fetch("SELECT contact_id, state FROM consents WHERE contact_id <> $1", CONTACT)
        }
        await desk.take(*consent(ConsentState.GRANTED, back, NOW), request("welcome", back))
        granted = {row["state"] for row in await desk.pool.fetch("SELECT state FROM consents WHERE contact_id = $1", back)}
        rows = await desk.pool.fetch("SELECT refusals::text AS row FROM refusals")
        return known, granted, [row["row"] for row in rows]

    known, granted, rows = desked(database, tmp_path, main)

    assert ({(back, "revoked")}, {"granted"}) == (known, granted)
    assert len(Purpose) == len(rows)
    assert not any(ADDRESS[1:] in row for row in rows)


@pytest.mark.stack
@pytest.mark.parametrize("reason, refused", [("complained", True), ("asked", True), ("address_gone", False), ("bounced", False)])
def test_a_place_on_the_list_is_kept_as_a_refusal_where_it_was_one(database, tmp_path, reason, refused):
    """Of all purposes, under the hash; that an address was gone means nothing to whoever has it next."""
    back = uuid4()

    async def main(desk):
        await desk.take(request("hi"))
        await desk.pool.execute(
            "INSERT INTO suppressions (tenant, channel, address, reason, since) VALUES ('acme', 'sms', $1, $2, $3)", ADDRESS, reason, T0
        )
        await desk.take(ERASE)
        await desk.take(request("again", back))
        known = await desk.pool.fetch("SELECT purpose FROM consents WHERE contact_id = $1 AND state = 'revoked' AND at = $2", back, T0)
        return {row["purpose"] for row in known}, await desk.pool.fetch("SELECT FROM suppressions")

    assert (set(Purpose) if refused else set(), []) == desked(database, tmp_path, main)


@pytest.mark.stack
def test_a_grant_is_not_kept(database, tmp_path):
    """Marketing needs a yes, and the yes went with the person."""

    async def main(desk):
        await desk.take(*consent(ConsentState.GRANTED), request("hi"))
        await desk.take(ERASE)
        return await desk.pool.fetch("SELECT FROM consents"), await desk.pool.fetch("SELECT FROM refusals")

    assert ([], []) == desked(database, tmp_path, main)


def test_a_hash_says_whose_it_is_and_without_the_secret_nothing():
    """Of one address at another brand, on another channel, under another secret: another."""
    one = erasing.digest(b"k", "acme", "sms", ADDRESS)
    others = [
        erasing.digest(b"o", "acme", "sms", ADDRESS),
        erasing.digest(b"k", "b", "sms", ADDRESS),
        erasing.digest(b"k", "acme", "whatsapp", ADDRESS),
    ]

    assert one == erasing.digest(b"k", "acme", "sms", ADDRESS)
    assert one not in others


# --- all of them together -------------------------------------------------------------------------------------------------------------

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACES = ("user-4711", "minji@b.example", "c-4711", "Minji", "SN-4711", "my secret order")
SOMEBODY = str(wire.natural_id("contact", "acme", "customer", "c-4711"))
"""The contact's id, of which only refusals and the story of their messages may still tell: no figure."""


async def traces(dsn: str) -> list[str]:
    """Every table of every service in which a word of the person stands, however the row is written."""
    connection = await asyncpg.connect(dsn)
    tables = await connection.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('ingest', 'router', 'sender', 'analytics') ORDER BY 1"
    )
    found = []
    for table in tables:
        rows = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} AS t")
        words = (*TRACES, SOMEBODY) if table["name"].startswith("analytics.") else TRACES
        found += [f"{table['name']}: {word}" for word in words if any(word in row["row"] for row in rows)]
    await connection.close()
    return found


@pytest.mark.stack
def test_nothing_of_the_person_stays_in_any_table(settings, tmp_path):
    """From the webhook to the provider and back: what all tables hold is searched before and after the shop's `customer.erased`."""
    (tmp_path / "secret").write_text(SECRET)

    async def main():
        twin_account = TwinAccount(name="app", provider="plain", channel="inapp", sender="acme", credentials={"symmetric": SECRET})
        twin_options = TwinOptions(tmp_path / "ledger.jsonl", port=0, accounts=[twin_account], behaviours={"*": Behaviour(receipts=False)})
        async with running_twin(twin_options) as twin, contextlib.AsyncExitStack() as stack:
            account = {"tenant": "acme", "provider": "plain", "channel": "inapp", "sender": "acme", "credentials": {"symmetric": "file:secret"},
                       "base_url": twin.url}  # fmt: skip
            tenants = {"acme": {"timezone": "Asia/Seoul", "languages": ["ko", "en"]}}
            (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": tenants, "accounts": {"app": account}}))
            (tmp_path / "flows").symlink_to(CONFIG / "flows")
            for one in (INGEST, ROUTER, SENDER, ANALYTICS):
                place = settings.model_copy(update={"config": tmp_path, "port": free_port(), "spool": tmp_path / one.name})
                running = await stack.enter_async_context(service.running(one, place))
            bus, dsn = running.context.bus, settings.database.get_secret_value()

            async def publish(*events: Envelope) -> None:
                await bus.publish([wire.encode(one) for one in events])

            def shop(name: str, /, **properties: Any) -> Envelope:
                who = Customer(id="c-4711", addresses={"inapp": "user-4711", "email": "minji@b.example"})
                data = CustomerEvent(customer=who, name=name, properties=properties, occurred_at=T0)
                return Envelope(id=str(uuid4()), source="shop", time=T0, tenant="acme", data=data)

            def said(text: str) -> Envelope:
                body = {"type": "message.received", "data": {"id": str(uuid4()), "from": "user-4711", "text": text}, "webhook": str(uuid4())}
                return raw("app", body, sender="user-4711")

            async def sent(what: str) -> bool:
                connection = await asyncpg.connect(dsn)
                found = await connection.fetchval(f"SELECT count(*) FROM sender.deliveries WHERE status = 'sent' AND {what}")
                await connection.close()
                return bool(found)

            await publish(shop("customer.updated", name="Minji"), shop("order.placed", order_id="SN-4711"))
            await until(lambda: sent("purpose = 'transactional'"), "the thanks for the order")
            await publish(said("my secret order"))
            await until(lambda: sent("purpose = 'reply'"), "the answer")
            await publish(said("STOP"))
            await until(lambda: sent("notice = 'opted_out'"), "the goodbye")

            async def counted() -> bool:
                return {"analytics.orders: SN-4711", f"analytics.messages: {SOMEBODY}"} <= set(await traces(dsn))

            await until(counted, "the figures")
            before = await traces(dsn)
            await publish(shop("customer.erased"))

            async def gone() -> bool:
                return not await traces(dsn)

            await until(gone, "nothing of the person", 90)
            return before, len(twin.inboxes.of("user-4711"))

    before, heard = asyncio.run(main())

    assert {"ingest.addresses: user-4711", "router.contacts: Minji", "sender.deliveries: user-4711"} <= set(before)
    assert heard >= 3

"""The normaliser on real Kafka and PostgreSQL: each thing once, each person one contact, each tenant its own, and nothing lost beside what is broken."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from parley import wire
from parley.contracts import Customer, CustomerActed, CustomerEvent, Envelope, MessageReceived, OptedOut, Purpose
from tests.conftest import until
from tests.ingesting import NOW, Ingest, Shared, form, happened, raw, records, whatsapp

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("normalise")) as one:
        yield one


@pytest.fixture
def ingest(shared) -> Ingest:
    return shared.ingest


@pytest.fixture
def phone() -> str:
    """A number that no other test has."""
    return f"+8210{uuid4().int % 10**8:08}"


async def put(ingest: Ingest, *events: Envelope) -> None:
    await ingest.one.context.bus.publish([wire.encode(event) for event in events])


async def settled(ingest: Ingest, *events: Envelope, tenant: str = "acme") -> None:
    """Puts events on the bus and waits until the stage is through with them: a last event, in every partition, has come out."""
    marks = {str(uuid4()) for _ in range(40)}
    ends = [customer(Customer(id=mark), "end.reached", tenant) for mark in marks]
    await put(ingest, *events)
    await put(ingest, *ends, *(raw("app", happened({"customer": {"id": mark}}, mark), sender=mark) for mark in marks))

    async def through() -> bool:
        seen = [one.data.customer.id for one in await ingest.topic("parley.inbound") if isinstance(one.data, CustomerActed)]
        return sum(one in marks for one in seen) == 2 * len(marks)

    await until(through, "the stage to be through")


def customer(who: Customer, name: str = "cart.abandoned", tenant: str = "acme", **attributes) -> Envelope:
    data = CustomerEvent(customer=who, name=name, occurred_at=NOW)
    return Envelope(id=str(uuid4()), source="shop", time=NOW, tenant=tenant, data=data, **attributes)


async def about(ingest: Ingest, topic: str, mark: str) -> list[Envelope]:
    """Events of a topic in which a number, an id or a text stands."""
    return [one for one in await ingest.topic(topic) if mark in one.data.model_dump_json()]


def test_a_repeat_from_outside_passes_once(shared, ingest, phone):
    """Providers and shops repeat themselves: the natural id passes once, with the id that is made of it."""

    async def main():
        message, event = raw("sms", form(From=phone, Body="hi", MessageSid="SM1" + phone)), customer(Customer(addresses={"sms": phone}))
        await settled(ingest, *[message] * 3, *[event] * 3)
        return await about(ingest, "parley.inbound", phone)

    said, acted = sorted(shared.run(main()), key=lambda one: isinstance(one.data, CustomerActed))

    assert ("hi", f"SM1{phone}") == (said.data.text, said.data.provider_id)
    assert str(said.data.message_id) == said.id == str(wire.natural_id("message", "sms", f"SM1{phone}"))
    assert "cart.abandoned" == acted.data.name


def test_one_person_has_one_contact_on_all_channels_of_a_phone(shared, ingest, phone):
    """SMS, WhatsApp and what the shop says of the number and of the customer: one contact, whatever comes first."""

    async def main():
        named = Customer(id=f"c{phone}", addresses={"sms": phone})
        await settled(ingest, raw("sms", form(From=phone, Body="sms", MessageSid="SM2" + phone)))
        await settled(ingest, raw("whatsapp", whatsapp(phone, "wa"), sender=phone), customer(named))
        await settled(ingest, customer(Customer(id=f"c{phone}"), "order.placed"))
        return await about(ingest, "parley.inbound", phone)

    found = shared.run(main())

    assert (4, 1) == (len(found), len({one.data.contact_id for one in found}))
    assert {"sms": phone} == next(one.data.addresses for one in found if getattr(one.data, "name", "") == "order.placed")
    assert {one.key for one in [each.data for each in found]} == {one.subject for one in found}


def test_tenants_never_share_a_person(shared, ingest, phone):
    """The same number at two brands is two contacts; so is the same customer id."""

    async def main():
        pairs = [(tenant, Customer(id=f"c{phone}", addresses={"sms": phone})) for tenant in ("acme", "other")]
        await settled(ingest, *(customer(who, tenant=tenant) for tenant, who in pairs), raw("else", happened_message(phone), sender=phone))
        return await about(ingest, "parley.inbound", phone)

    found = shared.run(main())
    contacts = {tenant: {one.data.contact_id for one in found if one.tenant == tenant} for tenant in ("acme", "other")}

    assert [1, 1] == [len(one) for one in contacts.values()]
    assert contacts["acme"].isdisjoint(contacts["other"])


def happened_message(phone: str) -> dict:
    return {"type": "message.received", "data": {"id": f"m{phone}", "from": phone, "text": "hi"}}


def test_an_opt_out_word_is_told_to_sender_at_once(shared, ingest, phone):
    """수신거부 revokes every purpose on that channel beside the message itself, before any flow sees it."""

    async def main():
        await settled(ingest, raw("sms", form(From=phone, Body=" 수신거부! ", MessageSid="SM3" + phone)))
        return await about(ingest, "parley.inbound", phone), await about(ingest, "parley.consent", phone)

    (said,), consents = shared.run(main())

    assert {(purpose, "revoked", "keyword", "sms") for purpose in Purpose} == {
        (one.data.purpose, one.data.state, one.data.source, one.data.channel) for one in consents
    }
    assert {said.data.contact_id} == {one.data.contact_id for one in consents}
    assert isinstance(said.data, MessageReceived)


def test_a_providers_own_opt_out_is_an_event_and_a_consent(shared, ingest, phone):
    """Twilio's flag: each STOP and START counts, told from a repeat by its message."""

    async def main():
        words = [("STOP", "1"), ("STOP", "1"), ("START", "2"), ("STOP", "3")]
        await settled(
            ingest, *(raw("sms", form(From=phone, Body=".", MessageSid=f"SM{n}{phone}", OptOutType=word), sender=phone) for word, n in words)
        )
        return await about(ingest, "parley.inbound", phone), await about(ingest, "parley.consent", phone)

    inbound, consents = shared.run(main())
    states = [str(one.data.state) for one in inbound if isinstance(one.data, OptedOut)]

    assert ["revoked", "granted", "revoked"] == states
    assert 3 * len(Purpose) == len(consents)
    assert len(consents) == len({one.id for one in consents})


def test_a_receipt_passes_with_account_and_echo(shared, ingest, phone):
    """By the provider's id and by ours; each status of one message passes, a repeat of one does not."""
    ours = uuid4()

    async def main():
        states = ["sent", "delivered", "delivered", "undelivered"]
        rows = [
            form(MessageSid="SM9" + phone, To=phone, MessageStatus=state, ErrorCode="30003" if state == "undelivered" else "") for state in states
        ]
        await settled(ingest, *(raw("sms", row, query=f"m={ours}", sender=phone) for row in rows))
        return await about(ingest, "parley.receipts", phone)

    found = [one.data for one in shared.run(main())]

    assert [("sent", None), ("delivered", None), ("failed", "30003")] == [(one.status, one.code) for one in found]
    assert {("sms", f"SM9{phone}", ours, phone)} == {(one.account, one.provider_id, one.message_id, one.recipient) for one in found}


def test_what_cannot_be_read_goes_to_the_dead_and_its_neighbours_go_on(shared, ingest, phone):
    """A request that no adapter reads, an account that is gone, a tenant that nobody has: each with its reason; the rest passes."""

    async def main():
        broken = [raw("whatsapp", b"{", sender=phone), raw("vanished", b"{}", sender=phone), customer(Customer(id=phone), tenant="nobody")]
        good = [raw("sms", form(From=phone, Body=f"n{n}", MessageSid=f"SM{n}n{phone}"), sender=phone) for n in range(4)]
        await settled(ingest, good[0], broken[0], good[1], broken[1], good[2], broken[2], good[3])
        dead = [dict(record.headers) for record in await records(ingest.settings, "parley.dead")]
        return {one["error"].decode() for one in dead}, {one.data.text for one in await about(ingest, "parley.inbound", phone)}

    reasons, texts = shared.run(main())

    assert {"n0", "n1", "n2", "n3"} == texts
    assert any(reason.startswith("Malformed: The body is not JSON") for reason in reasons)
    assert "LookupError: there is no account 'vanished' in accounts.yaml any more" in reasons
    assert any("`tenant` is 'nobody'; known: acme, other" in reason for reason in reasons)


def test_a_generic_sources_event_that_names_a_customer_is_the_customers(shared, ingest, phone):
    """An event over the plain provider reaches the contact; without a time of its own it happened when it came."""

    async def main():
        body = happened({"customer": {"addresses": {"sms": phone}}, "properties": {"total": 1}}, "evt1" + phone)
        await settled(ingest, raw("app", body, sender=phone))
        return await about(ingest, "parley.inbound", phone)

    (found,) = shared.run(main())

    assert ("order.placed", {"total": 1}, NOW) == (found.data.name, found.data.properties, found.data.occurred_at)


def test_ids_do_not_hang_on_the_request(shared, ingest, phone):
    """What follows from one message has the same ids from whatever raw event it is read: a replay makes no new ones."""

    async def main():
        await settled(ingest, raw("sms", form(From=phone, Body="STOP", MessageSid="SM7" + phone)))
        first = await about(ingest, "parley.consent", phone)
        await ingest.one.context.pool.execute("TRUNCATE seen")
        await settled(ingest, raw("sms", form(From=phone, Body="STOP", MessageSid="SM7" + phone, Other="1")))
        return first, await about(ingest, "parley.consent", phone)

    first, both = shared.run(main())

    assert (3, 6, 3) == (len(first), len(both), len({one.id for one in both}))


def test_a_known_property_that_is_wrong_goes_on_and_is_logged(shared, ingest, phone, capsys):
    """On Kafka nobody could be told: the event stays as it is."""

    async def main():
        data = CustomerEvent(customer=Customer(id=phone), name="order.placed", properties={"total": "much"}, occurred_at=NOW)
        await settled(ingest, Envelope(id=f"wrong{phone}", source="shop", time=NOW, tenant="acme", data=data))
        return await about(ingest, "parley.inbound", phone)

    (found,) = shared.run(main())

    assert {"total": "much"} == found.data.properties
    assert "properties of order.placed: total" in capsys.readouterr().out

"""A person's click reaches the router in order with all else of a contact: once, and as whoever they are by then."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from parley import wire
from parley.channels.shape import Account, Engaged
from parley.contracts import Channel, ContactMerged, CustomerActed, EngagementRecorded, Envelope, HitsDue, LinkMinted
from parley.cursor import Place
from parley.step import Arrived
from parley_ingest.hits import Hits
from parley_ingest.normalise import Found, meaning
from parley_ingest.tracking import Links
from tests.conftest import until
from tests.ingesting import NOW, running, write_accounts
from tests.test_erasing import booked, event, person, told
from tests.test_ingest_hits import hit, say, settled, stored

MESSAGE, LINK = UUID(int=70), "https://shop.example/tea"
ADDRESS = "+821012345678"


def arrived(data, number: str = "h") -> Arrived:
    made = Envelope(id=number, source="parley/ingest", time=NOW, tenant="acme", data=data)
    return Arrived(made, Place("parley.hits", 0), 0, None)


async def clicked(book, contact: UUID, *, agent: str | None = None) -> list:
    """What comes of a click on a link that was minted for the contact, judged when it is due."""
    link = LinkMinted(contact_id=contact, code="code01", url=LINK, message_id=MESSAGE, campaign="spring", at=NOW - timedelta(hours=1))
    number = str(uuid4())
    more = {"agent": agent} if agent is not None else {}
    due = HitsDue(contact_id=contact, message_id=MESSAGE, until=NOW)
    async with book.pool.acquire() as connection, connection.transaction():
        await Links().apply(connection, [arrived(link)], NOW)
        await Hits().apply(connection, [arrived(hit(MESSAGE, NOW, contact_id=contact, **more), number)], NOW)
        found = await Hits().apply(connection, [arrived(due)], NOW)
    assert [str(wire.caused_id(number, place)) for place in range(len(found))] == [one.id for one in found]
    assert {NOW} == {one.started_at for one in found}
    return [one.data for one in found]


@pytest.mark.stack
def test_a_click_is_told_to_the_contact_behind_its_verdict(database):
    """With message, link and campaign, and how the person is reached; its id is made of the hit's."""

    async def main(book):
        (known,) = await told(book, event(person("c1", sms=ADDRESS)))
        return known.contact_id, await clicked(book, known.contact_id)

    contact, (verdict, click) = booked(database, main)

    assert isinstance(verdict, EngagementRecorded) and isinstance(click, CustomerActed)
    assert (contact, "message.clicked", NOW) == (click.contact_id, click.name, click.occurred_at)
    assert {"message_id": str(MESSAGE), "link": LINK, "campaign": "spring"} == click.properties
    assert ("c1", {Channel.SMS: ADDRESS}, {Channel.SMS: ADDRESS}) == (click.customer.id, click.customer.addresses, click.addresses)


@pytest.mark.stack
def test_a_machines_click_is_told_to_nobody(database):
    """It is recorded for the numbers, and that is all."""

    async def main(book):
        (known,) = await told(book, event(person("c1", sms=ADDRESS)))
        return await clicked(book, known.contact_id, agent="curl/8.0")

    assert [EngagementRecorded] == [type(one) for one in booked(database, main)]


@pytest.mark.stack
def test_who_became_part_of_another_clicks_as_that_one(database):
    """The link was minted for the contact that they were; after a parting it is theirs again."""

    async def main(book):
        chat, shop = [(await told(book, event(who)))[0].contact_id for who in (person(telegram="7"), person("c1", sms=ADDRESS))]
        joined = await told(book, event(person("c1"), "contacts.merged", other={"addresses": {"telegram": "7"}}))
        (moved,) = [one for one in joined if isinstance(one, ContactMerged)]
        return {chat, shop}, moved, await clicked(book, moved.contact_id)

    both, moved, (_, click) = booked(database, main)

    assert both == {moved.contact_id, moved.into}
    assert (moved.into, "c1", {Channel.SMS, Channel.TELEGRAM}) == (click.contact_id, click.customer.id, set(click.addresses))


@pytest.mark.stack
def test_who_was_erased_does_not_come_back_by_a_click(database):
    """A hit that was under way is counted, and told to nobody."""

    async def main(book):
        (known,) = await told(book, event(person("c1", sms=ADDRESS)))
        await told(book, event(person("c1"), "customer.erased"))
        return await clicked(book, known.contact_id)

    assert [EngagementRecorded] == [type(one) for one in booked(database, main)]


@pytest.mark.parametrize("machine, kinds", [(False, [EngagementRecorded, CustomerActed]), (True, [EngagementRecorded]), (None, [EngagementRecorded])])
def test_a_click_that_a_provider_tells_of_is_one_where_it_says_whose(machine, kinds):
    """Where it does not say, nobody knows."""
    item = Engaged("clicked", Channel.EMAIL, "p1", MESSAGE, "mina@shop.example", LINK, machine=machine)
    account = Account("mail", "acme", "mailgun", Channel.EMAIL, "a@b.example")
    found = list(meaning(Found(arrived(hit(MESSAGE, NOW)), uuid4(), "acme", account, item, NOW), UUID(int=7), {}))

    assert kinds == [type(one) for one in found]
    assert all(one.properties["message_id"] == str(MESSAGE) for one in found if isinstance(one, CustomerActed))


@pytest.mark.stack
def test_a_click_lies_on_the_bus_of_the_contact(settings, run, tmp_path):
    """From the hit to `parley.inbound`, however often it is said to be due."""

    async def main():
        async with running(settings.model_copy(update={"config": write_accounts(tmp_path)})) as one:
            await one.one.context.pool.execute(
                "INSERT INTO addresses (tenant, scheme, address, contact_id, founds) VALUES ('acme', 'telegram', '7', $1, $1)", UUID(int=7)
            )
            await say(one.one.context.bus, hit(MESSAGE, NOW))
            await stored(one, 1)
            one.clock[0] += timedelta(seconds=4)
            await settled(one, 1)
            await say(one.one.context.bus, HitsDue(contact_id=UUID(int=7), message_id=MESSAGE, until=NOW))

            async def there() -> bool:
                return len(await one.topic(CustomerActed.topic)) > 0

            await until(there, "the click to be told")
            return await one.topic(CustomerActed.topic)

    (found,) = run(main())

    assert (UUID(int=7), "message.clicked", {Channel.TELEGRAM: "7"}) == (found.data.contact_id, found.data.name, found.data.addresses)
    assert found.origin.startswith("hits:")

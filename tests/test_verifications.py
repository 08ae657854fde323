"""Links that prove an address, and people joined and parted all the way: from the door over Kafka to the router's states."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import aiohttp
import orjson
import pytest

from parley import service, wire
from parley.local import free_port
from parley_router.app import SERVICE as ROUTER
from tests.conftest import CONFIG, until
from tests.ingesting import KEY, NOW, OTHER_KEY, Ingest, Shared, form, raw

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("verifications")) as one:
        yield one


@pytest.fixture
def ingest(shared) -> Iterator[Ingest]:
    shared.ingest.clock[0] = NOW
    yield shared.ingest
    shared.ingest.clock[0] = NOW


@pytest.fixture
def phone() -> str:
    return f"+8210{uuid4().int % 10**8:08}"


async def asked(ingest: Ingest, body: dict, key: str | None = KEY) -> tuple[int, dict]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    status, answer, _ = await ingest.ask("POST", "/v1/verifications", data=orjson.dumps(body), headers=headers)
    return status, orjson.loads(answer)


def wanted(phone: str, **changes) -> dict:
    return {"customer": {"id": f"c{phone}"}, "channel": "sms", "address": phone, "label": "Minji's <account>"} | changes


async def path(ingest: Ingest, phone: str) -> str:
    _, answer = await asked(ingest, wanted(phone))
    return re.sub("^https?://[^/]+", "", answer["link"])


async def joining(ingest: Ingest, phone: str) -> int:
    return sum(phone in one.data.customer.addresses.values() for one in await ingest.topic("parley.customers"))


def test_looking_joins_nobody_and_the_button_joins_once(shared, ingest, phone):
    """A scanner's GET changes nothing; one press joins, the next finds the link used, and so does a look."""

    async def main():
        link = await path(ingest, phone)
        looks = [await ingest.ask("GET", link) for _ in range(2)]
        before = await joining(ingest, phone)
        presses = [(await ingest.ask("POST", link))[0] for _ in range(2)]
        return looks, before, presses, (await ingest.ask("GET", link))[0], await joining(ingest, phone)

    looks, before, presses, after, joined = shared.run(main())

    assert ([200, 200], 0, [200, 404], 404, 1) == ([status for status, _, _ in looks], before, presses, after, joined)
    assert b"Minji&#x27;s &lt;account&gt;" in looks[0][1]
    assert ("no-store", "no-referrer") == (looks[0][2]["cache-control"], looks[0][2]["referrer-policy"])
    assert "frame-ancestors 'none'" in looks[0][2]["content-security-policy"]


def test_two_presses_at_once_join_once(shared, ingest, phone):
    """The link is one person's to use, whichever replica is asked."""

    async def main():
        link = await path(ingest, phone)
        return sorted(status for status, _, _ in await asyncio.gather(*(ingest.ask("POST", link) for _ in range(4))))

    assert [200, 404, 404, 404] == shared.run(main())


def test_a_link_is_over_after_its_minutes(shared, ingest, phone):
    """Whoever finds it later in a pile of messages proves nothing; nor does a code that nobody made."""

    async def main():
        link = await path(ingest, phone)
        ingest.clock[0] = NOW + timedelta(minutes=15)
        return [(await ingest.ask(method, place))[0] for method in ("GET", "POST") for place in (link, "/v/" + "A" * 22, "/v/x")]

    assert [404] * 6 == shared.run(main())


@pytest.mark.parametrize(
    "changes, key, expected",
    [
        ({}, None, 401),
        ({}, OTHER_KEY, 403),
        ({"address": "12"}, KEY, 422),
        ({"customer": {}}, KEY, 422),
        ({"customer": {"addresses": {"sms": "+821000000000"}}}, KEY, 422),
        ({"minutes": 9999}, KEY, 422),
        ({"other": 1}, KEY, 422),
    ],
)
def test_what_cannot_be_proved_is_refused(shared, ingest, phone, changes, key, expected):
    """A key, its scope, an address that can be and that is another than the session's own."""
    status, answer = shared.run(asked(ingest, wanted(phone, **changes), key))

    assert expected == status == answer["status"]


def test_a_merge_with_nobody_is_refused_at_the_door(shared, ingest):
    """Who is who must be said so that the normaliser can understand it: nothing that cannot be joined reaches the bus."""

    async def main():
        event = {"customer": {"id": "c"}, "name": "contacts.merged", "properties": {"other": {}}, "occurred_at": NOW.isoformat()}
        document = {"specversion": "1.0", "id": "m", "source": "shop", "type": "parley.customer.event", "data": event}
        headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {KEY}"}
        return await ingest.ask("POST", "/events", data=orjson.dumps(document), headers=headers)

    status, body, _ = shared.run(main())

    assert 422 == status and b"properties.other must name the other one" in body


# --- all the way ----------------------------------------------------------------------------------------------------------------------------


async def state(router: service.Running, contact: object) -> dict:
    async with aiohttp.request("GET", f"http://127.0.0.1:{router.port}/v1/contacts/{contact}", headers={"authorization": "Bearer staff"}) as answer:
        return await answer.json() if answer.status == 200 else {}


async def contact(ingest: Ingest, scheme: str, address: str) -> object:
    return await ingest.one.context.pool.fetchval("SELECT contact_id FROM addresses WHERE scheme = $1 AND address = $2", scheme, address)


async def told(ingest: Ingest, name: str, customer: dict, **properties: object) -> None:
    event = {"customer": customer, "name": name, "properties": properties, "occurred_at": NOW.isoformat()}
    document = {"specversion": "1.0", "id": str(uuid4()), "source": "shop", "type": "parley.customer.event", "data": event}
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {KEY}"}
    status, body, _ = await ingest.ask("POST", "/events", data=orjson.dumps(document), headers=headers)
    assert 202 == status, body


def test_a_person_is_joined_and_parted_all_the_way(shared, ingest, phone, tmp_path):
    """STOP by SMS and an order under the customer's id are one contact after the link is pressed, and two again, the refusal where it was said, after an undo."""
    (tmp_path / "staff").write_text("staff")
    (tmp_path / "flows").symlink_to(CONFIG / "flows")
    keys = "keys: {staff: {tenant: acme, scopes: [conversations:read], token: 'file:staff'}}"
    (tmp_path / "accounts.yaml").write_text(f"tenants: {{acme: {{languages: [ko, en]}}, other: {{}}}}\n{keys}\n")
    customer = {"id": f"c{phone}"}

    async def main():
        settings = ingest.settings.model_copy(update={"config": tmp_path, "port": free_port()})
        async with service.running(ROUTER, settings, clock=lambda: ingest.clock[0]) as router:
            await told(ingest, "order.placed", customer, order_id="A1")
            await ingest.one.context.bus.publish([wire.encode(raw("sms", form(From=phone, Body="STOP", MessageSid="SM" + phone), sender=phone))])

            async def both() -> list[dict]:
                return [await state(router, await contact(ingest, *one)) for one in (("customer", customer["id"]), ("phone", phone))]

            await until(lambda: heard_of_all(both), "the router knows the order and the refusal")
            separate = [one["contact_id"] for one in await both()]
            await ingest.ask("POST", await path(ingest, phone))
            await until(lambda: one_of(both), "one contact knows the order and the refusal")
            old = [await state(router, one) for one in separate]
            ingest.clock[0] = NOW + timedelta(minutes=1)
            await told(ingest, "contacts.unmerged", customer, other={"addresses": {"sms": phone}})
            await until(lambda: two_again(both, separate), "both stand on their own again")
            return separate, old, await both()

    separate, old, (shop, sms) = shared.run(main())
    (survivor,) = {one["merged_into"] for one in old if "merged_into" in one}

    assert survivor in separate and ["merged"] == [one["status"] for one in old if one["contact_id"] != survivor]
    assert (separate, ["A1"], []) == ([shop["contact_id"], sms["contact_id"]], list(shop["state"]["orders"]), list(sms["state"].get("orders", {})))
    assert ("revoked", {}) == (sms["state"]["consents"]["sms:marketing"]["state"], shop["state"].get("consents", {}))


def refuses(one: dict) -> bool:
    return one.get("state", {}).get("consents", {}).get("sms:marketing", {}).get("state") == "revoked"


async def heard_of_all(both) -> bool:
    shop, sms = await both()
    return "A1" in shop.get("state", {}).get("orders", {}) and refuses(sms)


async def one_of(both) -> bool:
    shop, sms = await both()
    return shop["contact_id"] == sms["contact_id"] and "A1" in shop["state"].get("orders", {}) and refuses(shop)


async def two_again(both, separate: list[str]) -> bool:
    found = await both()
    parts = [part for one in found if one for part in one["state"].get("parts", {}).values() if part.get("known")]
    return [one.get("contact_id") for one in found] == separate and not parts and not any("merged_into" in one for one in found)

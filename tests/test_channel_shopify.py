"""Shopify: both families of headers, secrets that rotate, each shipment once, and customers of the form that the normaliser takes."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import shopify
from parley.channels.shape import Account, Forged, Happened, Malformed, Outgoing, Request, Response
from parley.config import Config
from parley.contracts import Channel, Content, Customer
from parley_ingest.normalise import customer_event

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SHOP = Account("shop", "acme", "shopify", Channel.EMAIL, "acme.myshopify.com", {"api_secret": ("new", "old")})


def sent(topic: str, body: Any, secret: str = "new", family: str = "x-", **headers: str) -> Request:
    """A request as Shopify makes it."""
    exact = body if isinstance(body, bytes) else orjson.dumps(body)
    mark = base64.b64encode(hmac.digest(secret.encode(), exact, hashlib.sha256)).decode()
    named = {"topic": topic, "hmac-sha256": mark, "event-id": "e1", "webhook-id": "w1", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Request("POST", "https://hooks.example/hooks/shop", {f"{family}shopify-{name}": value for name, value in named.items()}, exact)


def read(topic: str, body: Any, **headers: str) -> list[Happened]:
    request = sent(topic, body, **headers)
    shopify.verify(request, SHOP, NOW)
    return [one for one in shopify.parse(request, SHOP) if isinstance(one, Happened)]


ORDER = {"id": 820982911946154508, "name": "#1001", "email": "", "phone": None, "total_price": "9.90", "currency": "EUR",
         "customer": {"id": 7, "email": "Kim@Example.com", "phone": "+82 10-1234-5678"}, "line_items": [{"title": "Tea", "quantity": 2}]}  # fmt: skip


@pytest.mark.parametrize("family", ["x-", ""])
@pytest.mark.parametrize("secret", ["new", "old"])
def test_either_family_and_either_secret_are_taken(family, secret):
    """While a secret is changed both hold."""
    assert None is shopify.verify(sent("orders/create", ORDER, secret, family), SHOP, NOW)


@pytest.mark.parametrize("changes", [{"hmac_sha256": ""}, {"hmac_sha256": "AAAA"}, {"hmac_sha256": "é"}])
def test_a_wrong_signature_is_forged(changes):
    with pytest.raises(Forged):
        shopify.verify(sent("orders/create", ORDER, **changes), SHOP, NOW)


def test_an_order_is_the_customers_in_the_words_of_the_contract():
    """By id, e-mail and number of whoever ordered; the number of the order is the one that people read."""
    (one,) = read("orders/create", ORDER)
    event = customer_event(one, NOW)

    assert event is not None
    assert ("order.placed", Customer(id="7", addresses={"email": "kim@example.com", "sms": "+821012345678"})) == (event.name, event.customer)
    assert {"order_id": "1001", "shop_order_id": "820982911946154508", "total": "9.90", "currency": "EUR"}.items() <= event.properties.items()
    assert [{"title": "Tea", "quantity": 2}] == event.properties["items"]


def test_a_number_that_is_none_costs_the_number_alone():
    """What people type into a checkout is not always a phone number."""
    (one,) = read("checkouts/create", {"token": "t", "email": "kim@example.com", "phone": "call me"})

    assert {"addresses": {"email": "kim@example.com"}} == one.data["customer"]


def test_an_order_of_nobody_is_still_told():
    """Without a customer it concerns no contact, and it loses nothing else."""
    (one,) = read("orders/create", {**ORDER, "customer": None})

    assert ("order.placed", None, "9.90") == (one.type, customer_event(one, NOW), one.data["properties"]["total"])


SHIPMENT = {"id": 5, "status": "success", "created_at": "2026-11-20T09:00:00+09:00", "updated_at": "2026-11-22T09:00:00+09:00",
            "tracking_company": "CJ", "tracking_number": "42", "shipment_status": "delivered"}  # fmt: skip


def test_a_shipment_is_known_by_itself_whatever_tells_of_it():
    """orders/fulfilled, orders/updated and fulfillments/update speak of one thing: the same ids."""
    order = {**ORDER, "updated_at": "2026-11-22T09:00:05+09:00", "fulfillments": [SHIPMENT]}
    alone = {**SHIPMENT, "order_id": ORDER["id"], "email": "kim@example.com", "name": "#1001.1"}
    told = [[(one.type, one.event_id) for one in read(topic, body, event_id=topic)]
            for topic, body in (("orders/fulfilled", order), ("orders/updated", order), ("fulfillments/update", alone))]  # fmt: skip

    assert 3 * [[(name, f"{name}:820982911946154508:5") for name in ("order.shipped", "order.delivered")]] == told


def test_what_was_shipped_long_ago_is_not_news():
    """An order is changed for many reasons, also when nobody remembers the ids of back then any more."""
    order = {**ORDER, "updated_at": "2027-03-01T00:00:00Z", "fulfillments": [SHIPMENT]}

    assert [] == read("orders/updated", order)


def test_a_cancelled_shipment_has_not_left():
    assert [] == read("orders/updated", {**ORDER, "fulfillments": [{**SHIPMENT, "status": "cancelled"}]})


def test_a_shipment_that_comes_alone_names_order_and_customer():
    body = {**SHIPMENT, "order_id": 1, "email": "kim@example.com", "name": "#1001.1", "destination": {"phone": "+821012345678"}}
    shipped, _ = read("fulfillments/create", body)

    assert {"email": "kim@example.com", "sms": "+821012345678"} == shipped.data["customer"]["addresses"]
    assert ("1001", "CJ", "42") == tuple(shipped.data["properties"][key] for key in ("order_id", "carrier", "tracking_number"))


def test_a_retry_has_the_same_id_and_another_topic_of_one_event_has_not():
    """Shopify's Event-Id is shared by all topics and subscriptions of one event; without it the delivery's own id counts."""
    ids = [
        read("checkouts/create", {"token": "t"}, event_id="e", webhook_id="1"),
        read("checkouts/create", {"token": "t"}, event_id="e", webhook_id="2"),
        read("checkouts/update", {"token": "t"}, event_id="e", webhook_id="3"),
        read("checkouts/update", {"token": "t"}, event_id="", webhook_id="3"),
    ]

    assert ["checkouts/create:e", "checkouts/create:e", "checkouts/update:e", "checkouts/update:3"] == [one.event_id for (one,) in ids]


def test_a_person_is_described_as_the_router_remembers_people():
    body = {"id": 7, "email": "kim@example.com", "first_name": "민지", "last_name": "Kim", "tags": "vip, tea ", "default_address": {"city": "Seoul"},
            "locale": "ko-KR", "email_marketing_consent": {"state": "subscribed"}}  # fmt: skip
    (one,) = read("customers/update", body)

    assert ("customer.updated", {"id": "7", "addresses": {"email": "kim@example.com"}}) == (one.type, one.data["customer"])
    assert {"name": "민지 Kim", "city": "Seoul", "language": "ko", "tags": ["vip", "tea"], "email_marketing": "subscribed",
            "topic": "customers/update"} == one.data["properties"]  # fmt: skip


@pytest.mark.parametrize(
    "topic, body, expected",
    [
        ("customers/redact", {"customer": {"id": 7, "email": "kim@example.com"}, "orders_to_redact": [1]}, ("customer.erased", {"orders": ["1"]})),
        (
            "customers/data_request",
            {"customer": {"email": "kim@example.com"}, "data_request": {"id": 9}},
            ("customer.data_requested", {"request_id": "9"}),
        ),
        ("shop/redact", {"shop_domain": "acme.myshopify.com"}, ("shop.erased", {"shop": "acme.myshopify.com"})),
    ],
)
def test_the_three_privacy_topics(topic, body, expected):
    (one,) = read(topic, body)

    assert expected == (one.type, {key: value for key, value in one.data["properties"].items() if key != "topic"})


def test_a_topic_that_nobody_knows_means_nothing():
    assert [] == read("themes/publish", {"id": 1})


def test_nothing_can_be_sent():
    """Neither by name, where a sentence says so, nor by channel."""
    mail = Account("mail", "acme", "mailgun", Channel.EMAIL, "a@example.com")
    message = Outgoing(UUID(int=1), "kim@example.com", Content(text="hi"), NOW)

    assert mail == Config({}, {"shop": SHOP, "mail": mail}).of_tenant("acme", Channel.EMAIL)
    with pytest.raises(ValueError, match="nothing can be sent"):
        shopify.build(message, SHOP)


@pytest.mark.parametrize("status, kind", [(200, "accepted"), (401, "permanent"), (429, "throttled"), (503, "transient")])
def test_an_answer_is_read_by_its_status(status, kind):
    assert kind == shopify.interpret(Response(status)).kind


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({*ORDER, *SHIPMENT, "token", "email", "phone", "fulfillments", "fulfillment_status", "destination", "order_id", "data_request", "tags",
                 "updated_at", "created_at", "orders_to_redact", "orders_requested", "customer_locale", "default_address", "locale"})  # fmt: skip


@given(st.sampled_from([*shopify.TOPICS, "", "x"]), st.dictionaries(st.sampled_from(FIELDS), json_values) | st.binary(), st.text(max_size=40))
def test_no_request_makes_anything_but_the_named_refusals(topic, body, stamp):
    """Whatever stands where; and what names a customer never names one that cannot be stored."""
    try:
        exact = body if isinstance(body, bytes) else orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # numbers and texts that JSON has not
        return
    request = sent(topic, exact, triggered_at=stamp)
    try:
        shopify.verify(request, SHOP, NOW)
        found = shopify.parse(request, SHOP)
    except (Forged, Malformed):
        return

    assert all(customer_event(one, NOW) is not None for one in found if isinstance(one, Happened) and "customer" in one.data)


@given(st.integers(100, 599), st.binary(max_size=50))
def test_any_answer_has_a_class(status, body):
    assert shopify.interpret(Response(status, {}, body)).kind in ("accepted", "permanent", "throttled", "transient")

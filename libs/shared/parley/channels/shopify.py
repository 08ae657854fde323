"""Shopify: a source of orders, carts, customers and privacy requests. Nothing can be sent to it.

    orders/create                          order.placed
    orders/fulfilled, orders/updated,      order.shipped, order.delivered: once for each shipment, whatever tells of it
      fulfillments/create, /update
    checkouts/create, checkouts/update     cart.updated, and cart.completed once it is paid
    customers/create, customers/update     customer.updated
    customers/data_request                 customer.data_requested
    customers/redact, shop/redact          customer.erased, shop.erased (names no customer)
    anything else                          nothing

Sources: Shopify/shopify-app-js, packages/apps/shopify-api/lib/webhooks; Shopify docs "Webhooks", "Privacy law compliance".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import phonenumbers

from parley import crypto
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Outgoing, Request, Response
from parley.channels.text import document, items, mapping, retry_after, said, string, whole
from parley.contracts import Content
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("api_secret",)
ONLY_A_SOURCE: Literal[True] = True

TOLD_AGAIN = timedelta(days=7)
"""A shipment that last moved so long before the order did was told of when it moved."""
MAX_ID, MAX_WORDS, MAX_LINES = 200, 500, 50
"""Characters of ids (the contract's) and of titles; lines of a cart or an order that travel along."""
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

Fields = dict[str, Any]


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA256 over the bytes as they came. Shopify signs no time: a repeat is known by its id."""
    given = header(request, "hmac-sha256")
    secrets = account.credentials.get("api_secret", ())
    if not crypto.same(given, [crypto.hmac_base64("sha256", secret.encode(), request.body) for secret in secrets]):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """What a topic means; topics that Parley does not know mean nothing. Raises `Malformed` without a topic or a JSON object."""
    topic = header(request, "topic").strip().lower()
    if not topic:
        raise Malformed("The header `X-Shopify-Topic` is missing.")
    body = document(request.body)
    read = TOPICS.get(topic)
    if read is None:
        return []
    at = _when(header(request, "triggered-at"))
    found = [_named(one, topic, request) for one in read(body)]
    return [Happened(one.type, one.event_id, one.data, one.at or at) for one in found]


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    raise ValueError("Shopify is a source of events; nothing can be sent to it: name another account or channel")


def interpret(response: Response) -> Outcome:
    """Nobody asks Shopify; an answer that came nevertheless is read by its status."""
    if 200 <= response.status < 300:
        return Outcome("accepted")
    kind: Class = "throttled" if response.status == 429 else "transient" if response.status >= 500 else "permanent"
    return Outcome(kind, str(response.status), retry_after=retry_after(response), scope="account" if kind == "permanent" else "message")


def segments(content: Content) -> int:
    return 1


def header(request: Request, name: str) -> str:
    """A header of either family: `X-Shopify-Topic`, or `shopify-topic` without the X."""
    return request.headers.get(f"x-shopify-{name}") or request.headers.get(f"shopify-{name}") or ""


# --- what a topic means: `event_id` is a mark of the thing itself where it has one, else empty ------------------------------------------


def _placed(order: Fields) -> Iterator[Happened]:
    yield _event("order.placed", order, {**_order(order), "cart_id": _id(order.get("checkout_token"))}, at=_when(order.get("created_at")))


def _fulfilled(order: Fields) -> Iterator[Happened]:
    """All of an order is on its way. One that names no shipment has one nevertheless."""
    yield from _moved(order if items(order.get("fulfillments")) else {**order, "fulfillments": [{}]})


def _moved(order: Fields) -> Iterator[Happened]:
    """The shipments of an order that have just moved."""
    number, at = _id(order.get("id")), _when(order.get("updated_at"))
    for one in items(order.get("fulfillments")):
        moved = _when(one.get("updated_at"))
        if at is None or moved is None or at - moved < TOLD_AGAIN:
            yield from _shipment(order, number, one)


def _fulfilment(body: Fields) -> Iterator[Happened]:
    """A shipment that comes alone, with the customer's e-mail in itself and the number at its destination."""
    destination = mapping(body.get("destination"))
    order = {"email": body.get("email"), "phone": destination.get("phone"), "name": str(body.get("name") or "").partition(".")[0]}
    yield from _shipment({**order, "id": body.get("order_id")}, _id(body.get("order_id")), body)


def _shipment(order: Fields, number: str | None, one: Fields) -> Iterator[Happened]:
    if not number or one.get("status") not in ("success", None):
        return
    shipment = _id(one.get("id")) or "all"
    told = {**_order(order), "shipment_id": shipment, "carrier": _words(one.get("tracking_company")),
            "tracking_number": _words(one.get("tracking_number")), "tracking_url": _url(one.get("tracking_url"))}  # fmt: skip
    yield _event("order.shipped", order, told, f"{number}:{shipment}", _when(one.get("created_at")))
    if one.get("shipment_status") == "delivered":
        yield _event("order.delivered", order, told, f"{number}:{shipment}", _when(one.get("updated_at")))


def _cart(body: Fields) -> Iterator[Happened]:
    token, completed = _id(body.get("token")), bool(body.get("completed_at"))
    told = {
        "cart_id": token,
        "completed": completed,
        "url": _url(body.get("abandoned_checkout_url")),
        "language": (string(body.get("customer_locale")) or "")[:2].lower() or None,
        **_goods(body),
    }
    yield _event("cart.completed" if completed else "cart.updated", body, told, at=_when(body.get("updated_at")))


def _customer(body: Fields) -> Iterator[Happened]:
    name = " ".join(part for key in ("first_name", "last_name") if (part := _words(body.get(key))))
    home = mapping(body.get("default_address"))
    told = {
        "name": name[:MAX_WORDS] or None,
        "city": _words(home.get("city")),
        "language": (string(body.get("locale")) or "")[:2].lower() or None,
        "tags": [tag for one in (string(body.get("tags")) or "").split(",")[:MAX_LINES] if (tag := one.strip())] or None,
        "email_marketing": _words(mapping(body.get("email_marketing_consent")).get("state")),
        "sms_marketing": _words(mapping(body.get("sms_marketing_consent")).get("state")),
    }
    yield _event("customer.updated", {"customer": body}, told, at=_when(body.get("updated_at")))


def _requested(body: Fields) -> Iterator[Happened]:
    number = _id(mapping(body.get("data_request")).get("id"))
    told = {"request_id": number, "orders": _ids(body.get("orders_requested"))}
    yield _event("customer.data_requested", body, told, number or "")


def _erased(body: Fields) -> Iterator[Happened]:
    yield _event("customer.erased", body, {"orders": _ids(body.get("orders_to_redact"))})


def _shop_erased(body: Fields) -> Iterator[Happened]:
    """The shop left the app two days ago. That names no customer: whoever runs Parley drops the tenant's data."""
    yield _event("shop.erased", {}, {"shop": _words(body.get("shop_domain"))})


TOPICS: Mapping[str, Callable[[Fields], Iterator[Happened]]] = {
    "orders/create": _placed,
    "orders/fulfilled": _fulfilled,
    "orders/updated": _moved,
    "fulfillments/create": _fulfilment,
    "fulfillments/update": _fulfilment,
    "checkouts/create": _cart,
    "checkouts/update": _cart,
    "customers/create": _customer,
    "customers/update": _customer,
    "customers/data_request": _requested,
    "customers/redact": _erased,
    "shop/redact": _shop_erased,
}


def _named(one: Happened, topic: str, request: Request) -> Happened:
    """The event with the id by which a repeat is known: of the thing itself, else of Shopify's event (the same for several subscriptions, for
    several topics too), else of this delivery's retries."""
    told = header(request, "event-id") or header(request, "webhook-id") or crypto.sha256_hex(request.body)
    assert isinstance(one.data, dict)
    properties = {**mapping(one.data["properties"]), "topic": topic}
    return Happened(
        one.type, f"{one.type}:{one.event_id}" if one.event_id else f"{topic}:{told}"[:500], {**one.data, "properties": properties}, one.at
    )


def _event(name: str, body: Fields, told: Fields, mark: str = "", at: datetime | None = None) -> Happened:
    properties = {key: value for key, value in told.items() if value is not None}
    who = _who(body)
    return Happened(name, mark, {"properties": properties, **({"customer": who} if who else {})}, at)


def _who(body: Fields) -> Fields:
    """The customer, by Shopify's id and what addresses can be used; {} for nobody. A number that is none costs the number, not the event."""
    person = mapping(body.get("customer"))
    email = next((one for value in (body.get("email"), person.get("email")) if (one := _email(value))), None)
    number = next((one for value in (body.get("phone"), person.get("phone")) if (one := _number(value))), None)
    addresses = {name: value for name, value in (("email", email), ("sms", number)) if value}
    identifier = _id(person.get("id"))
    return {**({"id": identifier} if identifier else {}), "addresses": addresses} if identifier or addresses else {}


def _order(order: Fields) -> Fields:
    """An order as events tell of it: `order_id` is what a customer reads and asks for, without its #."""
    name = (_words(order.get("name")) or "").lstrip("#")
    return {"order_id": name or _id(order.get("id")), "shop_order_id": _id(order.get("id")), **_goods(order)}


def _goods(body: Fields) -> Fields:
    lines = [
        {key: value for key, value in (("title", _words(one.get("title"))), ("sku", _words(one.get("sku"))),
         ("quantity", whole(one.get("quantity"))), ("price", _words(one.get("price")))) if value is not None}
        for one in items(body.get("line_items"))[:MAX_LINES]
    ]  # fmt: skip
    return {"total": _words(body.get("total_price")), "currency": _words(body.get("currency")), "items": lines or None}


def _email(value: object) -> str | None:
    found = (string(value) or "").strip().lower()
    return found if len(found) <= 320 and EMAIL.fullmatch(found) else None


def _number(value: object) -> str | None:
    """The number in E.164; None for one without its country, or that cannot be."""
    try:
        number = phonenumbers.parse((string(value) or "")[:50], None)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if phonenumbers.is_possible_number(number) else None


def _id(value: object) -> str | None:
    """An id as text: they grow beyond what a double holds."""
    return (string(value) or "").strip()[:MAX_ID] or None


def _ids(value: object) -> list[str] | None:
    return [one for each in value[:MAX_LINES] if (one := _id(each))] or None if isinstance(value, list) else None


def _words(value: object) -> str | None:
    return (said(value) or "").strip()[:MAX_WORDS] or None


def _url(value: object) -> str | None:
    found = string(value) or ""
    return found if found.startswith(("https://", "http://")) and len(found) <= 2048 else None


def _when(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None

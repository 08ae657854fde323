"""Web chat: the widget on a shop's page, served by ingest itself. To sender it is one more provider, and to the normaliser one more webhook.

In, as `parley_ingest.chat` puts it on the bus, signed by Standard Webhooks with the account's own secret (a shop's server may post the same to
`/hooks/{account}`). `from` is the visitor, whose id is the address:

    message      {id, from, at, text?, choice?: {id, title}, context?: {page, cart, ...}}
    marks        {from, at, status: delivered|read, messages: [our message ids]}
    typing       {from, at}
    identified   {from, at, customer}     the shop's own customer id, checked before: the event `customer.identified`

What the page tells about itself becomes the customer's event `webchat.context` just before the message, typing is `webchat.typing`.
They are on `parley.inbound`, for flows and for the consoles of people.

Out: `POST {base_url}/chat/{account}/deliver` with `{id, to, at, text, media, choices}`, the message id as key; a repeat is answered as the first was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

import orjson
from pydantic import JsonValue

from parley import crypto
from parley.channels import plain
from parley.channels.cards import unfolded
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import document, mapping, said, string, tapped
from parley.contracts import Channel, Content, ReceiptStatus
from parley.failures import Outcome

UNIT = "messages"
HONOURS_KEYS = True
CREDENTIALS = ("symmetric",)
UNKNOWN_VISITOR = "unknown_visitor"
"""The answer for a visitor whom the chat does not know, or has forgotten: nothing sent there would ever be seen."""
STATUSES = {"delivered": ReceiptStatus.DELIVERED, "read": ReceiptStatus.READ}


def verify(request: Request, account: Account, now: datetime) -> None:
    headers = request.headers
    valid = crypto.webhook_valid(
        account.credentials.get("symmetric", ()), (), headers.get("webhook-id"), headers.get("webhook-timestamp"),
        headers.get("webhook-signature"), request.body, now,
    )  # fmt: skip
    if not valid:
        raise Forged


def signed(body: bytes, identifier: str, account: Account, now: datetime) -> dict[str, str]:
    """The headers with which `verify` lets a body through. Raises ValueError or KeyError for a secret that cannot be used."""
    return {"content-type": "application/json", **crypto.webhook_sign(account.secret("symmetric"), identifier, now, body)}


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """What the visitor did: a message with the page's context before it, marks, an event. Raises `Malformed` naming what is missing."""
    body = document(request.body)
    kind, visitor, at = string(body.get("type")), (string(body.get("from")) or "")[:200], _when(body.get("at"))
    if not visitor:
        raise Malformed("`from`, the visitor, is missing.")
    if kind == "message":
        return list(_message(body, visitor, at))
    if kind == "marks":
        return list(_marks(body, visitor, at))
    if kind == "typing":
        return [_happened("webchat.typing", f"{visitor}:{body.get('at')}", {"addresses": {"webchat": visitor}}, {}, at)]
    if kind == "identified":
        customer = string(body.get("customer"))
        if not customer:
            raise Malformed("`customer` is missing.")
        return [_happened("customer.identified", f"{visitor}:{customer}", {"id": customer, "addresses": {"webchat": visitor}}, {}, at)]
    return []


def answer() -> Response:
    return Response(204)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request. Raises ValueError with a sentence where there is nowhere to post it or nothing to show."""
    content = unfolded(message.content)
    if account.base_url is None:
        raise ValueError(f"account {account.name}: web chat is delivered to ingest; set `base_url` to its address, as in http://parley-ingest:8001")
    if not (content.text or content.media or content.choices):
        raise ValueError("web chat has no templates, and the message has no text, no choices and no media")
    body = orjson.dumps(
        {
            "id": str(message.message_id),
            "to": message.address,
            "at": message.at.isoformat(),
            "text": content.text,
            "media": [media.model_dump(exclude_none=True) for media in content.media],
            "choices": [choice.model_dump() for choice in content.choices],
        }
    )
    headers = signed(body, f"msg_{message.message_id.hex}", account, message.at)
    keyed = {"idempotency-key": str(message.message_id)} if account.honours_keys else {}
    return [HttpRequest("POST", f"{account.base_url}/chat/{quote(account.name, safe='')}/deliver", {**headers, **keyed}, body)]


def interpret(response: Response) -> Outcome:
    outcome = plain.interpret(response)
    return replace(outcome, drop_address=outcome.code == UNKNOWN_VISITOR)


def segments(content: Content) -> int:
    return 1


def _message(body: dict[str, Any], visitor: str, at: datetime | None) -> Iterator[Item]:
    """The message; its id is the visitor's own, so it is told from other visitors' by whose it is."""
    identifier, pressed, text = string(body.get("id")), mapping(body.get("choice")), said(body.get("text"))
    if not identifier:
        raise Malformed("`id` is missing.")
    if context := mapping(body.get("context")):
        yield _happened("webchat.context", f"{visitor}:{identifier}", {"addresses": {"webchat": visitor}}, context, at)
    choice = tapped(pressed.get("id"), pressed.get("title"))
    kind: Literal["button", "text", "unsupported"] = "button" if choice else "text" if text is not None else "unsupported"
    text = text or (choice.title if choice else None)
    yield Received(Channel.WEBCHAT, visitor, f"{visitor}:{identifier}", kind, text, choice, sent_at=at)


def _marks(body: dict[str, Any], visitor: str, at: datetime | None) -> Iterator[Receipt]:
    """One receipt for each of our messages that is named."""
    status, named = STATUSES.get(string(body.get("status")) or ""), body.get("messages")
    if status is None or not isinstance(named, list):
        raise Malformed(f"`status` ({', '.join(STATUSES)}) and the list `messages` are needed.")
    for one in named:
        if (number := _uuid(one)) is not None:
            yield Receipt(Channel.WEBCHAT, status, str(number), number, visitor, at=at)


def _happened(name: str, event_id: str, customer: dict[str, JsonValue], properties: dict[str, JsonValue], at: datetime | None) -> Happened:
    return Happened(name, f"{name}:{event_id}", {"customer": customer, "properties": properties}, at)


def _when(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None

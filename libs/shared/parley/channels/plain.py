"""The plain provider: JSON over HTTP, signed by Standard Webhooks both ways. What to copy for a channel of one's own.

In: `{"type", "timestamp", "data"}`, signed with `symmetric` (`whsec_...`) or checked with `public_key` (`whpk_...`).

    message.received   data: {id, from, to?, text?, choice?: {id, title}, media?: [{kind, url | provider_id, content_type?}]}
    message.status     data: {id, reference, to?, status, code?, price?, currency?, segments?}     id: the provider's, reference: our message id
    contact.opted      data: {from, state: granted|pending|revoked, purposes? (all)}
    anything else      an event of a generic source, by its webhook-id

Any of them may name its `channel` (else the account's), a receipt a `to`; `status` as in `ReceiptStatus`, `code` as in `CODES`; phone numbers in E.164,
times in RFC 3339 with an offset. A repeat keeps its `webhook-id`.

Out: `POST {base_url}/messages` with `{reference, to, from, text, media, choices, cards?, valid_for?}` (seconds after which it is of no use any more)
and `Idempotency-Key`; answers 202 `{id, price?, currency?, segments?}`, or `{code, message}`. A message in doubt is asked for where the account says
`honours_keys: false`: `GET {base_url}/messages/{reference}`, signed; answers 200 `{id, status, ...}` as in `message.status`, or 404 `{code: unknown_message}`.

Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import orjson
from pydantic import ValidationError

from parley import crypto
from parley.channels.asked import taken
from parley.channels.cost import cost
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import document, items, mapping, phone, retry_after, said, string, tapped
from parley.contracts import Channel, ConsentState, Content, Media, Purpose, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = True
CREDENTIALS = ("symmetric",)
CHANNELS: Mapping[str, Channel] = MappingProxyType({one.value: one for one in Channel})
UNKNOWN_MESSAGE = "unknown_message"
"""The code with which a system that was asked for a message says that it never had it."""
FOREVER = 10**9
"""Seconds: no provider's bound, only that of whoever reads the number."""
CODES: Mapping[str, Class] = MappingProxyType({"opted_out": "opted_out", "throttled": "throttled", "unavailable": "transient"})
"""What `code` means, of answers and of receipts alike; every other code is permanent."""


def verify(request: Request, account: Account, now: datetime) -> None:
    headers = request.headers
    valid = crypto.webhook_valid(
        account.credentials.get("symmetric", ()), account.credentials.get("public_key", ()), headers.get("webhook-id"),
        headers.get("webhook-timestamp"), headers.get("webhook-signature"), request.body, now,
    )  # fmt: skip
    if not valid:
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """The one thing that a request says; a receipt that tells of an opt-out makes two. Raises `Malformed` naming what is missing."""
    body, event_id = document(request.body), request.headers.get("webhook-id")
    if not event_id:
        raise Malformed("The header `webhook-id` is missing.")
    kind, data = string(body.get("type")), mapping(body.get("data"))
    if kind == "message.received":
        return [_message(data, account, _when(body.get("timestamp")))]
    if kind == "message.status":
        return list(_receipt(data, account, _when(body.get("timestamp"))))
    if kind == "contact.opted":
        return [_opted(data, account, _when(body.get("timestamp")), event_id)]
    if not kind:
        raise Malformed("`type` is missing.")
    return [Happened(kind, event_id, data, _when(body.get("timestamp")))]


def answer() -> Response:
    return Response(204)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request. Raises ValueError with a sentence when the account does not say where to."""
    if account.base_url is None:
        raise ValueError(f"account {account.name}: the plain provider has no address of its own; set `base_url`")
    content = message.content
    body = orjson.dumps(
        {
            "reference": str(message.message_id),
            "to": message.address,
            "from": account.sender,
            "text": content.text,
            "media": [media.model_dump(exclude_none=True) for media in content.media],
            "choices": [choice.model_dump() for choice in content.choices],
            **({"valid_for": seconds} if (seconds := message.seconds(0, FOREVER)) is not None else {}),
            **({"cards": [card.model_dump(exclude_none=True) for card in content.cards]} if content.cards else {}),
        }
    )
    signed = crypto.webhook_sign(account.secret("symmetric"), f"msg_{message.message_id.hex}", message.at, body)
    headers = {"content-type": "application/json", **signed, **({"idempotency-key": str(message.message_id)} if account.honours_keys else {})}
    return [HttpRequest("POST", f"{account.base_url}/messages", headers, body)]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300:
        told = cost(body.get("price"), body.get("currency"), body.get("segments"))
        return Outcome("accepted", provider_id=string(body.get("id")), price=told.price, currency=told.currency, segments=told.segments)
    code = string(body.get("code"))
    kind = CODES.get(code or "") or _of_status(response.status)
    return Outcome(
        kind,
        code=code or str(response.status),
        reason=(string(body.get("message")) or "")[:200],
        retry_after=retry_after(response),
        scope="account" if kind == "permanent" and (response.status in (401, 403) or response.status < 400) else "message",
    )


def query(message: Outgoing, part: int, account: Account, now: datetime) -> HttpRequest | None:
    """By our own id, signed as a message is, with nothing as its body."""
    if account.base_url is None:
        return None
    signed = crypto.webhook_sign(account.secret("symmetric"), f"q_{message.message_id.hex}", now, b"")
    return HttpRequest("GET", f"{account.base_url}/messages/{message.message_id}", signed, b"")


def query_answer(response: Response, message: Outgoing, part: int, account: Account) -> Receipt | Literal["never"] | None:
    """What it says of the message; `unknown_message` is its word that it never had it. Any other 404 may be that of a proxy."""
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        return None
    if response.status == 404:
        return "never" if body.get("code") == UNKNOWN_MESSAGE else None
    if not 200 <= response.status < 300 or not (string(body.get("id")) and string(body.get("status"))):
        return None
    told = {**body, "reference": str(message.message_id), "to": message.address}
    return taken(next(one for one in _receipt(told, account, None) if isinstance(one, Receipt)), message.message_id)


def segments(content: Content) -> int:
    return 1


def _of_status(status: int) -> Class:
    return "throttled" if status == 429 else "transient" if status >= 500 or status in (408, 425) else "permanent"


def _message(data: dict[str, object], account: Account, at: datetime | None) -> Received:
    identifier, sender = string(data.get("id")), _address(data.get("from"))
    if not (identifier and sender):
        raise Malformed("`data.id` and `data.from` are needed.")
    pressed = mapping(data.get("choice"))
    choice, media = tapped(pressed.get("id"), pressed.get("title")), tuple(_media(data.get("media")))
    text = said(data.get("text")) or (choice.title if choice else None)
    return Received(
        channel=_channel(data, account), address=sender, provider_id=identifier,
        kind="button" if choice else media[0].kind if media else "text" if text is not None else "unsupported",
        text=text, choice=choice, media=media, sent_at=at, recipient=_address(data.get("to")),
    )  # fmt: skip


def _receipt(data: dict[str, object], account: Account, at: datetime | None) -> Iterator[Item]:
    identifier, reference = string(data.get("id")) or None, _uuid(string(data.get("reference")))
    if not (identifier or reference):
        raise Malformed("`data.id` or `data.reference`, our message id, is needed.")
    word, code = string(data.get("status")), string(data.get("code"))
    status = ReceiptStatus(word) if word in set(ReceiptStatus) else ReceiptStatus.UNKNOWN
    failure: Class | None = CODES.get(code or "", "permanent") if status is ReceiptStatus.FAILED else None
    channel, address = _channel(data, account), _address(data.get("to"))
    told = cost(data.get("price"), data.get("currency"), data.get("segments"))
    yield Receipt(
        channel, status, identifier, reference, address, code, failure, at, price=told.price, currency=told.currency, segments=told.segments
    )
    if failure == "opted_out" and address:
        yield Opted(channel, address, ConsentState.REVOKED, at=at, provider_id=identifier)


def _opted(data: dict[str, object], account: Account, at: datetime | None, event_id: str) -> Opted:
    sender, state = _address(data.get("from")), string(data.get("state"))
    if not sender or state not in set(ConsentState):
        raise Malformed(f"`data.from` and `data.state` ({', '.join(ConsentState)}) are needed.")
    asked = data.get("purposes", list(Purpose))
    purposes = tuple(one for one in Purpose if isinstance(asked, list) and one in asked)
    if not purposes:  # never taken for all of them: that would grant what nobody granted
        raise Malformed(f"`data.purposes` must be a list of {', '.join(Purpose)}.")
    return Opted(_channel(data, account), sender, ConsentState(state), purposes, at, event_id)


def _media(value: object) -> Iterator[Media]:
    for one in items(value):
        try:
            media = Media.model_validate(one)
        except ValidationError:
            continue
        if media.url or media.provider_id:
            yield media


def _channel(data: dict[str, object], account: Account) -> Channel:
    return CHANNELS.get(string(data.get("channel")) or "", account.channel)


def _address(value: object) -> str | None:
    """A phone number or the channel's own id; only what has a + is a number here, for an app's user ids are often digits."""
    found = (string(value) or "").strip()[:200]
    return (phone(found) if found.startswith("+") else None) or found or None


def _when(value: object) -> datetime | None:
    """The time that an RFC 3339 text means; None without an offset."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None

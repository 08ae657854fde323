"""The plain provider: JSON over HTTP, signed by Standard Webhooks both ways. What to copy for a channel of one's own.

In: `{"type", "timestamp", "data"}`, signed with `symmetric` (`whsec_...`) or checked with `public_key` (`whpk_...`).

    message.received   data: {id, from, to?, text?, choice?: {id, title}, media?: [{kind, url}]}
    message.status     data: {id, reference, to?, status, code?}      id: the provider's, reference: our message id
    contact.opted      data: {from, state: granted|revoked, purposes?}
    anything else      an event of a generic source, by its webhook-id

Out: `POST {base_url}/messages` with `{reference, to, from, text, media, choices}` and `Idempotency-Key`; answers 202 `{id}`, or `{code, message}`.

Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from parley import crypto
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import items, json_object, mapping, number, string
from parley.contracts import Choice, ConsentState, Content, Media, Purpose, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = True
CREDENTIALS = ("symmetric",)
WHEN: TypeAdapter[datetime] = TypeAdapter(datetime)
KINDS = frozenset({"image", "audio", "video", "document", "sticker"})


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
    body = json_object(request.body)
    kind, data = string(body.get("type")), mapping(body.get("data"))
    if kind == "message.received":
        return [_message(data, account)]
    if kind == "message.status":
        return [_receipt(data, account, _when(body.get("timestamp")))]
    if kind == "contact.opted":
        return [_opted(data, account, _when(body.get("timestamp")))]
    if kind is None:
        raise Malformed("`type` is missing.")
    return [Happened(kind, request.headers.get("webhook-id", ""), data, _when(body.get("timestamp")))]


def answer() -> Response:
    return Response(204)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    content = message.content
    body = orjson.dumps(
        {
            "reference": str(message.message_id),
            "to": message.address,
            "from": account.sender,
            "text": content.text,
            "media": [media.model_dump(exclude_none=True) for media in content.media],
            "choices": [choice.model_dump() for choice in content.choices],
        }
    )
    signed = crypto.webhook_sign(account.secret("symmetric"), f"msg_{message.message_id.hex}", message.at, body)
    headers = {"content-type": "application/json", **signed, **({"idempotency-key": str(message.message_id)} if account.honours_keys else {})}
    return [HttpRequest("POST", f"{account.base_url or ''}/messages", headers, body)]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=string(body.get("id")))
    code, wait = string(body.get("code")), number(response.headers.get("retry-after"))
    kind: Class = (
        "opted_out" if code == "opted_out" else "throttled" if response.status == 429 else "transient" if response.status >= 500 else "permanent"
    )
    return Outcome(
        kind,
        code=code or str(response.status),
        reason=(string(body.get("message")) or "")[:200],
        retry_after=timedelta(seconds=wait) if wait is not None and kind == "throttled" else None,
        scope="account" if response.status in (401, 403) else "message",
    )


def segments(content: Content) -> int:
    return 1


def _message(data: dict[str, object], account: Account) -> Received:
    identifier, sender = string(data.get("id")), string(data.get("from"))
    if not (identifier and sender):
        raise Malformed("data.id and data.from are needed.")
    pressed = mapping(data.get("choice"))
    choice = Choice(id=str(pressed["id"])[:200], title=(string(pressed.get("title")) or "")[:500]) if pressed.get("id") else None
    media = tuple(Media(kind=one["kind"], url=string(one.get("url"))) for one in items(data.get("media")) if one.get("kind") in KINDS)
    text = string(data.get("text")) or (choice.title if choice else None)
    return Received(
        channel=account.channel, address=sender, provider_id=identifier, kind="button" if choice else media[0].kind if media else "text",
        text=text, choice=choice, media=media, recipient=string(data.get("to")),
    )  # fmt: skip


def _receipt(data: dict[str, object], account: Account, at: datetime | None) -> Receipt:
    identifier, reference = string(data.get("id")), string(data.get("reference"))
    if not (identifier or reference):
        raise Malformed("data.id or data.reference is needed.")
    try:
        status = ReceiptStatus(str(data.get("status")))
    except ValueError:
        status = ReceiptStatus.UNKNOWN
    code = string(data.get("code"))
    failure: Class | None = None
    if status is ReceiptStatus.FAILED:
        failure = "opted_out" if code == "opted_out" else "permanent"
    return Receipt(account.channel, status, identifier, _uuid(reference), string(data.get("to")), code, failure, at)


def _opted(data: dict[str, object], account: Account, at: datetime | None) -> Opted:
    sender, state = string(data.get("from")), data.get("state")
    if not sender or state not in ("granted", "revoked"):
        raise Malformed("data.from and data.state (granted or revoked) are needed.")
    asked = data.get("purposes")
    purposes = tuple(one for one in Purpose if one in asked) if isinstance(asked, list) else tuple(Purpose)
    return Opted(account.channel, sender, ConsentState(str(state)), purposes or tuple(Purpose), at)


def _when(value: object) -> datetime | None:
    try:
        found = WHEN.validate_python(value)
    except ValidationError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None

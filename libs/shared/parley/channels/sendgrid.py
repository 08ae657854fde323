"""SendGrid: e-mail through Twilio SendGrid's Mail Send, and its signed Event Webhook.

Sources: Twilio docs "Event Webhook Reference", "Getting Started with the Event Webhook Security Features", "Mail Send"; the verifier of
sendgrid-python.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from parley import crypto
from parley.channels.mail import ECHO, Event, Mail, Reason, address, bare, of_status, reference, variables, written
from parley.channels.shape import Account, Forged, HttpRequest, Item, Outgoing, Request, Response
from parley.channels.text import documents, items, mapping, moment, number, retry_after, string
from parley.contracts import ConsentState, Content, Purpose, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("api_key", "public_key")
API = "https://api.sendgrid.com"
SIGNATURE, TIMESTAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"
RECEIPTS = MappingProxyType({
    "processed": ReceiptStatus.QUEUED, "deferred": ReceiptStatus.DEFERRED, "delivered": ReceiptStatus.DELIVERED,
    "bounce": ReceiptStatus.FAILED, "dropped": ReceiptStatus.FAILED,
})  # fmt: skip
OPTS: Mapping[str, tuple[ConsentState, Reason | None, tuple[Purpose, ...]]] = MappingProxyType({
    "spamreport": (ConsentState.REVOKED, "spam_complaint", tuple(Purpose)),
    "unsubscribe": (ConsentState.REVOKED, "unsubscribe", tuple(Purpose)),
    "group_unsubscribe": (ConsentState.REVOKED, "unsubscribe", (Purpose.MARKETING,)),
    "group_resubscribe": (ConsentState.GRANTED, None, (Purpose.MARKETING,)),
})  # fmt: skip
"""SendGrid itself sends nothing more to who unsubscribed or complained; a group is one kind of mail among others, which is marketing."""
DROPPED: Mapping[str, Reason] = MappingProxyType({"unsubscribed address": "unsubscribe", "spam reporting address": "spam_complaint"})
"""Reasons of `dropped` that are the person's own word; for every other one (bounced, invalid, spam content) the message alone is lost."""


def verify(request: Request, account: Account, now: datetime) -> None:
    """ECDSA over the timestamp and the bytes as they came, the CR LF at their end included; several public keys while one is changed."""
    stamp = request.headers.get(TIMESTAMP, "")
    if not crypto.fresh(stamp, now):
        raise Forged
    signed = stamp.encode() + request.body
    # Every key is tried: how long that takes tells nothing but how many there are.
    taken = [_signed(key, request.headers.get(SIGNATURE, ""), signed) for key in account.credentials.get("public_key", ())]
    if not any(taken):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """What the events of a batch tell, in their order, each event once. Kinds that tell of the account or that we do not know make no item."""
    return [item for event in _once(documents(request.body)) for item in _items(event)]


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request. Our message id is a custom argument, which stands in every event of the message."""
    mail, template = written(message, account), message.content.template
    person: dict[str, Any] = {"to": [{"email": message.address}], "custom_args": {ECHO: str(message.message_id)}}
    body: dict[str, Any] = {"personalizations": [person], "from": {"email": mail.sender, **({"name": mail.name} if mail.name else {})}}
    if template is not None:
        person["dynamic_template_data"] = variables(template)
        body |= {"template_id": template.name, **({"subject": mail.subject} if message.content.text or message.content.subject else {})}
    else:
        body |= _said(mail)
    if mail.headers:
        body["headers"] = dict(mail.headers)
    headers = {"authorization": f"Bearer {account.secret('api_key')}", "content-type": "application/json"}
    key = {"idempotency-key": str(message.message_id)} if account.honours_keys else {}
    return [HttpRequest("POST", f"{account.base_url or API}/v3/mail/send", {**headers, **key}, orjson.dumps(body))]


def interpret(response: Response) -> Outcome:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=headers.get("x-message-id") or None)
    kind = of_status(response.status)
    return Outcome(
        kind,
        code=str(response.status),
        reason=_reason(response.body),
        retry_after=(retry_after(response) or _reset(headers)) if kind == "throttled" else retry_after(response),
        scope="account" if response.status in (401, 403) or response.status < 400 else "message",
    )


def segments(content: Content) -> int:
    return 1


def _signed(key: str, signature: str, signed: bytes) -> bool:
    """Whether this key has made the signature. A key that cannot be read has signed nothing: a slip in the settings refuses, and never fails."""
    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
        if not isinstance(public, EllipticCurvePublicKey):
            return False
        public.verify(base64.b64decode(signature, validate=True), signed, ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _once(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Without what stands twice in one batch, by SendGrid's own id of the event."""
    seen: set[str] = set()
    for event in events:
        identifier = string(event.get("sg_event_id"))
        if identifier is None or identifier not in seen:
            yield event
        seen.add(identifier or "")


def _items(event: dict[str, Any]) -> Iterator[Item]:
    word, told = string(event.get("event")) or "", _event(event)
    agent = string(event.get("useragent"))
    if word in RECEIPTS:
        failure, reason = _failure(word, event)
        code = string(event.get("status")) or (string(event.get("reason")) if failure else None)
        yield from told.receipt(RECEIPTS[word], code, failure, reason)
    elif word in OPTS:
        yield from told.opted(*OPTS[word])
    elif word == "open":
        # A flag that is not there is false: it was introduced when machines began to open (Apple's privacy proxy).
        yield from told.engaged("opened", machine=event.get("sg_machine_open") is True, agent=agent)
    elif word == "click":
        yield from told.engaged("clicked", string(event.get("url")), agent=agent)


def _event(event: dict[str, Any]) -> Event:
    """`sg_message_id` goes on after the id that the send answer gave; where it is missing, the Message-Id begins with that."""
    named = string(event.get("sg_message_id")) or (bare(event.get("smtp-id")) or "").partition("@")[0]
    return Event(
        provider_id=named.partition(".")[0] or None,
        message_id=reference(event.get(ECHO)),
        address=address(event.get("email")),
        at=moment(event.get("timestamp")),
        event_id=string(event.get("sg_event_id")),
    )


def _failure(word: str, event: dict[str, Any]) -> tuple[Class | None, Reason | None]:
    """Why a message failed. `blocked`: the server refused this message, not the address."""
    if word == "bounce":
        return ("transient" if string(event.get("type")) == "blocked" else "permanent"), None
    if word == "dropped":
        why = DROPPED.get((string(event.get("reason")) or string(event.get("type")) or "").strip().lower())
        return ("opted_out" if why else "permanent"), why
    return None, None


def _said(mail: Mail) -> dict[str, Any]:
    content = [{"type": "text/plain", "value": mail.text}]  # the plain one first (RFC 2046); SendGrid refuses the other order
    return {"subject": mail.subject, "content": content + ([{"type": "text/html", "value": mail.html}] if mail.html else [])}


def _reason(body: bytes) -> str:
    """The first of the errors that an answer names, with the field at fault."""
    try:
        error = next(iter(items(mapping(orjson.loads(body)).get("errors"))), {})
    except orjson.JSONDecodeError:
        return ""
    return ": ".join(part for part in (string(error.get("field")), string(error.get("message"))) if part)[:200]


def _reset(headers: Mapping[str, str]) -> timedelta | None:
    """The pause until `X-RateLimit-Reset`, an epoch second, counted from the answer's own `Date`."""
    try:
        at = number(headers.get("x-ratelimit-reset"))
        return None if at is None else timedelta(seconds=max(0.0, at - parsedate_to_datetime(headers["date"]).timestamp()))
    except (KeyError, ValueError, OverflowError):
        return None

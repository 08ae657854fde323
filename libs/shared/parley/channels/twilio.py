"""Twilio: SMS, MMS and WhatsApp over Twilio.

Sources: Twilio docs "Webhooks security", "Track the message status", error dictionary; the request validator of twilio-python.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

import orjson

from parley import crypto
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import located, mapping, number, phone, written_out
from parley.channels.text import segments as sms_segments
from parley.contracts import Channel, Choice, ConsentState, Content, Media, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "segments"
HONOURS_KEYS = False
CREDENTIALS = ("account_sid", "auth_token")
API = "https://api.twilio.com"
MAX_TEXT = 1600
ECHO = "m"
"""Query parameter of the status callback that carries our message id: a receipt finds its message even when the answer was lost."""

STATUSES = {
    "accepted": ReceiptStatus.QUEUED, "scheduled": ReceiptStatus.QUEUED, "queued": ReceiptStatus.QUEUED, "sending": ReceiptStatus.QUEUED,
    "sent": ReceiptStatus.SENT, "delivered": ReceiptStatus.DELIVERED, "read": ReceiptStatus.READ,
    "undelivered": ReceiptStatus.FAILED, "failed": ReceiptStatus.FAILED, "canceled": ReceiptStatus.FAILED,
}  # fmt: skip
OPTED_OUT = frozenset({21610, 63033})
THROTTLED = frozenset({20429, 21611, 30001, 30022, 30023, 30027, 63017, 63018, 63038})
TRANSIENT = frozenset({20500, 20503, 30003, 30008, 30017, 30410, 63009, 63010, 63012})
ACCOUNT = frozenset({20003, 20005, 30002, 30032})
OPTS = {"STOP": ConsentState.REVOKED, "START": ConsentState.GRANTED}


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA1 over the public address and the form's parameters; for JSON over the address alone, which then carries the body's digest."""
    given = request.headers.get("x-twilio-signature")
    if not given:
        raise Forged
    digest = parse_qs(request.query).get("bodySHA256", [""])[0]
    if digest:
        if not crypto.same(crypto.sha256_hex(request.body), [digest]):
            raise Forged
        suffix = ""
    else:
        suffix = _signed_form(request.body)
    tokens = account.credentials.get("auth_token", ())
    expected = [crypto.hmac_base64("sha1", token.encode(), (url + suffix).encode()) for token in tokens for url in _addresses(request.url)]
    if not crypto.same(given, expected):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """One message or one status. A form without a sid says nothing we know: no item."""
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
    if "json" in kind.lower():
        return []  # Twilio's JSON webhooks (Event Streams and others) are no messages
    try:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=bool(request.body)))
    except ValueError as error:
        raise Malformed("The body is not a form in UTF-8.") from error
    if not form:
        raise Malformed("The form is empty.")
    if not (form.get("MessageSid") or form.get("SmsSid")):
        return []
    if form.get("MessageStatus") or form.get("SmsStatus") not in (None, "received", "receiving"):
        return list(_receipts(form, request))
    return list(_messages(form))


def answer() -> Response:
    return Response(200, {"content-type": "text/xml"}, b"<Response/>")


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    whatsapp = "whatsapp:" if account.channel is Channel.WHATSAPP else ""
    form: list[tuple[str, str]] = [("To", whatsapp + message.address), ("From", whatsapp + account.sender)]
    text = written_out(message.content)
    if text:
        form.append(("Body", text))
    form += [("MediaUrl", media.url) for media in message.content.media if media.url]
    if template := message.content.template:
        parameters = {str(place): value for place, value in enumerate(template.parameters, 1)}
        form += [("ContentSid", template.name), ("ContentVariables", orjson.dumps(parameters).decode())]
    if message.receipts_url:
        form.append(("StatusCallback", f"{message.receipts_url}{'&' if '?' in message.receipts_url else '?'}{ECHO}={message.message_id}"))
    user = account.secret("account_sid")
    basic = base64.b64encode(f"{user}:{account.secret('auth_token')}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
    if account.honours_keys:
        headers["idempotency-key"] = str(message.message_id)
    return [HttpRequest("POST", f"{account.base_url or API}/2010-04-01/Accounts/{user}/Messages.json", headers, urlencode(form).encode())]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=str(body["sid"]) if body.get("sid") else None)
    code = int(number(body.get("code")) or 0)
    kind = failure(code, response.status)
    wait = number(response.headers.get("retry-after")) if kind == "throttled" else None
    return Outcome(
        kind,
        code=str(code or response.status),
        reason=str(body.get("message", ""))[:200],
        retry_after=timedelta(seconds=wait) if wait is not None else None,
        scope="account" if code in ACCOUNT or response.status in (401, 403) else "message",
    )


def failure(code: int, status: int = 400) -> Class:
    """The class of a Twilio error code; where there is none, of the HTTP status."""
    if code in OPTED_OUT:
        return "opted_out"
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in TRANSIENT or (status >= 500 and code not in ACCOUNT):
        return "transient"
    return "permanent"


def segments(content: Content) -> int:
    return sms_segments(written_out(content)) + len(content.media)


def _messages(form: dict[str, str]) -> Iterator[Item]:
    channel, address = _address(form.get("From", ""))
    if not address:
        return
    count = int(number(form.get("NumMedia")) or 0)
    media = tuple(
        Media(kind=_kind(form.get(f"MediaContentType{n}", "")), url=form[f"MediaUrl{n}"], content_type=form.get(f"MediaContentType{n}"))
        for n in range(min(count, 20))
        if form.get(f"MediaUrl{n}")
    )
    pressed = form.get("ButtonPayload")
    lat, lon = number(form.get("Latitude")), number(form.get("Longitude"))
    place = located(lat, lon, form.get("Label") or form.get("Address"))
    text = form.get("Body")
    yield Received(
        channel=channel,
        address=address,
        provider_id=form.get("MessageSid") or form["SmsSid"],
        kind="button" if pressed else media[0].kind if media else "location" if place else "text",
        text=_decoded(text) if text is not None else None,
        choice=Choice(id=pressed[:200], title=(form.get("ButtonText") or "")[:500]) if pressed else None,
        media=media,
        location=place,
        recipient=_address(form.get("To", ""))[1],
    )
    if (state := OPTS.get(form.get("OptOutType", "").upper())) is not None:
        yield Opted(channel, address, state)


def _receipts(form: dict[str, str], request: Request) -> Iterator[Item]:
    status = STATUSES.get((form.get("MessageStatus") or form.get("SmsStatus") or "").lower(), ReceiptStatus.UNKNOWN)
    channel, address = _address(form.get("To", ""))
    code = form.get("ErrorCode") or None
    failed = status is ReceiptStatus.FAILED
    kind = failure(int(number(code) or 0)) if failed and code else ("permanent" if failed else None)
    yield Receipt(
        channel, status, provider_id=form.get("MessageSid") or form["SmsSid"], message_id=_echo(request.query), address=address, code=code,
        failure=kind, recipient=_address(form.get("From", ""))[1],
    )  # fmt: skip
    if kind == "opted_out" and address:
        yield Opted(channel, address, ConsentState.REVOKED)


def _signed_form(body: bytes) -> str:
    """Names in byte order, each distinct value of a name sorted: name and value, nothing between."""
    values: dict[str, set[str]] = {}
    for name, value in parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True):
        values.setdefault(name, set()).add(value)
    text = "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _addresses(url: str) -> Iterator[str]:
    """The address as configured, without its port, and with the usual port put in: Twilio is not of one mind."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = parts.netloc, None
    yield url
    usual = 443 if parts.scheme == "https" else 80
    for netloc in {host, f"{host}:{port or usual}"} - {parts.netloc}:
        yield urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))


def _address(text: str) -> tuple[Channel, str | None]:
    if text.startswith("whatsapp:"):
        plain = text.removeprefix("whatsapp:")
        return Channel.WHATSAPP, phone(plain) or plain or None
    return Channel.SMS, phone(text) or text or None


def _echo(query: str) -> UUID | None:
    try:
        return UUID(parse_qs(query).get(ECHO, [""])[0])
    except ValueError:
        return None


def _kind(content_type: str) -> Literal["image", "audio", "video", "document"]:
    match content_type.partition("/")[0]:
        case "image" | "audio" | "video" as major:
            return major
        case _:
            return "document"


def _decoded(text: str) -> str:
    """Long concatenated messages sometimes come as base64 (seen by others): only what is long, exact base64 and readable text is taken for it."""
    if len(text) < 60 or len(text) % 4 or " " in text:
        return text
    try:
        plain = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
    return plain if plain.isprintable() else text

"""Mailgun: e-mail through its Messages API, and its webhooks: JSON, and the forms that older accounts still get.

Sources: Mailgun docs "Securing Webhooks", "Event structure", "Automatic Retries", "Open and Click Bot Detection"; tests of mailgun-go.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from parley import crypto
from parley.channels.asked import APART, taken
from parley.channels.mail import ECHO, Event, address, bare, of_status, reference, variables, written
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Outgoing, Receipt, Request, Response
from parley.channels.text import document, items, mapping, moment, retry_after, storable, string, whole
from parley.contracts import ConsentState, Content, ReceiptStatus
from parley.failures import Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("api_key", "webhook_signing_key")
API = "https://api.mailgun.net"
RECEIPTS = MappingProxyType({
    "accepted": ReceiptStatus.QUEUED, "delivered": ReceiptStatus.DELIVERED, "failed": ReceiptStatus.FAILED, "rejected": ReceiptStatus.FAILED,
    "bounced": ReceiptStatus.FAILED, "dropped": ReceiptStatus.FAILED,
})  # fmt: skip
"""`bounced` and `dropped` are words of the forms."""
LISTED = 300
"""Events that are looked through for those of one message: the most that Mailgun gives at once."""
UNSUBSCRIBED = 606
"""Mailgun's own code for an address that it does not send to, because it had unsubscribed."""
Form = list[tuple[str, str]]
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_NAME = re.compile(rb'(?:^|[;\s])name="([^"]*)"', re.IGNORECASE)


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA256 over a timestamp and a token inside the body. It does not cover the event, so an old one is not taken again."""
    stamp, token, given = _signature(request)
    keys = account.credentials.get("webhook_signing_key", ())
    expected = [crypto.hmac_hex("sha256", key.encode(), f"{stamp}{token}".encode()) for key in keys]
    if not (token and crypto.same(given, expected) and crypto.fresh(stamp, now)):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """The one event of the request. A form without an event (a message that a route forwards), or one that we do not know, makes no item."""
    if _json(request):
        event = mapping(document(request.body).get("event-data"))
        if not event:
            raise Malformed("`event-data` is missing.")
        return list(_items(event))
    form = _form(request)
    if not form:
        raise Malformed("The body is neither JSON nor a form in UTF-8.")
    return list(_items(_of_form(form)))


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request. Our message id is a variable of the message, which stands in every event of it."""
    mail, template = written(message, account), message.content.template
    said = [("subject", mail.subject), ("text", mail.text), *([("html", mail.html)] if mail.html else [])]
    if template is not None:
        heading = [("subject", mail.subject)] if message.content.text or message.content.subject else []
        said = [*heading, ("template", template.name), ("t:variables", orjson.dumps(variables(template)).decode())]
    form = [("from", mail.from_), ("to", message.address), *said, (f"v:{ECHO}", str(message.message_id))]
    form += [(f"h:{name}", value) for name, value in mail.headers.items()]
    headers = {**_basic(account), "content-type": "application/x-www-form-urlencoded"}
    key = {"idempotency-key": str(message.message_id)} if account.honours_keys else {}
    return [HttpRequest("POST", f"{_domain(account)}/messages", {**headers, **key}, urlencode(form).encode())]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {"message": response.body.decode(errors="replace")}
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=bare(body.get("id")))
    # The address of the call has nothing but the domain in it: where that is not found, the account is set up wrong.
    ours = response.status in (401, 402, 403, 404) or response.status < 400
    return Outcome(
        of_status(response.status),
        code=str(response.status),
        reason=storable(string(body.get("message")) or "")[:200],
        retry_after=retry_after(response),
        scope="account" if ours else "message",
    )


def query(message: Outgoing, part: int, account: Account, now: datetime) -> HttpRequest | None:
    """Everything that happened to mail for this address since the call began."""
    since = int((message.at - APART).timestamp())
    asked = urlencode({"begin": since, "ascending": "yes", "limit": LISTED, "recipient": message.address})
    return HttpRequest("GET", f"{_domain(account)}/events?{asked}", _basic(account), b"")


def query_answer(response: Response, message: Outgoing, part: int, account: Account) -> Receipt | None:
    """The last that happened to the message, by our id in its variables. Where nothing did, it may yet be told: events come late and out of order."""
    try:
        body = mapping(orjson.loads(response.body)) if 200 <= response.status < 300 else {}
    except orjson.JSONDecodeError:
        return None
    told = (item for event in items(body.get("items")) for item in _items(event) if isinstance(item, Receipt))
    mine = [one for one in told if one.message_id == message.message_id]
    return taken(mine[-1], message.message_id) if mine else None


def segments(content: Content) -> int:
    return 1


def _domain(account: Account) -> str:
    """Where the API has the account's domain: the one that is configured, else that of the sender."""
    found = account.credentials.get("domain", ("",))[0] or account.sender.strip().removesuffix(">").rpartition("@")[2]
    return f"{account.base_url or API}/v3/{quote(found, safe='')}"


def _basic(account: Account) -> dict[str, str]:
    pair = f"api:{account.secret('api_key')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _signature(request: Request) -> tuple[str, str, str]:
    """Timestamp, token and signature. What cannot be read carries none. In a form, variables of the message come first: the last one counts."""
    try:
        fields = mapping(document(request.body).get("signature")) if _json(request) else dict(_form(request))
    except Malformed as error:
        raise Forged from error
    return tuple(string(fields.get(name)) or "" for name in ("timestamp", "token", "signature"))  # type: ignore[return-value]


def _items(event: dict[str, Any]) -> Iterator[Item]:
    word, told, client = string(event.get("event")) or "", _event(event), mapping(event.get("client-info"))
    agent, machine = string(client.get("user-agent")), bool(client["bot"]) if "bot" in client else None
    if word in RECEIPTS:
        yield from _receipt(word, event, told)
    elif word == "opened":
        yield from told.engaged("opened", machine=machine, agent=agent)
    elif word == "clicked":
        yield from told.engaged("clicked", string(event.get("url")), machine, agent)
    elif word in ("unsubscribed", "complained"):
        yield from told.opted(ConsentState.REVOKED, "unsubscribe" if word == "unsubscribed" else "spam_complaint")


def _receipt(word: str, event: dict[str, Any], told: Event) -> Iterator[Item]:
    """`failed` is for good or for now. What Mailgun does not even try, because the person unsubscribed, is that person's word."""
    status, delivery = RECEIPTS[word], mapping(event.get("delivery-status"))
    if word == "failed" and event.get("severity") == "temporary":
        status = ReceiptStatus.DEFERRED
    code = string(delivery.get("code")) or string(event.get("reason")) or string(mapping(event.get("reject")).get("reason"))
    if status is not ReceiptStatus.FAILED:
        yield from told.receipt(status, code if status is ReceiptStatus.DEFERRED else None)
    elif event.get("reason") == "suppress-unsubscribe" or whole(delivery.get("code")) == UNSUBSCRIBED:
        yield from told.receipt(status, code, "opted_out", "unsubscribe")
    else:
        yield from told.receipt(status, code, "permanent")


def _event(event: dict[str, Any]) -> Event:
    headers = mapping(mapping(event.get("message")).get("headers"))
    return Event(
        provider_id=bare(headers.get("message-id")),
        message_id=reference(mapping(event.get("user-variables")).get(ECHO)),
        # A rejected message has its recipient only in the headers.
        address=address(event.get("recipient")) or (address(headers.get("to")) if event.get("event") == "rejected" else None),
        at=moment(event.get("timestamp")),
        event_id=string(event.get("id")),
    )


def _of_form(form: Form) -> dict[str, Any]:
    """A form in the shape of today's events. Variables of the message stand among its fields, behind those of the event: the first one counts,
    but of those that are signed, the last."""
    first, last = dict(reversed(form)), dict(form)
    identifier = first.get("Message-Id") or first.get("message-id")
    return {
        **{name: first.get(name) for name in ("event", "recipient", "reason", "url")},
        "id": last.get("token"),
        "timestamp": last.get("timestamp"),
        "message": {"headers": {"message-id": identifier}},
        "user-variables": {ECHO: first.get(ECHO)},
        "delivery-status": {"code": first.get("code")},
        "client-info": {"user-agent": first.get("user-agent")},
    }


def _json(request: Request) -> bool:
    return request.body.lstrip()[:1] in (b"{", b"[") or "json" in request.headers.get("content-type", "").lower()


def _form(request: Request) -> Form:
    """The fields of a form, of either encoding; [] where there is none."""
    kind = request.headers.get("content-type", "")
    try:
        if boundary := _BOUNDARY.search(kind) if "multipart/" in kind.lower() else None:
            pairs = list(_parts(request.body, b"--" + boundary.group(1).strip().encode()))
        else:
            pairs = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        return []
    return [(storable(name), storable(value)) for name, value in pairs]


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[str, str]]:
    """The fields of a multipart form that are text; files (the message that came back) are passed over."""
    for part in (b"\r\n" + body).split(b"\r\n" + delimiter)[1:]:
        head, found, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if found and name and b"filename" not in head:
            yield name.group(1).decode(), value.decode()

"""Meta: WhatsApp Cloud API, Messenger and Instagram behind one endpoint.

Sources: Meta docs "Webhooks: Getting Started", "messages webhook reference", "Error codes", "Throughput".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qs
from uuid import UUID

import orjson

from parley import crypto
from parley.channels.shape import Account, Forged, HttpRequest, Item, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import items, json_object, located, mapping, moment, number, phone, shortened, string, written_out
from parley.contracts import Channel, Choice, ConsentState, Content, Media, Purpose, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("app_secret", "access_token")
API = "https://graph.facebook.com"
VERSION = "v25.0"
MAX_TEXT, MAX_BODY, MAX_BUTTONS, MAX_TITLE, MAX_ROWS, MAX_ROW = 4096, 1024, 3, 20, 10, 24

STATUSES = {"sent": ReceiptStatus.SENT, "delivered": ReceiptStatus.DELIVERED, "read": ReceiptStatus.READ, "played": ReceiptStatus.READ,
            "failed": ReceiptStatus.FAILED, "accepted": ReceiptStatus.QUEUED}  # fmt: skip
OPTED_OUT = frozenset({131050, 551, 1545041, 2018108})
THROTTLED = frozenset({4, 32, 613, 80007, 130429, 131048, 131056, 131049, 131064, 133016})
PAIR = 131056
"""The pair limit: only this recipient must wait."""
TRANSIENT = frozenset({1, 2, 131000, 131016, 131053, 131057, 133004})
ACCOUNT = frozenset({0, 3, 10, 190, 368, 131005, 131031, 131037, 131042, 131045, 130497, *range(200, 300)})
WINDOW = 2018278
"""Subcode of 10: outside Messenger's 24 hours, which concerns this message only."""
MEDIA = frozenset({"image", "audio", "video", "document", "sticker"})
Kind = Literal["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "unsupported", "reaction"]


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA256 over the bytes as they came: Meta escapes its JSON in ways that no library prints again. Handshakes carry a token instead."""
    if request.method == "GET":
        return
    given = request.headers.get("x-hub-signature-256", "")
    expected = [f"sha256={crypto.hmac_hex('sha256', secret.encode(), request.body)}" for secret in account.credentials.get("app_secret", ())]
    if not crypto.same(given, expected):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    asked = {name: values[0] for name, values in parse_qs(request.query).items()}
    right = crypto.same(asked.get("hub.verify_token", ""), account.credentials.get("verify_token", ()))
    if asked.get("hub.mode") != "subscribe" or not right:
        return Response(403)
    return Response(200, {"content-type": "text/plain", "x-content-type-options": "nosniff"}, asked.get("hub.challenge", "").encode())


def parse(request: Request, account: Account) -> Sequence[Item]:
    body = json_object(request.body)
    found: list[Item] = []
    for entry in items(body.get("entry")):
        if body.get("object") == "whatsapp_business_account":
            for change in items(entry.get("changes")):
                found += _change(string(change.get("field")), mapping(change.get("value")))
        elif body.get("object") in ("page", "instagram"):
            channel = Channel.MESSENGER if body["object"] == "page" else Channel.INSTAGRAM
            for event in items(entry.get("messaging")):
                found += _messaging(channel, event)
    return _once(found)


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """WhatsApp messages; media first, then the text with its choices as buttons (three at most) or a list (ten), longer ones written out."""
    content, to = message.content, _recipient(message.address)
    bodies: list[dict[str, Any]] = []
    if content.template is not None:
        bodies.append(_template(content))
    else:
        bodies += [{"type": one.kind, one.kind: {"link": one.url} if one.url else {"id": one.provider_id}} for one in content.media]
        if content.text or content.choices:
            bodies.append(_text(content))
    headers = {"authorization": f"Bearer {account.secret('access_token')}", "content-type": "application/json"}
    url = f"{account.base_url or API}/{VERSION}/{account.sender}/messages"
    return [
        HttpRequest(
            "POST",
            url,
            {**headers, **({"idempotency-key": f"{message.message_id}{f'-{place}' if place else ''}"} if account.honours_keys else {})},
            orjson.dumps(
                {"messaging_product": "whatsapp", "recipient_type": "individual", **to, **body, "biz_opaque_callback_data": str(message.message_id)}
            ),
        )
        for place, body in enumerate(bodies)
    ]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    error = mapping(body.get("error"))
    if 200 <= response.status < 300 and not error:
        first = next(iter(items(body.get("messages"))), {})
        return Outcome("accepted", provider_id=string(first.get("id")) or string(body.get("message_id")))
    code = int(number(error.get("code")) or 0) if error else -1
    subcode = int(number(error.get("error_subcode")) or 0)
    scope: Literal["message", "recipient", "account"] = "recipient" if code == PAIR else "message"
    if (code in ACCOUNT and subcode != WINDOW) or (not error and response.status in (401, 403)):
        scope = "account"
    kind = failure(code if subcode not in OPTED_OUT else subcode, response.status)
    return Outcome(kind, code=str(code if error else response.status), reason=(string(error.get("message")) or "")[:200], scope=scope)


def failure(code: int, status: int = 400) -> Class:
    """The class of a Meta error by its code; HTTP status and titles are not stable and count only where there is no code that we know."""
    if code in OPTED_OUT:
        return "opted_out"
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in TRANSIENT or (status >= 500 and code not in ACCOUNT):
        return "transient"
    return "permanent"


def segments(content: Content) -> int:
    return max(1, len(content.media) + bool(content.text or content.choices)) if content.template is None else 1


# --- WhatsApp in ---------------------------------------------------------------------------------------------------------------------


def _change(field: str | None, value: dict[str, Any]) -> Iterator[Item]:
    """The items of one change. Fields that tell of templates, quality or echoes of our own are no messages."""
    number_id = string(mapping(value.get("metadata")).get("phone_number_id"))
    people = {string(one.get("wa_id")): one for one in items(value.get("contacts"))}
    lone = next(iter(people.values()), {}) if len(people) == 1 else {}
    if field in (None, "messages"):
        for message in items(value.get("messages")):
            if (found := _message(message, lone, number_id)) is not None:
                yield found
        for status in items(value.get("statuses")):
            yield from _status(status, number_id)
    elif field == "user_preferences":
        for one in items(value.get("user_preferences")):
            address = phone(one.get("wa_id")) or string(one.get("user_id"))
            state = {"stop": ConsentState.REVOKED, "resume": ConsentState.GRANTED}.get(str(one.get("value")))
            if address and state is not None:
                yield Opted(Channel.WHATSAPP, address, state, (Purpose.MARKETING,), moment(one.get("timestamp")))


def _message(message: dict[str, Any], person: dict[str, Any], number_id: str | None) -> Received | None:
    sender = string(message.get("from")) or string(person.get("wa_id"))
    address = phone(sender) or string(message.get("from_user_id")) or string(person.get("user_id")) or sender
    identifier, kind = string(message.get("id")), string(message.get("type")) or "unsupported"
    if not (address and identifier) or kind in ("system", "edit", "revoke"):
        return None
    body = mapping(message.get(kind))
    text: str | None = None
    choice: Choice | None = None
    media: tuple[Media, ...] = ()
    place = None
    known: Kind = "unsupported"
    if kind == "text":
        known, text = "text", string(body.get("body"))
    elif kind in MEDIA:
        known, text = kind, string(body.get("caption"))  # type: ignore[assignment]
        media = (Media(kind=kind, url=string(body.get("url")), provider_id=string(body.get("id")), content_type=string(body.get("mime_type"))),)
    elif kind == "location" and (place := located(body.get("latitude"), body.get("longitude"), body.get("name"))):
        known = "location"
    elif kind in ("button", "interactive"):
        known, (text, choice) = "button", _tapped(kind, body)
    elif kind == "reaction":
        known, text = "reaction", string(body.get("emoji"))
    elif kind == "contacts":
        known = "contacts"
    return Received(Channel.WHATSAPP, address, identifier, known, text, choice, media, place, moment(message.get("timestamp")), number_id)


def _tapped(kind: str, body: dict[str, Any]) -> tuple[str | None, Choice | None]:
    """Label and payload of a tap: a template's quick reply, a reply button, a list row, a form."""
    if kind == "button":
        label, payload = string(body.get("text")), string(body.get("payload"))
    else:
        reply = mapping(body.get(str(body.get("type"))))
        label = string(reply.get("title")) or string(reply.get("body"))
        payload = string(reply.get("id")) or string(reply.get("response_json"))
    return label, Choice(id=payload[:200], title=(label or "")[:500]) if payload else None


def _status(status: dict[str, Any], number_id: str | None) -> Iterator[Item]:
    identifier = string(status.get("id"))
    if not identifier:
        return
    address = phone(status.get("recipient_id")) or string(status.get("recipient_user_id")) or string(status.get("recipient_id"))
    found = STATUSES.get(str(status.get("status")), ReceiptStatus.UNKNOWN)
    code = string(next(iter(items(status.get("errors"))), {}).get("code"))
    kind = failure(int(number(code) or -1)) if found is ReceiptStatus.FAILED else None
    at = moment(status.get("timestamp"))
    yield Receipt(Channel.WHATSAPP, found, identifier, _uuid(status.get("biz_opaque_callback_data")), address, code, kind, at, number_id)
    if kind == "opted_out" and address:
        yield Opted(Channel.WHATSAPP, address, ConsentState.REVOKED, (Purpose.MARKETING,), at)


# --- Messenger and Instagram in ------------------------------------------------------------------------------------------------------


def _messaging(channel: Channel, event: dict[str, Any]) -> Iterator[Item]:
    person, page = string(mapping(event.get("sender")).get("id")), string(mapping(event.get("recipient")).get("id"))
    if not person:
        return
    at, message, postback = moment(event.get("timestamp")), mapping(event.get("message")), mapping(event.get("postback"))
    if message and not message.get("is_echo") and not message.get("is_deleted") and (identifier := string(message.get("mid"))):
        yield _page_message(channel, person, page, identifier, message, at)
    elif postback:
        label, payload = string(postback.get("title")), string(postback.get("payload"))
        choice = Choice(id=payload[:200], title=(label or "")[:500]) if payload else None
        identifier = string(postback.get("mid")) or f"{person}:{string(event.get('timestamp'))}:{payload}"
        yield Received(channel, person, identifier, "button", label, choice, sent_at=at, recipient=page)
    delivery, read = mapping(event.get("delivery")), mapping(event.get("read"))
    for identifier in delivery.get("mids") or () if isinstance(delivery.get("mids"), list) else ():
        if isinstance(identifier, str):
            yield Receipt(channel, ReceiptStatus.DELIVERED, identifier, address=person, at=at, recipient=page)
    if read:
        watermark = moment(read.get("watermark")) if read.get("watermark") else None
        yield Receipt(channel, ReceiptStatus.READ, string(read.get("mid")), address=person, at=at, recipient=page, watermark=watermark)


def _page_message(channel: Channel, person: str, page: str | None, identifier: str, message: dict[str, Any], at: datetime | None) -> Received:
    text, payload = string(message.get("text")), string(mapping(message.get("quick_reply")).get("payload"))
    files = items(message.get("attachments"))
    kinds = {"image": "image", "audio": "audio", "video": "video", "file": "document", "like_heart": "sticker"}
    media = tuple(
        Media(kind=kinds[str(one["type"])], url=string(mapping(one.get("payload")).get("url"))) for one in files if str(one.get("type")) in kinds
    )
    place = next((mapping(mapping(one.get("payload")).get("coordinates")) for one in files if one.get("type") == "location"), {})
    location = located(place.get("lat"), place.get("long"))
    kind: Kind = "button" if payload else media[0].kind if media else "location" if location else "text" if text is not None else "unsupported"
    choice = Choice(id=payload[:200], title=(text or "")[:500]) if payload else None
    return Received(channel, person, identifier, kind, text, choice, media, location, at, page)


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _recipient(address: str) -> dict[str, str]:
    """A phone number goes to `to` as digits; a business-scoped user id to `recipient`."""
    return {"to": address[1:]} if phone(address) else {"recipient": address}


def _text(content: Content) -> dict[str, Any]:
    choices, text = content.choices, content.text
    if not choices or len(choices) > MAX_ROWS or len(text) > MAX_BODY or not text:
        return {"type": "text", "text": {"body": shortened(written_out(content), MAX_TEXT), "preview_url": False}}
    if len(choices) <= MAX_BUTTONS:
        buttons = [{"type": "reply", "reply": {"id": one.id, "title": shortened(one.title or one.id, MAX_TITLE)}} for one in choices]
        action: dict[str, Any] = {"buttons": buttons}
        return {"type": "interactive", "interactive": {"type": "button", "body": {"text": text}, "action": action}}
    rows = [{"id": one.id, "title": shortened(one.title or one.id, MAX_ROW)} for one in choices]
    action = {"button": "☰", "sections": [{"title": "☰", "rows": rows}]}
    return {"type": "interactive", "interactive": {"type": "list", "body": {"text": text}, "action": action}}


def _template(content: Content) -> dict[str, Any]:
    template = content.template
    assert template is not None
    parameters = [{"type": "text", "text": one} for one in template.parameters]
    components = [{"type": "body", "parameters": parameters}] if parameters else []
    return {"type": "template", "template": {"name": template.name, "language": {"code": template.language}, "components": components}}


def _once(found: list[Item]) -> list[Item]:
    """Without what stands twice in one payload."""
    return list({_mark(item): item for item in reversed(found)}.values())[::-1]


def _mark(item: Item) -> tuple[object, ...]:
    if isinstance(item, Received):
        return ("message", item.provider_id)
    return (item,)


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None

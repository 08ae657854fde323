"""Meta: WhatsApp Cloud API, Messenger and Instagram behind one endpoint.

Sources: Meta docs "Webhooks: Getting Started", "messages webhook reference", "Error codes", "Throughput".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

import orjson
from pydantic import JsonValue

from parley import crypto
from parley.channels.cards import OPEN, caption, unfolded
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import (
    MAX_CHOICE_ID,
    document,
    items,
    located,
    mapping,
    moment,
    phone,
    pieces,
    retry_after,
    said,
    shortened,
    string,
    tapped,
    whole,
    written_out,
)
from parley.contracts import Card, Channel, Choice, ConsentState, Content, Media, Purpose, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("app_secret", "access_token")
API = "https://graph.facebook.com"
VERSION = "v25.0"
MAX_TEXT, MAX_BODY, MAX_BUTTONS, MAX_TITLE, MAX_ROWS, MAX_ROW, MAX_DESCRIPTION = 4096, 1024, 3, 20, 10, 24, 72
PAGE_TEXT = {Channel.MESSENGER: 2000, Channel.INSTAGRAM: 1000}
MAX_QUICK_REPLIES = 13
MAX_CARDS, MAX_CARD_TEXT, MAX_CAPTION = 10, 80, 1024
"""Cards in a generic template, characters of each line of one; characters below a picture on WhatsApp."""
CHOOSE = "☰"
"""On the button that opens a list, the same in every language."""

STATUSES = {"sent": ReceiptStatus.SENT, "delivered": ReceiptStatus.DELIVERED, "read": ReceiptStatus.READ, "played": ReceiptStatus.READ,
            "failed": ReceiptStatus.FAILED, "accepted": ReceiptStatus.QUEUED}  # fmt: skip
OPTED_OUT = frozenset({131050, 551, 1545041, 2018108})
THROTTLED = frozenset({4, 32, 613, 80007, 130429, 131048, 131056, 131049, 131064, 133016})
RECIPIENT = frozenset({131049, 131056})
"""Throttled, but only this recipient must wait: the marketing limit of a person, and the limit of a pair."""
TRANSIENT = frozenset({1, 2, 131000, 131016, 131053, 131057, 133004})
ACCOUNT = frozenset({0, 3, 10, 190, 368, 131005, 131031, 131037, 131042, 131045, 130497, *range(200, 300)})
PERMANENT = frozenset({
    100, 131008, 131009, 131021, 131026, 131030, 131047, 131051, 130472, 132000, 132001, 132005, 132007, 132012, 132015, 132016, 131062,
})  # fmt: skip
"""Named so that they stay permanent whatever the HTTP status; an unknown code follows the status."""
WINDOW = 2018278
"""Subcode of 10: outside Messenger's 24 hours, which concerns this message only."""
FILES = (".fbsbx.com", ".fbcdn.net", ".facebook.com", ".whatsapp.net")
"""Hosts that files stand on: our token goes there and nowhere else."""
OURS = "p_"
"""How the payload of a link of ours begins (`parley.clicktochat`). What other links say is no message."""
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
    if request.method not in ("GET", "HEAD"):
        return None
    asked = {name: values[0] for name, values in parse_qs(request.query).items()}
    right = crypto.same(asked.get("hub.verify_token", ""), account.credentials.get("verify_token", ()))
    if asked.get("hub.mode") != "subscribe" or not right:
        return Response(403)
    return Response(200, {"content-type": "text/plain", "x-content-type-options": "nosniff"}, asked.get("hub.challenge", "").encode())


def parse(request: Request, account: Account) -> Sequence[Item]:
    """Everything in all entries, in payload order, each once. What cannot be read is left out; its neighbours stay."""
    body = document(request.body)
    found: list[Item] = []
    for entry in items(body.get("entry")):
        if body.get("object") == "whatsapp_business_account":
            for change in items(entry.get("changes")):
                found += _change(string(change.get("field")), mapping(change.get("value")))
        elif body.get("object") in ("page", "instagram"):
            channel = Channel.MESSENGER if body["object"] == "page" else Channel.INSTAGRAM
            for event in items(entry.get("messaging")):
                if string(mapping(event.get("sender")).get("id")) != string(entry.get("id")):  # the page itself: an echo
                    found += _messaging(channel, event)
    return _once(found)


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One request, or as many as text, media and choices need. On WhatsApp our message id rides in each and comes back with every status."""
    if account.channel in PAGE_TEXT:
        content = message.content if account.channel is Channel.MESSENGER else unfolded(message.content)
        node, said = "me", _page_bodies(content, PAGE_TEXT[account.channel])
        bodies = [{"messaging_type": "RESPONSE", "recipient": {"id": message.address}, "message": one} for one in said]
    else:
        echo = {"biz_opaque_callback_data": str(message.message_id)}
        common = {"messaging_product": "whatsapp", "recipient_type": "individual", **_recipient(message.address)}
        node, bodies = account.sender, [{**common, **one, **echo} for one in _bodies(message.content)]
    headers = {"authorization": f"Bearer {account.secret('access_token')}", "content-type": "application/json"}
    keys = [f"{message.message_id}{f'-{place}' if place else ''}" for place in range(len(bodies))]
    return [
        HttpRequest(
            "POST",
            f"{account.base_url or API}/{VERSION}/{node}/messages",
            {**headers, **({"idempotency-key": key} if account.honours_keys else {})},
            orjson.dumps(body),
        )
        for key, body in zip(keys, bodies, strict=True)
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
    code, subcode = whole(error.get("code")), whole(error.get("error_subcode"))
    known = subcode if subcode in OPTED_OUT else code
    kind = failure(known, response.status)
    scope: Literal["message", "recipient", "account"] = "recipient" if code in RECIPIENT else "message"
    if kind == "permanent" and (
        (code in ACCOUNT and subcode != WINDOW) or (code is None and (response.status in (401, 403) or response.status < 400))
    ):
        scope = "account"
    reason = string(mapping(error.get("error_data")).get("details")) or string(error.get("message")) or ""
    return Outcome(kind, str(response.status if known is None else known), reason[:200], retry_after=retry_after(response), scope=scope)


def failure(code: int | None, status: int = 400) -> Class:
    """The class of a Meta error by its code; HTTP status and titles are not stable and count only where there is no code that we know."""
    if code in OPTED_OUT:
        return "opted_out"
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in TRANSIENT or ((status >= 500 or status in (408, 425)) and code not in ACCOUNT | PERMANENT):
        return "transient"
    return "permanent"


def segments(content: Content) -> int:
    """Messages that WhatsApp will count for this content."""
    return len(_bodies(content))


def media_request(media: Media, account: Account) -> HttpRequest | None:
    """Files of WhatsApp by their id; those of Messenger and Instagram stand at their address for anybody."""
    if media.provider_id is None:
        return None
    return HttpRequest("GET", f"{account.base_url or API}/{VERSION}/{quote(media.provider_id, safe='')}", _bearer(account), b"")


def media_next(response: Response, account: Account) -> HttpRequest | None:
    if "json" not in response.headers.get("content-type", ""):
        return None
    url = string(mapping(_object(response.body)).get("url"))
    if url is None:
        return None
    parts = urlsplit(url)
    if not url.startswith(f"{account.base_url}/") and not (parts.scheme == "https" and f".{parts.hostname}".endswith(FILES)):
        raise ValueError("Meta names an address that is none of its own")
    return HttpRequest("GET", url, _bearer(account), b"")


def _bearer(account: Account) -> dict[str, str]:
    return {"authorization": f"Bearer {account.secret('access_token')}"}


def _object(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


# --- WhatsApp in ---------------------------------------------------------------------------------------------------------------------


def _change(field: str | None, value: dict[str, Any]) -> Iterator[Item]:
    """The items of one change. Fields that tell of templates, quality or echoes of our own are no messages."""
    number_id = string(mapping(value.get("metadata")).get("phone_number_id"))
    people = {string(one.get("wa_id")): one for one in items(value.get("contacts"))}
    lone = next(iter(people.values()), {}) if len(people) == 1 else {}
    if field in (None, "messages"):
        for message in items(value.get("messages")):
            if (found := _message(message, lone, number_id) or _changed(message, lone)) is not None:
                yield found
        for status in items(value.get("statuses")):
            yield from _status(status, number_id)
    elif field == "user_preferences":
        for one in items(value.get("user_preferences")):
            address = phone(one.get("wa_id")) or (string(one.get("user_id")) or "")[:200]
            state = {"stop": ConsentState.REVOKED, "resume": ConsentState.GRANTED}.get(str(one.get("value")))
            if address and state is not None and one.get("category", "marketing_messages") == "marketing_messages":
                yield Opted(Channel.WHATSAPP, address, state, (Purpose.MARKETING,), moment(one.get("timestamp")))


def _message(message: dict[str, Any], person: dict[str, Any], number_id: str | None) -> Received | None:
    address = _person(message, person)
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
        known, text = "text", said(body.get("body"))
    elif kind in MEDIA:
        known, text = kind, said(body.get("caption"))  # type: ignore[assignment]
        media = (Media(kind=kind, url=string(body.get("url")), provider_id=string(body.get("id")), content_type=string(body.get("mime_type"))),)
    elif kind == "location" and (place := located(body.get("latitude"), body.get("longitude"), body.get("name"))):
        known = "location"
    elif kind in ("button", "interactive"):
        text, choice = _tapped(kind, body)
        known = "button" if choice else "unsupported"
    elif kind == "reaction":
        known, text = "reaction", said(body.get("emoji")) or None  # none: withdrawn
    elif kind == "contacts":
        known = "contacts"
    advertisement = string(mapping(message.get("referral")).get("source_id"))
    return Received(
        Channel.WHATSAPP, address, identifier, known, text, choice, media, place, moment(message.get("timestamp")), number_id, reference=advertisement
    )  # fmt: skip


def _tapped(kind: str, body: dict[str, Any]) -> tuple[str | None, Choice | None]:
    """Label and payload of a tap: a template's quick reply, a reply button, a list row, a form."""
    if kind == "button":
        return said(body.get("text")), tapped(body.get("payload"), body.get("text"))
    if form := mapping(body.get("nfm_reply")):
        # What was filled in is no id to choose by, unless it is as short as one; half of its JSON would be nothing at all.
        filled = string(form.get("response_json")) or ""
        return said(form.get("body")), tapped(filled if 0 < len(filled) <= MAX_CHOICE_ID else form.get("name") or "nfm_reply", form.get("body"))
    reply = mapping(body.get("button_reply")) or mapping(body.get("list_reply"))
    return said(reply.get("title")), tapped(reply.get("id"), reply.get("title"))


def _changed(message: dict[str, Any], person: dict[str, Any]) -> Happened | None:
    """A message that its writer edited or took back: an event, for it is no new message."""
    kind, identifier, address = string(message.get("type")), string(message.get("id")), _person(message, person)
    if kind not in ("edit", "revoke") or not identifier or not address:
        return None
    body = mapping(message.get(kind))
    data = {"channel": "whatsapp", "sender": address, "provider_id": string(body.get("original_message_id"))}
    text = said(mapping(mapping(body.get("message")).get("text")).get("body"))
    at = moment(message.get("timestamp"))
    return Happened("message.edited" if kind == "edit" else "message.deleted", identifier, {**data, "text": text}, at)


def _person(message: dict[str, Any], person: dict[str, Any]) -> str | None:
    """The phone number; for a user without one the business-scoped id, also where only the one contact of the change has it."""
    sender = string(message.get("from")) or string(person.get("wa_id"))
    found = phone(sender) or string(message.get("from_user_id")) or string(person.get("user_id")) or sender
    return found[:200] if found else None


def _status(status: dict[str, Any], number_id: str | None) -> Iterator[Item]:
    identifier, reference = string(status.get("id")) or None, _uuid(status.get("biz_opaque_callback_data"))
    if not (identifier or reference):
        return
    known = string(status.get("recipient_user_id")) or string(status.get("recipient_id")) or ""
    address = phone(status.get("recipient_id")) or known[:200] or None
    found = STATUSES.get(str(status.get("status")), ReceiptStatus.UNKNOWN)
    code = string(next(iter(items(status.get("errors"))), {}).get("code"))
    kind = failure(whole(code)) if found is ReceiptStatus.FAILED else None
    at = moment(status.get("timestamp"))
    yield Receipt(Channel.WHATSAPP, found, identifier, reference, address, code, kind, at, number_id)
    if kind == "opted_out" and address:
        yield Opted(Channel.WHATSAPP, address, ConsentState.REVOKED, (Purpose.MARKETING,), at, identifier)


# --- Messenger and Instagram in ------------------------------------------------------------------------------------------------------


def _messaging(channel: Channel, event: dict[str, Any]) -> Iterator[Item]:
    person, page = string(mapping(event.get("sender")).get("id")), string(mapping(event.get("recipient")).get("id"))
    if not person:
        return
    person = person[:200]
    at, message, postback = moment(event.get("timestamp")), mapping(event.get("message")), mapping(event.get("postback"))
    if message and not message.get("is_echo") and not message.get("is_deleted") and (identifier := string(message.get("mid"))):
        yield _page_message(channel, person, page, identifier, message, at)
    elif postback:
        reference = string(mapping(postback.get("referral")).get("ref"))
        label, payload = said(postback.get("title")), string(postback.get("payload"))
        choice = tapped(payload, label)
        identifier = string(postback.get("mid")) or f"{person}:{string(event.get('timestamp'))}:{payload}"
        yield Received(
            channel, person, identifier, "button" if choice else "unsupported", label, choice, sent_at=at, recipient=page, reference=reference
        )
    elif (reference := string(mapping(event.get("referral")).get("ref"))) and reference.startswith(OURS):  # a link followed by who wrote here before
        yield Received(
            channel, person, f"{person}:{string(event.get('timestamp'))}:referral", "text", sent_at=at, recipient=page, reference=reference
        )
    elif message.get("is_deleted") and (identifier := string(message.get("mid"))):
        deleted: dict[str, JsonValue] = {"channel": channel.value, "sender": person, "provider_id": identifier}
        yield Happened("message.deleted", f"{identifier}:deleted", deleted, at)
    elif (reaction := mapping(event.get("reaction"))) and (about := string(reaction.get("mid"))):
        emoji = said(reaction.get("emoji")) if reaction.get("action") != "unreact" else None
        yield Received(channel, person, f"{about}:{person}:{string(event.get('timestamp'))}", "reaction", emoji, sent_at=at, recipient=page)
    yield from _page_receipts(channel, event, person, page, at)


def _page_receipts(channel: Channel, event: dict[str, Any], person: str, page: str | None, at: datetime | None) -> Iterator[Receipt]:
    """One for each message that is named; where none is, one for all of them up to the watermark."""
    delivery, read = mapping(event.get("delivery")), mapping(event.get("read"))
    for status, told in ((ReceiptStatus.DELIVERED, delivery), (ReceiptStatus.READ, read)):
        listed = told.get("mids")
        named = [one for one in (listed if isinstance(listed, list) else [told.get("mid")]) if isinstance(one, str) and one]
        for identifier in named:
            yield Receipt(channel, status, identifier, address=person, at=at, recipient=page)
        if not named and (watermark := moment(told.get("watermark"))) is not None:
            yield Receipt(channel, status, address=person, at=at, recipient=page, watermark=watermark)


def _page_message(channel: Channel, person: str, page: str | None, identifier: str, message: dict[str, Any], at: datetime | None) -> Received:
    text, payload = said(message.get("text")), string(mapping(message.get("quick_reply")).get("payload"))
    files = items(message.get("attachments"))
    kinds = {"image": "image", "audio": "audio", "video": "video", "file": "document", "like_heart": "sticker"}
    media = tuple(
        Media(kind=kinds[str(one["type"])], url=string(mapping(one.get("payload")).get("url"))) for one in files if str(one.get("type")) in kinds
    )
    place = next((mapping(mapping(one.get("payload")).get("coordinates")) for one in files if one.get("type") == "location"), {})
    location = located(place.get("lat"), place.get("long"))
    kind: Kind = "button" if payload else media[0].kind if media else "location" if location else "text" if text is not None else "unsupported"
    choice = tapped(payload, text) if payload else None
    reference = string(mapping(message.get("referral")).get("ref"))
    return Received(channel, person, identifier, kind, text, choice, media, location, at, page, reference=reference)


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _recipient(address: str) -> dict[str, str]:
    """A phone number goes to `to` as digits; a business-scoped user id to `recipient`."""
    return {"to": address[1:]} if phone(address) else {"recipient": address}


def _bodies(content: Content) -> list[dict[str, Any]]:
    """What each WhatsApp message says; never empty. Media first, then the text, the last piece of it with the choices."""
    if content.template is not None:
        return [template(content)]
    files = [_file(one) for one in content.media]
    choices = tuple({one.id: one for one in content.choices}.values())
    few = len(choices) <= MAX_ROWS
    cards = [_captioned(one) for one in content.cards]
    *before, last = pieces(content.text if few else written_out(content), MAX_BODY if choices and few else MAX_TEXT) or [""]
    if choices and few:  # the question stands below what it asks about
        return [*files, *map(_text, before), *cards, interactive(last, choices)]
    return [*files, *map(_text, before), *([_text(last)] if last or not (files or cards) else []), *cards]


def _file(media: Media) -> dict[str, Any]:
    return {"type": media.kind, media.kind: {"link": media.url} if media.url else {"id": media.provider_id}}


def _captioned(card: Card) -> dict[str, Any]:
    """A card as a picture with what it says below; without a picture as a text."""
    if not card.image:
        return _text(caption(card, MAX_TEXT))
    return {"type": "image", "image": {"link": card.image, "caption": caption(card, MAX_CAPTION)}}


def _text(body: str) -> dict[str, Any]:
    # No preview: the machine that makes it follows the link, and would be counted as a person.
    return {"type": "text", "text": {"body": body, "preview_url": False}}


def interactive(body: str, choices: Sequence[Choice]) -> dict[str, Any]:
    """Up to three short choices as buttons, else up to ten as a list, where a title too long for its row goes on below it."""
    titles = [_title(one) for one in choices]
    action: dict[str, Any]
    if len(choices) <= MAX_BUTTONS and all(len(one) <= MAX_TITLE for one in titles) and len(set(titles)) == len(titles):
        kind, action = "button", {"buttons": [{"type": "reply", "reply": {"id": one.id, "title": _title(one)}} for one in choices]}
    else:
        kind, action = "list", {"button": CHOOSE, "sections": [{"rows": [_row(one) for one in choices]}]}
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": body or CHOOSE}, "action": action}}


def _row(choice: Choice) -> dict[str, str]:
    title = _title(choice)
    row = {"id": choice.id, "title": shortened(title, MAX_ROW)}
    return row if len(title) <= MAX_ROW else {**row, "description": shortened(title, MAX_DESCRIPTION)}


def _title(choice: Choice) -> str:
    return choice.title.strip() or choice.id


def _page_bodies(content: Content, limit: int) -> list[dict[str, Any]]:
    """What each message on Messenger or Instagram says; choices as quick replies under the last text, cards as a generic template before it."""
    content = content if _shown(content.cards) else unfolded(content)
    kinds = {"document": "file", "sticker": "image"}
    files = [{"type": kinds.get(one.kind, one.kind), "payload": {"url": one.url} if one.url else {"attachment_id": one.provider_id}}
             for one in content.media]  # fmt: skip
    choices = content.choices if len(content.choices) <= MAX_QUICK_REPLIES else ()
    said: list[dict[str, Any]] = [{"text": one} for one in pieces(content.text or CHOOSE if choices else written_out(content), limit)]
    cards = [{"attachment": {"type": "template", "payload": {"template_type": "generic", "elements": [_element(one) for one in content.cards]}}}]
    said = [*said[:-1], *cards, *said[-1:]] if content.cards and choices else [*said, *(cards if content.cards else [])]
    if choices:
        said[-1]["quick_replies"] = [{"content_type": "text", "title": shortened(_title(one), MAX_TITLE), "payload": one.id} for one in choices]
    return [*({"attachment": one} for one in files), *said] or [{"text": ""}]


def _shown(cards: Sequence[Card]) -> bool:
    """Whether a generic template can hold them: not too many, and each with more than a title."""
    return len(cards) <= MAX_CARDS and all(one.text.strip() or one.image or one.url for one in cards)


def _element(card: Card) -> dict[str, Any]:
    link = {"type": "web_url", "url": card.url}
    return {
        "title": shortened(card.title, MAX_CARD_TEXT),
        **({"subtitle": shortened(card.text, MAX_CARD_TEXT)} if card.text.strip() else {}),
        **({"image_url": card.image} if card.image else {}),
        **({"default_action": link, "buttons": [{**link, "title": OPEN}]} if card.url else {}),
    }


def template(content: Content) -> dict[str, Any]:
    """The message's template with what fills its parts."""
    asked = content.template
    assert asked is not None
    header, body = [_file(asked.media)] if asked.media else [_filled(one) for one in asked.header], [_filled(one) for one in asked.parameters]
    components: list[dict[str, Any]] = [{"type": kind, "parameters": some} for kind, some in (("header", header), ("body", body)) if some]
    components += [
        {"type": "button", "sub_type": "url", "index": str(place), "parameters": [_filled(one)]} for place, one in enumerate(asked.buttons) if one
    ]
    return {"type": "template", "template": {"name": asked.name, "language": {"code": asked.language}, "components": components}}


def _filled(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _once(found: list[Item]) -> list[Item]:
    """Without what stands twice in one payload."""
    return found if len(found) < 2 else list({_mark(item): item for item in reversed(found)}.values())[::-1]


def _mark(item: Item) -> tuple[object, ...]:
    if isinstance(item, Received):
        return ("message", item.provider_id)
    return ("happened", item.type, item.event_id) if isinstance(item, Happened) else (item,)


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None

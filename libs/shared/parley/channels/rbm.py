"""RCS Business Messaging of Google ("RCS for Business"): chats with a brand's agent in the phone's own messages.

Sources: Google docs "RCS for Business: Webhooks", "Receive events", "Receive messages", "phones.agentMessages.create", "UserMessage", "UserEvent".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode
from uuid import UUID, uuid5

import orjson

from parley import crypto
from parley.channels import google
from parley.channels.cards import OPEN, unfolded
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import document, located, mapping, phone, pieces, said, shortened, string, tapped, written_out
from parley.contracts import Card, Channel, Choice, ConsentState, Content, Media, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = True
"""`messageId` is ours; a message with an id that was used before is ignored."""
CREDENTIALS = ("client_token", "service_account")
API = "https://rcsbusinessmessaging.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/rcsbusinessmessaging"
VALID = (1, 15 * 86_400)
"""Seconds of a `ttl`. When it is over, the message is taken back and an event says so."""
MAX_TEXT, MAX_SUGGESTIONS, MAX_TITLE = 3072, 11, 25
"""Characters of a text, suggestions under a message, characters of a suggestion."""
MAX_CARDS, MAX_CARD_TITLE, MAX_CARD_TEXT, MAX_LINK = 10, 200, 2000, 2048
"""Cards of a carousel, characters of title, text and link of one."""
OPENED = "open"
"""What a tap on the link of a card sends, beside opening it: no words of the customer."""
CHOOSE = "☰"
"""Over suggestions that come without a text, the same in every language."""

STATUSES: dict[str, tuple[ReceiptStatus, Class | None]] = {
    "DELIVERED": (ReceiptStatus.DELIVERED, None),
    "READ": (ReceiptStatus.READ, None),
    "TTL_EXPIRATION_REVOKED": (ReceiptStatus.FAILED, "permanent"),  # not delivered in time, and taken back
    "TTL_EXPIRATION_REVOKE_FAILED": (ReceiptStatus.UNKNOWN, None),  # late, and it may still arrive
}
OPTS = {"UNSUBSCRIBE": ConsentState.REVOKED, "SUBSCRIBE": ConsentState.GRANTED}
SAYS = ("text", "userFile", "location", "suggestionResponse")
Kind = Literal["text", "image", "audio", "video", "document", "sticker", "location", "button", "unsupported"]


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA512 over what `message.data` decodes to; the envelope around it is not signed, and there is no time in it."""
    given = request.headers.get("x-goog-signature")
    if not given:
        raise Forged
    try:
        data = _data(mapping(document(request.body).get("message")))
    except Malformed as error:
        raise Forged from error
    expected = [crypto.hmac_base64("sha512", token.encode(), data) for token in account.credentials.get("client_token", ())]
    if not crypto.same(given, expected):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    """The secret of a POST that shows our client token; it carries no signature. With another token it is no handshake, and refused by `verify`."""
    if request.method != "POST" or b'"clientToken"' not in request.body:
        return None
    try:
        body = document(request.body)
    except Malformed:
        return None
    token, secret = string(body.get("clientToken")), string(body.get("secret"))
    if not token or secret is None or not crypto.same(token, account.credentials.get("client_token", ())):
        return None
    return Response(200, {"content-type": "text/plain", "x-content-type-options": "nosniff"}, secret.encode())


def parse(request: Request, account: Account) -> Sequence[Item]:
    """The one thing that a request says: a message, an event of the phone or of the platform. Others say nothing we know: no item."""
    envelope = mapping(document(request.body).get("message"))
    if mapping(envelope.get("attributes")).get("type") == "agent_launch_event":
        return []
    content = document(_data(envelope))
    kind = string(content.get("eventType"))
    address = _address(content.get("senderPhoneNumber")) or _address(content.get("phoneNumber"))
    if kind is not None:
        return list(_event(content, kind, address))
    if not address:
        if any(name in content for name in SAYS):
            raise Malformed("`senderPhoneNumber` is missing.")
        return []
    if mapping(content.get("suggestionResponse")).get("postbackData") == OPENED:
        return []
    # What a tap starts has an event's id alone; Pub/Sub's own id, the same whenever it comes again, is better than none.
    identifier = string(content.get("messageId")) or string(content.get("eventId")) or string(envelope.get("messageId"))
    if not identifier:
        raise Malformed("`messageId` is missing.")
    return [_message(content, address, identifier)]


def answer() -> Response:
    return Response(200)


def token_request(account: Account, now: datetime) -> HttpRequest:
    return google.token_request(account, now, SCOPE)


def token_answer(response: Response) -> tuple[str, timedelta] | Outcome:
    return google.token_answer(response)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """A request for each file and each piece of the text; choices hang on the last one. Raises ValueError with a sentence when it says nothing."""
    bodies = _bodies(message.content)
    if not bodies:
        raise ValueError("RCS Business Messaging knows no templates, and the message has no text, no choices and no media")
    headers = {"authorization": f"Bearer {message.token or ''}", "content-type": "application/json"}
    place = f"{account.base_url or API}/v1/phones/{quote(message.address, safe='+')}/agentMessages"
    queries = [urlencode({"messageId": str(_key(message.message_id, part)), "agentId": account.sender}, safe="@") for part in range(len(bodies))]
    seconds = message.seconds(*VALID)
    lasts = {} if seconds is None else {"ttl": f"{seconds}s"}
    return [
        HttpRequest("POST", f"{place}?{query}", headers, orjson.dumps({"contentMessage": body, **lasts}))
        for query, body in zip(queries, bodies, strict=True)
    ]


def interpret(response: Response) -> Outcome:
    """404 is a phone that RCS does not reach, which another channel may."""
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=(google.name(response) or "").rpartition("/")[2] or None)
    return google.refused(response, google.refusal(response))


def segments(content: Content) -> int:
    return max(1, len(_bodies(content)))


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _data(envelope: dict[str, Any]) -> bytes:
    """What a Pub/Sub message carries. Raises `Malformed`."""
    try:
        return base64.b64decode(string(envelope.get("data")) or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("`message.data` is not base64.") from error


def _event(event: dict[str, Any], kind: str, address: str | None) -> Iterator[Item]:
    """A receipt or an opt-out; typing and kinds yet unknown say nothing."""
    event_id, at, agent = string(event.get("eventId")) or None, _when(event.get("sendTime")), string(event.get("agentId"))
    if kind in STATUSES and (identifier := string(event.get("messageId"))):
        status, failure = STATUSES[kind]
        code = kind if status not in (ReceiptStatus.DELIVERED, ReceiptStatus.READ) else None
        yield Receipt(
            Channel.RCS, status, identifier, _uuid(identifier), address, code, failure, at, recipient=agent, event_id=event_id,
        )  # fmt: skip
    elif kind in OPTS and address:
        yield Opted(Channel.RCS, address, OPTS[kind], at=at, provider_id=event_id)


def _message(message: dict[str, Any], address: str, identifier: str) -> Received:
    tap, file, place = (mapping(message.get(name)) for name in ("suggestionResponse", "userFile", "location"))
    text = said(tap.get("text")) if tap else said(message.get("text"))
    choice, media = tapped(tap.get("postbackData"), tap.get("text")), _media(mapping(file.get("payload")))
    # JSON made from Protocol Buffers leaves out a zero: no latitude is the equator.
    location = located(place.get("latitude", 0), place.get("longitude", 0)) if place else None
    kind: Kind = "unsupported"
    if choice:
        kind = "button"
    elif media:
        kind = media.kind
    elif location:
        kind = "location"
    elif text is not None and not tap:
        kind = "text"
    return Received(
        Channel.RCS, address, identifier, kind, text, choice, (media,) if media else (), location,
        _when(message.get("sendTime")), string(message.get("agentId")),
    )  # fmt: skip


def _media(file: dict[str, Any]) -> Media | None:
    url, kind = string(file.get("fileUri")), string(file.get("mimeType")) or ""
    major = kind.partition("/")[0].lower()
    if not url:
        return None
    if major == "image" or major == "audio" or major == "video":
        return Media(kind=major, url=url, content_type=kind)
    return Media(kind="document", url=url, content_type=kind or None)


def _address(value: object) -> str | None:
    found = (string(value) or "").strip()[:200]
    return phone(found) or found or None


def _when(value: object) -> datetime | None:
    """The time that an RFC 3339 text means, cut to microseconds; None without an offset."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _key(message_id: UUID, part: int) -> UUID:
    """`messageId` must be a UUID, so that of a later part is made from our id and its place."""
    return uuid5(message_id, str(part)) if part else message_id


def _bodies(content: Content) -> list[dict[str, Any]]:
    """What each message says: files, the text, the cards, the last of all with the choices; empty when there is nothing to say."""
    choices = tuple({one.id: one for one in content.choices}.values())
    few = len(choices) <= MAX_SUGGESTIONS
    content = content if _shown(content.cards) else unfolded(content)
    bodies: list[dict[str, Any]] = [
        {"contentInfo": {"fileUrl": one.url}} if one.url else {"uploadedRbmFile": {"fileName": one.provider_id}} for one in content.media
    ]
    bodies += [{"text": one} for one in pieces(content.text if few else written_out(content), MAX_TEXT)]
    bodies += [{"richCard": _rich(content.cards)}] if content.cards else []
    if choices and few:
        bodies = bodies or [{"text": CHOOSE}]
        bodies[-1]["suggestions"] = [{"reply": {"text": _title(one), "postbackData": one.id}} for one in choices]
    return bodies


def _shown(cards: Sequence[Card]) -> bool:
    """Whether a carousel holds them; links beyond its length would be of no use in parts."""
    return len(cards) <= MAX_CARDS and all(len(one.url or "") <= MAX_LINK for one in cards)


def _rich(cards: Sequence[Card]) -> dict[str, Any]:
    """One card alone, or a carousel of several."""
    if len(cards) == 1:
        return {"standaloneCard": {"cardOrientation": "VERTICAL", "cardContent": _card(cards[0])}}
    return {"carouselCard": {"cardWidth": "MEDIUM", "cardContents": [_card(one) for one in cards]}}


def _card(card: Card) -> dict[str, Any]:
    text = shortened(card.text.strip(), MAX_CARD_TEXT)
    opens = {"text": OPEN, "postbackData": OPENED, "openUrlAction": {"url": card.url}}
    return {
        "title": shortened(card.title.strip() or CHOOSE, MAX_CARD_TITLE),
        **({"description": text} if text else {}),
        **({"media": {"height": "MEDIUM", "contentInfo": {"fileUrl": card.image}}} if card.image else {}),
        **({"suggestions": [{"action": opens}]} if card.url else {}),
    }


def _title(choice: Choice) -> str:
    return shortened(choice.title.strip() or choice.id, MAX_TITLE)

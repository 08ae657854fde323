"""LINE: official accounts over the Messaging API.

Sources: LINE docs "Receive messages (webhook)", "Verify webhook signature", "Messaging API reference", "Retry failed API requests",
"Character counting in a text"; line/line-openapi webhook.yml, messaging-api.yml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid5

import orjson
from pydantic import JsonValue

from parley import crypto
from parley.channels.cards import unfolded
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Opted, Outgoing, Received, Request, Response
from parley.channels.text import (
    document,
    fitting,
    items,
    located,
    mapping,
    moment,
    pieces,
    retry_after,
    said,
    shortened,
    string,
    tapped,
    written_out,
)
from parley.contracts import Card, Channel, Choice, ConsentState, Content, Media
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = True
"""A repeat under the same `X-Line-Retry-Key` is answered 409 within 24 hours, and not sent again."""
CREDENTIALS = ("channel_secret", "channel_access_token")
API, DATA = "https://api.line.me", "https://api-data.line.me"
MAX_TEXT, MAX_LABEL = 5000, 20
"""UTF-16 units, as LINE counts."""
MAX_QUICK_REPLIES, MAX_OBJECTS = 13, 5
MAX_CARDS, MAX_CARD_TEXT, MAX_ALT, MAX_LINK = 12, 500, 400, 1000
"""Bubbles of a carousel, characters of one that we fill, of the text that stands for all in a list of chats, and of a link."""
MAX_SHOWN = 300
"""Characters of the text that a tap writes into the chat."""
CHOOSE = "☰"
"""Above buttons that come without a text, the same in every language."""
MONTHLY = "monthly limit"
"""In the message of a 429 that lasts until the month ends: the account's plan is used up."""

FileKind = Literal["image", "audio", "video", "document", "sticker"]
FILES: MappingProxyType[str, FileKind] = MappingProxyType(
    {"image": "image", "video": "video", "audio": "audio", "file": "document", "sticker": "sticker"}
)
OPTS = {"follow": ConsentState.GRANTED, "unfollow": ConsentState.REVOKED}
Kind = Literal["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "unsupported", "reaction"]


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA256 over the bytes as they came; there is no time in it."""
    secrets = account.credentials.get("channel_secret", ())
    expected = [crypto.hmac_base64("sha256", secret.encode(), request.body) for secret in secrets]
    if not crypto.same(request.headers.get("x-line-signature", ""), expected):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """Everything in all events, in payload order, each event once. What cannot be read is left out; its neighbours stay."""
    body = document(request.body)
    if not isinstance(body.get("events"), list):
        raise Malformed("`events` is missing.")
    bot, seen, found = string(body.get("destination")), set[str](), list[Item]()
    for event in items(body["events"]):
        event_id = string(event.get("webhookEventId"))
        if event_id is None or event_id not in seen:
            found += _event(event, event_id, bot)
        seen |= {event_id} if event_id else set()
    return list({_mark(item): item for item in reversed(found)}.values())[::-1]


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One push for each five message objects, under keys made from our message id. Raises ValueError with a sentence for what LINE cannot send."""
    objects = _objects(message.content)
    if not objects:
        raise ValueError("LINE has no templates of this kind, and the message has no text, no choices and no media")
    headers = {"authorization": f"Bearer {account.secret('channel_access_token')}", "content-type": "application/json"}
    return [
        HttpRequest(
            "POST",
            f"{account.base_url or API}/v2/bot/message/push",
            # The key must be a UUID, so that of a later part is made from our id and its place.
            {**headers, "x-line-retry-key": str(uuid5(message.message_id, str(first)) if first else message.message_id)},
            orjson.dumps({"to": message.address, "messages": objects[first : first + MAX_OBJECTS]}),
        )
        for first in range(0, len(objects), MAX_OBJECTS)
    ]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300 or response.status == 409:  # 409: our key was taken before, and is not sent again
        return Outcome("accepted", provider_id=string(next(iter(items(body.get("sentMessages"))), {}).get("id")))
    status, reason = response.status, string(body.get("message")) or ""
    kind = failure(status, reason)
    details = "; ".join(filter(None, (string(one.get("message")) for one in items(body.get("details")))))
    return Outcome(
        kind,
        code="monthly_limit" if status == 429 and kind == "permanent" else str(status),
        reason=f"{reason} {details}".strip()[:200],
        retry_after=retry_after(response),
        scope="account" if kind == "permanent" and (status in (401, 429) or status < 400) else "message",
    )


def failure(status: int, message: str = "") -> Class:
    """The class of an HTTP status; LINE has no codes, and only its words tell the two kinds of 429 apart."""
    if status == 429:
        return "permanent" if MONTHLY in message.lower() else "throttled"
    return "transient" if status >= 500 or status in (408, 425) else "permanent"


def segments(content: Content) -> int:
    """Pushes that the content takes."""
    try:
        return max(1, -(-len(_objects(content)) // MAX_OBJECTS))
    except ValueError:
        return 1


def media_request(media: Media, account: Account) -> HttpRequest | None:
    """Files by the id of their message; one that stands elsewhere (`originalContentUrl`) is fetched there."""
    if media.url is not None or media.provider_id is None:
        return None
    url = f"{account.base_url or DATA}/v2/bot/message/{quote(media.provider_id, safe='')}/content"
    return HttpRequest("GET", url, {"authorization": f"Bearer {account.secret('channel_access_token')}"}, b"")


def media_next(response: Response, account: Account) -> HttpRequest | None:
    return None


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _event(event: dict[str, Any], event_id: str | None, bot: str | None) -> Iterator[Item]:
    """What one event says. Joins, beacons, links of accounts and what is new are no words of a customer."""
    source, at = mapping(event.get("source")), moment(event.get("timestamp"))
    chat = string(source.get("groupId")) or string(source.get("roomId")) or string(source.get("userId"))
    person = string(source.get("userId")) or chat  # in a group, somebody who has not agreed is known by the group alone
    kind, message = string(event.get("type")) or "", mapping(event.get("message"))
    if not (chat and person):
        return
    person, chat = person[:200], chat[:200]
    standby = event.get("mode") == "standby"
    if kind == "message" and (identifier := string(message.get("id"))):
        yield _message(message, Received(Channel.LINE, person, identifier, "unsupported", None, None, (), None, at, bot, chat, standby))
    elif kind == "postback":
        data = string(mapping(event.get("postback")).get("data"))
        choice = tapped(data, None)
        identifier = event_id or f"{person}:{string(event.get('timestamp'))}:{data}"[:200]
        known: Kind = "button" if choice else "unsupported"
        yield Received(Channel.LINE, person, identifier, known, None, choice, sent_at=at, recipient=bot, conversation=chat, standby=standby)
    elif kind in OPTS:
        yield Opted(Channel.LINE, person, OPTS[kind], at=at, provider_id=event_id)
    elif (about := string(mapping(event.get("unsend")).get("messageId")) if kind == "unsend" else None) is not None:
        taken: dict[str, JsonValue] = {"channel": Channel.LINE.value, "sender": person, "provider_id": about, "conversation": chat}
        yield Happened("message.deleted", event_id or f"{about}:deleted", taken, at)
    elif kind == "messageEdited" and (about := string(message.get("id"))):
        text = said(message.get("text"))
        edited: dict[str, JsonValue] = {"channel": Channel.LINE.value, "sender": person, "provider_id": about, "text": text, "conversation": chat}
        yield Happened("message.edited", event_id or f"{about}:{string(event.get('timestamp'))}", edited, at)


def _message(message: dict[str, Any], frame: Received) -> Received:
    """The message within its frame: who, when and where are known."""
    kind = string(message.get("type")) or ""
    if kind == "text":
        return replace(frame, kind="text", text=said(message.get("text")))
    if kind == "location":
        name = message.get("title") or message.get("address")
        place = located(message.get("latitude"), message.get("longitude"), name)
        return replace(frame, kind="location" if place else "unsupported", location=place)
    if kind in FILES:
        text = said(message.get("text")) if kind == "sticker" else None  # of a sticker that its sender may write on
        return replace(frame, kind=FILES[kind], text=text, media=(_media(FILES[kind], message),))
    return frame


def _media(kind: FileKind, message: dict[str, Any]) -> Media:
    """By its address where it lies elsewhere; a sticker by package and id, as `build` takes it; else by the message id, which fetches it."""
    held = mapping(message.get("contentProvider"))
    if kind == "sticker":
        return Media(kind=kind, provider_id=f"{string(message.get('packageId'))}/{string(message.get('stickerId'))}")
    if held.get("type") == "external":
        return Media(kind=kind, url=string(held.get("originalContentUrl")), provider_id=string(message.get("id")))
    return Media(kind=kind, provider_id=string(message.get("id")))


def _mark(item: Item) -> tuple[object, ...]:
    return ("message", item.provider_id) if isinstance(item, Received) else (id(item),)


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _objects(content: Content) -> list[dict[str, Any]]:
    """LINE's message objects: files, the text, the cards, the last object with the choices as quick replies. What LINE cannot show is a link in the text.

    A film needs a preview picture and a sound its length, neither of which is known here; files cannot be sent at all.
    """
    content = content if len(content.cards) <= MAX_CARDS else unfolded(content)
    choices = tuple({one.id: one for one in content.choices}.values())
    native = len(choices) <= MAX_QUICK_REPLIES
    links = [_address(one) for one in content.media if one.kind not in ("image", "sticker")]
    text = "\n".join(filter(None, [content.text if native else written_out(content), *links]))
    files = [_sticker(one) if one.kind == "sticker" and not one.url else _image(one) for one in content.media if one.kind in ("image", "sticker")]
    texts = pieces(text, fitting(text, MAX_TEXT)) or ([CHOOSE] if choices and not (files or content.cards) else [])
    objects = [*files, *({"type": "text", "text": one} for one in texts), *([_carousel(content.cards)] if content.cards else [])]
    if choices and native:
        objects[-1] = {**objects[-1], "quickReply": {"items": [_reply(one) for one in choices]}}
    return objects


def _carousel(cards: Sequence[Card]) -> dict[str, Any]:
    alt = " / ".join(one.title.strip() for one in cards)
    return {
        "type": "flex",
        "altText": shortened(alt, fitting(alt, MAX_ALT)),
        "contents": {"type": "carousel", "contents": [_bubble(one) for one in cards]},
    }


def _bubble(card: Card) -> dict[str, Any]:
    """Picture, title and text; a tap leads to the link."""
    text = shortened(card.text.strip(), MAX_CARD_TEXT)
    image = {"type": "image", "url": card.image, "size": "full", "aspectRatio": "20:13", "aspectMode": "cover"}
    title = {"type": "text", "text": shortened(card.title.strip() or CHOOSE, MAX_CARD_TEXT), "weight": "bold", "wrap": True}
    said = [title, *([{"type": "text", "text": text, "size": "sm", "wrap": True}] if text else [])]
    return {
        "type": "bubble",
        **({"hero": image} if card.image and card.image.startswith("https://") and len(card.image) <= MAX_LINK else {}),
        "body": {"type": "box", "layout": "vertical", "spacing": "sm", "contents": said},
        **({"action": {"type": "uri", "uri": card.url}} if card.url and len(card.url) <= MAX_LINK else {}),
    }


def _image(media: Media) -> dict[str, Any]:
    return {"type": "image", "originalContentUrl": _address(media), "previewImageUrl": _address(media)}


def _sticker(media: Media) -> dict[str, Any]:
    package, _, sticker = (media.provider_id or "").partition("/")
    if not sticker:
        raise ValueError("a sticker of LINE is `provider_id: package/sticker`, as in 446/1988")
    return {"type": "sticker", "packageId": package, "stickerId": sticker}


def _address(media: Media) -> str:
    if not media.url:
        raise ValueError(f"LINE takes media by address: the {media.kind} needs a `url`")
    return media.url


def _reply(choice: Choice) -> dict[str, Any]:
    title = choice.title.strip() or choice.id
    label, shown = shortened(title, fitting(title, MAX_LABEL)), shortened(title, fitting(title, MAX_SHOWN))
    return {"type": "action", "action": {"type": "postback", "label": label, "data": choice.id, "displayText": shown}}

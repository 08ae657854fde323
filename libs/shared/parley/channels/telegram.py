"""Telegram: bots.

Sources: Telegram docs "Bot API" (Update, Message, setWebhook, sendMessage, ResponseParameters) and "Bots FAQ" (limits).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote

import orjson
from pydantic import JsonValue

from parley import crypto
from parley.channels.cards import caption
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Opted, Outgoing, Received, Request, Response
from parley.channels.text import (
    document,
    fitting,
    items,
    located,
    mapping,
    moment,
    number,
    pieces,
    retry_after,
    said,
    shortened,
    string,
    tapped,
    whole,
    written_out,
)
from parley.contracts import Card, Channel, Choice, ConsentState, Content, Media
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
"""The Bot API knows no idempotency key: a repeated call is a second message."""
CREDENTIALS = ("bot_token", "secret_token")
API = "https://api.telegram.org"
FILE_PATH = re.compile(r"[A-Za-z0-9_./-]{1,200}")
MAX_TEXT, MAX_CAPTION, MAX_BUTTONS, MAX_LABEL = 4096, 1024, 100, 64
MAX_DATA = 64
"""Bytes of a button's `callback_data`."""
CHOOSE = "☰"
"""Above buttons that come without a text, the same in every language."""
NO_PREVIEW = {"link_preview_options": {"is_disabled": True}}
"""The machine that makes previews follows the link, and would be counted as a person."""

FileKind = Literal["image", "audio", "video", "document", "sticker"]
FILES: MappingProxyType[str, FileKind] = MappingProxyType(
    {"animation": "video", "video": "video", "video_note": "video", "voice": "audio", "audio": "audio", "sticker": "sticker", "document": "document"}
)
"""Members of a message that are one file; an animation comes again as a document, so it stands first."""
METHODS = MappingProxyType({"image": "Photo", "audio": "Audio", "video": "Video", "document": "Document", "sticker": "Sticker"})
SERVICE = frozenset({
    "new_chat_members", "left_chat_member", "new_chat_title", "new_chat_photo", "delete_chat_photo", "group_chat_created",
    "supergroup_chat_created", "channel_chat_created", "message_auto_delete_timer_changed", "migrate_to_chat_id", "migrate_from_chat_id",
    "pinned_message", "successful_payment", "refunded_payment", "users_shared", "chat_shared", "connected_website", "write_access_allowed",
    "proximity_alert_triggered", "boost_added", "chat_background_set", "forum_topic_created", "forum_topic_edited", "forum_topic_closed",
    "forum_topic_reopened", "general_forum_topic_hidden", "general_forum_topic_unhidden", "giveaway_created", "giveaway_completed",
    "video_chat_scheduled", "video_chat_started", "video_chat_ended", "video_chat_participants_invited",
})  # fmt: skip
"""What Telegram itself says in a chat, in nobody's words; other members that we do not know are messages that we cannot read."""
MEMBERSHIP = {"kicked": ConsentState.REVOKED, "member": ConsentState.GRANTED}
"""In a private chat: the bot was blocked, and taken back."""
ACCOUNT = frozenset({401, 404})
"""A wrong token: `Unauthorized`, or an address that there is not."""
Kind = Literal["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "unsupported", "reaction"]


def verify(request: Request, account: Account, now: datetime) -> None:
    """The secret that setWebhook was given comes back in a header; the body is not signed."""
    if not crypto.same(request.headers.get("x-telegram-bot-api-secret-token", ""), account.credentials.get("secret_token", ())):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """The one thing that an update says. What has no sender or no id is left out, for a refusal would hold up the chat for a day."""
    update = document(request.body)
    event_id = string(update.get("update_id"))
    found: Item | None = None
    if message := mapping(update.get("message")):
        found = _message(message)
    elif message := mapping(update.get("edited_message")):
        found = _edited(message, event_id)
    elif query := mapping(update.get("callback_query")):
        found = _tap(query)
    elif reaction := mapping(update.get("message_reaction")):
        found = _reaction(reaction, event_id)
    elif change := mapping(update.get("my_chat_member")):
        found = _membership(change, event_id)
    elif event_id is None:
        raise Malformed("`update_id` is missing.")
    return [] if found is None else [found]


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One request, or as many as text and media need. Raises ValueError with a sentence when the message says nothing.

    The Bot API echoes nothing, so no request carries our message id but the key for whoever honours it.
    """
    bodies = _bodies(message.content)
    if not bodies:
        raise ValueError("Telegram has no templates, and the message has no text, no choices and no media by `url` or `provider_id`")
    chat = int(message.address) if re.fullmatch("-?[0-9]{1,18}", message.address) else message.address
    keys = [f"{message.message_id}{f'-{place}' if place else ''}" for place in range(len(bodies))]
    return [
        HttpRequest(
            "POST",
            f"{account.base_url or API}/bot{account.secret('bot_token')}/{method}",
            {"content-type": "application/json", **({"idempotency-key": key} if account.honours_keys else {})},
            orjson.dumps({"chat_id": chat, **fields}),
        )
        for key, (method, fields) in zip(keys, bodies, strict=True)
    ]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300 and body.get("ok") is not False:
        return Outcome("accepted", provider_id=string(mapping(body.get("result")).get("message_id")))
    code, reason, hints = whole(body.get("error_code")) or response.status, string(body.get("description")) or "", mapping(body.get("parameters"))
    kind = failure(code, reason)
    moved = string(hints.get("migrate_to_chat_id"))
    return Outcome(
        kind,
        code="migrated" if moved else str(code),
        # A group that became a supergroup has another id: whoever asked must send there.
        reason=(f"the group is now {moved}: {reason}" if moved else reason)[:200],
        retry_after=_pause(hints.get("retry_after")) or retry_after(response),
        scope="account" if kind == "permanent" and (code in ACCOUNT or code < 400) else "message",
        drop_address=kind == "permanent" and "deactivated" in reason.lower(),
    )


def failure(code: int, description: str = "") -> Class:
    """The class of an error: by its code, and for 403 by its words, for Telegram has no finer code."""
    if code == 403 and "blocked" in description.lower():
        return "opted_out"
    if code == 429:
        return "throttled"
    return "transient" if code >= 500 or code in (408, 425) else "permanent"


def segments(content: Content) -> int:
    """Calls of the Bot API, each of which is a message to the chat."""
    return max(1, len(_bodies(content)))


def media_request(media: Media, account: Account) -> HttpRequest | None:
    """Files by their id; the token is in the address."""
    if media.provider_id is None:
        return None
    return HttpRequest("GET", f"{_base(account)}/bot{account.secret('bot_token')}/getFile?file_id={quote(media.provider_id, safe='')}", {}, b"")


def media_next(response: Response, account: Account) -> HttpRequest | None:
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        path = string(mapping(mapping(orjson.loads(response.body)).get("result")).get("file_path"))
    except orjson.JSONDecodeError:
        return None
    if path is None:
        return None
    if not FILE_PATH.fullmatch(path) or ".." in path:
        raise ValueError("Telegram names a path that is none")
    return HttpRequest("GET", f"{_base(account)}/file/bot{account.secret('bot_token')}/{path}", {}, b"")


def _base(account: Account) -> str:
    return account.base_url or API


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _message(message: dict[str, Any]) -> Received | None:
    person, chat, identifier = _who(message), _id(message.get("chat")), string(message.get("message_id"))
    if not (person and chat and identifier):
        return None
    text, media, place = _words(message), _media(message), mapping(message.get("location"))
    pressed, venue = mapping(message.get("web_app_data")), mapping(message.get("venue"))
    choice = tapped(pressed.get("data"), pressed.get("button_text"))
    location = located(place.get("latitude"), place.get("longitude"), venue.get("title"))
    kind: Kind = "unsupported"
    if choice:
        kind, text = "button", choice.title or None
    elif media:
        kind = media[0].kind
    elif location:
        kind = "location"
    elif mapping(message.get("contact")):
        kind = "contacts"
    elif text is not None:
        kind = "text"
    elif SERVICE & message.keys():
        return None
    return Received(
        Channel.TELEGRAM, person, identifier, kind, text, choice, media, location, moment(message.get("date")), conversation=chat
    )  # fmt: skip


def _media(message: dict[str, Any]) -> tuple[Media, ...]:
    """The one file of a message, by Telegram's id; of a photo the last size, which is the largest."""
    if photos := [one for one in items(message.get("photo")) if string(one.get("file_id"))]:
        return (Media(kind="image", provider_id=string(photos[-1].get("file_id"))),)
    for name, kind in FILES.items():
        file = mapping(message.get(name))
        if identifier := string(file.get("file_id")):
            return (Media(kind=kind, provider_id=identifier, content_type=string(file.get("mime_type"))),)
    return ()


def _tap(query: dict[str, Any]) -> Received | None:
    """A tap on an inline button. Its label stands only in the keyboard of the message that was tapped, where Telegram sends that along."""
    person, identifier, message = _id(query.get("from")), string(query.get("id")), mapping(query.get("message"))
    if not (person and identifier):
        return None
    data = string(query.get("data"))
    rows = mapping(message.get("reply_markup")).get("inline_keyboard")
    buttons = [one for row in rows for one in items(row)] if isinstance(rows, list) else []
    label = next((said(one.get("text")) for one in buttons if data is not None and one.get("callback_data") == data), None)
    choice = tapped(data, label)
    kind: Kind = "button" if choice else "unsupported"  # a game has no data
    return Received(Channel.TELEGRAM, person, identifier, kind, label, choice, conversation=_id(message.get("chat")) or person)


def _edited(message: dict[str, Any], event_id: str | None) -> Happened | None:
    """A message that its writer changed: an event, for it is no new message."""
    person, identifier, edited = _who(message), string(message.get("message_id")), message.get("edit_date", message.get("date"))
    if not (person and identifier):
        return None
    data: dict[str, JsonValue] = {
        "channel": Channel.TELEGRAM.value, "sender": person, "provider_id": identifier, "text": _words(message),
        "conversation": _id(message.get("chat")),
    }  # fmt: skip
    return Happened("message.edited", event_id or f"{person}:{identifier}:{string(edited)}", data, moment(edited))


def _reaction(reaction: dict[str, Any], event_id: str | None) -> Received | None:
    """What somebody's reaction to a message is now; no emoji: it was withdrawn, or is one that has no letter."""
    person, chat, about = _id(reaction.get("user")), _id(reaction.get("chat")), string(reaction.get("message_id"))
    if not (person and chat and about):
        return None
    emoji = next((said(one.get("emoji")) for one in items(reaction.get("new_reaction")) if string(one.get("emoji"))), None)
    at = reaction.get("date")
    identifier = event_id or f"{about}:{person}:{string(at)}"
    return Received(Channel.TELEGRAM, person, identifier, "reaction", emoji, sent_at=moment(at), conversation=chat)


def _membership(change: dict[str, Any], event_id: str | None) -> Opted | None:
    """A bot that is blocked in its private chat may write no more. In a group (whose id is negative) somebody else decides, for nobody."""
    chat, state = _id(change.get("chat")), MEMBERSHIP.get(str(mapping(change.get("new_chat_member")).get("status")))
    if chat is None or chat.startswith("-") or state is None:
        return None
    return Opted(Channel.TELEGRAM, chat, state, at=moment(change.get("date")), provider_id=event_id)


def _who(message: dict[str, Any]) -> str | None:
    """Who wrote it. An anonymous administrator is known only by the chat that they speak for."""
    return _id(message.get("from")) or _id(message.get("sender_chat")) or _id(message.get("chat"))


def _words(message: dict[str, Any]) -> str | None:
    return said(message.get("text")) if message.get("text") is not None else said(message.get("caption"))


def _id(party: object) -> str | None:
    """The id of a user or a chat, 64 bits, as text; negative for groups."""
    found = string(mapping(party).get("id"))
    return found[:200] if found else None


def _pause(seconds: object) -> timedelta | None:
    found = number(seconds)
    return timedelta(seconds=found) if found is not None and 0 < found < 1e6 else None


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _bodies(content: Content) -> list[tuple[str, dict[str, Any]]]:
    """Method and fields of each call. A lone file carries the text; else files come first, then the text, then the cards, the last with the buttons."""
    choices = tuple({one.id: one for one in content.choices}.values())
    native = len(choices) <= MAX_BUTTONS and all(len(one.id.encode()) <= MAX_DATA for one in choices)
    text = content.text if native else written_out(content)
    buttons = {"reply_markup": {"inline_keyboard": [[_button(one)] for one in choices]}} if native and choices else {}
    files = [_file(one) for one in content.media if one.url or one.provider_id]
    cards = [_card(one) for one in content.cards]
    if len(files) == 1 and not cards and files[0][0] != "sendSticker" and len(text) <= fitting(text, MAX_CAPTION):
        method, fields = files[0]
        return [(method, {**fields, **({"caption": text} if text else {}), **buttons})]
    texts = pieces(text, fitting(text, MAX_TEXT)) or ([CHOOSE] if buttons and not cards else [])
    bodies = [*files, *(("sendMessage", {"text": one, **NO_PREVIEW}) for one in texts), *cards]
    return [*bodies[:-1], (bodies[-1][0], {**bodies[-1][1], **buttons})] if bodies else []


def _card(card: Card) -> tuple[str, dict[str, Any]]:
    """A picture with what the card says below it; a text where it has none."""
    text = caption(card, fitting(card.title + card.text, MAX_CAPTION))
    return ("sendPhoto", {"photo": card.image, "caption": text}) if card.image else ("sendMessage", {"text": text, **NO_PREVIEW})


def _file(media: Media) -> tuple[str, dict[str, Any]]:
    name = METHODS[media.kind]
    return f"send{name}", {name.lower(): media.url or media.provider_id}


def _button(choice: Choice) -> dict[str, str]:
    return {"text": shortened(choice.title.strip() or choice.id, MAX_LABEL), "callback_data": choice.id}

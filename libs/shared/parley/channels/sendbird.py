"""Sendbird: chat inside an app, in group channels.

Sources: Sendbird docs "Webhooks: Overview", "Group channel events", "Send a message", "Error codes", "Rate limits".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

import orjson
from pydantic import JsonValue

from parley import crypto
from parley.channels.asked import APART
from parley.channels.cards import unfolded
from parley.channels.shape import Account, Forged, Happened, HttpRequest, Item, Malformed, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import document, items, mapping, moment, number, pieces, retry_after, said, string, whole, written_out
from parley.contracts import Channel, Content, Media, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
"""A `dedup_id` is checked, but what a repeat is answered is documented nowhere; say `honours_keys: true` where it was tried."""
CREDENTIALS = ("app_id", "api_token")
MAX_TEXT = 5000
"""Characters of a message, as an application has it at first."""
LISTED = 200
"""Messages of a channel that are looked through for one."""
THROTTLED = frozenset({429, 429100})
TRANSIENT = frozenset({503, 500601, 500602, 500901})
ACCOUNT = frozenset({400108, 400300, 400301, 400302, 400303, 400304, 400306, 400307, 400401, 403100})
"""Token, application, plan; and the user that we speak as (400300, 400301), who is the account's `sender`."""
TAKEN = 400202
"""What we name by `dedup_id` is there already."""
PERMANENT = frozenset({
    400100, 400101, 400102, 400103, 400104, 400105, 400106, 400110, 400111, 400112, 400113, 400114, 400151, 400201, 400203, 400305,
    400402, 400403, 400404, 400700, 400701, 400702, 400750, 400751, 400920, 400930,
})  # fmt: skip
"""Named so that they stay permanent whatever the HTTP status; an unknown code follows the status."""
TYPES: dict[str | None, Literal["text", "file"]] = {None: "text", "": "text", "MESG": "text", "FILE": "file"}


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA256 with the application's master API token over the bytes as they came; there is no time in it."""
    expected = [crypto.hmac_hex("sha256", token.encode(), request.body) for token in account.credentials.get("api_token", ())]
    if not crypto.same(request.headers.get("x-sendbird-signature", ""), expected):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """The message, its change or the reads that an event tells of. What the account's own user did is no news and left out."""
    body = document(request.body)
    category = string(body.get("category"))
    if not category:
        raise Malformed("`category` is missing.")
    if category == "group_channel:message_read":
        return list(_reads(body, account))
    sender, payload = string(mapping(body.get("sender")).get("user_id")), mapping(body.get("payload"))
    identifier = string(payload.get("message_id"))
    if not identifier or sender == account.sender:
        return []
    if category == "group_channel:message_send":
        found = _message(body, sender, identifier)
        return [found] if found else []
    if category in ("group_channel:message_update", "group_channel:message_delete"):
        return [_changed(category, body, sender, identifier)]
    return []


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One request for each file and piece of text, into the group channel that is the address. Raises ValueError for what cannot be sent.

    Our message id rides in `data`, with the choices, for the app to show as buttons; for an app that does not, they stand in the text as well.
    """
    bodies = _bodies(message.content)
    if not bodies:
        raise ValueError("Sendbird has no templates of this kind, and the message has no text, no choices and no media")
    data: dict[str, Any] = {"message_id": str(message.message_id)}
    if choices := [one.model_dump() for one in message.content.choices]:
        data["choices"] = choices
    headers = {"api-token": account.secret("api_token"), "content-type": "application/json"}
    requests = []
    for place, body in enumerate(bodies):
        key = f"{message.message_id}{f'-{place}' if place else ''}"
        told = data if place == len(bodies) - 1 else {"message_id": data["message_id"]}
        fields = {**body, "user_id": account.sender, "data": orjson.dumps(told).decode(), "dedup_id": key}
        keyed = {**headers, "idempotency-key": key} if account.honours_keys else headers
        requests.append(HttpRequest("POST", _messages_url(message, account), keyed, orjson.dumps(fields)))
    return requests


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    code = whole(body.get("code")) if body.get("error") or response.status >= 300 else None
    if code == TAKEN or (200 <= response.status < 300 and not body.get("error")):
        return Outcome("accepted", provider_id=string(body.get("message_id")))
    kind = failure(code, response.status)
    by_status = code is None and (response.status in (401, 403) or response.status < 400)
    return Outcome(
        kind,
        code=str(response.status if code is None else code),
        reason=(string(body.get("message")) or "")[:200],
        retry_after=retry_after(response),
        scope="account" if kind == "permanent" and (code in ACCOUNT or by_status) else "message",
    )


def query(message: Outgoing, part: int, account: Account, now: datetime) -> HttpRequest | None:
    """What was said in the channel since the call began."""
    since = int((message.at - APART).timestamp() * 1000)
    asked = urlencode({"message_ts": since, "prev_limit": 0, "next_limit": LISTED, "include": "true", "user_ids": account.sender})
    return HttpRequest("GET", f"{_messages_url(message, account)}?{asked}", {"api-token": account.secret("api_token")}, b"")


def query_answer(response: Response, message: Outgoing, part: int, account: Account) -> Receipt | None:
    """The part, by our id in `data`: parts go one after the other, so it is there when more of them are than went before it."""
    try:
        body = mapping(orjson.loads(response.body)) if 200 <= response.status < 300 else {}
    except orjson.JSONDecodeError:
        return None
    mine = [one for one in items(body.get("messages")) if _reference(one) == str(message.message_id)]
    if len(mine) <= part:
        return None
    one = mine[part]
    return Receipt(
        Channel.INAPP, ReceiptStatus.SENT, string(one.get("message_id")), message.message_id, message.address, at=_at(one.get("created_at")),
        conversation=message.address,
    )  # fmt: skip


def failure(code: int | None, status: int = 400) -> Class:
    """The class of a Sendbird error by its code; the HTTP status is mostly 400, and counts only where there is no code that we know."""
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in TRANSIENT or ((status >= 500 or status in (408, 425)) and code not in ACCOUNT | PERMANENT):
        return "transient"
    return "permanent"


def segments(content: Content) -> int:
    """Calls that the content takes."""
    try:
        return max(1, len(_bodies(content)))
    except ValueError:
        return 1


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _message(body: dict[str, Any], sender: str | None, identifier: str) -> Received | None:
    """A user's message. An admin message (ADMM) has no sender: it is the brand's own."""
    payload, kind = mapping(body.get("payload")), TYPES.get(string(body.get("type")))
    if not sender or body.get("type") == "ADMM":
        return None
    media, text = tuple(_media(payload)), said(payload.get("message"))
    plain: Literal["text", "unsupported"] = "text" if kind == "text" and text is not None else "unsupported"
    return Received(
        Channel.INAPP, sender[:200], identifier, media[0].kind if media and kind else plain, (text or None) if media else text, media=media,
        sent_at=_at(payload.get("created_at")), conversation=_chat(body),
    )  # fmt: skip


def _media(payload: dict[str, Any]) -> Iterator[Media]:
    """The file of a message, or its several files."""
    for one in [payload, *items(payload.get("files"))]:
        if url := string(one.get("url")):
            content_type = string(one.get("content_type")) or string(one.get("file_type")) or string(one.get("type"))
            yield Media(kind=_kind(content_type or ""), url=url, content_type=content_type)


def _changed(category: str, body: dict[str, Any], sender: str | None, identifier: str) -> Happened:
    """A message that its writer edited or took back: an event, for it is no new message."""
    payload = mapping(body.get("payload"))
    data: dict[str, JsonValue] = {"channel": Channel.INAPP.value, "sender": sender, "provider_id": identifier, "conversation": _chat(body)}
    if category.endswith("delete"):
        return Happened("message.deleted", f"{identifier}:deleted", data, _at(payload.get("deleted_at")))
    changed = payload.get("updated_at")
    return Happened("message.edited", f"{identifier}:{string(changed)}", {**data, "text": said(payload.get("message"))}, _at(changed))


def _reads(body: dict[str, Any], account: Account) -> Iterator[Receipt]:
    """One for each member who read: everything in the channel up to that time."""
    for one in items(body.get("read_updates")):
        person, watermark = string(one.get("user_id")), _at(one.get("read_ts"))
        if person and person != account.sender and watermark is not None:
            yield Receipt(Channel.INAPP, ReceiptStatus.READ, address=person[:200], at=watermark, watermark=watermark, conversation=_chat(body))


def _chat(body: dict[str, Any]) -> str | None:
    return (string(mapping(body.get("channel")).get("channel_url")) or "")[:200] or None


def _at(value: object) -> datetime | None:
    """The time that Sendbird tells, always in milliseconds."""
    found = number(value)
    return moment(found / 1000) if found is not None else None


def _kind(content_type: str) -> Literal["image", "audio", "video", "document"]:
    match content_type.partition("/")[0]:
        case "image" | "audio" | "video" as major:
            return major
        case _:
            return "document"


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _bodies(content: Content) -> list[dict[str, Any]]:
    """What each message says: files, then the text with the choices written out, for a channel has no buttons of its own."""
    content = unfolded(content)
    texts = pieces(written_out(content), MAX_TEXT)
    return [*map(_file, content.media), *({"message_type": "MESG", "message": one} for one in texts)]


def _messages_url(message: Outgoing, account: Account) -> str:
    host = account.base_url or f"https://api-{account.secret('app_id')}.sendbird.com"
    return f"{host}/v3/group_channels/{quote(message.address, safe='')}/messages"


def _reference(one: dict[str, Any]) -> str | None:
    """Our message id, as it rides in `data`."""
    try:
        return string(mapping(orjson.loads(string(one.get("data")) or "")).get("message_id"))
    except orjson.JSONDecodeError:
        return None


def _file(media: Media) -> dict[str, Any]:
    if not media.url:
        raise ValueError(f"Sendbird takes media by address: the {media.kind} needs a `url`")
    return {"message_type": "FILE", "url": media.url, **({"file_type": media.content_type} if media.content_type else {})}

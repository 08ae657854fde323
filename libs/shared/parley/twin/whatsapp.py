"""The twin as WhatsApp's Cloud API: what its messages endpoint checks, answers and posts.

Source: Meta docs "Messages API", "Error codes", "messages webhook reference", "Status messages webhook reference".
"""

# ruff: noqa: ARG001  (the Protocol names the arguments)
from __future__ import annotations

import base64
import hmac
import json
import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from parley.twin import signing
from parley.twin.shape import Account, Answer, Call, Message, Post, Say, Status, as_json

PATH = re.compile(r"/v[0-9]+(?:\.[0-9]+)?/([^/]+)/messages")
NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
MAX_TEXT, MAX_INTERACTIVE, MAX_CAPTION, MAX_ECHO = 4096, 1024, 1024, 512
MAX_BUTTONS, MAX_BUTTON_TITLE, MAX_ROWS, MAX_ROW_TITLE, MAX_ROW_DESCRIPTION, MAX_ID = 3, 20, 10, 24, 72, 256
MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})
TITLES: Mapping[int, str] = MappingProxyType(
    {100: "Invalid parameter", 131008: "Required parameter is missing", 131009: "Parameter value is not valid", 190: "Error validating access token"}
)
UNDELIVERABLE = 131026


class _Refused(Exception):
    """A check that failed: the code, and what exactly is wrong."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(code, details)
        self.code, self.details = code, details


def read(call: Call, accounts: Sequence[Account], now: float) -> tuple[Account | None, Message | Answer]:
    found = PATH.fullmatch(call.path)
    account = next((one for one in accounts if found and one.sender == found[1]), None)
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    given = token.encode("utf-8", "surrogateescape")
    opens = [one for one in accounts if hmac.compare_digest(given, one.credentials["access_token"].encode())]
    if scheme != "Bearer" or not opens or (account is not None and account not in opens):
        return account, _error(190, 401, kind="OAuthException")
    if account is None:
        return None, _error(100, 400, f"Unsupported post request. Object with ID '{found[1] if found else ''}' does not exist")
    try:
        return account, _message(call)
    except _Refused as refused:
        return account, _error(refused.code, 400, refused.details)


def message_id(raw: bytes) -> str:
    return "wamid." + base64.b64encode(b"\x1d\x0b" + raw).decode()


def accepted(account: Account, message: Message, provider_id: str) -> Answer:
    digits = message.recipient.removeprefix("+")
    contact = {"input": message.recipient, "wa_id": digits}
    return as_json(200, {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": provider_id, "message_status": "accepted"}]})


def throttled(wait: float, draw: float) -> Answer:
    """HTTP 400 or 429: the provider is known for both, so only the code can be relied upon."""
    answer = _error(130429, 429 if draw < 0.5 else 400, "Too many messages were sent from this phone number in a short period of time.")
    return Answer(answer.status, answer.body, {"Retry-After": str(max(1, math.ceil(wait)))} if draw < 0.5 else {}, reason=answer.reason)


def failed() -> Answer:
    answer = _error(131016, 500, "Service unavailable")
    return Answer(answer.status, answer.body, reason="made to fail")


def reused() -> Answer:
    return _error(131009, 422, "The Idempotency-Key was used with another message.")


def receipt(account: Account, message: Message, provider_id: str, status: Status, now: float) -> Post | None:
    body: dict[str, Any] = {"id": provider_id, "status": status, "timestamp": str(int(now)), "recipient_id": message.recipient.removeprefix("+")}
    if message.reference is not None:
        body["biz_opaque_callback_data"] = message.reference
    if status == "failed":
        details = {"details": "Message undeliverable."}
        body["errors"] = [{"code": UNDELIVERABLE, "title": "Message undeliverable", "message": "Message undeliverable", "error_data": details}]
    return _post(account, {"statuses": [body]}, f"{provider_id}-{status}")


def incoming(account: Account, say: Say, provider_id: str, layout: str, now: float) -> Post | None:
    digits = say.sender.removeprefix("+")
    message: dict[str, Any] = {"from": digits, "id": provider_id, "timestamp": str(int(now))}
    if say.choice is None:
        message |= {"type": "text", "text": {"body": say.text}}
    elif layout == "template":
        message |= {"type": "button", "button": {"payload": say.choice.id, "text": say.choice.title}}
    else:
        kind = f"{layout}_reply"
        message |= {"type": "interactive", "interactive": {"type": kind, kind: {"id": say.choice.id, "title": say.choice.title}}}
    contact = {"profile": {"name": "Customer"}, "wa_id": digits}
    return _post(account, {"contacts": [contact], "messages": [message]}, provider_id)


def sign(account: Account, post: Post, now: float) -> dict[str, str]:
    return {"X-Hub-Signature-256": signing.meta(account.credentials["app_secret"], post.body)}


def reads(account: Account) -> bool:
    return True


def _message(call: Call) -> Message:
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise _Refused(100, "The body is not JSON.") from None
    _need(isinstance(body, dict) and body.get("messaging_product") == "whatsapp", 100, "messaging_product must be whatsapp.")
    to, reference, kind = body.get("to"), body.get("biz_opaque_callback_data"), body.get("type", "text")
    if to is None and isinstance(body.get("recipient"), str):
        recipient = body["recipient"]
    else:
        _need(isinstance(to, str) and to != "", 131008, "The parameter to is required.")
        _need(NUMBER.fullmatch(to) is not None, 131009, "to is not a phone number.")
        recipient = "+" + to.removeprefix("+")
    _need(reference is None or (isinstance(reference, str) and len(reference) <= MAX_ECHO), 131009, "biz_opaque_callback_data is too long.")
    part = body.get(kind) if isinstance(kind, str) else None
    _need(isinstance(part, dict), 131008, f"The parameter {kind} is required.")
    text, choices, layout, media = _content(str(kind), part)
    return Message(recipient, text, reference, choices, layout, media)


def _content(kind: str, part: Any) -> tuple[str | None, tuple[dict[str, str], ...], str | None, tuple[str, ...]]:
    """Text, choices, their layout and media of a message's own member."""
    if kind == "text":
        return _string(part, "body", MAX_TEXT), (), None, ()
    if kind in MEDIA:
        where = part.get("link") or part.get("id")
        _need(isinstance(where, str) and where != "", 131008, f"{kind} needs link or id.")
        return _string(part, "caption", MAX_CAPTION) if "caption" in part else None, (), None, (where,)
    if kind == "interactive":
        text, layout = _string(part.get("body"), "text", MAX_INTERACTIVE), part.get("type")
        choices = _buttons(part.get("action")) if layout == "button" else _rows(part.get("action")) if layout == "list" else None
        _need(choices is not None, 131009, "interactive.type must be button or list.")
        return text, choices or (), layout, ()
    _need(kind == "template", 131009, f"{kind} is not a type of message.")
    name, language = _string(part, "name", 512), part.get("language")
    _string(language, "code", 20)
    parameters = orjson.dumps(part["components"]).decode() if part.get("components") else ""
    return f"{name} {parameters}".strip(), (), "template", ()


def _buttons(action: Any) -> tuple[dict[str, str], ...]:
    buttons = action.get("buttons") if isinstance(action, dict) else None
    _need(isinstance(buttons, list) and 1 <= len(buttons) <= MAX_BUTTONS, 131009, f"action.buttons must hold 1 to {MAX_BUTTONS} buttons.")
    replies = [one.get("reply") if isinstance(one, dict) and one.get("type") == "reply" else None for one in buttons or ()]
    return _unique([{"id": _string(one, "id", MAX_ID), "title": _string(one, "title", MAX_BUTTON_TITLE)} for one in replies], ("id", "title"))


def _rows(action: Any) -> tuple[dict[str, str], ...]:
    _string(action, "button", MAX_BUTTON_TITLE)
    sections = action.get("sections")
    _need(isinstance(sections, list) and sections != [], 131009, "action.sections must hold a section.")
    _need(all(isinstance(one, dict) and isinstance(one.get("rows"), list) for one in sections), 131009, "A section must hold rows.")
    rows = [row for section in sections for row in section["rows"]]
    _need(1 <= len(rows) <= MAX_ROWS, 131009, f"A list must hold 1 to {MAX_ROWS} rows.")
    _need(len(sections) == 1 or all(isinstance(one.get("title"), str) for one in sections), 131009, "Each of several sections needs a title.")
    for row in rows:
        if isinstance(row, dict) and "description" in row:
            _string(row, "description", MAX_ROW_DESCRIPTION)
    return _unique([{"id": _string(row, "id", MAX_ID), "title": _string(row, "title", MAX_ROW_TITLE)} for row in rows], ("id",))


def _unique(choices: list[dict[str, str]], names: Sequence[str]) -> tuple[dict[str, str], ...]:
    for name in names:
        _need(len({one[name] for one in choices}) == len(choices), 131009, f"Two choices have the same {name}.")
    return tuple(choices)


def _string(holder: Any, name: str, limit: int) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise _Refused(131008, f"The parameter {name} is required.")
    _need(len(value) <= limit, 131009, f"{name} is longer than {limit} characters.")
    return value


def _need(holds: bool, code: int, details: str) -> None:
    if not holds:
        raise _Refused(code, details)


def _error(code: int, status: int, details: str = "", kind: str = "OAuthException") -> Answer:
    title = TITLES.get(code, details)
    error: dict[str, Any] = {"message": title if code == 190 else f"(#{code}) {title}", "type": kind, "code": code, "fbtrace_id": "A1b2C3d4"}
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return as_json(status, {"error": error}, f"{code} {details or title}")


def _post(account: Account, items: dict[str, Any], identifier: str) -> Post | None:
    """The body as Meta writes it: ASCII, with other characters and slashes escaped."""
    if account.hook_url is None:
        return None
    metadata = {"display_phone_number": account.sender, "phone_number_id": account.sender}
    change = {"value": {"messaging_product": "whatsapp", "metadata": metadata, **items}, "field": "messages"}
    text = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}, separators=(",", ":"))
    return Post(account.hook_url, text.replace("/", "\\/").encode("ascii"), "application/json", identifier)

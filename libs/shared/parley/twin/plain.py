"""The twin as the plain provider: JSON both ways, signed both ways by Standard Webhooks.

Source: standard-webhooks/standard-webhooks spec/standard-webhooks.md; the body is the plain provider's own.
"""

# ruff: noqa: ARG001  (the Protocol names the arguments)
from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from parley.twin import signing
from parley.twin.shape import Account, Answer, Call, Message, Post, Say, Status, as_json


def read(call: Call, accounts: Sequence[Account], now: float) -> tuple[Account | None, Message | Answer]:
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return None, _refused(400, "invalid", "The body is not JSON.")
    if not isinstance(body, dict):
        return None, _refused(400, "invalid", "The body is not a JSON object.")
    account = next((one for one in accounts if one.sender == body.get("from")), None)
    if account is None:
        return None, _refused(401, "unauthorised", "No account has this `from`.")
    if fault := signing.standard_fault(account.credentials["symmetric"], call.headers, call.body, now):
        return account, _refused(401, "unauthorised", fault)
    fault = _fault(body)
    return account, _refused(400, "invalid", fault) if fault else _message(body)


def message_id(raw: bytes) -> str:
    return "pm_" + raw.hex()


def accepted(account: Account, message: Message, provider_id: str) -> Answer:
    return as_json(202, {"id": provider_id})


def throttled(wait: float, draw: float) -> Answer:
    body = {"code": "throttled", "message": "Too many requests."}
    return as_json(429, body, "throttled", {"Retry-After": str(max(1, math.ceil(wait)))})


def failed() -> Answer:
    return as_json(500, {"code": "unavailable", "message": "Something broke."}, "made to fail")


def reused() -> Answer:
    return _refused(422, "key_reused", "The Idempotency-Key was used with another message.")


def receipt(account: Account, message: Message, provider_id: str, status: Status, now: float) -> Post | None:
    data: dict[str, Any] = {"id": provider_id, "reference": message.reference, "to": message.recipient, "status": status}
    if status == "failed":
        data["code"] = "unreachable"
    return _post(account, "message.status", data, f"{provider_id}-{status}", now)


def incoming(account: Account, say: Say, provider_id: str, layout: str, now: float) -> Post | None:
    data: dict[str, Any] = {"id": provider_id, "from": say.sender, "to": account.sender, "text": say.text}
    if say.choice:
        data |= {"choice": say.choice.model_dump(), "text": say.text if say.text is not None else say.choice.title}
    return _post(account, "message.received", data, provider_id, now)


def sign(account: Account, post: Post, now: float) -> dict[str, str]:
    """A repeat keeps its webhook-id; its time and signature are new."""
    stamp = str(int(now))
    signature = signing.standard(account.credentials["symmetric"], post.identifier, stamp, post.body)
    return {"webhook-id": post.identifier, "webhook-timestamp": stamp, "webhook-signature": signature}


def reads(account: Account) -> bool:
    return True


def _fault(body: dict[str, Any]) -> str | None:
    for name in ("reference", "to"):
        if not isinstance(body.get(name), str) or not body[name]:
            return f"`{name}` must be a text that is not empty."
    text, media, choices, cards = body.get("text"), body.get("media", []), body.get("choices", []), body.get("cards", [])
    if text is not None and not isinstance(text, str):
        return "`text` must be a text or null."
    if not isinstance(media, list) or not all(isinstance(one, dict) for one in media):
        return "`media` must be a list of objects."
    if not isinstance(choices, list) or not all(
        isinstance(one, dict) and isinstance(one.get("id"), str) and isinstance(one.get("title"), str) for one in choices
    ):
        return "`choices` must be a list of objects with `id` and `title`."
    if not isinstance(cards, list) or not all(isinstance(one, dict) and isinstance(one.get("title"), str) and one["title"] for one in cards):
        return "`cards` must be a list of objects with a `title`."
    return None if text or media or cards else "`text`, `media` or `cards` are needed."


def _message(body: dict[str, Any]) -> Message:
    choices = tuple({"id": one["id"], "title": one["title"]} for one in body.get("choices", ()))
    media = tuple(str(one.get("url") or one.get("provider_id") or "") for one in body.get("media", ()))
    media += tuple(str(one.get("image") or one["title"]) for one in body.get("cards", ()))
    return Message(body["to"], body.get("text"), body["reference"], choices, "button" if choices else None, media)


def _refused(status: int, code: str, message: str) -> Answer:
    return as_json(status, {"code": code, "message": message}, f"{code}: {message}")


def _post(account: Account, kind: str, data: dict[str, Any], identifier: str, now: float) -> Post | None:
    if account.hook_url is None:
        return None
    body = {"type": kind, "timestamp": datetime.fromtimestamp(now, UTC).isoformat(), "data": data}
    return Post(account.hook_url, orjson.dumps(body), "application/json", identifier)

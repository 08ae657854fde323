"""Web chat: the widget and its session, the conversation with and without a socket, and the door of sender and the shop's own systems. Pure."""

from __future__ import annotations

from typing import Any

from parley_ingest.chat.frames import CONTEXT, MARKED, TEXT
from parley_ingest.chat.routes import WAIT
from parley_ingest.chat.sockets import PROTOCOL
from parley_ingest.openapi.words import JSON, PAGE, answer, in_path, problems, reference

BASE = "/chat/{account}"
STRING, UUID, NUMBER = {"type": "string"}, {"type": "string", "format": "uuid"}, {"type": "integer", "minimum": 0, "maximum": 2**53}
TIME, OBJECTS = {"type": "string", "format": "date-time"}, {"type": "array", "items": {"type": "object"}}
SECURITY = {
    "visitor": {"type": "http", "scheme": "bearer", "description": "The token of a session."},
    "signed": {
        "type": "apiKey", "in": "header", "name": "webhook-signature", "description": "By Standard Webhooks, with the account's secret.",
    },
}  # fmt: skip


def paths() -> dict[str, Any]:
    """All that stands under `/chat`. Scripts on pages of other origins than the account's get 403; `OPTIONS` says which methods they may use."""
    return {BASE: _page(), f"{BASE}/widget.js": _widget(), f"{BASE}/session": _session(), f"{BASE}/messages": _messages(), f"{BASE}/socket": _socket(),
            f"{BASE}/deliver": _deliver(), f"{BASE}/typing": _typing()}  # fmt: skip


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    message = {
        "id": UUID, "seq": NUMBER, "from": {"enum": ["brand", "visitor"]}, "status": STRING, "text": STRING,
        "choice": {"type": ["string", "null"]}, "choices": OBJECTS, "media": OBJECTS, "at": TIME,
    }  # fmt: skip
    return {
        "ChatMessage": {**_object(message, *message), "description": "One that comes again has changed; their order is `seq`."},
        "ChatFrame": {"oneOf": [_said(), _marked(), _bare("typing"), _bare("ping")]},
    }


def _said() -> dict[str, Any]:
    choice = _object({"id": {"type": "string", "minLength": 1, "maxLength": 200}, "title": {"type": "string", "maxLength": 500}}, "id")
    known = {"type": "object", "maxProperties": CONTEXT, "additionalProperties": {"type": ["string", "number", "boolean"]}}
    text = {"type": "string", "minLength": 1, "maxLength": TEXT}
    return _object({"type": {"const": "message"}, "id": UUID, "text": text, "choice": choice, "context": known}, "type", "id", "text")


def _marked() -> dict[str, Any]:
    place = {**NUMBER, "minimum": 1, "description": f"The `seq` up to which it is so; {MARKED} messages are marked at a time."}
    return _object({"type": {"const": "marks"}, "status": {"enum": ["delivered", "read"]}, "up_to": place}, "type", "status", "up_to")


def _bare(kind: str) -> dict[str, Any]:
    return _object({"type": {"const": kind}}, "type")


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _account() -> dict[str, Any]:
    return in_path("account", "An account of accounts.yaml with the provider `webchat`.")


def _query(name: str, meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": meaning}


def _page() -> dict[str, Any]:
    asked = [_query("lang", "The widget's language.", {"enum": ["en", "ko"]}), _query("theme", "Its colours.", {"enum": ["light", "dark"]})]
    return {
        "parameters": [_account()],
        "get": {
            "operationId": "chat_page",
            "summary": "A page to try the widget on.",
            "parameters": asked,
            "responses": {"200": answer("The page.", PAGE, STRING), **problems(404, 429)},
        },
    }


def _widget() -> dict[str, Any]:
    current = {"description": "The browser's copy, named by If-None-Match, is current."}
    return {
        "parameters": [_account()],
        "get": {
            "operationId": "chat_widget",
            "summary": "The widget: one script tag on a shop's page.",
            "responses": {"200": answer("The script.", "text/javascript", STRING), "304": current, **problems(404, 429)},
        },
    }


def _session() -> dict[str, Any]:
    shown = {
        "token": {"type": "string", "description": "Of the session before; one that is no good any more gives a new visitor."},
        "customer": {"type": "string", "description": "A JWT (HS256, the account's secret) that names the customer in `sub`."},
    }
    given = _object({"token": STRING, "visitor": UUID, "customer": {"type": ["string", "null"]}}, "token", "visitor", "customer")
    return {
        "parameters": [_account()],
        "post": {
            "operationId": "chat_session",
            "summary": "Who the browser is from now on.",
            "requestBody": {"content": {JSON: {"schema": _object(shown)}}},
            "responses": {"200": answer("The visitor.", JSON, given), **problems(400, 401, 403, 404, 408, 413, 429, 503)},
        },
    }


def _messages() -> dict[str, Any]:
    told = {"type": "array", "items": reference("ChatMessage")}
    news = _object({"messages": told, "cursor": NUMBER, "typing": {"type": "boolean"}}, "messages", "cursor", "typing")
    asked = [
        _query("after", "The greatest `cursor` that is known; 0 begins with the last messages.", NUMBER),
        _query("wait", "Seconds that the answer may wait for something new.", {"type": "integer", "minimum": 0, "maximum": int(WAIT)}),
    ]
    return {
        "parameters": [_account()],
        "get": {
            "operationId": "chat_messages",
            "summary": "What has changed in the conversation, as soon as something has.",
            "security": [{"visitor": []}],
            "parameters": asked,
            "responses": {"200": answer("What is new.", JSON, news), **problems(400, 401, 403, 404, 429, 503)},
        },
        "post": {
            "operationId": "chat_say",
            "summary": "A message, a mark, or that the visitor is writing. 202 means that it is kept for good.",
            "security": [{"visitor": []}],
            "requestBody": {"required": True, "content": {JSON: {"schema": reference("ChatFrame")}}},
            "responses": {"202": answer("Kept; a message as it stands now.", JSON, _object({"messages": told})),
                          **problems(400, 401, 403, 404, 408, 413, 422, 429, 503)},
        },
    }  # fmt: skip


def _socket() -> dict[str, Any]:
    return {
        "parameters": [_account()],
        "get": {
            "operationId": "chat_socket",
            "summary": f"The same frames over a WebSocket with the subprotocols `{PROTOCOL}` and the visitor's token (docs/channels/webchat.md).",
            "parameters": [_query("after", "As for `chat_messages`.", NUMBER)],
            "responses": {"101": {"description": "The socket is open."}, **problems(400, 401, 403, 404, 429)},
        },
    }


def _deliver() -> dict[str, Any]:
    message = {"id": UUID, "to": UUID, "at": TIME, "text": STRING, "media": OBJECTS, "choices": OBJECTS}
    return {
        "parameters": [_account(), *_signed()],
        "post": {
            "operationId": "chat_deliver",
            "summary": "A message for a visitor, by its id once whatever the repeats. As sender does it.",
            "security": [{"signed": []}],
            "requestBody": {"required": True, "content": {JSON: {"schema": _object(message, "id", "to")}}},
            "responses": {"200": answer("Delivered.", JSON, _object({"id": UUID}, "id")), **problems(400, 401, 404, 408, 413, 422, 429, 503)},
        },
    }


def _typing() -> dict[str, Any]:
    return {
        "parameters": [_account(), *_signed()],
        "post": {
            "operationId": "chat_typing",
            "summary": "Somebody of the brand writes to the visitor.",
            "security": [{"signed": []}],
            "requestBody": {"required": True, "content": {JSON: {"schema": _object({"to": UUID}, "to")}}},
            "responses": {"204": {"description": "Shown."}, **problems(400, 401, 404, 408, 413, 429, 503)},
        },
    }


def _signed() -> list[dict[str, Any]]:
    named = {"webhook-id": "The id of the request.", "webhook-timestamp": "Seconds since 1970, five minutes off at most."}
    return [{"name": name, "in": "header", "required": True, "schema": STRING, "description": meaning} for name, meaning in named.items()]

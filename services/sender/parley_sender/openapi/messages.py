"""Asking for messages, one or many, and calling them back. Pure."""

from __future__ import annotations

from typing import Any

from parley import apidocs
from parley.apidocs import JSON, REFERENCE, answer, in_path, reference
from parley_sender.asking import Asked
from parley_sender.making import MOST

SAID = {
    400: "The body is no JSON, the Idempotency-Key is missing, or the id is none.",
    401: "No valid key.",
    403: "The key lacks the scope `messages:write`.",
    404: "There is no such message in the queue.",
    408: "The body came too slowly.",
    409: "It is too late; `message` says what became of it.",
    413: "The body is too large, or what it comes to once it is filled in.",
    422: "It cannot be taken; `errors` (of a batch: `messages`) says what, where and what to do. Or the Idempotency-Key stands for another request.",
    429: "The key asks too often; Retry-After says when to come again.",
    503: apidocs.NOT_NOW,
}
KEY = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!#-~]+$"},
    "description": "New for each request, the same for its repeats; remembered for three days (draft-ietf-httpapi-idempotency-key-header).",
}  # fmt: skip
STRING, UUID, COUNT = {"type": "string"}, {"type": "string", "format": "uuid"}, {"type": "integer", "minimum": 0}


def paths() -> dict[str, Any]:
    """All that stands under `/v1/messages` for those who ask."""
    place = {"Location": {"schema": STRING, "description": "Where the message's story is."}}
    one = {"202": {**answer("It is kept for good.", JSON, reference("Accepted")), "headers": place}}
    many = {
        "202": answer("All of them are kept for good.", JSON, reference("Answers")),
        "207": answer("Some are kept for good; the others are refused, each with its reasons.", JSON, reference("Answers")),
    }
    called = {"200": answer("It will not leave any more.", JSON, reference("Standing"))}
    return {
        "/v1/messages": {"post": _asks("ask", "A message (scope `messages:write`).", "Asked", one)},
        "/v1/messages/batch": {"post": _asks("ask_many", f"Up to {MOST} messages, each for itself (scope `messages:write`).", "Batch", many)},
        "/v1/messages/{id}/cancel": {
            "parameters": [in_path("id", "The message's id.")],
            "post": {
                "operationId": "cancel",
                "summary": "Calls a message back, while it is queued (scope `messages:write`).",
                "security": [{"key": []}],
                "responses": {**called, **apidocs.problems(SAID, 400, 401, 403, 404, 409, 429, 503)},
            },
        },
    }


def _asks(name: str, summary: str, body: str, taken: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"key": []}],
        "parameters": [KEY],
        "requestBody": {"required": True, "content": {JSON: {"schema": reference(body)}}},
        "responses": {**taken, **apidocs.problems(SAID, 400, 401, 403, 408, 413, 422, 429, 503)},
    }


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    asked = Asked.model_json_schema(ref_template=REFERENCE)
    parts = asked.pop("$defs")
    batch = {
        "type": "object",
        "description": "`common`: fields that all have, unless they have their own.",
        "properties": {"messages": {"type": "array", "minItems": 1, "maxItems": MOST, "items": {"type": "object"}}, "common": {"type": "object"}},
        "required": ["messages"],
        "additionalProperties": False,
    }
    return {**{name: _strict(part) for name, part in parts.items()}, "Asked": _strict(asked), "Batch": batch, **_answers()}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """As bodies are read: a field that nobody knows is refused."""
    return {**schema, "additionalProperties": False} if schema.get("type") == "object" else schema


def _answers() -> dict[str, Any]:
    wrong = {"type": "array", "items": _object({"pointer": STRING, "detail": STRING}, "pointer", "detail")}
    accepted = _object({"status": {"const": "accepted"}, "message_id": UUID, "contact_id": UUID}, "status", "message_id", "contact_id")
    refused = _object({"status": {"const": "refused"}, "errors": wrong}, "status", "errors")
    each = {"type": "array", "items": {"oneOf": [reference("Accepted"), reference("Refused")]}}
    return {
        "Accepted": accepted,
        "Refused": {**refused, "description": "`pointer`: where in the body (RFC 6901)."},
        "Answers": _object({"accepted": COUNT, "refused": COUNT, "messages": each}, "accepted", "refused", "messages"),
        "Standing": _object({"message_id": UUID, "status": STRING, "reason": {"type": ["string", "null"]}}, "message_id", "status", "reason"),
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}

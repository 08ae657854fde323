"""Asking for messages, one or many, and calling them back. Pure."""

from __future__ import annotations

from typing import Any

from parley import apidocs
from parley.apidocs import JSON, REFERENCE, answer, in_path, reference
from parley_sender.asking import Asked
from parley_sender.making import MOST
from parley_sender.openapi.words import COUNT, MAYBE, STRING, UUID, listing, thing

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
ASKED = {
    "to": {"customer": "c-1041"}, "purpose": "transactional", "channels": ["sms", "email"], "content": {"text": "Your order has left."},
    "expires_at": "2026-11-26T09:00:00Z",
}  # fmt: skip
BATCH = {"common": {name: ASKED[name] for name in ("purpose", "channels", "content")}, "messages": [{"to": ASKED["to"]}, {"to": {"phone": "1"}}]}
ACCEPTED = {"status": "accepted", "message_id": "8f14e45f-ceea-567f-a0e6-0123456789ab", "contact_id": "3c59dc04-8e88-5024-9bbe-079a5c74d079"}
REFUSED = {"status": "refused", "errors": [{"pointer": "/to/phone", "detail": "Extra inputs are not permitted"}]}
STOPPED = {"message_id": ACCEPTED["message_id"], "status": "suppressed", "reason": "cancelled"}


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
                "description": "One that is about to leave goes back and ends. 409 with the reason `calling`: its call is under way, may deliver it, and is the last.",
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
    found = {**{name: _strict(part) for name, part in parts.items()}, "Asked": {**_strict(asked), "examples": [ASKED]}}
    return {**found, "Batch": {**batch, "examples": [BATCH]}, **_answers()}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """As bodies are read: a field that nobody knows is refused."""
    return {**schema, "additionalProperties": False} if schema.get("type") == "object" else schema


def _answers() -> dict[str, Any]:
    refused = thing(REFUSED, status={"const": "refused"}, errors=listing(thing(pointer=STRING, detail=STRING)))
    each = listing({"oneOf": [reference("Accepted"), reference("Refused")]})
    some = {"accepted": 1, "refused": 1, "messages": [ACCEPTED, REFUSED]}
    return {
        "Accepted": thing(ACCEPTED, status={"const": "accepted"}, message_id=UUID, contact_id=UUID),
        "Refused": {**refused, "description": "`pointer`: where in the body (RFC 6901)."},
        "Answers": thing(some, accepted=COUNT, refused=COUNT, messages=each),
        "Standing": thing(STOPPED, message_id=UUID, status=STRING, reason=MAYBE),
    }

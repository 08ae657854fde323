"""The tenant's webhooks: made, changed, ended, what they were told, sent again; and what is posted to them. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import JSON, in_path, reference
from parley_sender.notify.api import MOST, Changes, Rotation, Wanted
from parley_sender.notify.history import Again
from parley_sender.notify.kinds import DISABLED, TEST, TYPES
from parley_sender.openapi.words import (
    COUNT,
    FLAG,
    GONE,
    LATER,
    MAYBE,
    PAGES,
    STRING,
    TIME,
    UUID,
    act,
    bodies,
    deed,
    done,
    get,
    listing,
    query,
    thing,
)

ID, POST = "0b0c5a8e-27f1-4d0f-9a5c-3f1d9b1c7e42", "6b2f5a0e-9d0c-5c1e-8f53-0a4f2b6f7d11"
WEBHOOK = {
    "id": ID, "url": "https://crm.acme.example/parley", "types": ["consent.*", "delivery.failed"], "description": "the CRM", "enabled": True,
    "created_at": "2026-11-25T09:00:00+00:00", "failing_since": None, "paused_until": None, "both_secrets_until": None, "disabled_at": None,
    "disabled_reason": None,
}  # fmt: skip
SECRET = {"secret": "whsec_…"}
ANSWER = {"at": "2026-11-25T09:30:00+00:00", "attempt": 1, "status": 503, "body": "try later", "seconds": 0.041}
TOLD = {"id": POST, "type": "delivery.failed", "state": "due", "attempts": 1, "noted_at": "2026-11-25T09:30:00+00:00",
        "next_try_at": "2026-11-25T09:30:05+00:00", "answers": [ANSWER]}  # fmt: skip
EVENT = {"type": TEST, "timestamp": "2026-11-25T09:30:00+00:00", "data": {"webhook_id": ID}}


def paths() -> dict[str, Any]:
    """All that stands under `/v1/webhooks`."""
    one = [in_path("id", "The webhook's id.")]
    makes = f"A webhook of the tenant, one of {MOST} at most (scope `webhooks:write`)."
    ends = "Ends a webhook: nothing is posted to it from now on (scope `webhooks:write`)."
    rotates = deed("webhook_secret", "A new secret; for `overlap` seconds both sign (scope `webhooks:write`).", "Rotation", done("NewWebhook"), 404)
    return {
        "/v1/webhooks": {
            "post": deed("webhook_made", makes, "WebhookWanted", done("NewWebhook", "Made. The secret is shown this once.", 201), 409),
            "get": get("webhooks", "The tenant's webhooks, in the order in which they were made (scope `webhooks:read`).", "Webhooks"),
        },
        "/v1/webhooks/{id}": {
            "parameters": one,
            "get": get("webhook", "A webhook (scope `webhooks:read`).", "Webhook", [], 400, 404),
            "patch": deed("webhook_changed", "What is not given stays (scope `webhooks:write`).", "WebhookChanges", done("Webhook"), 404),
            "delete": act("webhook_ended", ends, GONE, [], 400, 404),
        },
        "/v1/webhooks/{id}/secret": {
            "parameters": one,
            "post": {**rotates, "requestBody": {**rotates["requestBody"], "required": False}},
        },
        **_told(one),
    }


def _told(one: list[dict[str, Any]]) -> dict[str, Any]:
    state = query("state", {"enum": ["due", "sent", "failed"]}, "Those that stand like this alone.")
    again = "Sends one post again, or all that failed or wait for another try since a time (scope `webhooks:write`)."
    return {
        "/v1/webhooks/{id}/deliveries": {
            "parameters": one,
            "get": get("webhook_told", "What it was told, the newest first (scope `webhooks:read`).", "Posts", [state, *PAGES], 400, 404, 422),
        },
        "/v1/webhooks/{id}/redeliver": {
            "parameters": one,
            "post": deed("webhook_again", again, "Again", done("Redelivered", "They are due again at once, under their ids.", 202), 404, 409),
        },
        "/v1/webhooks/{id}/test": {
            "parameters": one,
            "post": act("webhook_tried", f"Posts a `{TEST}` (scope `webhooks:write`).", done("Tried", "It is on its way.", 202), [], 400, 404, 409),
        },
    }


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    return {**_bodies(), **_webhook(), **_posts(), "Event": _event()}


def _bodies() -> dict[str, Any]:
    types = {"type": "array", "minItems": 1, "maxItems": 50, "items": {"enum": sorted(TYPES)}}
    found = bodies({
        "WebhookWanted": (Wanted, {name: WEBHOOK[name] for name in ("url", "types", "description")}),
        "WebhookChanges": (Changes, {"enabled": True}),
        "Rotation": (Rotation, {"overlap": 0}),
        "Again": (Again, {"since": "2026-11-25T00:00:00Z"}),
    })  # fmt: skip
    for name in ("WebhookWanted", "WebhookChanges"):
        properties = {**found[name]["properties"], "types": types}
        properties["url"] = {**properties["url"], "description": "To https on port 443 at a public address."}
        found[name] = {**found[name], "properties": properties}
    found["WebhookChanges"] = _as_it_is(found["WebhookChanges"])
    found["Again"]["oneOf"] = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("id", "since")]
    return found


def _as_it_is(schema: dict[str, Any]) -> dict[str, Any]:
    """Of changes: something is given, and what is not given has no value that stands in for it."""
    properties = {name: {key: value for key, value in one.items() if key != "default"} for name, one in schema["properties"].items()}
    return {**schema, "properties": properties, "minProperties": 1}


def _webhook() -> dict[str, Any]:
    until = {"failing_since": LATER, "paused_until": LATER, "both_secrets_until": LATER, "disabled_at": LATER}
    why = {"enum": ["asked", "gone", "failing", None], "description": "By a person, by its answer 410, or since nothing succeeded for five days."}
    own = {"id": UUID, "url": STRING, "types": listing(STRING), "description": STRING, "enabled": FLAG, "created_at": TIME}
    all_of = {**own, **until, "disabled_reason": why}
    return {
        "Webhook": thing(WEBHOOK, **all_of),
        "NewWebhook": thing({**WEBHOOK, **SECRET}, **all_of, secret=STRING),
        "Webhooks": thing({"webhooks": [WEBHOOK]}, webhooks=listing(reference("Webhook"))),
    }


def _posts() -> dict[str, Any]:
    answered = thing(at=TIME, attempt=COUNT, seconds={"type": "number"})
    answered["properties"] |= {"status": {"type": "integer"}, "error": STRING, "body": STRING}
    answered["description"] = "One call: its status, or in `error` why there is none; the beginning of the answer's body."
    told = {"id": STRING, "type": STRING, "state": {"enum": ["due", "sent", "failed"]}, "attempts": COUNT, "noted_at": TIME, "next_try_at": LATER}
    post = thing(TOLD, **told, answers={**listing(answered), "description": "The last twelve."})
    return {
        "Post": post,
        "Posts": thing({"deliveries": [TOLD], "next": None}, deliveries=listing(reference("Post")), next=MAYBE),
        "Redelivered": thing({"redelivered": 1, "more": False}, redelivered=COUNT, more={**FLAG, "description": "Ask again for the rest."}),
        "Tried": thing({"id": POST}, id={**STRING, "description": "Of the post, as the list names it."}),
    }


def _event() -> dict[str, Any]:
    kinds = {"enum": sorted({one for one in TYPES if not one.endswith(".*")} | {DISABLED, TEST})}
    return {**thing(EVENT, type=kinds, timestamp=TIME, data={"type": "object"}), "description": "`data` is the event's data in the contract."}


def posted() -> dict[str, Any]:
    """What comes to the tenant's own systems (Standard Webhooks)."""
    meant = {
        "webhook-id": "The same in every try: what came twice is known by it.",
        "webhook-timestamp": "Of this try, in seconds since 1970.",
        "webhook-signature": "v1,<base64 of HMAC-SHA256 over id.timestamp.body>; two of them while a secret is rotated.",
    }
    headers = [{"name": name, "in": "header", "required": True, "schema": STRING, "description": said} for name, said in meant.items()]
    return {
        "event": {
            "post": {
                "operationId": "event",
                "summary": "Something happened. Answer 2xx within 15 seconds; at least once, in no order.",
                "parameters": headers,
                "requestBody": {"required": True, "content": {JSON: {"schema": reference("Event")}}},
                "responses": {
                    "2XX": {"description": "It is not told again."},
                    "410": {"description": "The webhook is disabled at once."},
                    "default": {"description": "It is tried again over two and a half days."},
                },
            }
        }
    }

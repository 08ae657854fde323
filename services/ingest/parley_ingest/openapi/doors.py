"""The doors for what comes in by itself: webhooks and events of other services. Pure."""

from __future__ import annotations

from typing import Any

from parley.contracts import CustomerEvent
from parley_ingest.events import BATCH
from parley_ingest.openapi.words import JSON, in_path, problems, reference

ONE, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"


def hooks() -> dict[str, Any]:
    """`/hooks/{account}`."""
    account = in_path("account", "An account of accounts.yaml.")
    taken = {"description": "What the provider wants to hear.", "content": {"*/*": {"schema": {"type": "string"}}}}
    refused = problems(400, 401, 403, 404, 408, 413, 429, 503)
    return {
        "parameters": [account],
        "get": {
            "operationId": "handshake",
            "summary": "A provider checks the endpoint; the answer is its challenge.",
            "responses": {"200": taken, **refused},
        },
        "post": {
            "operationId": "hook",
            "summary": "A webhook, signed as its provider signs. A 2xx means that it is kept for good.",
            "requestBody": {"content": {kind: {"schema": {}} for kind in (JSON, "application/x-www-form-urlencoded")}},
            "responses": {"200": taken, "202": taken, "204": {"description": "Taken."}, **refused},
        },
    }


def events() -> dict[str, Any]:
    """`/events`."""
    count = {"type": "object", "properties": {"accepted": {"type": "integer", "minimum": 0}}, "required": ["accepted"]}
    attributes = [
        {"name": f"ce-{name}", "in": "header", "schema": {"type": "string"}, "description": "In binary mode, an attribute; percent-encoded."}
        for name in ("specversion", "id", "source", "type", "time")
    ]
    return {
        "post": {
            "operationId": "events",
            "summary": "Events of customers as CloudEvents, structured, in batches or binary. 202 means that all of them are kept for good.",
            "security": [{"key": []}],
            "parameters": attributes,
            "requestBody": {
                "required": True,
                "content": {
                    ONE: {"schema": reference("CloudEvent")},
                    MANY: {"schema": {"type": "array", "items": reference("CloudEvent"), "maxItems": BATCH}},
                    JSON: {"schema": reference("CustomerEvent")},
                },
            },
            "responses": {
                "202": {"description": "Kept.", "content": {JSON: {"schema": count}}},
                **problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
            },
        }
    }


def cloud_event() -> dict[str, Any]:
    """The schema of an event in structured mode."""
    name = {"type": "string", "minLength": 1, "maxLength": 200}
    return {
        "type": "object",
        "description": "A CloudEvent in structured mode. Extensions are allowed, and kept by nobody but `traceparent`.",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": name,
            "source": name,
            "type": {"type": "string", "minLength": 1, "description": f"`{CustomerEvent.type}`, or a name of your own whose data name a customer."},
            "time": {"type": "string", "format": "date-time"},
            "data": reference("CustomerEvent"),
        },
        "required": ["specversion", "id", "source", "type", "data"],
    }

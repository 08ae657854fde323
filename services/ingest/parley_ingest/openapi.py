"""ingest's HTTP API as an OpenAPI 3.1 document: what is served at `/openapi.json`, and what `make docs` writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.contracts import CustomerEvent
from parley.problem import TITLES
from parley_ingest.chatlinks import KINDS
from parley_ingest.events import BATCH
from parley_ingest.verify import Asked

PROBLEM = "application/problem+json"
ONE, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"
REFERENCE = "#/components/schemas/{model}"
SAID = {
    302: "To where the link leads.",
    400: "The body cannot be read; the detail says why.",
    401: "No valid signature or key. For a webhook without a detail.",
    403: "The key lacks the scope, or the token of a handshake is wrong.",
    404: "There is no such account, link or page.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "None of the three forms of a CloudEvent.",
    422: "An event is wrong; the detail says which and why. None of its batch is taken.",
    429: "Over the limit of the account, the key or the address; Retry-After says when to come again.",
    503: "It cannot be kept now; Retry-After says when to come again.",
}


def document() -> dict[str, Any]:
    """The whole document."""
    event = CustomerEvent.model_json_schema(ref_template=REFERENCE)
    asked = Asked.model_json_schema(ref_template=REFERENCE)
    schemas = {
        **event.pop("$defs", {}),
        **asked.pop("$defs", {}),
        "CustomerEvent": event,
        "Verification": asked,
        "CloudEvent": _cloud_event(),
        "Problem": _problem(),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley ingest",
            "version": "1.0.0",
            "summary": "Everything that comes in: webhooks of providers, events of other services, tracked links.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {"/hooks/{account}": _hooks(), "/events": _events(), **_links(), **_verifications(), **_chat_links(), **_files(), **_own()},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key of accounts.yaml with the scope `events:write`."}},
        },
    }


def _hooks() -> dict[str, Any]:
    account = {"name": "account", "in": "path", "required": True, "schema": {"type": "string"}, "description": "An account of accounts.yaml."}
    taken = {"description": "What the provider wants to hear.", "content": {"*/*": {"schema": {"type": "string"}}}}
    refused = _problems(400, 401, 403, 404, 408, 413, 429, 503)
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
            "requestBody": {"content": {kind: {"schema": {}} for kind in ("application/json", "application/x-www-form-urlencoded")}},
            "responses": {"200": taken, "202": taken, "204": {"description": "Taken."}, **refused},
        },
    }


def _events() -> dict[str, Any]:
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
                    ONE: {"schema": _reference("CloudEvent")},
                    MANY: {"schema": {"type": "array", "items": _reference("CloudEvent"), "maxItems": BATCH}},
                    "application/json": {"schema": _reference("CustomerEvent")},
                },
            },
            "responses": {
                "202": {"description": "Kept.", "content": {"application/json": {"schema": count}}},
                **_problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
            },
        }
    }


def _links() -> dict[str, Any]:
    code = {"name": "code", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The code of a message's link."}
    page = {"text/html": {"schema": {"type": "string"}}}
    gone = {"description": SAID[404], "content": {**page, PROBLEM: {"schema": _reference("Problem")}}}
    return {
        "/l/{code}": {
            "parameters": [code],
            "get": {
                "operationId": "follow",
                "summary": "A tracked link. The target never comes from the request.",
                "responses": {"302": {"description": SAID[302]}, "404": gone, **_problems(503)},
            },
        },
        "/o/{code}.gif": {
            "parameters": [code],
            "get": {
                "operationId": "opened",
                "summary": "A pixel, whatever the code.",
                "responses": {"200": {"description": "The pixel.", "content": {"image/gif": {"schema": {}}}}, **_problems(404, 503)},
            },
        },
        "/u/{code}": {
            "parameters": [code],
            "get": {
                "operationId": "asked",
                "summary": "A page with one button; nothing changes.",
                "responses": {"200": {"description": "The page.", "content": page}, "404": gone, **_problems(503)},
            },
            "post": {
                "operationId": "unsubscribe",
                "summary": "Off marketing with one click (RFC 8058). 200 means that it is kept for good; again is the same.",
                "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _one_click()}}},
                "responses": {"200": {"description": "Unsubscribed.", "content": page}, "404": gone, **_problems(400, 408, 413, 429, 503)},
            },
        },
    }


def _one_click() -> dict[str, Any]:
    said = {"List-Unsubscribe": {"const": "One-Click"}}
    return {"type": "object", "properties": said, "required": list(said), "additionalProperties": False}


def _verifications() -> dict[str, Any]:
    code = {"name": "code", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The code of a verified link."}
    page = {"text/html": {"schema": {"type": "string"}}}
    over = {"description": "The link is used, too old or mistyped.", "content": page}
    link = {"type": "object", "properties": {"link": {"type": "string"}, "expires_at": {"type": "string"}}, "required": ["link", "expires_at"]}
    return {
        "/v1/verifications": {
            "post": {
                "operationId": "verification",
                "summary": "A link that proves an address of a customer: whoever opens it there and presses the button is that customer.",
                "security": [{"key": []}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": _reference("Verification")}}},
                "responses": {
                    "201": {"description": "To be sent to the address.", "content": {"application/json": {"schema": link}}},
                    **_problems(400, 401, 403, 408, 413, 422, 429, 503),
                },
            }
        },
        "/v/{code}": {
            "parameters": [code],
            "get": {
                "operationId": "verify",
                "summary": "A page with one button; nothing changes.",
                "responses": {"200": {"description": "The page.", "content": page}, "404": over, **_problems(429, 503)},
            },
            "post": {
                "operationId": "verified",
                "summary": "Joins, once. 200 means that it is kept for good.",
                "responses": {"200": {"description": "Confirmed.", "content": page}, "404": over, **_problems(413, 429, 503)},
            },
        },
    }


def _chat_links() -> dict[str, Any]:
    def asked(name: str, meaning: str, required: bool = True) -> dict[str, Any]:
        return {"name": name, "in": "query", "required": required, "schema": {"type": "string", "minLength": 1}, "description": meaning}

    words = [asked("keyword", "What the customer says first; it starts a flow."), asked("campaign", "Where the link stands.", False)]
    account = {"name": "account", "in": "path", "required": True, "schema": {"type": "string"}, "description": "An account of accounts.yaml."}
    link = {"type": "object", "properties": {"link": {"type": "string"}, "qr": {"type": "object"}}, "required": ["link"]}
    pictures = {
        f"/qr/{{account}}.{kind}": {
            "parameters": [account, *words, asked("sig", "As the address was given out.")],
            "get": {
                "operationId": f"qr_{kind}",
                "summary": "The QR code of a link, at the address that came with it.",
                "responses": {"200": {"description": "The picture.", "content": {media: {"schema": {}}}}, **_problems(404, 422, 429)},
            },
        }
        for kind, media in KINDS.items()
    }
    return {
        "/v1/links/chat": {
            "get": {
                "operationId": "chat_link",
                "summary": "A link that opens a conversation with an account of the tenant, and the addresses of its QR codes.",
                "security": [{"key": []}],
                "parameters": [asked("account", "An account of accounts.yaml."), *words],
                "responses": {
                    "200": {"description": "The link.", "content": {"application/json": {"schema": link}}},
                    **_problems(401, 403, 404, 422, 429),
                },
            }
        },
        **pictures,
    }


def _files() -> dict[str, Any]:
    def asked(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "in": "query",
            "schema": {"type": "string", "minLength": 1},
            "description": f"The `{name}` of the message's media; one of the two.",
        }

    account = {
        "name": "account",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "The account that the message came to.",
    }
    return {
        "/v1/media/{account}": {
            "parameters": [account, asked("id"), asked("url")],
            "get": {
                "operationId": "media",
                "summary": "A file that a customer sent, fetched now from where it stands. A key with the scope `conversations:read`.",
                "security": [{"key": []}],
                "responses": {"200": {"description": "The file.", "content": {"*/*": {"schema": {}}}}, **_problems(401, 403, 404, 422, 429, 503)},
            },
        }
    }


def _own() -> dict[str, Any]:
    """What every service has, and this document."""

    def text(name: str, meaning: str, **more: Any) -> dict[str, Any]:
        said = {"description": meaning, "content": {"text/plain": {"schema": {"type": "string"}}}}
        return {"get": {"operationId": name, "summary": meaning, "responses": {"200": said, **more}}}

    own = {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "/healthz": text("healthz", "The process is alive."),
        "/readyz": text("readyz", "It takes requests, and its stages go on.", **_problems(503)),
        "/metrics": text("metrics", "Metrics in Prometheus' text form."),
        "/openapi.json": {"get": {"operationId": "openapi", "summary": "This document.", "responses": {"200": own}}},
    }


def _problems(*statuses: int) -> dict[str, Any]:
    return {str(one): {"description": SAID[one], "content": {PROBLEM: {"schema": _reference("Problem")}}} for one in statuses}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}


def _problem() -> dict[str, Any]:
    texts: Mapping[str, Any] = {"type": {"type": "string"}, "title": {"enum": [*TITLES.values(), "Error"]}, "detail": {"type": "string"}}
    return {
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {**texts, "status": {"type": "integer"}},
        "required": ["type", "title", "status"],
    }


def _cloud_event() -> dict[str, Any]:
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
            "data": _reference("CustomerEvent"),
        },
        "required": ["specversion", "id", "source", "type", "data"],
    }

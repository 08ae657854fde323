"""What people follow and open: tracked links, pixels, unsubscribing, verified links, click-to-chat. And the files that they sent. Pure."""

from __future__ import annotations

from typing import Any

from parley_ingest.chatlinks import KINDS
from parley_ingest.openapi.words import JSON, PAGE, PROBLEM, SAID, in_path, problems, reference


def links() -> dict[str, Any]:
    """Tracked links, pixels, and leaving with one click."""
    code = in_path("code", "The code of a message's link.")
    page = {PAGE: {"schema": {"type": "string"}}}
    gone = {"description": SAID[404], "content": {**page, PROBLEM: {"schema": reference("Problem")}}}
    return {
        "/l/{code}": {
            "parameters": [code],
            "get": {
                "operationId": "follow",
                "summary": "A tracked link. The target never comes from the request.",
                "responses": {"302": {"description": SAID[302]}, "404": gone, **problems(503)},
            },
        },
        "/o/{code}.gif": {
            "parameters": [code],
            "get": {
                "operationId": "opened",
                "summary": "A pixel, whatever the code.",
                "responses": {"200": {"description": "The pixel.", "content": {"image/gif": {"schema": {}}}}, **problems(404, 503)},
            },
        },
        "/u/{code}": {
            "parameters": [code],
            "get": {
                "operationId": "asked",
                "summary": "A page with one button; nothing changes.",
                "responses": {"200": {"description": "The page.", "content": page}, "404": gone, **problems(503)},
            },
            "post": {
                "operationId": "unsubscribe",
                "summary": "Off marketing with one click (RFC 8058). 200 means that it is kept for good; again is the same.",
                "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _one_click()}}},
                "responses": {"200": {"description": "Unsubscribed.", "content": page}, "404": gone, **problems(400, 408, 413, 429, 503)},
            },
        },
    }


def _one_click() -> dict[str, Any]:
    said = {"List-Unsubscribe": {"const": "One-Click"}}
    return {"type": "object", "properties": said, "required": list(said), "additionalProperties": False}


def verifications() -> dict[str, Any]:
    """Links that prove an address."""
    code = in_path("code", "The code of a verified link.")
    page = {PAGE: {"schema": {"type": "string"}}}
    over = {"description": "The link is used, too old or mistyped.", "content": page}
    link = {"type": "object", "properties": {"link": {"type": "string"}, "expires_at": {"type": "string"}}, "required": ["link", "expires_at"]}
    return {
        "/v1/verifications": {
            "post": {
                "operationId": "verification",
                "summary": "A link that proves an address of a customer: whoever opens it there and presses the button is that customer.",
                "security": [{"key": []}],
                "requestBody": {"required": True, "content": {JSON: {"schema": reference("Verification")}}},
                "responses": {
                    "201": {"description": "To be sent to the address.", "content": {JSON: {"schema": link}}},
                    **problems(400, 401, 403, 408, 413, 422, 429, 503),
                },
            }
        },
        "/v/{code}": {
            "parameters": [code],
            "get": {
                "operationId": "verify",
                "summary": "A page with one button; nothing changes.",
                "responses": {"200": {"description": "The page.", "content": page}, "404": over, **problems(429, 503)},
            },
            "post": {
                "operationId": "verified",
                "summary": "Joins, once. 200 means that it is kept for good.",
                "responses": {"200": {"description": "Confirmed.", "content": page}, "404": over, **problems(413, 429, 503)},
            },
        },
    }


def chat_links() -> dict[str, Any]:
    """Links and QR codes that open a conversation."""

    def asked(name: str, meaning: str, required: bool = True) -> dict[str, Any]:
        return {"name": name, "in": "query", "required": required, "schema": {"type": "string", "minLength": 1}, "description": meaning}

    words = [asked("keyword", "What the customer says first; it starts a flow."), asked("campaign", "Where the link stands.", False)]
    account = in_path("account", "An account of accounts.yaml.")
    link = {"type": "object", "properties": {"link": {"type": "string"}, "qr": {"type": "object"}}, "required": ["link"]}
    pictures = {
        f"/qr/{{account}}.{kind}": {
            "parameters": [account, *words, asked("sig", "As the address was given out.")],
            "get": {
                "operationId": f"qr_{kind}",
                "summary": "The QR code of a link, at the address that came with it.",
                "responses": {"200": {"description": "The picture.", "content": {media: {"schema": {}}}}, **problems(404, 422, 429)},
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
                    "200": {"description": "The link.", "content": {JSON: {"schema": link}}},
                    **problems(401, 403, 404, 422, 429),
                },
            }
        },
        **pictures,
    }


def files() -> dict[str, Any]:
    """Files of customers."""

    def asked(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "in": "query",
            "schema": {"type": "string", "minLength": 1},
            "description": f"The `{name}` of the message's media; one of the two.",
        }

    account = in_path("account", "The account that the message came to.")
    return {
        "/v1/media/{account}": {
            "parameters": [account, asked("id"), asked("url")],
            "get": {
                "operationId": "media",
                "summary": "A file that a customer sent, fetched now from where it stands. A key with the scope `conversations:read`.",
                "security": [{"key": []}],
                "responses": {"200": {"description": "The file.", "content": {"*/*": {"schema": {}}}}, **problems(401, 403, 404, 422, 429, 503)},
            },
        }
    }

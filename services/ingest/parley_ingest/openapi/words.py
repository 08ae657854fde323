"""What all parts of the document are written with: statuses and what they mean here, references to schemas, parameters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.problem import TITLES

JSON, PAGE, PROBLEM = "application/json", "text/html", "application/problem+json"
REFERENCE = "#/components/schemas/{model}"
SAID = {
    302: "To where the link leads.",
    400: "The body cannot be read; the detail says why.",
    401: "No valid signature, key or token. For a webhook without a detail.",
    403: "The key lacks the scope, the token of a handshake is wrong, or pages of this origin may not use the chat.",
    404: "There is no such account, link, visitor or page.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "None of the three forms of a CloudEvent.",
    422: "What is asked is wrong; the detail says which part and why. Of a batch nothing is taken.",
    429: "Over the limit of the account, the key, the visitor or the address; Retry-After says when to come again.",
    503: "It cannot be kept now; Retry-After says when to come again.",
}


def problems(*statuses: int) -> dict[str, Any]:
    """Answers that are problem documents."""
    return {str(one): {"description": SAID[one], "content": {PROBLEM: {"schema": reference("Problem")}}} for one in statuses}


def reference(model: str) -> dict[str, str]:
    """Where a schema of the document stands."""
    return {"$ref": REFERENCE.format(model=model)}


def in_path(name: str, meaning: str) -> dict[str, Any]:
    """A parameter that is a part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": meaning}


def answer(meaning: str, media: str = JSON, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An answer with a body of one kind."""
    return {"description": meaning, "content": {media: {"schema": dict(schema or {})}}}


def problem() -> dict[str, Any]:
    """The schema of a problem document."""
    texts: Mapping[str, Any] = {"type": {"type": "string"}, "title": {"enum": [*TITLES.values(), "Error"]}, "detail": {"type": "string"}}
    return {
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {**texts, "status": {"type": "integer"}},
        "required": ["type", "title", "status"],
    }

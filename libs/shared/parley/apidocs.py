"""What the OpenAPI documents of all services are written with: references to schemas, parameters, answers, problem documents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.problem import TITLES

JSON, PROBLEM = "application/json", "application/problem+json"
REFERENCE = "#/components/schemas/{model}"
NOT_NOW = "It cannot be kept now; Retry-After says when to come again."
"""What 503 means."""


def reference(model: str) -> dict[str, str]:
    """Where a schema of the document stands."""
    return {"$ref": REFERENCE.format(model=model)}


def in_path(name: str, meaning: str) -> dict[str, Any]:
    """A parameter that is a part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": meaning}


def answer(meaning: str, media: str = JSON, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An answer with a body of one kind."""
    return {"description": meaning, "content": {media: {"schema": dict(schema or {})}}}


def problems(said: Mapping[int, str], *statuses: int) -> dict[str, Any]:
    """Answers that are problem documents; `said`: what each status means for this service."""
    return {str(one): answer(said[one], PROBLEM, reference("Problem")) for one in statuses}


def problem() -> dict[str, Any]:
    """The schema of a problem document."""
    texts: Mapping[str, Any] = {"type": {"type": "string"}, "title": {"enum": [*TITLES.values(), "Error"]}, "detail": {"type": "string"}}
    return {
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {**texts, "status": {"type": "integer"}},
        "required": ["type", "title", "status"],
        "examples": [{"type": "about:blank", "title": TITLES[403], "status": 403, "detail": "The key 'shop' lacks the scope 'messages:write'."}],
    }


def own() -> dict[str, Any]:
    """The paths that every service has."""

    def text(name: str, meaning: str, **more: Any) -> dict[str, Any]:
        said = answer(meaning, "text/plain", {"type": "string"})
        return {"get": {"operationId": name, "summary": meaning, "responses": {"200": said, **more}}}

    this = answer("This document.", JSON, {"type": "object"})
    return {
        "/healthz": text("healthz", "The process is alive."),
        "/readyz": text("readyz", "It takes requests, and its stages go on.", **problems({503: NOT_NOW}, 503)),
        "/metrics": text("metrics", "Metrics in Prometheus' text form."),
        "/openapi.json": {"get": {"operationId": "openapi", "summary": "This document.", "responses": {"200": this}}},
    }

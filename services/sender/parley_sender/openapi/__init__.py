"""sender's HTTP API as an OpenAPI 3.1 document: what is served at `/openapi.json`, and what `make docs` writes. Pure."""

from __future__ import annotations

from typing import Any

from parley import apidocs
from parley_sender.openapi import lanes, messages, screen, stories, suppressions, webhooks

PARTS = (messages, stories, lanes, suppressions, webhooks)


def document() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley sender",
            "version": "1.0.0",
            "summary": "Messages that other systems ask for, their stories, lanes, what is unknown, addresses that get nothing, and webhooks.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {path: item for part in PARTS for path, item in part.paths().items()} | screen.paths() | apidocs.own(),
        "webhooks": webhooks.posted(),
        "components": {
            "schemas": {name: one for part in PARTS for name, one in part.schemas().items()} | {"Problem": apidocs.problem()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of accounts.yaml with the scope that the summary names."}
            },
        },
    }

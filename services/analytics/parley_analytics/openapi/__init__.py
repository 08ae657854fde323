"""analytics' HTTP API as an OpenAPI 3.1 document: what is served at `/openapi.json`, and what `make docs` writes. Pure."""

from __future__ import annotations

from typing import Any

from parley import apidocs
from parley_analytics.openapi import figures, hits, others


def document() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley analytics",
            "version": "1.0.0",
            "summary": "What came of messages, campaigns, conversations and experiments.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": figures.paths() | others.paths() | hits.paths() | apidocs.own(),
        "components": {
            "schemas": figures.schemas() | others.schemas() | hits.schemas() | {"Problem": apidocs.problem()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of accounts.yaml with the scope that the summary names."}
            },
        },
    }

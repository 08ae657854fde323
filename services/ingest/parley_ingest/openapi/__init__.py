"""ingest's HTTP API as an OpenAPI 3.1 document: what is served at `/openapi.json`, and what `make docs` writes. Pure."""

from __future__ import annotations

from typing import Any

from parley import apidocs
from parley.contracts import CustomerEvent
from parley_ingest.openapi import chat, doors, links
from parley_ingest.openapi.words import REFERENCE, problem
from parley_ingest.verify import Asked


def document() -> dict[str, Any]:
    """The whole document."""
    event = CustomerEvent.model_json_schema(ref_template=REFERENCE)
    asked = Asked.model_json_schema(ref_template=REFERENCE)
    schemas = {
        **event.pop("$defs", {}),
        **asked.pop("$defs", {}),
        "CustomerEvent": event,
        "Verification": asked,
        "CloudEvent": doors.cloud_event(),
        **chat.schemas(),
        "Problem": problem(),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley ingest",
            "version": "1.0.0",
            "summary": "Everything that comes in: webhooks of providers, events of other services, tracked links, web chat.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/hooks/{account}": doors.hooks(),
            "/events": doors.events(),
            **links.links(),
            **links.verifications(),
            **links.chat_links(),
            **links.files(),
            **chat.paths(),
            **apidocs.own(),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of accounts.yaml with the scope `events:write`."},
                **chat.SECURITY,
            },
        },
    }

"""Who opened a message and clicked in it, and what corrects that. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import in_path, reference
from parley_analytics.openapi.words import COUNT, STRING, TIME, deed, get, listing, thing

EXAMPLE_HIT = {
    "hit": "0d4f8a36-8a52-5a60-9d0e-3f1c0a4b7c11",
    "kind": "clicked",
    "at": "2026-11-24T09:05:00+00:00",
    "by": "human",
    "rules": 1,
    "revision": 0,
}
UUID = {"type": "string", "format": "uuid"}


def paths() -> dict[str, Any]:
    """The question about a message's hits, and the deed that corrects one."""
    return {
        "/v1/messages/{message}/hits": {
            "parameters": [in_path("message", "The message's id.")],
            "get": get("hits", "Who opened a message and followed its links, as it was judged (scope `rates:read`).", "Hits", [], 404),
            "post": deed(
                "correct", "Says what a hit was, where a person knows better (scope `engagement:write`): 202; 200 where it counts as that already.",
                "Correction", "Hit", 404, 409,
            ),
        }
    }  # fmt: skip


def schemas() -> dict[str, Any]:
    """What is said and answered."""
    message = "5f0c5d2e-51f5-5c59-8a44-0b0f6f3a7a20"
    return {
        "Hit": thing(EXAMPLE_HIT, hit=UUID, kind={"enum": ["opened", "clicked"]}, at=TIME, by={"enum": ["human", "machine"]}, rules=COUNT, revision=COUNT),
        "Hits": thing({"message_id": message, "hits": [EXAMPLE_HIT]}, message_id=UUID, hits=listing(reference("Hit"))),
        "Correction": thing(
            {"hit": EXAMPLE_HIT["hit"], "by": "scanner", "because": "their gateway follows every link, says their administrator"},
            hit=UUID, by={"enum": ["human", "prefetch", "scanner"]}, because={**STRING, "minLength": 1, "maxLength": 200},
        ),
    }  # fmt: skip

"""Addresses that get nothing: looked up, put on the list one or many at a time, taken off it. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import JSON, reference
from parley.contracts import Channel
from parley_sender.openapi.words import COUNT, GONE, MAYBE, PAGES, STRING, TIME, act, bodies, deed, done, get, listing, query, thing
from parley_sender.suppressions_api import MOST, Wanted

SCOPES = ["tenant", "account", "global"]
WANTED = {"channel": "email", "address": "kim@shop.example", "scope": "tenant", "reason": "asked", "note": "by phone"}
ENTRY = {**WANTED, "account": None, "since": "2026-11-25T09:00:00+00:00", "by": "support"}


def paths() -> dict[str, Any]:
    """All that stands under `/v1/suppressions`."""
    address, channel = query("address", STRING, "In any form of it."), query("channel", {"enum": list(Channel)}, "Of the address.")
    of = [query("account", STRING, "Of an entry that holds for one account."), query("scope", {"enum": SCOPES}, "Whom the entry holds for.")]
    named = [{**address, "required": True}, {**channel, "required": True}, *of]
    looks = "What keeps messages from an address; without `address` the tenant's own list, the newest first (scope `suppressions:read`)."
    puts = "Puts an address on the list; `scope` global also needs `suppressions:global` (scope `suppressions:write`)."
    kept = {**done("Suppression", "It stood there; reason and note are those given now."), **done("Suppression", "It is new.", 201)}
    off = act("release", "Takes an address off the list (scope `suppressions:write`).", GONE, named, 404, 422)
    return {
        "/v1/suppressions": {
            "get": get("suppressions", looks, "Suppressions", [address, channel, *PAGES], 422),
            "put": deed("suppress_put", puts, "Suppressed", kept),
            "post": deed("suppress_post", puts, "Suppressed", kept),
            "delete": off,
        },
        "/v1/suppressions/import": {"post": _import()},
    }


def _import() -> dict[str, Any]:
    many = {"type": "array", "minItems": 1, "maxItems": MOST, "items": reference("Suppressed")}
    body = {"required": True, "content": {JSON: {"schema": many}, "application/x-ndjson": {"schema": STRING}}}
    summary = f"Puts up to {MOST} addresses on the list: all that can be taken, at once (scope `suppressions:write`)."
    return {
        **deed("suppress_many", summary, "Suppressed", done("Imported", "`refused`: the first that were not taken, by their place.")),
        "requestBody": body,
    }


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    entry = {"channel": {"enum": list(Channel)}, "address": STRING, "scope": {"enum": SCOPES}, "reason": STRING, "since": TIME}
    refused = thing(place=COUNT, detail=STRING)
    counted = {"new": 1, "known": 0, "refused_count": 1, "refused": [{"place": 1, "detail": "address: Field required"}]}
    by = {**MAYBE, "description": "The key that put it there; null for Parley itself."}
    return {
        **bodies({"Suppressed": (Wanted, WANTED)}),
        "Suppression": thing(ENTRY, **entry, account=MAYBE, note=MAYBE, by=by),
        "Suppressions": thing({"suppressions": [ENTRY], "next": None}, suppressions=listing(reference("Suppression")), next=MAYBE),
        "Imported": thing(counted, new=COUNT, known=COUNT, refused_count=COUNT, refused=listing(refused)),
    }

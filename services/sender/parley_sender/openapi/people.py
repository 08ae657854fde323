"""What people ask and set: stories of messages, lanes, what is unknown, addresses that get nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley import apidocs
from parley.apidocs import JSON, REFERENCE, answer, in_path, reference
from parley.contracts import Channel
from parley_sender.lanes_api import Wishes
from parley_sender.settling_api import Decision, OfLane
from parley_sender.storywords import LANGUAGES
from parley_sender.suppressions_api import MOST, Wanted

SAID = {
    400: "The body is no JSON, or the id is none.",
    401: "No valid key.",
    403: "The key lacks the scope that the summary names.",
    404: "There is nothing of the tenant's by this name.",
    408: "The body came too slowly.",
    409: "It is not unknown (any more), or it cannot be sent once more.",
    413: "The body is too large.",
    422: "It cannot be taken; the detail says which part and why.",
    503: apidocs.NOT_NOW,
}
STRING, TIME, UUID = {"type": "string"}, {"type": "string", "format": "date-time"}, {"type": "string", "format": "uuid"}
COUNT, MAYBE, LATER = {"type": "integer", "minimum": 0}, {"type": ["string", "null"]}, {"type": ["string", "null"], "format": "date-time"}


def _query(name: str, schema: Mapping[str, Any], meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": dict(schema), **({"description": meaning} if meaning else {})}


PAGES = [
    _query("limit", {"type": "integer", "minimum": 1, "maximum": 200}, "Entries of a page."),
    _query("after", STRING, "What `next` of the page before said."),
]


def paths() -> dict[str, Any]:
    """Where people look, and what they say."""
    return {**_of_messages(), **_of_lanes(), **_of_addresses()}


def _of_messages() -> dict[str, Any]:
    one = [in_path("id", "The message's id.")]
    language = _query("language", {"enum": list(LANGUAGES)}, "Of the sentences.")
    old = [_query("lane", STRING, "The account."), _query("older_than", STRING, "As 15m, 2h, 3d.")]
    settles = "What became of a message that is unknown, or that it is to be sent once more (scope `messages:settle`)."
    listed = _get("unknown", "What nobody knows of, the longest first (scope `messages:read`).", "Unknown", [*old, *PAGES], 422)
    return {
        "/v1/messages/{id}": {
            "parameters": one,
            "get": _get("story", "A message's whole story (scope `messages:read`).", "Story", [language], 400, 404, 422),
        },
        "/v1/messages/{id}/settle": {"parameters": one, "post": _does("settle", settles, "Decision", "Settled", 404, 409)},
        "/v1/unknown": {"get": listed},
        "/v1/unknown/settle": {"post": _does("settle_lane", "The same for all of a lane (scope `messages:settle`).", "OfLane", "SettledOfLane", 404)},
    }


def _of_lanes() -> dict[str, Any]:
    sets = "Pauses a lane, lets it go on, or gives it another rate, from its next turn on (scope `lanes:write`)."
    return {
        "/v1/lanes": {"get": _get("lanes", "The tenant's lanes (scope `messages:read`).", "Lanes", [])},
        "/v1/lanes/{lane}": {
            "parameters": [in_path("lane", "The account of accounts.yaml.")],
            "patch": _does("set_lane", sets, "Wishes", "Lane", 404),
        },
    }


def _of_addresses() -> dict[str, Any]:
    address = _query("address", STRING, "In any form; its normal one is looked for where the channel is named.")
    channel = _query("channel", {"enum": list(Channel)}, "Of the address.")
    of = [
        _query("account", STRING, "Of an entry that holds for one account."),
        _query("scope", {"enum": ["tenant", "account", "global"]}, "Whom it holds for."),
    ]
    many = {"type": "array", "minItems": 1, "maxItems": MOST, "items": reference("Suppressed")}
    body = {"required": True, "content": {JSON: {"schema": many}, "application/x-ndjson": {"schema": STRING}}}
    puts = [
        (verb, _does(f"suppress_{verb}", "Puts an address on the list (scope `suppressions:write`).", "Suppressed", "Suppression", new=True))
        for verb in ("put", "post")
    ]
    looks = "What keeps messages from an address, or the tenant's list (scope `suppressions:read`)."
    named = [{**address, "required": True}, {**channel, "required": True}, *of]
    imports = _does("suppress_many", f"Puts up to {MOST} addresses on the list (scope `suppressions:write`).", "Suppressed", "Imported")
    return {
        "/v1/suppressions": {
            "get": _get("suppressions", looks, "Suppressions", [address, channel, *PAGES], 422),
            **dict(puts),
            "delete": _get("release", "Takes an address off the list (scope `suppressions:write`).", "", named, 404, 422),
        },
        "/v1/suppressions/import": {"post": {**imports, "requestBody": body}},
    }


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    asked: dict[str, Any] = {}
    for name, model in (("Decision", Decision), ("OfLane", OfLane), ("Wishes", Wishes), ("Suppressed", Wanted)):
        schema = model.model_json_schema(ref_template=REFERENCE)
        asked |= {**schema.pop("$defs", {}), name: schema}
    moment = _object({"at": TIME, "what": STRING, "said": STRING}, detail={"type": "object"})
    attempt = _object({"attempt": COUNT, "called_at": TIME, "ended_at": TIME, "outcome": STRING}, code=MAYBE, reason=MAYBE, provider_id=MAYBE)
    doubt = _object(
        {"message_id": UUID, "lane": STRING, "channel": STRING, "purpose": STRING, "since": TIME, "asked": COUNT}, why=STRING, asked_again_at=LATER
    )
    entry = _object({"channel": STRING, "address": STRING, "scope": STRING, "reason": STRING, "since": TIME}, account=MAYBE, note=MAYBE, by=MAYBE)
    return {
        **asked,
        "Story": _object({"message_id": UUID, "status": STRING, "summary": STRING, "attempts": _list(attempt), "story": _list(moment)}, reason=MAYBE),
        "Settled": _object({"message_id": UUID, "status": STRING}),
        "SettledOfLane": _object({"settled": COUNT, "more": {"type": "boolean"}}),
        "Unknown": _object({"unknown": _list(doubt), "next": MAYBE}),
        "Lane": _object({"lane": STRING, "channel": STRING, "rate_per_second": {"type": "number"}, "waiting": {"type": "object"}, "calling": COUNT, "unknown": COUNT},
                        rate=MAYBE, paused={"type": ["object", "null"]}, broken_until=LATER),
        "Lanes": _object({"lanes": _list(reference("Lane"))}),
        "Suppression": entry,
        "Suppressions": _object({"suppressions": _list(reference("Suppression")), "next": MAYBE}),
        "Imported": _object({"new": COUNT, "known": COUNT, "refused_count": COUNT, "refused": _list(_object({"place": COUNT, "detail": STRING}))}),
    }  # fmt: skip


def _get(name: str, summary: str, told: str, parameters: list[dict[str, Any]], *statuses: int) -> dict[str, Any]:
    said = {"200": answer("As it stands.", JSON, reference(told))} if told else {"204": {"description": "Done."}}
    return {
        "operationId": name, "summary": summary, "security": [{"key": []}], "parameters": parameters,
        "responses": {**said, **apidocs.problems(SAID, *sorted({401, 403, 503, *statuses}))},
    }  # fmt: skip


def _does(name: str, summary: str, body: str, told: str, *statuses: int, new: bool = False) -> dict[str, Any]:
    said = {"200": answer("Done.", JSON, reference(told)), **({"201": answer("It is new.", JSON, reference(told))} if new else {})}
    return {
        "operationId": name, "summary": summary, "security": [{"key": []}],
        "requestBody": {"required": True, "content": {JSON: {"schema": reference(body)}}},
        "responses": {**said, **apidocs.problems(SAID, *sorted({400, 401, 403, 408, 413, 422, 503, *statuses}))},
    }  # fmt: skip


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _object(given: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**given, **more}, "required": list(given)}

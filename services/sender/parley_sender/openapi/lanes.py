"""Lanes: what waits in each, and how people set them. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import in_path, reference
from parley.contracts import Channel
from parley_sender.lanes_api import Wishes
from parley_sender.openapi.words import COUNT, FLAG, LATER, MAYBE, STRING, TIME, bodies, deed, done, get, listing, perhaps, thing

RATE = r"^[0-9]{1,7}(\.[0-9]{1,3})?/(s|min|h)$"
LANE = {
    "lane": "acme-sms", "channel": "sms", "rate_per_second": 5.0, "rate": "5/s", "configured_rate_per_second": 25.0,
    "paused": {"by": "kim", "at": "2026-11-25T09:00:00+00:00"}, "broken_until": None,
    "waiting": {"marketing": {"messages": 120, "oldest_due_at": "2026-11-25T08:59:00+00:00"}}, "calling": 0, "unknown": 2,
}  # fmt: skip


def paths() -> dict[str, Any]:
    """All that stands under `/v1/lanes`."""
    sets = "Pauses a lane, lets it go on, or gives it another rate, from its next turn on; what is not given stays (scope `lanes:write`)."
    return {
        "/v1/lanes": {"get": get("lanes", "The tenant's lanes, by name (scope `messages:read`).", "Lanes")},
        "/v1/lanes/{lane}": {
            "parameters": [in_path("lane", "The account of accounts.yaml.")],
            "patch": deed("set_lane", sets, "Wishes", done("Lane", "How it is set now."), 404),
        },
    }


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    waits = thing(messages=COUNT, oldest_due_at=TIME)
    rates = {
        "rate_per_second": {"type": "number"},
        "rate": {**MAYBE, "description": "As people set it."},
        "configured_rate_per_second": {"type": "number"},
    }
    stands = {"paused": perhaps(thing(by=STRING, at=TIME)), "broken_until": LATER, "waiting": {"type": "object", "additionalProperties": waits}}
    counts = {"calling": COUNT, "unknown": {**COUNT, "description": "Messages of which nobody knows whether they left."}}
    wishes = bodies({"Wishes": (Wishes, {"paused": False, "rate": "5/s"})})["Wishes"]
    rate = {**MAYBE, "pattern": RATE, "description": "As in 10/s, 20/min, 500/h; null: that of accounts.yaml."}
    return {
        "Wishes": {**wishes, "minProperties": 1, "properties": {"paused": FLAG, "rate": rate}},
        "Lane": thing(LANE, lane=STRING, channel={"enum": list(Channel)}, **rates, **stands, **counts),
        "Lanes": thing({"lanes": [LANE]}, lanes=listing(reference("Lane"))),
    }

"""Stories of messages, what is unknown, and people's word on it. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import in_path
from parley.contracts import ConsentState, DeliveryStatus, Purpose
from parley_sender.openapi.words import (
    COUNT,
    FLAG,
    LATER,
    MAYBE,
    OTHER,
    PAGES,
    STRING,
    TIME,
    UUID,
    bodies,
    deed,
    done,
    get,
    listing,
    perhaps,
    query,
    thing,
)
from parley_sender.settling_api import STATUSES, Decision, OfLane
from parley_sender.storywords import LANGUAGES

ID, CONTACT = "8f14e45f-ceea-467f-a0e6-0123456789ab", "3c59dc04-8e88-5024-9bbe-079a5c74d079"
ASKED_AT, ENDED_AT = "2026-11-25T09:00:00+00:00", "2026-11-25T09:00:01+00:00"
STORY = {
    "message_id": ID, "contact_id": CONTACT, "conversation_id": None, "lane": "acme-sms", "channel": "sms", "purpose": "marketing", "notice": None,
    "campaign": "spring", "variant": "b", "flow": "winback", "step": "offer", "segments": 1, "parts": 1, "parts_done": 0, "status": "suppressed",
    "requested_at": ASKED_AT, "due_at": ASKED_AT, "expires_at": None, "attempt": 0, "failures": 0, "provider_id": None, "instead_of": None,
    "changed_at": ENDED_AT, "reason": "opted_out", "price": None, "provider_segments": None, "told_instead": [],
    "summary": "Not sent: the contact wants no messages of this kind here.", "attempts": [],
    "story": [
        {"at": ASKED_AT, "what": "asked", "said": "Asked for (flow winback, step offer): purpose marketing.", "detail": {"purpose": "marketing"}},
        {"at": ENDED_AT, "what": "ended", "said": "It ends here: the contact wants no messages of this kind here."},
    ],
    "consent": {"state": "revoked", "at": ASKED_AT, "recorded_at": ASKED_AT},
}  # fmt: skip
DOUBT = {
    "message_id": ID, "contact_id": CONTACT, "lane": "acme-sms", "channel": "sms", "purpose": "reply", "campaign": None, "attempt": 1, "parts": 1,
    "parts_done": 0, "called_at": ASKED_AT, "expires_at": None, "reason": "no_answer", "why": "the call got no answer", "since": ENDED_AT, "asked": 1,
    "asked_again_at": "2026-11-25T09:06:30+00:00",
}  # fmt: skip


def paths() -> dict[str, Any]:
    """Where people ask why, and say what became of a message."""
    one = [in_path("id", "The message's id.")]
    language = query("language", {"enum": list(LANGUAGES), "default": LANGUAGES[0]}, "Of the sentences.")
    old = [query("lane", STRING, "The account."), query("older_than", STRING, "For so long at least, as 15m, 2h, 3d.")]
    story = "A message's whole story: why it was sent, held or stopped, and what became of it (scope `messages:read`)."
    listed = "What nobody knows of, the longest first (scope `messages:read`)."
    settles = "What became of a message that is unknown, or that it is to be sent once more (scope `messages:settle`)."
    many = "The same for all of a lane that is unknown, up to 10,000 at a time (scope `messages:settle`)."
    return {
        "/v1/messages/{id}": {"parameters": one, "get": get("story", story, "Story", [language], 400, 404, 422)},
        "/v1/messages/{id}/settle": {"parameters": one, "post": deed("settle", settles, "Decision", done("Settled"), 404, 409)},
        "/v1/unknown": {"get": get("unknown", listed, "Unknown", [*old, *PAGES], 422)},
        "/v1/unknown/settle": {"post": deed("settle_lane", many, "OfLane", done("SettledOfLane"), 404)},
    }


def schemas() -> dict[str, Any]:
    """What is said, in both directions."""
    word = {"as": "sent", "note": "asked the operator"}
    return {
        **bodies({
            "Decision": (Decision, word),
            "OfLane": (OfLane, {**word, "as": "failed", "lane": "acme-sms", "before": "2026-11-25T12:00:00Z"}),
        }),
        "Story": _story(),
        "Unknown": thing({"unknown": [DOUBT], "next": None}, unknown=listing(_doubt()), next=MAYBE),
        "Settled": thing({"message_id": ID, "status": "sent"}, message_id=UUID, status={"enum": list(STATUSES.values())}),
        "SettledOfLane": thing({"settled": 12, "more": False}, settled=COUNT, more={**FLAG, "description": "Ask again for the rest."}),
    }  # fmt: skip


def _story() -> dict[str, Any]:
    whose = {"message_id": UUID, "contact_id": UUID, "conversation_id": OTHER, "lane": STRING, "channel": STRING, "purpose": {"enum": list(Purpose)}}
    origin = dict.fromkeys(("notice", "campaign", "variant", "flow", "step"), MAYBE)
    counts = dict.fromkeys(("segments", "parts", "parts_done", "attempt", "failures"), COUNT)
    times = {"requested_at": TIME, "due_at": TIME, "expires_at": LATER, "changed_at": TIME}
    stands = {"status": {"enum": list(DeliveryStatus)}, "reason": MAYBE, "provider_id": MAYBE, "instead_of": OTHER, "told_instead": listing(UUID)}
    price = {"price": perhaps(thing(amount=STRING, currency=MAYBE)), "provider_segments": {"type": ["integer", "null"]}}
    consent = perhaps(thing(state={"enum": list(ConsentState)}, at=TIME, recorded_at=TIME))
    attempt = thing(attempt=COUNT, called_at=TIME, ended_at=TIME, outcome=STRING, provider_id=MAYBE, code=MAYBE, reason=MAYBE)
    moment = thing(at=TIME, what=STRING, said=STRING)
    moment["properties"]["detail"] = {"type": "object"}
    told = {"summary": STRING, "attempts": listing(attempt), "story": listing(moment), "consent": consent}
    return {**thing(STORY, **whose, **origin, **counts, **times, **stands, **price, **told), "description": "No address and no text is in it."}


def _doubt() -> dict[str, Any]:
    names = {"message_id": UUID, "contact_id": UUID, "lane": STRING, "channel": STRING, "purpose": {"enum": list(Purpose)}, "campaign": MAYBE}
    counts = dict.fromkeys(("attempt", "parts", "parts_done", "asked"), COUNT)
    return thing(**names, **counts, called_at=LATER, expires_at=LATER, reason=MAYBE, why=STRING, since=TIME, asked_again_at=LATER)

"""A message's whole story, in order of time, from what the tables hold of it. No address, no text, no secret is in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from parley.contracts import DeliveryStatus
from parley_sender.masking import masked
from parley_sender.storywords import because, clock, moment, phrase, summary

Row = Mapping[str, Any]
ORDER = (
    "asked", "instead", "route", "held", "moved", "gate", "attempt", "inquired", "settled", "told", "priced", "opened", "clicked", "complained",
    "unsubscribed", "followed", "ended",
)  # fmt: skip
"""What comes before what where both have the same time."""
SAID = frozenset({"code", "note", "reason", "why"})
"""What in a note are words of providers and people."""
OVER = frozenset({DeliveryStatus.SUPPRESSED.value, DeliveryStatus.EXPIRED.value, DeliveryStatus.FAILED.value})


@dataclass(frozen=True, slots=True)
class Found:
    """What the tables hold: the delivery, its calls and notes, its row of the queue while it is open, who paused its lane, and which messages were told
    in its place. `hidden`: its address and texts, which providers may have repeated in their words."""

    delivery: Row
    attempts: Sequence[Row] = ()
    notes: Sequence[Row] = ()
    queue: Row | None = None
    paused_by: str | None = None
    followers: Sequence[Row] = ()
    hidden: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened: when, what, in a sentence, and as values."""

    at: datetime
    what: str
    said: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def story(found: Found, language: str = "en") -> list[Moment]:
    """Everything that happened, in order of time."""
    moments = [
        *_begun(found, language), *_gates(found, language), *_attempts(found, language), *_noted(found, language), *_followed(found, language),
        *_ended(found, language),
    ]  # fmt: skip
    places = {what: place for place, what in enumerate(ORDER)}
    return sorted(moments, key=lambda one: (one.at, places.get(one.what, len(places))))


def first_line(found: Found, language: str = "en") -> str:
    """Where the message is and why, in a sentence: of one that was not sent, why not."""
    row = found.delivery
    status, why = row["status"], _why(found, language)
    if status == DeliveryStatus.QUEUED:
        return _open(found, language, why)
    if status == DeliveryStatus.SENT and row["parts_done"] and row["parts_done"] < row["parts"] and row["reason"]:
        return summary("partly", language, why=why)
    return summary(status, language, why=why, by=f" ({row['lane']})")


def _open(found: Found, language: str, why: str) -> str:
    """Of a message that may still leave: what it waits for."""
    if found.paused_by is not None:
        return summary("paused", language, who=found.paused_by)
    state = found.queue["state"] if found.queue is not None else "ready"
    if found.queue is None or state != "timed":
        return summary(state, language)
    return summary("held" if found.delivery["reason"] else "timed", language, until=clock(found.queue["due_at"]), why=why)


def _why(found: Found, language: str) -> str:
    return because(masked(found.delivery["reason"], found.hidden), language)


def _begun(found: Found, language: str) -> Iterator[Moment]:
    """Who asked for it, in place of what, and which way it goes."""
    row = found.delivery
    at = row["requested_at"]
    names = [phrase(name, language, row[name]) for name in ("flow", "step", "campaign", "variant") if row[name]] or [phrase("api", language)]
    asked = {
        name: row[name]
        for name in ("purpose", "flow", "step", "campaign", "variant", "notice", "conversation_id", "expires_at", "priority", "timezone")
    }
    yield Moment(at, "asked", moment("asked", language, by=f" ({', '.join(names)})", purpose=row["purpose"]), _given(asked))
    if row["instead_of"]:
        yield Moment(at, "instead", moment("instead", language, of=row["instead_of"]), {"instead_of": row["instead_of"]})
    if row["lane"]:
        route = row.get("route") or {}
        why = f": {route['why']}" if isinstance(route, Mapping) and route.get("why") else ""
        detail = {"lane": row["lane"], "channel": row["channel"], **({"route": route} if route else {})}
        yield Moment(at, "route", moment("route", language, lane=row["lane"], channel=row["channel"], why=why), detail)


def _gates(found: Found, language: str) -> Iterator[Moment]:
    """What stood at the gate each time that it was let through."""
    for one in found.attempts:
        gate = one.get("gate")
        if gate:
            yield Moment(one["called_at"], "gate", moment("gate", language, found=", ".join(_stood(gate, language))), gate)


def _stood(gate: Row, language: str) -> Iterator[str]:
    consent = gate.get("consent")
    yield phrase(consent["state"], language, _day(consent["at"])) if consent else phrase("no_word", language)
    if gate.get("rules"):
        yield phrase("rules", language, ", ".join(gate["rules"]))
    if gate.get("caps"):
        yield phrase("caps", language, gate["caps"]["used"])
    if gate.get("window"):
        yield phrase("window", language, _day(gate["window"]))


def _attempts(found: Found, language: str) -> Iterator[Moment]:
    """Each call, how long it took, and what the provider said."""
    for one in found.attempts:
        code, words = masked(one["code"], found.hidden), masked(one["reason"], found.hidden)
        took = f"{(one['ended_at'] - one['called_at']).total_seconds() * 1000:.0f} ms"
        detail = {
            "attempt": one["attempt"],
            "outcome": one["outcome"],
            "code": code,
            "reason": words,
            "provider_id": one["provider_id"],
            "ended_at": one["ended_at"],
        }
        said = _brackets(code, words, one["provider_id"])
        yield Moment(
            one["called_at"], "attempt", moment("attempt", language, attempt=one["attempt"], took=took, outcome=phrase(one["outcome"], language), said=said),
            _given(detail),
        )  # fmt: skip


def _noted(found: Found, language: str) -> Iterator[Moment]:
    """What is noted beside the calls: holds, moves, receipts, clicks, questions, decisions."""
    for one in found.notes:
        what, detail = one["what"], {name: masked(value, found.hidden) if name in SAID else value for name, value in one["detail"].items()}
        yield Moment(one["at"], what, moment(what, language, **_words(what, detail, language)), detail)


def _words(what: str, detail: Row, language: str) -> dict[str, Any]:
    """A note's values as its sentence wants them."""
    match what:
        case "held":
            return {"until": clock(datetime.fromisoformat(detail["until"])), "why": because(detail["reason"], language)}
        case "moved":
            return {"from": detail.get("from", "…"), "to": detail.get("to", "…"), "why": because(detail.get("why") or detail.get("reason"), language)}
        case "told":
            return {
                "status": detail["status"],
                "said": _brackets(detail.get("code")),
                "same": "" if detail.get("moved") else phrase("same", language),
            }
        case "opened" | "clicked":
            return {"by": phrase(detail["by"], language)}
        case "inquired":
            return {"found": phrase(detail["found"], language, detail.get("status", "…"))}
        case "settled":
            return {
                "as": detail["as"],
                "by": phrase(detail["by"], language) if detail.get("own") else detail["by"],
                "said": _brackets(detail.get("note")),
            }
    return dict(detail)


def _followed(found: Found, language: str) -> Iterator[Moment]:
    """Which messages were told in its place."""
    for one in found.followers:
        said = moment("followed", language, channel=one["channel"], message=one["message_id"], status=one["status"])
        yield Moment(one["requested_at"], "followed", said, {"message_id": one["message_id"], "channel": one["channel"], "status": one["status"]})


def _ended(found: Found, language: str) -> Iterator[Moment]:
    """What the provider takes for it, and where it ended without arriving."""
    row = found.delivery
    if row["price"] is not None or row["told_segments"] is not None:
        price = f"{row['price']:f} {row['currency']}" if row["price"] is not None else "…"
        detail = _given(
            {"price": str(row["price"]) if row["price"] is not None else None, "currency": row["currency"], "segments": row["told_segments"]}
        )
        yield Moment(row["changed_at"], "priced", moment("priced", language, segments=row["told_segments"] or row["segments"], price=price), detail)
    if row["status"] in OVER:
        detail = {"status": row["status"], "reason": masked(row["reason"], found.hidden)}
        yield Moment(row["changed_at"], "ended", moment("ended", language, why=_why(found, language)), detail)


def texts(content: Row) -> Iterator[str]:
    """Every text of a message's content, for what must not be repeated of it."""
    for value in content.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from texts(value)
        elif isinstance(value, Sequence):
            for one in value:
                yield from texts(one if isinstance(one, Mapping) else {"": one})


def _brackets(*some: object) -> str:
    said = [str(one) for one in some if one]
    return f" ({'; '.join(said)})" if said else ""


def _given(values: Row) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != UUID(int=0)}


def _day(at: str) -> str:
    return at[:10]

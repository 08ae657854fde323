"""The audit: lost, sent twice, sent after STOP, each computed from the provider's own ledger against the tables and the bus. Pure.

It is made to be run when everything has come to rest, and knows no tolerance: whatever one side has and the other has not is an offence, with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from parley import wire
from parley.demo import stops
from parley.demo.evidence import Evidence
from parley.twin.ledger import TAKEN, Receipt, Request

FINAL = frozenset({"sent", "delivered", "read", "failed", "suppressed", "unknown", "expired"})
"""Statuses in which nothing more is tried."""
LEFT = frozenset({"sent", "delivered", "read"})
"""Statuses that say that the provider has the message."""
STAYED = frozenset({"suppressed", "expired"})
"""Statuses that say that it never left."""
PROVEN = {
    "sent": LEFT | {"failed"},
    "delivered": frozenset({"delivered", "read"}),
    "read": frozenset({"read"}),
    "failed": frozenset({"failed", "delivered", "read"}),
}
"""What a delivery may say once a receipt was acknowledged; it moves only forward, and that a message arrived outweighs that it failed."""
TIMES = frozenset({"opened_at", "last_at", "due", "since", "until"})
"""Of a conversation, of a flow that waits, of a goal: no two runs share them."""


@dataclass(frozen=True, slots=True)
class Offence:
    """One fault: what it is about (an id, never an address or a text), and why it is one."""

    what: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What the audit found."""

    lost: Sequence[Offence]
    sent_twice: Sequence[Offence]
    sent_after_stop: Sequence[Offence]
    unknown: Sequence[UUID]

    @property
    def clean(self) -> bool:
        """None of the three; `unknown` messages are counted, and no fault."""
        return not (self.lost or self.sent_twice or self.sent_after_stop)


def judge(evidence: Evidence) -> Verdict:
    """All three, and what is unknown."""
    return Verdict(
        lost=[*lost_messages(evidence), *lost_requests(evidence), *lost_sends(evidence), *lost_receipts(evidence)],
        sent_twice=list(sent_twice(evidence.requests)),
        sent_after_stop=[Offence(name, reason) for name, reason in stops.broken(evidence)],
        unknown=sorted(one.message_id for one in evidence.deliveries.values() if one.status == "unknown"),
    )


def lost_messages(evidence: Evidence) -> Iterator[Offence]:
    """Customers' messages whose webhook was not taken, or taken without its effect: not seen by ingest, or not counted by the router."""
    outcomes = {(one.account, one.provider_id): one for one in evidence.heard if one.copy == 0}
    said: Counter[UUID | None] = Counter()
    taken: Counter[UUID | None] = Counter()
    for one in evidence.said:
        heard, name = outcomes.get((one.account, one.provider_id)), f"customer's message {one.provider_id} on {one.account}"
        contact = evidence.contacts.get((evidence.accounts[one.account][0], one.sender))
        said[contact] += 1
        if heard is None:
            yield Offence(name, "its webhook is not settled")
        elif heard.outcome != "acknowledged":
            yield Offence(name, f"its webhook was {heard.outcome.replace('_', ' ')} (HTTP {heard.status})")
        else:
            taken[contact] += 1
            if wire.natural_id("message", one.account, one.provider_id) not in evidence.seen:
                yield Offence(name, "acknowledged with 2xx, and ingest has never seen it")
            if contact is None:
                yield Offence(name, "acknowledged with 2xx, and nobody has this address")
    for contact in said:
        applied = evidence.received.get(contact, 0) if contact else 0
        if contact is not None and not taken[contact] <= applied <= said[contact]:
            yield Offence(f"contact {contact}", f"{taken[contact]} of {said[contact]} messages were acknowledged, the router has applied {applied}")


def lost_requests(evidence: Evidence) -> Iterator[Offence]:
    """Messages that were asked for on the bus, and have no delivery, or one that has not come to an end."""
    for number in sorted(evidence.requested - evidence.deliveries.keys()):
        yield Offence(f"message {number}", "asked for on the bus, and sender has no delivery")
    for one in evidence.deliveries.values():
        if one.status not in FINAL:
            yield Offence(f"message {one.message_id}", f"its delivery has not come to an end: {one.status}")


def lost_sends(evidence: Evidence) -> Iterator[Offence]:
    """Deliveries that say what the provider does not: that it has the message, or that it has not."""
    taken = {(one.account, one.reference) for one in evidence.requests if one.verdict in TAKEN}
    for one in evidence.deliveries.values():
        there = (one.account, str(one.message_id)) in taken
        if one.status in LEFT and not there:
            yield Offence(f"message {one.message_id}", f"its delivery says {one.status}, and the provider never took it")
        if one.status in STAYED and there:
            yield Offence(f"message {one.message_id}", f"its delivery says {one.status}, and the provider took it")


def lost_receipts(evidence: Evidence) -> Iterator[Offence]:
    """Receipts that were acknowledged and that the delivery knows nothing of."""
    for one in _told(evidence.receipts):
        delivery = evidence.deliveries.get(UUID(one.reference)) if one.reference else None
        if delivery is None:
            yield Offence(f"receipt {one.status} of {one.provider_id}", "acknowledged with 2xx, and there is no delivery that it belongs to")
        elif delivery.status not in PROVEN[one.status]:
            yield Offence(f"message {delivery.message_id}", f"the receipt {one.status!r} was acknowledged, and its delivery says {delivery.status}")


def sent_twice(requests: Sequence[Request]) -> Iterator[Offence]:
    """The same content under the same reference, taken more than once: the customer has it twice. Parts of one message differ in content."""
    taken: Counter[tuple[Any, ...]] = Counter()
    for one in requests:
        if one.verdict in TAKEN and one.reference is not None:
            taken[one.reference, one.account, one.recipient, one.text, tuple(one.media), tuple(str(choice) for choice in one.choices)] += 1
    for (reference, account, *_), times in taken.items():
        if times > 1:
            yield Offence(f"message {reference} on {account}", f"the provider took the same content {times} times")


CLICKED = "message.clicked"


def state_differences(ours: Mapping[UUID, Mapping[str, Any]], theirs: Mapping[UUID, Mapping[str, Any]]) -> list[str]:
    """Where the router's contacts of two runs of the same customers differ, a sentence each, by contact.

    Left out are times, which no two runs share: of the conversation and what was promised in it, of consents, of what happened (how often it did is
    compared), of flows that wait and of conversions that are watched for; and clicks, for a redirect does not wait for the bus: one that is asked for
    while the bus is away is lost with its process, and whose click it was hangs on when the message arrived. Nothing else is: ids of contacts,
    conversations and waits follow from the customers' own ids, so they must be the same. The columns `positions` and `changed_at` are not read.
    """
    found = [f"contact {one}: only in the {'first' if one in ours else 'second'} run" for one in sorted(ours.keys() ^ theirs.keys())]
    for contact in sorted(ours.keys() & theirs.keys()):
        mine, other = dict(_flat(_timeless(ours[contact]))), dict(_flat(_timeless(theirs[contact])))
        found += [
            f"contact {contact}: {place} is {mine.get(place)!r} in the first run and {other.get(place)!r} in the second"
            for place in sorted(mine.keys() | other.keys())
            if mine.get(place) != other.get(place)
        ]
    return found


def _timeless(contact: Mapping[str, Any]) -> dict[str, Any]:
    state = dict(contact["state"])
    for name in ("conversation", "position"):
        if state.get(name) is not None:
            state[name] = _without_times(state[name])
    if (promised := (state.get("conversation") or {}).get("promised")) is not None:
        state["conversation"]["promised"] = _without_times(promised)
    for name in ("runs", "goals"):
        state[name] = [_without_times(one) for one in state.get(name, ())]
    state["planned"] = {name: _without_times(one) for name, one in state.get("planned", {}).items()}
    state["happened"] = {name: len(times) for name, times in state.get("happened", {}).items() if name != CLICKED}
    state["begun"] = sorted(state.get("begun", ()))
    state["consents"] = {name: one["state"] for name, one in state.get("consents", {}).items()}
    return {"status": contact["status"], "state": state}


def _without_times(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name not in TIMES}


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf by its dotted place."""
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _flat(one, f"{place}.{name}" if place else name)
    elif value is not None and value != {}:
        yield place, value


def _told(receipts: Sequence[Receipt]) -> Iterator[Receipt]:
    """Receipts that we said we have, the repeats among them once."""
    kept: dict[tuple[str, str], Receipt] = {}
    for one in receipts:
        if one.outcome == "acknowledged":
            kept.setdefault((one.provider_id, one.status), one)
    yield from kept.values()

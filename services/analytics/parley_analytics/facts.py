"""What a batch of events says, as values that merge: for each message the first time of each thing, what was judged, written, refused and bought. Pure.

Gathering is a minimum (for what changes, a maximum), so a batch may hold repeats, be in any order and be cut anywhere: merging the facts of the parts gives
the facts of the whole. What follows from a fact (who read a message received it, what was received was sent) stands in the table, beside what it follows
from: so a judgement that is corrected takes back no more than what hung on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from parley.wire import natural_id
from parley_analytics.goals import Order, OrderKey
from parley_analytics.moments import representable

__all__ = ["Cell", "Facts", "Hit", "Judgement", "Message", "OptOut", "Reply", "cell_id", "representable"]

SENT, DELIVERED, READ, FAILED, UNKNOWN, SUPPRESSED, EXPIRED, HELD, BOUNCED, COMPLAINED, UNSUBSCRIBED = (
    "sent_at", "delivered_at", "read_at", "failed_at", "unknown_at", "suppressed_at", "expired_at", "held_at", "bounced_at", "complained_at",
    "unsubscribed_at",
)  # fmt: skip
CLICKED = "clicked_at"
HIT = {("opened", True): "opened_at", ("clicked", True): CLICKED, ("opened", False): "opened_machine_at", ("clicked", False): "clicked_machine_at"}
"""The times of a message, named as the columns are; those of hits by their kind and whether a person made them."""
REASONS = {FAILED: "failed_reason", UNKNOWN: "unknown_reason", SUPPRESSED: "suppressed_reason", EXPIRED: "expired_reason", HELD: "held_reason"}
"""The times that have reasons, and where these stand."""


class Cell(NamedTuple):
    """The dimensions of a message; '' is none."""

    tenant: str
    campaign: str
    channel: str
    variant: str
    purpose: str
    language: str = ""
    flow: str = ""
    step: str = ""


Priced = tuple[datetime, Decimal, str]
"""When a price was told, the price and its currency: the greatest counts."""


@dataclass(slots=True)
class Message:
    """What a batch says of one message. `cell` is unknown while only engagement came; `orders`, `replies` and `opt_outs` are differences."""

    contact_id: UUID
    cell: Cell | None = None
    times: dict[str, datetime] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    segments: int = 0
    priced: Priced | None = None
    orders: int = 0
    replies: int = 0
    opt_outs: int = 0

    def happened(self, what: str, at: datetime) -> None:
        """`what` was at the latest `at`."""
        known = self.times.get(what)
        if known is None or at < known:
            self.times[what] = at

    def ended(self, what: str, at: datetime, reason: str) -> None:
        """The reason is that of the first time, or, of what a message waits for, of the latest."""
        known, name = self.times.get(what), REASONS[what]
        if known is not None:
            mine, theirs = (at, reason), (known, self.reasons[name])
            if mine < theirs if what == HELD else mine > theirs:
                return
        self.times[what], self.reasons[name] = at, reason


class Hit(NamedTuple):
    """An open or a click, whoever made it."""

    contact_id: UUID
    at: datetime
    hit: UUID
    message_id: UUID
    kind: str


class Judgement(NamedTuple):
    """Who made a hit, as the greatest `rules` and `revision` say; where these are alike, rather a person than a machine."""

    rules: int
    revision: int
    person: bool


class Reply(NamedTuple):
    """Something that a contact wrote."""

    contact_id: UUID
    at: datetime
    reply_id: UUID
    channel: str


class OptOut(NamedTuple):
    """A contact wants no more, on one channel ('': what is known is the message by which it was done)."""

    contact_id: UUID
    at: datetime
    channel: str


@dataclass(slots=True)
class Facts:
    """All that a batch says, and who is to be forgotten. `opt_outs` have the message by which they were done, where it is told."""

    messages: dict[UUID, Message] = field(default_factory=dict)
    hits: dict[Hit, Judgement] = field(default_factory=dict)
    replies: set[Reply] = field(default_factory=set)
    opt_outs: dict[OptOut, UUID | None] = field(default_factory=dict)
    orders: dict[OrderKey, Order] = field(default_factory=dict)
    erased: set[UUID] = field(default_factory=set)

    def message(self, message_id: UUID, contact_id: UUID) -> Message:
        found = self.messages.get(message_id)
        if found is None:
            found = self.messages[message_id] = Message(contact_id)
        return found

    def judged(self, hit: Hit, judgement: Judgement) -> None:
        """The latest judgement stays."""
        known = self.hits.get(hit)
        self.hits[hit] = judgement if known is None else max(judgement, known)

    def refused(self, what: OptOut, told: UUID | None) -> None:
        known = self.opt_outs.get(what)
        self.opt_outs[what] = min(known, told) if known and told else told or known

    def converted(self, key: OrderKey, order: Order) -> None:
        known = self.orders.get(key)
        self.orders[key] = order if known is None else min(order, known)

    @property
    def empty(self) -> bool:
        """Whether nothing was said that means anything here."""
        return not (self.messages or self.hits or self.replies or self.opt_outs or self.orders or self.erased)

    def people(self) -> set[UUID]:
        """The contacts of whom something is said."""
        return {one.contact_id for rows in (self.messages.values(), self.hits, self.replies, self.opt_outs, self.orders.values()) for one in rows}

    def renamed(self, contacts: Mapping[UUID, UUID], orders: Mapping[OrderKey, str]) -> Facts:
        """The same of other contacts, and orders with other ids; those that are not named stay."""

        def other(one: UUID) -> UUID:
            return contacts.get(one, one)

        return Facts(
            {name: replace(one, contact_id=other(one.contact_id)) for name, one in self.messages.items()},
            {one._replace(contact_id=other(one.contact_id)): judgement for one, judgement in self.hits.items()},
            {one._replace(contact_id=other(one.contact_id)) for one in self.replies},
            {one._replace(contact_id=other(one.contact_id)): told for one, told in self.opt_outs.items()},
            {(tenant, goal, orders.get((tenant, goal, name), name)): one._replace(contact_id=other(one.contact_id))
             for (tenant, goal, name), one in self.orders.items()},
            self.erased,
        )  # fmt: skip


def cell_id(cell: Cell) -> UUID:
    """The id of a cell, made from its dimensions: it is the same everywhere and needs no look-up."""
    return natural_id("cell", *cell)

"""From a batch of events to facts: for each message the first time of each thing that happened. Pure.

Gathering is a minimum, so a batch may hold repeats, be in any order and be cut anywhere: merging the facts of the parts gives the facts of the whole.
What implies something says so here: who read a message received it, and what was received was sent. That keeps the funnel nested
(sent >= delivered >= opened, clicked >= converted), also where a provider's receipt is late or lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple
from uuid import UUID

from parley.channels.text import storable
from parley.contracts import ContactErased, CustomerActed, DeliveryChanged, DeliveryStatus, EngagementRecorded, Envelope
from parley.wire import natural_id

ORDER_PLACED = "order.placed"
ROUTER = "parley/router"
"""Who passes on what came for a contact that is part of another by now: the order was told before."""

TIMES = (
    "sent_at", "delivered_at", "read_at", "opened_at", "clicked_at", "opened_machine_at", "clicked_machine_at",
    "failed_at", "unknown_at", "suppressed_at", "expired_at",
)  # fmt: skip
"""The times of a message, in the order of the statement's arguments."""
SENT, DELIVERED, READ, OPENED, CLICKED, OPENED_MACHINE, CLICKED_MACHINE, FAILED, UNKNOWN, SUPPRESSED, EXPIRED = range(len(TIMES))

STATUSES: dict[DeliveryStatus, tuple[int, ...]] = {
    DeliveryStatus.QUEUED: (),
    DeliveryStatus.HELD: (),
    DeliveryStatus.SENT: (SENT,),
    DeliveryStatus.DELIVERED: (DELIVERED, SENT),
    DeliveryStatus.READ: (READ, OPENED, DELIVERED, SENT),
    DeliveryStatus.FAILED: (FAILED,),
    DeliveryStatus.UNKNOWN: (UNKNOWN,),
    DeliveryStatus.SUPPRESSED: (SUPPRESSED,),
    DeliveryStatus.EXPIRED: (EXPIRED,),
}
"""Which times a status is evidence of."""
BY_PEOPLE = {"opened": (OPENED, DELIVERED, SENT), "clicked": (CLICKED, DELIVERED, SENT)}
BY_MACHINES = {"opened": (OPENED_MACHINE,), "clicked": (CLICKED_MACHINE,)}
"""What is not known to be a person counts as a machine; it proves nothing about the delivery."""


class Cell(NamedTuple):
    """The dimensions of a message; '' is none."""

    tenant: str
    campaign: str
    channel: str
    variant: str
    purpose: str


@dataclass(slots=True)
class Message:
    """What a batch says of one message. `cell` is unknown while only engagement came; `orders` is a difference."""

    contact_id: UUID
    cell: Cell | None = None
    times: list[datetime | None] = field(default_factory=lambda: [None] * len(TIMES))
    orders: int = 0

    def happened(self, what: tuple[int, ...], at: datetime) -> None:
        """Each of the times `what` is at the latest `at`."""
        times = self.times
        for index in what:
            known = times[index]
            if known is None or at < known:
                times[index] = at


class Click(NamedTuple):
    """A click by a person."""

    contact_id: UUID
    at: datetime
    message_id: UUID


OrderKey = tuple[str, str]
"""Tenant and order id."""


class Order(NamedTuple):
    """An order as told. Of several tellings under one id the least tuple counts: the earliest, ties by content, never by arrival."""

    at: datetime
    contact_id: UUID
    value: Decimal
    currency: str


@dataclass(slots=True)
class Facts:
    """All that a batch says, and who is to be forgotten."""

    messages: dict[UUID, Message] = field(default_factory=dict)
    clicks: set[Click] = field(default_factory=set)
    orders: dict[OrderKey, Order] = field(default_factory=dict)
    erased: set[UUID] = field(default_factory=set)

    def message(self, message_id: UUID, contact_id: UUID) -> Message:
        found = self.messages.get(message_id)
        if found is None:
            found = self.messages[message_id] = Message(contact_id)
        return found

    @property
    def empty(self) -> bool:
        """Whether nothing was said that means anything here: of most messages of customers that is so."""
        return not (self.messages or self.clicks or self.orders or self.erased)

    def people(self) -> set[UUID]:
        """The contacts of whom something is said."""
        return {one.contact_id for rows in (self.messages.values(), self.clicks, self.orders.values()) for one in rows}

    def renamed(self, contacts: Mapping[UUID, UUID], orders: Mapping[OrderKey, str]) -> Facts:
        """The same of other contacts, and orders with other ids; those that are not named stay."""
        return Facts(
            {name: replace(one, contact_id=contacts.get(one.contact_id, one.contact_id)) for name, one in self.messages.items()},
            {one._replace(contact_id=contacts.get(one.contact_id, one.contact_id)) for one in self.clicks},
            {(tenant, orders.get((tenant, name), name)): one._replace(contact_id=contacts.get(one.contact_id, one.contact_id))
             for (tenant, name), one in self.orders.items()},
            self.erased,
        )  # fmt: skip


def gather(events: Iterable[Envelope]) -> Facts:
    """The facts of a batch. Events that mean nothing here leave no trace."""
    facts = Facts()
    for event in events:
        data = event.data
        if isinstance(data, DeliveryChanged):
            delivery(facts, event.tenant, data)
        elif isinstance(data, EngagementRecorded):
            engagement(facts, data)
        elif isinstance(data, CustomerActed) and data.name == ORDER_PLACED and event.source != ROUTER:
            order(facts, event, data)
        elif isinstance(data, ContactErased):
            facts.erased.add(data.contact_id)
    return facts


def delivery(facts: Facts, tenant: str, data: DeliveryChanged) -> None:
    """A message keeps its dimensions for life: sender decides them when it takes the message."""
    what = STATUSES[data.status]
    if not what:
        return
    message = facts.message(data.message_id, data.contact_id)
    if message.cell is None:
        message.cell = Cell(tenant, data.campaign or "", data.channel, data.variant or "", data.purpose)
    message.happened(what, data.at)


def engagement(facts: Facts, data: EngagementRecorded) -> None:
    what = (BY_PEOPLE if data.by == "human" else BY_MACHINES).get(data.kind)
    if what is None:
        return
    facts.message(data.message_id, data.contact_id).happened(what, data.at)
    if what[0] == CLICKED:
        facts.clicks.add(Click(data.contact_id, data.at, data.message_id))


def order(facts: Facts, event: Envelope, data: CustomerActed) -> None:
    """An order without an id of its own is known by its event's: a repeated event is the same order."""
    number, currency = data.properties.get("order_id"), data.properties.get("currency")
    named = storable(str(number)) if isinstance(number, str | int) else ""
    key = (event.tenant, named or storable(f"event:{event.id}"))
    coin = storable(currency) if isinstance(currency, str) else ""
    told = Order(representable(data.occurred_at), data.contact_id, amount(data.properties.get("total")), coin)
    known = facts.orders.get(key)
    facts.orders[key] = told if known is None else min(told, known)


def amount(total: object) -> Decimal:
    """An order's value; 0 when there is none that can be read: the order itself still counts."""
    if isinstance(total, bool) or not isinstance(total, int | float | str):
        return Decimal(0)
    try:
        value = Decimal(str(total))
    except (InvalidOperation, ValueError):
        return Decimal(0)
    return value if value.is_finite() and abs(value) < 10**15 else Decimal(0)


def representable(at: datetime) -> datetime:
    """The time in UTC; what lies beyond the first or the last year, as the least time of some systems does in their own zone, is its end."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if at.year == 1 else datetime.max.replace(tzinfo=UTC)


def cell_id(cell: Cell) -> UUID:
    """The id of a cell, made from its dimensions: it is the same everywhere and needs no look-up."""
    return natural_id("cell", *cell)

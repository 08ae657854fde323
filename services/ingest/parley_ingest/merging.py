"""Which addresses are one person's: what events say of it, and what follows from all that was said. Pure.

Between two addresses three words are kept, each with the latest time at which it was said: `identified` (a customer's id and an address belong
together), `merged` (the two are one person) and `apart` (they are not). Times only become later, so events may come in any order, twice, and at
several normalisers at once. Who is one person follows from the words alone:

- a word that joins holds when it is later than `apart`;
- of the customer ids that were identified with one address only the latest has it: a phone number that gets a new owner joins nobody;
- people are what the words that hold connect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import ValidationError

from parley.addresses import CUSTOMER, Address, channels, normalised, of_customer
from parley.contracts import Channel, ContactMerged, ContactParted, Customer, CustomerEvent
from parley.wire import in_words, natural_id

IDENTIFIED, MERGED, UNMERGED = "customer.identified", "contacts.merged", "contacts.unmerged"
NAMES = frozenset({IDENTIFIED, MERGED, UNMERGED})
"""The events of other services that say who is who."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""When an event says it that is about something else: every event that is about it says it later."""

Move = ContactMerged | ContactParted


@dataclass(frozen=True, slots=True)
class Tie:
    """What was said of two addresses of a tenant, `one` before `other`, and when last."""

    one: Address
    other: Address
    identified: datetime | None = None
    merged: datetime | None = None
    apart: datetime | None = None

    @classmethod
    def between(cls, one: Address, other: Address) -> Tie:
        if one.tenant != other.tenant or one == other:
            raise ValueError("a tie is between two addresses of one tenant")
        return cls(min(one, other), max(one, other))

    def joining(self, at: datetime) -> Tie:
        """Joined as a customer's event does it: as their id's, or as one person where neither is an id."""
        return replace(self, identified=at) if self.owned else replace(self, merged=at)

    def both(self, known: Tie) -> Tie:
        """What either says."""
        return replace(
            self,
            identified=_later(self.identified, known.identified),
            merged=_later(self.merged, known.merged),
            apart=_later(self.apart, known.apart),
        )

    @property
    def owned(self) -> bool:
        """Whether it is between a customer's id and an address."""
        return (self.one.scheme == CUSTOMER) != (self.other.scheme == CUSTOMER)

    def holds(self, said: datetime | None) -> bool:
        return said is not None and (self.apart is None or said > self.apart)


@dataclass(frozen=True, slots=True)
class Held:
    """An address as the book has it: the contact it is with, and the one that was handed out for it."""

    address: Address
    contact: UUID
    founds: UUID | None
    found_at: datetime


def said(tenant: str, event: CustomerEvent, now: datetime) -> list[Tie]:
    """What an event says of who is who; nothing when it is about something else. Raises ValueError when it does not name both whom it must.

    What claims to come from the future is said now, so that it cannot outlast every later word.
    """
    if event.name not in NAMES:
        return []
    at = min(max(event.occurred_at, EPOCH + timedelta(microseconds=1)), now)
    named = of_customer(tenant, event.customer)
    if event.name == IDENTIFIED:
        return [Tie.between(named[0], one).joining(at) for one in named[1:]]
    others = [one for one in of_customer(tenant, _other(event)) if event.name == MERGED or one not in named]
    if event.name == MERGED:
        return [replace(Tie.between(named[0], one), merged=at) for one in dict.fromkeys((*named[1:], *others)) if one != named[0]]
    return [replace(Tie.between(one, other), apart=at) for one in named for other in others]


def _other(event: CustomerEvent) -> Customer:
    try:
        return normalised(Customer.model_validate(event.properties.get("other")))
    except ValidationError as error:
        raise ValueError(f"{event.name}: properties.other must name the other one as `customer` does: {in_words(error)}") from error


def folded(ties: Iterable[Tie]) -> list[Tie]:
    """One tie for each two addresses, in their order."""
    found: dict[tuple[Address, Address], Tie] = {}
    for tie in ties:
        pair = (tie.one, tie.other)
        found[pair] = tie.both(found[pair]) if pair in found else tie
    return [found[pair] for pair in sorted(found)]


def people(addresses: Iterable[Address], ties: Iterable[Tie]) -> list[list[Address]]:
    """The addresses by person."""
    root = {one: one for one in addresses}

    def top(one: Address) -> Address:
        while root[one] != one:
            root[one] = one = root[root[one]]
        return one

    for one, other in _connected(ties):
        root[top(one)] = top(other)
    found: dict[Address, list[Address]] = {}
    for one in sorted(root):
        found.setdefault(top(one), []).append(one)
    return list(found.values())


def _connected(ties: Iterable[Tie]) -> list[tuple[Address, Address]]:
    """The pairs that are one person's by what was said of them."""
    pairs: list[tuple[Address, Address]] = []
    owner: dict[Address, tuple[datetime, Address]] = {}
    for tie in ties:
        if tie.holds(tie.merged):
            pairs.append((tie.one, tie.other))
        if tie.identified is not None and tie.holds(tie.identified):
            customer, address = (tie.one, tie.other) if tie.one.scheme == CUSTOMER else (tie.other, tie.one)
            owner[address] = max(owner.get(address, (tie.identified, customer)), (tie.identified, customer))
    return [*pairs, *((customer, address) for address, (_, customer) in owner.items())]


def settled(held: Sequence[Held], ties: Iterable[Tie], fresh: frozenset[Address]) -> list[Held]:
    """The book after what was said: each person's addresses with one contact, the oldest that was handed out for any of them.

    Whom nobody has heard of yet (`fresh`) gives no contact away to keep. `held` must be all that the ties connect.
    """
    rows = {one.address: replace(one, founds=None) if one.address in fresh else one for one in held}
    after: list[Held] = []
    for person in people(rows, ties):
        founders = [rows[one] for one in person if rows[one].founds is not None]
        chief = min(founders or [rows[one] for one in person], key=lambda one: (one.found_at, one.address))
        contact = chief.founds or _founded(chief, fresh)
        after += [replace(rows[one], contact=contact, founds=contact if one == chief.address else rows[one].founds) for one in person]
    return after


def _founded(chief: Held, fresh: frozenset[Address]) -> UUID:
    """The contact of a person who has none: who leaves another's is a new one, whatever was made of the address before."""
    return natural_id("contact", *chief.address) if chief.address in fresh else natural_id("contact", "apart", *chief.address)


def moves(before: Sequence[Held], after: Sequence[Held], fresh: frozenset[Address], at: datetime) -> list[Move]:
    """What contacts must hear: who left whom, and who is part of whom from now on. What nobody has heard of yet moves in silence."""
    now = {one.address: one for one in after}
    moved = sorted((one for one in before if one.address not in fresh and now[one.address].contact != one.contact), key=lambda one: one.address)
    goes = {one.founds: now[one.address].contact for one in before if one.founds is not None and one.address not in fresh}
    left: dict[tuple[UUID, UUID], list[Held]] = {}
    for one in moved:
        there = now[one.address].contact
        if goes.get(one.contact) != there:
            left.setdefault((one.contact, there), []).append(one)
    parted = [
        ContactParted(
            contact_id=here, other=there, version=0, contacts=tuple(one.founds for one in rows if one.founds), addresses=_reach(rows), at=at
        )
        for (here, there), rows in left.items()
    ]
    merged = [
        ContactMerged(contact_id=one.founds, into=there if (there := now[one.address].contact) != one.founds else None, version=0, at=at)
        for one in moved
        if one.founds is not None
    ]
    return [*parted, *merged]


def _reach(rows: Iterable[Held]) -> dict[Channel, tuple[str, ...]]:
    """The addresses by every channel that reaches them."""
    found: dict[Channel, tuple[str, ...]] = {}
    for one in rows:
        for channel in channels(one.address.scheme):
            found[channel] = (*found.get(channel, ()), one.address.address)
    return found


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one or other

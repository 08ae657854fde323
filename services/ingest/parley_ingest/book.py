"""Whose addresses are: pure rules over a book of known addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from parley.addresses import CUSTOMER, Address, founded


@dataclass
class Book:
    """Who has which address: what the database knows, and what a batch adds to it. `customers`: the contacts that have a customer's id."""

    known: dict[Address, UUID]
    customers: set[UUID] = field(default_factory=set)
    added: dict[Address, UUID] = field(default_factory=dict)
    founders: set[Address] = field(default_factory=set)
    """Of those added the ones that a new contact was made for."""
    together: list[tuple[Address, Address]] = field(default_factory=list)
    """Pairs that are one contact's because they were named together."""
    joins: list[tuple[Address, Address]] = field(default_factory=list)
    """A known customer's id and a known address of somebody without one, named together: the two contacts are one person."""

    def contact(self, addresses: Sequence[Address]) -> UUID:
        """The contact with any of `addresses`, the first that is known; else a new one. Addresses not known yet become theirs.

        An address of somebody with another customer's id stays with them: joining such two takes an explicit event.
        """
        first = addresses[0]
        found = next((one for one in addresses if one in self.known and not self._another(first, one)), None)
        contact = self.known[found] if found is not None else founded(addresses)
        for one in addresses:
            if one not in self.known:
                self.known[one] = self.added[one] = contact
                self._noted(first, one, found)
            elif self.known[one] != contact and first.scheme == CUSTOMER and self.known[one] not in self.customers:
                self.joins.append((first, one))
                self.customers.add(self.known[one])
        return contact

    def _another(self, first: Address, one: Address) -> bool:
        """Whether `one` is of somebody else for sure: the event names a customer's id that nobody knows, and they have one."""
        return first.scheme == CUSTOMER and first not in self.known and self.known[one] in self.customers

    def _noted(self, first: Address, one: Address, found: Address | None) -> None:
        if one is not first:
            self.together.append((first, one))
        elif found is not None:
            self.together.append((found, one))
        else:
            self.founders.add(one)
        if one.scheme == CUSTOMER:
            self.customers.add(self.known[one])

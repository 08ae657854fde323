"""What the messages of a request come to: events for those that can be taken, complaints for the others, each by its place. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from parley import wire
from parley.contracts import Channel, Envelope, OfContact, Record
from parley.templates import Texts
from parley_sender.asking import Asked, Way, reached, read, requested
from parley_sender.complaints import Complaint, Wrong, pointer
from parley_sender.filling import LARGEST

MOST = 1000
"""Messages of a batch."""
TOGETHER = 16 * LARGEST
"""Bytes of the messages of a batch, once they are filled in."""


class TooMuch(Exception):
    """The messages of a batch are larger than `TOGETHER`."""


@dataclass(frozen=True, slots=True)
class Item:
    """The body of one message. `place`: where it stands in the request; `common`: the names of its fields that stand in what all have in common."""

    body: Any
    place: str = ""
    common: frozenset[str] = frozenset()

    def placed(self, complaint: Complaint) -> Complaint:
        """The complaint, as a place of the whole request."""
        first = complaint.pointer.partition("/")[2].partition("/")[0]
        return complaint.below("/common" if first in self.common else self.place)


def items(body: Any) -> list[Item]:
    """The messages of a batch, each with what all have in common. Raises `Wrong` for what is no batch."""
    if not isinstance(body, dict) or not isinstance(messages := body.get("messages"), list) or not 0 < len(messages) <= MOST:
        raise Wrong([Complaint("/messages", f"A batch is an object with an array of 1 to {MOST} `messages`.")])
    if strange := body.keys() - {"messages", "common"}:
        raise Wrong(Complaint(pointer(name), "A batch has `messages` and `common`, nothing else.") for name in sorted(strange))
    common = body.get("common", {})
    if not isinstance(common, dict):
        raise Wrong([Complaint("/common", "This is an object: fields that all messages have, unless they have their own.")])
    return [_item(one, common, pointer("messages", place)) for place, one in enumerate(messages)]


def _item(one: Any, common: dict[str, Any], place: str) -> Item:
    return Item({**common, **one}, place, frozenset(common.keys() - one.keys())) if isinstance(one, dict) else Item(one, place)


@dataclass
class Made:
    """One request's messages. `identity`: what makes the request the same, in words; the ids follow from it and from each one's place."""

    way: Way
    identity: str
    now: datetime
    items: Sequence[Item]
    asked: dict[int, Asked] = field(default_factory=dict)
    events: dict[int, Envelope] = field(default_factory=dict)
    wrong: dict[int, Sequence[Complaint]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    _contacts: dict[int, UUID] = field(default_factory=dict)
    _texts: Texts = field(default_factory=lambda: Texts(LARGEST))
    _size: int = 0

    def read(self) -> Iterator[None]:
        """Reads the messages, one a step, for others may want their turn meanwhile."""
        for place, item in enumerate(self.items):
            try:
                self.asked[place] = asked = read(item.body)
                self._contacts[place] = reached(asked, self.way.tenant)[0]
            except Wrong as wrong:
                self._refuse(place, wrong)
            yield

    def without_addresses(self) -> list[UUID]:
        """The contacts that come without an address."""
        return list({self._contacts[place] for place, asked in self.asked.items() if place in self._contacts and not asked.to.addresses})

    def make(self, known: Mapping[UUID, Mapping[Channel, str]]) -> Iterator[None]:
        """Makes what was read, one a step. `known`: addresses of those who come without. Raises `TooMuch`."""
        for place, contact in self._contacts.items():
            try:
                self._make(place, known.get(contact, {}))
            except Wrong as wrong:
                self._refuse(place, wrong)
            yield

    def _make(self, place: int, known: Mapping[Channel, str]) -> None:
        asked = self.asked[place]
        event = requested(asked, self._id(place), {} if asked.to.addresses else known, self.way, self._texts, self.now)
        record = wire.encode(event)
        if (size := len(record[3])) > LARGEST:
            raise Wrong([Complaint("", f"The message has {size} bytes; the bus takes {LARGEST} of one.")])
        self._size += size
        if self._size > TOGETHER:
            raise TooMuch
        self.events[place] = event
        self.records.append(record)

    def told(self) -> list[dict[str, Any]]:
        """What became of each, in their order."""
        return [told(self.events[place]) if place in self.events else refused(self.wrong[place]) for place in range(len(self.items))]

    def _refuse(self, place: int, wrong: Wrong) -> None:
        self.wrong[place] = [self.items[place].placed(one) for one in wrong.complaints]

    def _id(self, place: int) -> UUID:
        """The same for a repeat, also when its key is forgotten."""
        return wire.caused_id(self.identity, place)


def told(event: Envelope) -> dict[str, Any]:
    """What is said of a message that was taken."""
    assert isinstance(event.data, OfContact)
    return {"status": "accepted", "message_id": event.id, "contact_id": str(event.data.contact_id)}


def refused(complaints: Sequence[Complaint]) -> dict[str, Any]:
    """What is said of one that was not."""
    return {"status": "refused", "errors": [one.told for one in complaints]}

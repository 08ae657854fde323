"""Deciding a recorded log again: the same events give the same results, to the byte. Pure.

All that a decision depends on stands in the log: what customers wrote, what time it was, which timer came, what a service answered and what a message was read
to mean are events; chance is a hash of the contact. Only the moment of deciding does not: the results say it (`ce_time`), and it only dates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from parley.contracts import Data, Envelope
from parley.wire import caused_id
from parley_router.catalogue import Book
from parley_router.decide import Inbound, decided
from parley_router.state import ContactState


@dataclass(frozen=True, slots=True)
class Decided:
    """A result of an event, with the id that it had on the bus."""

    cause: Envelope
    id: str
    data: Data


def decided_again(events: Iterable[Envelope], moments: Mapping[str, datetime], book: Book) -> Iterator[Decided]:
    """The results of a log of `parley.inbound`, in its order. `moments`: when each result was said, by its id. A repeat of an event is passed over, as it was."""
    states: dict[UUID, ContactState] = {}
    seen: set[str] = set()
    for event in events:
        if event.id in seen or not isinstance(event.data, Inbound):
            continue
        seen.add(event.id)
        contact = event.data.contact_id
        found = decided(states.get(contact), event, moments.get(_id(event, 0), event.time), book)
        states[contact] = found.state
        for place, data in enumerate(found.results):
            yield Decided(event, _id(event, place), data)


def _id(event: Envelope, place: int) -> str:
    """The id on the bus of the event's result at this place: see `parley.step.outputs`."""
    return str(caused_id(f"router:{event.id}", place))

"""The router's decision: what one event means for one contact. Pure; everything the router does follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from parley.contracts import (
    AgentActed,
    CallReturned,
    ContactAbsorbed,
    ContactErased,
    ContactMerged,
    ContactParted,
    ContactScored,
    Content,
    CustomerActed,
    Data,
    Envelope,
    MessageReceived,
    OptedOut,
    Purpose,
    TimerFired,
)  # fmt: skip
from parley_router import erasing, happenings, merging, messages
from parley_router.catalogue import Book
from parley_router.erasing import Joining
from parley_router.state import ContactState
from parley_router.turn import Turn
from parley_router.walk import Passed


@dataclass(frozen=True, slots=True)
class Decision:
    """The new state, the results in order, and what could not be done, a sentence each, for the log. `trail`: the steps taken, for coverage."""

    state: ContactState
    results: Sequence[Data]
    troubles: Sequence[str]
    trail: Sequence[Passed] = ()


def decide(state: ContactState | None, event: Envelope, now: datetime, book: Book) -> tuple[ContactState, Sequence[Data]]:
    """The new state and the results, in order. The same arguments give the same results, with the same ids; `now` only dates what is said.

    Raises `LookupError` for a tenant that the book does not have, `TypeError` for an event that is not of `parley.inbound`.
    """
    found = decided(state, event, now, book)
    return found.state, found.results


def decided(state: ContactState | None, event: Envelope, now: datetime, book: Book) -> Decision:
    """As `decide`, with the troubles: a flow that could not go on, a reply that the customer does not want."""
    shelf, data = book.shelves.get(event.tenant), event.data
    if shelf is None:
        raise LookupError(f"there is no tenant {event.tenant!r} in accounts.yaml; known: {', '.join(book.shelves)}")
    if not isinstance(data, Inbound):
        raise TypeError(f"{type(data).__name__} is no event of {MessageReceived.topic}")
    turn = Turn(book, shelf, event, _moment(event, data), now, data.contact_id, state or ContactState())
    if turn.state.into is not None and isinstance(data, ContactScored):  # of a part alone: the whole is scored too
        return Decision(turn.state, (), ())
    if turn.state.into is not None and not isinstance(data, Joining | ContactErased):  # whoever made it did not know yet
        return Decision(turn.state, [data.model_copy(update={"contact_id": turn.state.into})], ())
    before = turn.state
    match data:
        case MessageReceived():
            messages.received(turn, data)
        case CustomerActed():
            happenings.acted(turn, data)
        case AgentActed():
            _agent(turn, data)
        case OptedOut():
            turn.consent(data.channel, data.address, data.purposes, data.state, "provider")
        case TimerFired():
            happenings.fired(turn, data)
        case CallReturned():
            happenings.returned(turn, data)
        case ContactScored():
            happenings.scored(turn, data)
        case ContactMerged() | ContactParted() | ContactAbsorbed():
            if (said := erasing.late(turn.state, data)) is not None:
                turn.state, results = merging.decide(turn.state, said)
                turn.results += results
        case ContactErased():
            turn.state, results = erasing.erased(turn.state, data)
            turn.results += results
        case _:
            assert_never(data)
    happenings.agreed(turn)
    happenings.planned(turn, before)
    return Decision(turn.state, turn.results, turn.troubles, turn.trail)


Inbound = MessageReceived | CustomerActed | AgentActed | OptedOut | TimerFired | CallReturned | Joining | ContactErased | ContactScored
"""What `parley.inbound` carries."""


def _moment(event: Envelope, data: Inbound) -> datetime:
    """When it happened, by our own clocks: what others say of time may lie in the future."""
    match data:
        case MessageReceived():
            return data.received_at
        case AgentActed() | OptedOut() | ContactMerged() | ContactParted() | ContactAbsorbed() | ContactErased():
            return data.at
        case CustomerActed() | TimerFired() | CallReturned() | ContactScored():
            return event.started_at or event.time


def _agent(turn: Turn, data: AgentActed) -> None:
    """A person replies or resolves. What concerns a conversation that is over changes nothing."""
    current = turn.state.conversation
    if current is None or current.id != data.conversation_id or not current.waiting:
        return
    if data.action == "resolve":
        turn.changed("resolved", at=data.at, team=current.team, agent=data.agent)
        turn.update(conversation=None, misses=0)
    elif turn.state.channel is not None and turn.state.refuses(turn.state.channel, Purpose.REPLY):
        turn.troubles.append(f"conversation {current.id}: the reply is not sent, for the customer has opted out of {turn.state.channel}")
    elif turn.request(Content(text=data.text.replace("\x00", "")), Purpose.REPLY):
        turn.update(conversation=current.but(last_at=max(current.last_at, data.at), promised=None))
        turn.changed("replied", at=data.at, team=current.team, agent=data.agent)

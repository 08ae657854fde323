"""The router's decision: what one event means for one contact. Pure; everything the router does follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from pydantic import JsonValue

from parley.contracts import (
    AgentActed,
    CallReturned,
    ConsentState,
    ContactAbsorbed,
    ContactErased,
    ContactMerged,
    ContactParted,
    Content,
    CustomerActed,
    Data,
    Envelope,
    MessageReceived,
    OptedOut,
    Purpose,
    TimerFired,
)  # fmt: skip
from parley.optwords import Wish, wish
from parley_router import engine, erasing, merging
from parley_router.catalogue import Book
from parley_router.engine import CARE, Agreed, Escalated, Failed, Said, Walk
from parley_router.erasing import Joining
from parley_router.language import plain, recognised
from parley_router.state import PROFILE, REFERENCE, ContactState, storable
from parley_router.turn import Turn

MISSES = 2
"""Messages in a row that nobody understood, after which a person is asked."""
TEXT_KEPT = 200
TAGS_KEPT = 50


@dataclass(frozen=True, slots=True)
class Decision:
    """The new state, the results in order, and what could not be done, a sentence each, for the log."""

    state: ContactState
    results: Sequence[Data]
    troubles: Sequence[str]


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
    if turn.state.into is not None and not isinstance(data, Joining | ContactErased):  # whoever made it did not know yet
        return Decision(turn.state, [data.model_copy(update={"contact_id": turn.state.into})], ())
    match data:
        case MessageReceived():
            _message(turn, data)
        case CustomerActed():
            _acted(turn, data)
        case AgentActed():
            _agent(turn, data)
        case OptedOut():
            turn.consent(data.channel, data.address, data.purposes, data.state, "provider")
        case TimerFired() | CallReturned():
            pass  # no flow of this version waits for one: it is stale
        case ContactMerged() | ContactParted() | ContactAbsorbed():
            if (said := erasing.late(turn.state, data)) is not None:
                turn.state, results = merging.decide(turn.state, said)
                turn.results += results
        case ContactErased():
            turn.state, results = erasing.erased(turn.state, data)
            turn.results += results
        case _:
            assert_never(data)
    return Decision(turn.state, turn.results, turn.troubles)


Inbound = MessageReceived | CustomerActed | AgentActed | OptedOut | TimerFired | CallReturned | Joining | ContactErased
"""What `parley.inbound` carries."""


def _moment(event: Envelope, data: Inbound) -> datetime:
    """When it happened, by our own clocks: what others say of time may lie in the future."""
    match data:
        case MessageReceived():
            return data.received_at
        case AgentActed() | OptedOut() | ContactMerged() | ContactParted() | ContactAbsorbed() | ContactErased():
            return data.at
        case CustomerActed() | TimerFired() | CallReturned():
            return event.started_at or event.time


# --- a customer writes -----------------------------------------------------------------------------------------------------------------


def _message(turn: Turn, data: MessageReceived) -> None:
    state = turn.state
    text = (data.text or (data.choice.title if data.choice else "")).replace("\x00", "")
    wanted = wish(text)
    changes: dict[str, object] = {"received": state.received + 1, "language": recognised(text, turn.shelf.languages) or state.language}
    if state.addresses.get(data.channel) != data.address:
        changes["addresses"] = {**state.addresses, data.channel: data.address}
    if state.replies.get(data.channel) != data.reply_to:
        kept = {one: place for one, place in state.replies.items() if one is not data.channel}
        changes["replies"] = {**kept, data.channel: data.reply_to} if data.reply_to else kept
    if data.reference:
        changes["profile"] = {**state.profile, REFERENCE: data.reference[:TEXT_KEPT].replace("\x00", "")}
    if wanted != "opt_out":
        changes |= {"account": data.account, "channel": data.channel}  # who leaves a channel is not talked to there
    if wanted is not None:
        turn.update(**changes)
        _wish(turn, wanted, data)
    elif state.refuses(data.channel, Purpose.REPLY) or data.kind in ("reaction", "system"):
        turn.update(**changes)
    else:
        turn.converse(**changes)
        if not turn.state.waiting:
            _answer(turn, text, data.choice.id if data.choice else None)


def _wish(turn: Turn, wanted: Wish, data: MessageReceived) -> None:
    """STOP, START and HELP come before everything, also before people. A second STOP changes nothing and is not answered."""
    if wanted == "help":
        turn.notice("help", data.channel, data.account, data.reply_to or data.address)
        return
    state = ConsentState.REVOKED if wanted == "opt_out" else ConsentState.GRANTED
    if turn.consent(data.channel, data.address, Purpose, state, "keyword"):
        turn.notice("opted_out" if wanted == "opt_out" else "opted_in", data.channel, data.account, data.reply_to or data.address)


def _answer(turn: Turn, text: str, tapped: str | None) -> None:
    """The first of these that fits: the answer to what was asked; a word that starts a flow; asking again; the welcome; the fallback."""
    walk = _understood(turn, text, tapped)
    if walk is not None:
        _apply(turn, walk, Purpose.REPLY)
    elif (asked := engine.question(turn.shelf, turn.state)) is not None:
        _apply(turn, engine.missed(turn.book, turn.shelf, turn.contact, turn.state, asked), Purpose.REPLY)
    elif turn.state.received == 1 and turn.shelf.welcome:
        _apply(turn, engine.begin(turn.book, turn.shelf, turn.contact, turn.state, turn.shelf.welcome), Purpose.REPLY)
    else:
        _fallback(turn)


def _understood(turn: Turn, text: str, tapped: str | None) -> Walk | None:
    walk = engine.answered(turn.book, turn.shelf, turn.contact, turn.state, text, tapped)
    if walk is None and (name := turn.shelf.keywords.get(plain(text[: engine.KEPT]))):
        walk = engine.begin(turn.book, turn.shelf, turn.contact, turn.state, name)
    return walk


def _fallback(turn: Turn) -> None:
    """Nobody understood: says so once, then asks a person."""
    misses = turn.state.misses + 1
    if misses >= MISSES or turn.shelf.fallback is None:
        _hand_over(turn, CARE, turn.shelf.fallback, told=False)
    else:
        _apply(turn, engine.begin(turn.book, turn.shelf, turn.contact, turn.state, turn.shelf.fallback), Purpose.REPLY, misses)


def _apply(turn: Turn, walk: Walk, purpose: Purpose, misses: int = 0) -> None:
    """Turns what a walk did into results."""
    turn.state = walk.after(misses)
    answered = purpose is not Purpose.REPLY
    for effect in walk.effects:
        match effect:
            case Said():
                if turn.request(effect.content, purpose, effect) and not answered:
                    answered = True
                    turn.changed("answered", flow=effect.flow.flow)
            case Agreed():
                if (channel := turn.state.channel) is not None:
                    turn.consent(channel, turn.state.addresses.get(channel), (effect.purpose,), effect.state, "flow")
            case Escalated():
                _hand_over(turn, effect.team, effect.flow, told=effect.told)
            case Failed():
                turn.troubles.append(effect.reason)
                if purpose is Purpose.REPLY:  # a customer waits for an answer; for an event of another service nobody does
                    _hand_over(turn, CARE, effect.flow, told=False)


def _hand_over(turn: Turn, team: str, flow: str | None, *, told: bool) -> None:
    """People take over; the bot says so unless the flow did, and is silent from then on."""
    turn.converse()
    assert turn.state.conversation is not None
    if not told:
        turn.request(Content(text=turn.words("handed_over")), Purpose.REPLY)
    turn.update(conversation=turn.state.conversation.but(waiting=True, team=team), position=None, misses=0)
    turn.changed("escalated", team=team, flow=flow)


# --- other events ----------------------------------------------------------------------------------------------------------------------


def _acted(turn: Turn, data: CustomerActed) -> None:
    """An event of another service: remembered where it tells of an order or the person, and whatever flow it starts."""
    turn.update(addresses={**data.addresses, **turn.state.addresses})
    properties = {key.replace("\x00", ""): storable(value) for key, value in data.properties.items()}
    number = properties.get("order_id")
    if data.name.startswith("order.") and isinstance(number, str | int) and number:
        turn.state = turn.state.with_order(str(number), data.name.removeprefix("order."))
    if data.name == "customer.updated":
        _told(turn, properties)
    name = turn.shelf.events.get(data.name)
    if name is None or turn.state.waiting:
        return
    purpose, before = turn.shelf.flows[name].purpose, turn.state.position
    if not turn.state.reach(purpose):
        return  # a flow that nobody hears does not begin
    walk = engine.begin(turn.book, turn.shelf, turn.contact, turn.state, name, properties)
    _apply(turn, walk, purpose, turn.state.misses)
    if turn.state.position is None and not turn.state.waiting and turn.state.reach(Purpose.REPLY):
        turn.update(position=before)  # a notice on the side does not end what is being talked about


def _told(turn: Turn, found: Mapping[str, JsonValue]) -> None:
    """What another service knows of the person."""
    profile = {key: value[:TEXT_KEPT] for key in PROFILE if isinstance(value := found.get(key), str)}
    turn.update(profile={**turn.state.profile, **profile})
    if isinstance(language := found.get("language"), str) and language in turn.shelf.languages:
        turn.update(language=language)
    if isinstance(tags := found.get("tags"), list):
        turn.update(tags=tuple(dict.fromkeys(one[:TEXT_KEPT] for one in tags if isinstance(one, str)))[:TAGS_KEPT])


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
        turn.update(conversation=current.but(last_at=max(current.last_at, data.at)))
        turn.changed("replied", at=data.at, team=current.team, agent=data.agent)

"""The router's decision: what one event means for one contact. Pure; everything the router does follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from parley.contracts import (
    AgentActed,
    CallReturned,
    Channel,
    ConsentChanged,
    ConsentState,
    Content,
    ConversationChanged,
    CustomerActed,
    Data,
    Envelope,
    MessageReceived,
    MessageRequested,
    OptedOut,
    Purpose,
    TimerFired,
)  # fmt: skip
from parley.optwords import Wish, wish
from parley.wire import caused_id
from parley_router import engine
from parley_router.catalogue import Book, Shelf
from parley_router.engine import CARE, Agreed, Escalated, Said, Walk
from parley_router.language import plain, recognised, spoken
from parley_router.state import ContactState, Conversation

SILENCE = timedelta(hours=24)
"""After so long without a word, what is said begins a new conversation."""
MISSES = 2
"""Messages in a row that nobody understood, after which a person is asked."""
ALL = tuple(Purpose)
NOTICES: dict[Literal["opted_out", "opted_in", "help"], dict[str, str]] = {
    "opted_out": {
        "ko": "수신거부 처리되었습니다. 더 이상 메시지를 보내지 않습니다. 다시 받으시려면 '수신동의'를 보내 주세요.",
        "en": "You are unsubscribed and will receive no more messages. Reply START to receive them again.",
    },
    "opted_in": {
        "ko": "수신동의 처리되었습니다. 언제든지 '수신거부'를 보내 중단하실 수 있습니다.",
        "en": "You are subscribed again. Reply STOP at any time to unsubscribe.",
    },
    "help": {
        "ko": "문의해 주셔서 감사합니다. 상담원 연결은 '상담원', 수신거부는 '수신거부'를 보내 주세요.",
        "en": "This is an automated service. Reply AGENT to talk to a person, STOP to unsubscribe.",
    },
}
"""The answers that the law asks for, one each; see `MessageRequested.notice`."""


@dataclass
class Turn:
    """One event being decided: the state so far and the results so far, in order."""

    book: Book
    event: Envelope
    now: datetime
    contact: UUID
    state: ContactState
    results: list[Data] = field(default_factory=list)

    @property
    def shelf(self) -> Shelf:
        return self.book.shelves[self.event.tenant]

    def update(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def changed(self, change: Literal["opened", "answered", "escalated", "replied", "resolved"], **more: str | None) -> None:
        assert self.state.conversation is not None
        number = self.state.conversation.id
        self.results.append(ConversationChanged(contact_id=self.contact, conversation_id=number, change=change, at=self.now, **more))

    def request(
        self, content: Content, purpose: Purpose, *, notice: Literal["opted_out", "opted_in", "help"] | None = None, said: Said | None = None
    ) -> None:
        """A message to the contact: back on the channel they wrote on last, else on any by which they are known."""
        state = self.state
        first = (state.channel,) if state.channel else ()
        self.results.append(
            MessageRequested.model_construct(
                contact_id=self.contact,
                message_id=caused_id(self.event.id, len(self.results)),
                purpose=purpose,
                channels=(*first, *(one for one in state.addresses if one is not state.channel)),
                account=state.account,
                addresses=state.addresses,
                content=content,
                notice=notice,
                campaign=said.flow.campaign if said else None,
                variant=said.variant if said else None,
                flow=f"{said.flow.flow}@{said.flow.version}" if said else None,
                step=said.step if said else None,
                conversation_id=state.conversation.id if state.conversation else None,
                not_before=None,
                expires_at=None,
            )
        )


def decide(state: ContactState | None, event: Envelope, now: datetime, book: Book) -> tuple[ContactState, Sequence[Data]]:
    """The new state and the results, in order. The same arguments give the same results, with the same ids."""
    data = event.data
    turn = Turn(book, event, now, getattr(data, "contact_id"), state or ContactState())  # noqa: B009  (every event here is about a contact)
    match data:
        case MessageReceived():
            _message(turn, data)
        case CustomerActed():
            _acted(turn, data)
        case AgentActed():
            _agent(turn, data)
        case OptedOut():
            _consent(turn, data.channel, data.address, data.purposes, data.state, "provider", data.at)
        case TimerFired() | CallReturned():
            pass  # no flow of this version waits for one: it is stale
        case _:
            raise TypeError(f"{type(data).__name__} is no event of {MessageReceived.topic}")
    return turn.state, turn.results


# --- a customer writes -----------------------------------------------------------------------------------------------------------------


def _message(turn: Turn, data: MessageReceived) -> None:
    state = turn.state
    language = recognised(data.text, turn.shelf.languages) or state.language
    addresses = {**state.addresses, data.channel: data.address}
    turn.update(language=language, account=data.account, channel=data.channel, addresses=addresses, received=state.received + 1)
    if (wanted := wish(data.text)) is not None:
        _wish(turn, wanted, data)
        return
    if turn.state.opted_out(data.channel) or data.kind in ("reaction", "system"):
        return
    _converse(turn)
    assert turn.state.conversation is not None
    if not turn.state.conversation.waiting:
        _answer(turn, data.text or "", data.choice.id if data.choice else None, first=state.received == 0)


def _wish(turn: Turn, wanted: Wish, data: MessageReceived) -> None:
    """STOP, START and HELP come before everything, also before people. A second STOP changes nothing and is not answered."""
    if wanted == "help":
        if not turn.state.opted_out(data.channel):
            _notice(turn, "help")
        return
    state = ConsentState.REVOKED if wanted == "opt_out" else ConsentState.GRANTED
    if any(turn.state.consent(data.channel, purpose) is not state for purpose in ALL):
        _consent(turn, data.channel, data.address, ALL, state, "keyword", data.received_at)
        _notice(turn, "opted_out" if wanted == "opt_out" else "opted_in")


def _consent(turn: Turn, channel: Channel, address: str, purposes: Sequence[Purpose], state: ConsentState, source: str, at: datetime) -> None:
    """Consent changes; who wants nothing more also ends what was being talked about."""
    turn.state = turn.state.with_consent(channel, tuple(purposes), state)
    for purpose in purposes:
        changed = ConsentChanged(contact_id=turn.contact, channel=channel, address=address, purpose=purpose, state=state, source=source, at=at)
        turn.results.append(changed)
    if turn.state.opted_out(channel):
        turn.update(position=None)


def _notice(turn: Turn, notice: Literal["opted_out", "opted_in", "help"]) -> None:
    turn.request(Content(text=spoken(NOTICES[notice], turn.state.language, turn.shelf.languages)), Purpose.REPLY, notice=notice)


def _converse(turn: Turn) -> None:
    """The message belongs to the conversation that goes on, or opens one."""
    current = turn.state.conversation
    if current is not None and (current.waiting or turn.now - current.last_at < SILENCE):
        turn.update(conversation=current.model_copy(update={"last_at": turn.now}))
        return
    number = caused_id(f"{turn.event.id}:conversation", 0)
    turn.update(conversation=Conversation(id=number, opened_at=turn.now, last_at=turn.now))
    turn.changed("opened")


def _answer(turn: Turn, text: str, tapped: str | None, *, first: bool) -> None:
    """The first of these that fits: the answer to what was asked; a word that starts a flow; the welcome; asking again; the fallback."""
    shelf, state, contact = turn.shelf, turn.state, turn.contact
    walk = engine.answered(turn.book, shelf, contact, state, text, tapped)
    if walk is None and (name := shelf.keywords.get(plain(text))):
        walk = engine.begin(turn.book, shelf, contact, state, name)
    if walk is None and first and shelf.welcome:
        walk = engine.begin(turn.book, shelf, contact, state, shelf.welcome)
    if walk is not None:
        walk = replace(walk, state=walk.state.model_copy(update={"misses": 0}))
    elif _asked(turn):
        walk = engine.missed(turn.book, shelf, contact, state)
    else:
        walk = _fallback(turn)
    if walk is not None:
        _apply(turn, walk, Purpose.REPLY)


def _asked(turn: Turn) -> bool:
    position = turn.state.position
    flow = turn.shelf.flows.get(position.flow) if position else None
    return position is not None and flow is not None and flow.version == position.version and position.step < len(flow.steps)


def _fallback(turn: Turn) -> Walk | None:
    """Nobody understood: says so once, then asks a person."""
    turn.update(misses=turn.state.misses + 1, position=None)
    if turn.state.misses >= MISSES or turn.shelf.fallback is None:
        turn.update(misses=0)
        _escalate(turn, CARE, None)
        return None
    return engine.begin(turn.book, turn.shelf, turn.contact, turn.state, turn.shelf.fallback)


def _apply(turn: Turn, walk: Walk, purpose: Purpose) -> None:
    """Turns what a walk did into results."""
    turn.state = walk.state
    spoke = False
    for effect in walk.effects:
        match effect:
            case Said():
                turn.request(Content(text=effect.text, choices=effect.choices), purpose, said=effect)
                spoke = True
            case Agreed():
                if turn.state.channel is not None:
                    address = turn.state.addresses[turn.state.channel]
                    _consent(turn, turn.state.channel, address, (effect.purpose,), effect.state, "flow", turn.now)
            case Escalated():
                _escalate(turn, effect.team, effect.flow)
    if spoke and purpose is Purpose.REPLY:
        turn.changed("answered", flow=walk.position.flow)


def _escalate(turn: Turn, team: str, flow: str | None) -> None:
    if turn.state.conversation is None:
        _converse(turn)
    assert turn.state.conversation is not None
    turn.update(conversation=turn.state.conversation.model_copy(update={"waiting": True, "team": team}), position=None)
    turn.changed("escalated", team=team, flow=flow)


# --- other events ----------------------------------------------------------------------------------------------------------------------


def _acted(turn: Turn, data: CustomerActed) -> None:
    """An event of another service: remembered where it tells of an order or the person, and whatever flow it starts."""
    turn.update(addresses={**data.addresses, **turn.state.addresses})
    number = data.properties.get("order_id")
    if data.name.startswith("order.") and isinstance(number, str | int):
        turn.state = turn.state.with_order(str(number), data.name.removeprefix("order."))
    if data.name == "customer.updated":
        told = {key: str(value) for key, value in data.properties.items() if key in ("name", "language", "city") and isinstance(value, str)}
        language = told.pop("language", None)
        turn.update(profile={**turn.state.profile, **told})
        if language in turn.shelf.languages:
            turn.update(language=language)
    name = turn.shelf.events.get(data.name)
    if name is None or turn.state.status == "waiting":
        return
    flow = turn.shelf.flows[name]
    before = turn.state.position
    walk = engine.begin(turn.book, turn.shelf, turn.contact, turn.state, name, data.properties)
    _apply(turn, walk, flow.purpose)
    if turn.state.position is None and turn.state.status != "waiting":
        turn.update(position=before)  # a notice on the side does not end what is being talked about


def _agent(turn: Turn, data: AgentActed) -> None:
    """A person replies or resolves. What concerns a conversation that is over changes nothing."""
    current = turn.state.conversation
    if current is None or current.id != data.conversation_id or not current.waiting:
        return
    if data.action == "reply":
        turn.request(Content(text=data.text), Purpose.REPLY)
        turn.update(conversation=current.model_copy(update={"last_at": turn.now}))
        turn.changed("replied", agent=data.agent)
    else:
        turn.changed("resolved", agent=data.agent)
        turn.update(conversation=None, misses=0)

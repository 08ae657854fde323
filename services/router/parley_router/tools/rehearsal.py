"""One contact's conversation, rehearsed: what happens goes through the router's own decision, on a clock that moves only when told, with services that
answer what they are given to answer. Pure: the same things happening say the same, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import JsonValue

from parley.contracts import (
    AgentActed,
    CallReturned,
    Channel,
    Choice,
    ContactScored,
    Customer,
    CustomerActed,
    Data,
    Envelope,
    Location,
    Media,
    MessageReceived,
    MessageRequested,
    OfContact,
    TimerFired,
)  # fmt: skip
from parley.wire import natural_id
from parley_router.catalogue import Book
from parley_router.decide import decided
from parley_router.happenings import CLICKED, SCORED
from parley_router.state import ContactState, Wanted
from parley_router.walk import Passed

CALLS = 50
"""Calls that one thing may lead to, at most: a flow that asks for ever is stopped here."""
TIMERS = 2000
"""Times that may come while one wait passes."""


class Unanswered(LookupError):
    """A flow asked outside, and nobody has said what is answered. The sentence says what was asked."""


class Endless(RuntimeError):
    """A flow goes on for ever. The sentence says how."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answers: a status and a body, or an error instead, as `timeout`."""

    status: int | None = 200
    body: JsonValue = None
    error: str | None = None


Answering = Callable[[Wanted], Answer | None]
"""What is answered to a call; None: nobody has said."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message of ours, and when it was said."""

    message: MessageRequested
    at: datetime


@dataclass
class Rehearsal:
    """The conversation so far. `now` is the moment that it is; `spoken` and `results` grow with what happens."""

    book: Book
    tenant: str
    answering: Answering
    now: datetime
    state: ContactState = field(default_factory=ContactState)
    contact: UUID = field(default_factory=lambda: natural_id("rehearsal"))
    channel: Channel = Channel.SMS
    address: str = "customer"
    spoken: list[Spoken] = field(default_factory=list)
    results: list[Data] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    trail: list[Passed] = field(default_factory=list)
    happened: int = 0

    # --- what can happen -------------------------------------------------------------------------------------------------------------

    def writes(
        self,
        text: str | None = None,
        *,
        choice: Choice | None = None,
        media: Media | None = None,
        location: Location | None = None,
        channel: Channel | None = None,
        reference: str | None = None,
    ) -> None:
        """The customer writes, taps a choice, or sends something."""
        on = channel or self.channel
        kind: Literal["text", "choice", "media", "location"] = "choice" if choice else "media" if media else "location" if location else "text"
        data = MessageReceived(
            contact_id=self.contact, message_id=natural_id(str(self.contact), "message", str(self.happened)), account=f"{self.tenant}-{on}",
            channel=on, address=self.state.addresses.get(on, self.address), kind=kind, text=text, choice=choice, media=(media,) if media else (),
            location=location, reference=reference, received_at=self.now,
        )  # fmt: skip
        self.happens(data)

    def event(self, name: str, properties: Mapping[str, JsonValue] | None = None) -> None:
        """Another service tells of something; `contact.scored` is what the figures tell. Raises `ValidationError` where that cannot be."""
        if name == SCORED:
            self.happens(ContactScored.model_validate({"fan": 0, "silent": 0, **(properties or {}), "contact_id": self.contact, "at": self.now}))
            return
        self.happens(CustomerActed(
            contact_id=self.contact, customer=Customer(id=str(self.contact)), name=name, properties=dict(properties or {}), occurred_at=self.now,
            addresses=self.state.addresses or {self.channel: self.address},
        ))  # fmt: skip

    def clicks(self, message: MessageRequested) -> None:
        """The customer follows a link of this message."""
        self.event(CLICKED, {"message_id": str(message.message_id)})

    def agent(self, action: Literal["reply", "resolve"], text: str = "") -> None:
        """A person replies or resolves. Raises `LookupError` when none has been asked for."""
        conversation = self.state.conversation
        if conversation is None or not conversation.waiting:
            raise LookupError("no person has the conversation")
        self.happens(AgentActed(contact_id=self.contact, conversation_id=conversation.id, action=action, agent="agent", text=text, at=self.now))

    def passes(self, length: timedelta) -> None:
        """Time passes; what is due meanwhile happens when it is due, the earliest first."""
        self.until(self.now + length)

    def until(self, moment: datetime) -> None:
        """As `passes`, up to a moment; one that is over changes nothing."""
        moment = moment.astimezone(self.now.tzinfo)
        for _ in range(TIMERS):
            due = [(at, token) for token, at in self.state.timers().items() if at <= moment]
            if not due:
                self.now = max(self.now, moment)
                return
            at, token = min(due)
            self.now = max(self.now, at.astimezone(self.now.tzinfo))
            self.happens(TimerFired(contact_id=self.contact, timer="flow", token=token, due_at=at))
        raise Endless(f"more than {TIMERS} times came until {moment:%Y-%m-%d %H:%M}: does a flow wait in a circle?")

    # --- what comes of it --------------------------------------------------------------------------------------------------------------

    def happens(self, data: OfContact) -> None:
        """Something happens to the contact now. Raises `Unanswered`."""
        self.takes(self._event(data))

    def takes(self, event: Envelope) -> None:
        """An event is decided, and so are the answers to what is asked because of it. Raises `Unanswered`."""
        self._decided(event)
        for _ in range(CALLS):
            calls = self.state.calls()
            if not calls:
                return
            token, wanted = next(iter(calls.items()))
            answer = self.answering(wanted)
            if answer is None:
                raise Unanswered(asked(wanted))
            call = wanted.service or wanted.kind
            data = CallReturned(contact_id=self.contact, call=call, token=token, status=answer.status, body=answer.body, error=answer.error)
            self._decided(self._event(data))
        raise Endless(f"more than {CALLS} calls came of one thing: does a flow ask in a circle?")

    def _event(self, data: OfContact) -> Envelope:
        self.happened += 1
        number = str(natural_id(str(self.contact), "event", str(self.happened)))
        return Envelope(id=number, source="/rehearsal", time=self.now, tenant=self.tenant, subject=str(self.contact), data=data)

    def _decided(self, event: Envelope) -> None:
        found = decided(self.state, event, self.now, self.book)
        self.state = found.state
        self.results += found.results
        self.spoken += [Spoken(one, self.now) for one in found.results if isinstance(one, MessageRequested)]
        self.troubles += found.troubles
        self.trail += found.trail

    def waits(self) -> list[str]:
        """Where flows wait, as `flow/step`: the question that waits for a reply first."""
        waiting = [*([self.state.position] if self.state.position else []), *reversed(self.state.runs)]
        places = [self.book.shelves[self.tenant].at(one) for one in waiting]
        return [f"{place[0].flow}/{place[0].step_name(place[1])}" for place in places if place is not None]


def asked(wanted: Wanted) -> str:
    """What was asked, in words."""
    if wanted.kind == "http":
        return f"the service {wanted.service} was asked for {wanted.method} {wanted.path}"
    return f"what {wanted.text!r} means was asked" if wanted.kind == "read" else f"the language model was asked to answer {wanted.text!r}"

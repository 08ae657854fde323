"""Two versions of the flows on the same recorded events: what each would have said, and where they part. Pure.

Times come when each version waits for them, not when they came in the log; services and readings answer as they did in the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from uuid import UUID

from parley.contracts import (
    AgentActed,
    CallReturned,
    ConversationChanged,
    CustomerActed,
    Data,
    Envelope,
    MessageReceived,
    MessageRequested,
    OfContact,
    TimerFired,
)
from parley_router.catalogue import Book
from parley_router.decide import decided
from parley_router.happenings import CLICKED
from parley_router.state import ContactState, Wanted
from parley_router.tools.rehearsal import Answer, Endless, Rehearsal, Unanswered


@dataclass(frozen=True, slots=True)
class Line:
    """Something said, as far as customers tell it apart: when, what, with which choices and cards, or to which team it went."""

    at: datetime
    text: str
    beside: tuple[str, ...] = ()
    flow: str = ""

    @property
    def shown(self) -> str:
        return " ".join([self.text, *(f"[{one}]" for one in self.beside)])


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a conversation parts first: whose, when, what happened, what the one said and what the other says."""

    tenant: str
    contact: UUID
    at: datetime
    cause: str
    first: Sequence[Line]
    second: Sequence[Line]

    @property
    def flow(self) -> str:
        """The flow that said it, or would say it."""
        return next((one.flow.partition("@")[0] for one in (*self.first, *self.second) if one.flow), "")


@dataclass
class Comparison:
    """How many contacts there were, the conversations that differ, and why some could not be compared to their end."""

    contacts: int = 0
    events: int = 0
    differences: list[Difference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def compared(events: Iterable[Envelope], first: Book, second: Book, zones: Mapping[str, tzinfo]) -> Comparison:
    """Both versions, contact by contact."""
    own: dict[tuple[str, UUID], list[Envelope]] = {}
    found = Comparison()
    for event in events:
        if isinstance(event.data, OfContact) and event.tenant in zones:
            own.setdefault((event.tenant, event.data.contact_id), []).append(event)
            found.events += 1
    for (tenant, contact), row in own.items():
        found.contacts += 1
        try:
            found.differences += _of_contact(tenant, contact, row, first, second, zones[tenant])
        except (Unanswered, Endless) as error:
            found.left_out.append(f"{tenant} {contact}: {error}")
    found.differences.sort(key=lambda one: one.at)
    return found


def _of_contact(tenant: str, contact: UUID, events: Sequence[Envelope], first: Book, second: Book, zone: tzinfo) -> Iterator[Difference]:
    """The first difference of each conversation. Raises `Unanswered` where the first version asks what the log does not answer."""
    answers, begun = learnt(events, first), moment_of(events[0]).astimezone(zone)
    sides = [Side(Rehearsal(book, tenant, Recorded(answers).answer, begun, contact=contact)) for book in (first, second)]
    parted: set[tuple[UUID | None, str]] = set()
    for event in events:
        if isinstance(event.data, TimerFired | CallReturned):
            continue
        for waits in (True, False):
            lines = _both(sides, event, waits=waits)
            if lines[0] == lines[1]:
                continue
            at = min(one.at for one in (*lines[0], *lines[1]))
            found = Difference(tenant, contact, at, "time passed" if waits else described(event.data), *lines)
            conversation = sides[0].one.state.conversation
            key = (conversation.id if conversation is not None else None, found.flow)
            if key not in parted:
                parted.add(key)
                yield found
        if sides[1].stuck:
            return


def _both(sides: Sequence[Side], event: Envelope, *, waits: bool) -> tuple[list[Line], list[Line]]:
    """What both say to the time that passes until an event, or to the event itself."""
    for place, side in enumerate(sides):
        try:
            if waits:
                side.one.until(moment_of(event))
            else:
                side.takes(event, sides[0])
        except (Unanswered, Endless) as error:
            if place == 0:
                raise
            side.stuck = f"({error}, and the log does not say what is answered)"
    return sides[0].lines(), sides[1].lines()


@dataclass
class Side:
    """One version's conversation; what was compared already, and why it cannot go on."""

    one: Rehearsal
    told: int = 0
    stuck: str = ""
    said: list[UUID] = field(default_factory=list)

    def lines(self) -> list[Line]:
        """What came since it was last asked."""
        new, self.told = self.one.results[self.told :], len(self.one.results)
        times = {spoken.message.message_id: spoken.at for spoken in self.one.spoken[len(self.said) :]}
        found = [line for one in new if (line := _line(one, times, self.one.now)) is not None]
        self.said += times
        return [*found, *([Line(self.one.now, self.stuck)] if self.stuck else [])]

    def takes(self, event: Envelope, recorded: Side) -> None:
        """The event, told of this side's conversation: ids that follow from what was said are its own."""
        data = event.data
        if isinstance(data, AgentActed) and self.one.state.conversation is not None:
            data = data.model_copy(update={"conversation_id": self.one.state.conversation.id})
        elif isinstance(data, CustomerActed) and data.name == CLICKED:
            place = next((place for place, one in enumerate(recorded.said) if str(one) == data.properties.get("message_id")), None)
            if place is not None and place < len(self.said):
                data = data.model_copy(update={"properties": {**data.properties, "message_id": str(self.said[place])}})
        self.one.takes(event.model_copy(update={"data": data}))


def _line(data: Data, times: Mapping[UUID, datetime], now: datetime) -> Line | None:
    if isinstance(data, ConversationChanged) and data.change == "escalated":
        return Line(now, f"(people of {data.team} take over)", flow=data.flow or "")
    if not isinstance(data, MessageRequested):
        return None
    content = data.content
    beside = (
        *(one.title or one.id for one in content.choices), *(one.title for one in content.cards), *(one.url or one.kind for one in content.media),
        *([data.channels[0]] if data.channels else []), *([str(data.purpose)] if data.purpose != "reply" else []),
    )  # fmt: skip
    return Line(times[data.message_id], content.text, beside, data.flow or "")


# --- what the log says -------------------------------------------------------------------------------------------------------------------


def moment_of(event: Envelope) -> datetime:
    """When it happened, by our own clocks."""
    data = event.data
    told = data.received_at if isinstance(data, MessageReceived) else getattr(data, "at", None)
    return told or event.started_at or event.time


def described(data: Data) -> str:
    """What happened, in words."""
    match data:
        case MessageReceived():
            return f"[{data.choice.title or data.choice.id}]" if data.choice else data.text or f"({data.kind})"
        case CustomerActed():
            return f"{data.name} {json.dumps(data.properties, ensure_ascii=False) if data.properties else ''}".strip()
        case AgentActed():
            return f"agent: {data.text or data.action}"
        case _:
            return data.type


Key = str


def _key(wanted: Wanted) -> Key:
    return wanted.model_dump_json(exclude={"language"})


def learnt(events: Iterable[Envelope], book: Book) -> dict[Key, list[Answer]]:
    """What was answered to what: the questions that the version asks, with the answers of the log by their tokens."""
    state, asked = ContactState(), dict[str, Wanted]()
    found: dict[Key, list[Answer]] = {}
    for event in events:
        data = event.data
        if isinstance(data, CallReturned) and data.token in asked:
            found.setdefault(_key(asked[data.token]), []).append(Answer(data.status, data.body, data.error))
        state = decided(state, event, event.time, book).state
        asked |= state.calls()
    return found


@dataclass
class Recorded:
    """Answers in the order in which they were given; the last one again where more is asked."""

    answers: Mapping[Key, Sequence[Answer]]
    given: dict[Key, int] = field(default_factory=dict)

    def answer(self, wanted: Wanted) -> Answer | None:
        key = _key(wanted)
        known = self.answers.get(key)
        if not known:
            return None
        place = self.given[key] = min(self.given.get(key, -1) + 1, len(known) - 1)
        return known[place]

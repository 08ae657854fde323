"""What the router knows of one contact. A value, stored as JSON by the keyed stage; small, for it is read and written with every event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from parley.contracts import Channel, ConsentState, Frozen, Purpose

PROFILE = ("name", "city")
"""What other services tell of a person by `customer.updated`; `language` and `tags` have their own place, flows may remember more."""
REFERENCE = "reference"
"""Of the profile: the campaign whose link brought the customer here last. Flows branch on `profile.reference`."""
ORDERS_KEPT = 20
NUMBER_LENGTH = 100
"""Characters of an order's number that are kept; a longer one comes from a fault."""


class Value(Frozen):
    """A frozen value with a quick way to a changed copy."""

    def but(self, **changes: object) -> Self:
        """A copy with these fields, which are trusted: as `model_copy`, at a third of its time, for every event makes several."""
        made = object.__new__(type(self))
        object.__setattr__(made, "__dict__", {**self.__dict__, **changes})
        object.__setattr__(made, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_private__", None)
        return made


class Frame(Frozen):
    """A flow that runs another one, and where it goes on when that has ended: `keep` are the slots that it takes along."""

    flow: str
    version: int
    step: int
    slots: dict[str, JsonValue] = {}
    keep: tuple[str, ...] = ()
    variant: str | None = None


class Wanted(Frozen):
    """Something to be asked outside: `http` of a service of services.yaml; `read`: what a text means; `answer`: the FAQ of a language model."""

    kind: Literal["http", "read", "answer"]
    service: str = ""
    method: str = "GET"
    path: str = ""
    body: JsonValue = None
    text: str = ""
    language: str | None = None


class Position(Value):
    """Where a contact stands in a flow: the flow and the version it began with, the step it waits at, and what is known so far.

    `token`: by it a timer, or the answer to `call`, is known as the one that is waited for. `phase`: how far a step that does several things has come.
    `said`: the last messages, for clicks. `replying`: what comes next still answers the customer. `taken`: steps so far. `shown`: the question
    asked. `found`: the entities of the message that began it. `text`: what the customer wrote last,
    while a service is asked.
    """

    flow: str
    version: int
    step: int
    slots: dict[str, JsonValue] = Field(default_factory=dict)
    tries: int = 0
    variant: str | None = None
    event: dict[str, JsonValue] = Field(default_factory=dict)
    stack: tuple[Frame, ...] = ()
    phase: str = ""
    token: str | None = None
    due: AwareDatetime | None = None
    call: Wanted | None = None
    said: tuple[UUID, ...] = ()
    replying: bool = False
    taken: int = 0
    shown: str | None = None
    found: dict[str, str] = Field(default_factory=dict)
    text: str = ""


class Planned(Frozen):
    """A flow that begins by itself at a date of the profile."""

    token: str
    due: AwareDatetime


class Watched(Frozen):
    """A conversion that is watched for: counted under flow and variant when the event happens before `until`."""

    event: str
    flow: str
    step: str
    place: int
    campaign: str | None = None
    variant: str | None = None
    since: AwareDatetime
    until: AwareDatetime


class Unread(Frozen):
    """What the customer wrote that is being read for its meaning; several messages in a row are read as one."""

    token: str
    text: str
    call: Wanted
    first: bool = False


class Offered(Frozen):
    """The intents that were offered because a message could mean any of them."""

    intents: tuple[str, ...]
    text: str
    language: str


class Promised(Frozen):
    """Until when a person is to answer, by what the team promises."""

    token: str
    due: AwareDatetime


class Conversation(Value):
    """A conversation between the contact and the brand; while a person is wanted, the bot is silent. Times are of the events, not of the deciding.

    `promised`: nobody has answered yet, and nobody has been told that it is overdue.
    """

    id: UUID
    opened_at: AwareDatetime
    last_at: AwareDatetime
    waiting: bool = False
    team: str | None = None
    promised: Promised | None = None


class Agreement(Frozen):
    """What a contact last said about one purpose on one channel, and when."""

    state: ConsentState
    at: AwareDatetime


class Scores(Frozen):
    """What the figures tell of a contact, as of `at`: see `ContactScored`."""

    fan: int = 0
    silent: int = 0
    best_hour: int | None = None
    best_hour_of: str | None = None
    order_again: float | None = None
    next_order_days: float | None = None
    lifetime_value: float | None = None
    currency: str | None = None
    at: AwareDatetime


class Known(Value):
    """What is known of a contact, as far as it goes along when the contact becomes part of another."""

    # Made by a factory: pydantic copies a default that is a dict by `deepcopy`, which took longer than reading all the rest.
    language: str | None = None
    profile: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    consents: dict[str, Agreement] = Field(default_factory=dict)
    account: str | None = None
    channel: Channel | None = None
    addresses: dict[Channel, str] = Field(default_factory=dict)
    replies: dict[Channel, str] = Field(default_factory=dict)
    orders: dict[str, str] = Field(default_factory=dict)
    position: Position | None = None
    conversation: Conversation | None = None
    received: int = 0


class Part(Value):
    """A contact that is part of this one: what was known of it (nothing any more once it left) and what this one has from it alone.

    `gained` names fields and keys; `replaced` are the consents as they were before.
    """

    version: int
    at: AwareDatetime | None = None
    known: Known | None = None
    gained: tuple[tuple[str, str], ...] = ()
    replaced: dict[str, Agreement | None] = Field(default_factory=dict)


class ContactState(Known):
    """One contact: language, profile, consents by `channel:purpose`, the route of the last message in, orders, where they stand.

    `replies`: where answers go on a channel, when that is not the address. `received` counts the customer's messages, `misses` those in a row that
    nobody understood. `into`: whom this contact is part of, said last by `merged`; it is then as it was at
    `since`, and all that happens is passed on. `erased`: when everything was forgotten that was known until then.

    `position` is the flow whose question waits for an answer; `runs` are those that wait for something else. `happened`: when events happened, the newest
    last; `begun`: when flows that begin by themselves last did; `planned`: those that will, at a date. `unread`: a message that is being understood,
    `offered`: what it could mean; `leaving`: the channel on which was asked whether it meant to opt out. `unanswered`: messages said on our own since the
    customer last wrote. `scores`: what the figures told last.
    """

    misses: int = 0
    into: UUID | None = None
    merged: int = 0
    since: AwareDatetime | None = None
    erased: AwareDatetime | None = None
    parts: dict[UUID, Part] = Field(default_factory=dict)
    runs: tuple[Position, ...] = ()
    happened: dict[str, tuple[AwareDatetime, ...]] = Field(default_factory=dict)
    begun: dict[str, AwareDatetime] = Field(default_factory=dict)
    planned: dict[str, Planned] = Field(default_factory=dict)
    goals: tuple[Watched, ...] = ()
    unread: Unread | None = None
    offered: Offered | None = None
    leaving: Channel | None = None
    unanswered: int = 0
    drawn: tuple[str, ...] = ()  # the experiments of which was told which variant this contact has
    scores: Scores | None = None

    def timers(self) -> dict[str, datetime]:
        """When what waits for a time is due, by token. Who is part of another waits for nothing."""
        if self.into is not None:
            return {}
        found = {one.token: one.due for one in self.runs if one.token is not None and one.due is not None}
        if (asked := self.position) is not None and asked.token is not None and asked.due is not None:
            found[asked.token] = asked.due
        if (promised := self.promised) is not None:
            found[promised.token] = promised.due
        return found | {one.token: one.due for one in self.planned.values()} if self.planned else found

    def calls(self) -> dict[str, Wanted]:
        """What is to be asked outside, by token."""
        if self.into is not None:
            return {}
        found = {one.token: one.call for one in self.runs if one.token is not None and one.call is not None}
        return found | {self.unread.token: self.unread.call} if self.unread is not None else found

    def consent(self, channel: Channel, purpose: Purpose) -> ConsentState | None:
        return known.state if (known := self.consents.get(channel + ":" + purpose)) is not None else None

    def refuses(self, channel: Channel, purpose: Purpose) -> bool:
        """Whether nothing may be said for this purpose on this channel."""
        return bool(self.consents) and self.consent(channel, purpose) is ConsentState.REVOKED

    def opted_out(self, channel: Channel) -> bool:
        """Whether nothing at all may be said on this channel."""
        return all(self.refuses(channel, purpose) for purpose in Purpose)

    def reach(self, purpose: Purpose, over: Sequence[Channel] = ()) -> tuple[Channel, ...]:
        """The channels on which this may be said: those of `over` first, then the one of the last message in; for marketing before all those that agreed."""
        if not self.consents and len(self.addresses) == 1:
            return tuple(self.addresses)
        known = (self.channel, *(one for one in self.addresses if one is not self.channel))
        open_ = [one for one in known if one is not None and one in self.addresses and not self.refuses(one, purpose)]
        if over:
            open_.sort(key=lambda one: over.index(one) if one in over else len(over))
        if purpose is Purpose.MARKETING:
            open_.sort(key=lambda one: self.consent(one, purpose) is not ConsentState.GRANTED)
        return tuple(open_)

    def with_consent(self, channel: Channel, purposes: Iterable[Purpose], state: ConsentState, at: datetime) -> ContactState:
        """With what was said `at`; what was said later already stays."""
        known = self.consents
        newer = {key: Agreement(state=state, at=at) for one in purposes if (key := channel + ":" + one) not in known or known[key].at <= at}
        return self.but(consents={**known, **newer})

    def with_order(self, number: str, status: str) -> ContactState:
        """Remembers an order's status; the oldest beyond twenty are forgotten. Numbers are kept in upper case, as they are asked for."""
        number = number.strip().upper()[:NUMBER_LENGTH]
        orders = {**{key: value for key, value in self.orders.items() if key != number}, number: status[:NUMBER_LENGTH]}
        return self.but(orders=dict(list(orders.items())[-ORDERS_KEPT:]))

    def place(self, channel: Channel, purpose: Purpose) -> str:
        """Where a message goes: an answer to where was written, all else to the person. In an app's chat only the conversation has an address."""
        own = self.addresses[channel]
        return self.replies.get(channel, own) if purpose is Purpose.REPLY or channel is Channel.INAPP else own

    @property
    def promised(self) -> Promised | None:
        """Until when a person is to answer; None where nobody promised anything, or it is settled."""
        return current.promised if (current := self.conversation) is not None else None

    @property
    def waiting(self) -> bool:
        """Whether a person is wanted, so that the bot is silent."""
        return (current := self.conversation) is not None and current.waiting

    @property
    def status(self) -> Literal["waiting", "bot", "none", "merged"]:
        if self.into is not None:
            return "merged"
        if self.conversation is None:
            return "none"
        return "waiting" if self.conversation.waiting else "bot"


def storable(value: JsonValue) -> JsonValue:
    """The value without NUL characters: what comes from outside may hold them, and PostgreSQL's JSON and text cannot."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [storable(one) for one in value]
    if isinstance(value, dict):
        return {key.replace("\x00", ""): storable(one) for key, one in value.items()}
    return value


def labels(state: ContactState) -> tuple[str, UUID | None]:
    """What stands beside the state for queries: who answers, and the conversation."""
    return state.status, state.conversation.id if state.conversation is not None and state.into is None else None

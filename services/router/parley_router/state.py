"""What the router knows of one contact. A value, stored as JSON by the keyed stage; small, for it is read and written with every event."""

from __future__ import annotations

from collections.abc import Iterable
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


class Position(Frozen):
    """Where a contact stands in a flow: the flow and the version it began with, the step it waits at, and what is known so far."""

    flow: str
    version: int
    step: int
    slots: dict[str, str] = {}
    tries: int = 0
    variant: str | None = None
    event: dict[str, JsonValue] = {}


class Conversation(Value):
    """A conversation between the contact and the brand; while a person is wanted, the bot is silent. Times are of the events, not of the deciding."""

    id: UUID
    opened_at: AwareDatetime
    last_at: AwareDatetime
    waiting: bool = False
    team: str | None = None


class Agreement(Frozen):
    """What a contact last said about one purpose on one channel, and when."""

    state: ConsentState
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
    """

    misses: int = 0
    into: UUID | None = None
    merged: int = 0
    since: AwareDatetime | None = None
    erased: AwareDatetime | None = None
    parts: dict[UUID, Part] = Field(default_factory=dict)

    def consent(self, channel: Channel, purpose: Purpose) -> ConsentState | None:
        known = self.consents.get(channel + ":" + purpose)
        return known.state if known is not None else None

    def refuses(self, channel: Channel, purpose: Purpose) -> bool:
        """Whether nothing may be said for this purpose on this channel."""
        return bool(self.consents) and self.consent(channel, purpose) is ConsentState.REVOKED

    def opted_out(self, channel: Channel) -> bool:
        """Whether nothing at all may be said on this channel."""
        return all(self.refuses(channel, purpose) for purpose in Purpose)

    def reach(self, purpose: Purpose) -> tuple[Channel, ...]:
        """The channels on which this may be said: the one of the last message in first, for marketing before it those that agreed."""
        if not self.consents and len(self.addresses) == 1:
            return tuple(self.addresses)
        known = (self.channel, *(one for one in self.addresses if one is not self.channel))
        open_ = [one for one in known if one is not None and one in self.addresses and not self.refuses(one, purpose)]
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
    def waiting(self) -> bool:
        """Whether a person is wanted, so that the bot is silent."""
        return self.conversation is not None and self.conversation.waiting

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

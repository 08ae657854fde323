"""What the router knows of one contact. A value, stored as JSON by the keyed stage; small, for it is read and written with every event."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, JsonValue

from parley.contracts import Channel, ConsentState, Frozen, Purpose

ORDERS_KEPT = 20


class Position(Frozen):
    """Where a contact stands in a flow: the flow and the version it began with, the step it waits at, and what is known so far."""

    flow: str
    version: int
    step: int
    slots: dict[str, str] = {}
    tries: int = 0
    variant: str | None = None
    event: dict[str, JsonValue] = {}


class Conversation(Frozen):
    """A conversation between the contact and the brand; while a person is wanted, the bot is silent."""

    id: UUID
    opened_at: AwareDatetime
    last_at: AwareDatetime
    waiting: bool = False
    team: str | None = None


class ContactState(Frozen):
    """One contact: language, profile, consents by `channel:purpose`, how to reach them, orders, where they stand."""

    language: str | None = None
    profile: dict[str, str] = {}
    consents: dict[str, ConsentState] = {}
    account: str | None = None
    channel: Channel | None = None
    addresses: dict[Channel, str] = {}
    orders: dict[str, str] = {}
    position: Position | None = None
    conversation: Conversation | None = None
    misses: int = 0
    received: int = 0

    def consent(self, channel: Channel, purpose: Purpose) -> ConsentState | None:
        return self.consents.get(f"{channel}:{purpose}")

    def opted_out(self, channel: Channel) -> bool:
        """Whether nothing at all may be said on this channel."""
        return all(self.consent(channel, purpose) is ConsentState.REVOKED for purpose in Purpose)

    def with_consent(self, channel: Channel, purposes: tuple[Purpose, ...], state: ConsentState) -> ContactState:
        return self.model_copy(update={"consents": {**self.consents, **{f"{channel}:{purpose}": state for purpose in purposes}}})

    def with_order(self, number: str, status: str) -> ContactState:
        """Remembers an order's status; the oldest beyond twenty are forgotten."""
        orders = {**{key: value for key, value in self.orders.items() if key != number}, number: status}
        return self.model_copy(update={"orders": dict(list(orders.items())[-ORDERS_KEPT:])})

    @property
    def status(self) -> Literal["waiting", "bot"]:
        return "waiting" if self.conversation is not None and self.conversation.waiting else "bot"


def labels(state: ContactState) -> tuple[str, UUID | None]:
    """What stands beside the state for queries: who answers, and the conversation."""
    return state.status, state.conversation.id if state.conversation is not None else None

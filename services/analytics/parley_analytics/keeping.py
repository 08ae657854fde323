"""How long a tenant's facts are kept, and what comes too late to be one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from parley.config import Tenant
from parley.contracts import (
    ConsentChanged,
    ContactDrawn,
    ConversationChanged,
    CustomerActed,
    Data,
    DeliveryChanged,
    EngagementRecorded,
    MessageReceived,
)

REACH = timedelta(days=30)
"""How much longer rows stay to which younger ones may belong: answers to messages, orders to clicks."""


class Keeping(NamedTuple):
    """How long one tenant's facts are kept: `kept`, what they may belong to `reach` longer. Days are those of `zone`."""

    zone: ZoneInfo
    kept: timedelta
    reach: timedelta

    def until(self, now: datetime) -> datetime:
        """What happened before this is over: the beginning of a day of the tenant."""
        return datetime.combine(self._day(now), time(), self.zone).astimezone(UTC)

    def _day(self, now: datetime) -> date:
        return (now - self.kept).astimezone(self.zone).date()


def keeping(tenants: Mapping[str, Tenant]) -> dict[str, Keeping]:
    """By tenant; whoever is not named keeps facts for ever."""
    return {
        name: Keeping(one.timezone, one.facts, max(REACH, one.attribution.window, one.attribution.after_delivery))
        for name, one in tenants.items()
        if one.facts is not None
    }


def happened(data: Data) -> datetime | None:
    """When that was which an event tells; None for what is never late, such as that somebody is to be forgotten."""
    if isinstance(data, CustomerActed):
        return data.occurred_at
    if isinstance(data, MessageReceived):
        return data.received_at
    if isinstance(data, DeliveryChanged | EngagementRecorded | ConversationChanged | ConsentChanged | ContactDrawn):
        return data.at
    return None


def late(data: Data, came: datetime, kept: Keeping) -> bool:
    """Whether an event that came onto the bus at that time tells something whose facts may be rolled up. The same whenever it is read."""
    at = happened(data)
    return at is not None and at < came - kept.kept


def spoken_of(data: Data) -> object:
    """The message or the conversation of which an event tells something, if it does."""
    if isinstance(data, ConversationChanged):
        return data.conversation_id
    return data.message_id if isinstance(data, DeliveryChanged | EngagementRecorded) else None

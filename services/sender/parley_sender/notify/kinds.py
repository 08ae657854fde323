"""Which events tenants may hear of, by what names, and how one is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, get_args
from uuid import UUID

import orjson

from parley.contracts import (
    ConsentChanged,
    ConsentState,
    ConversationChanged,
    Data,
    DeliveryChanged,
    DeliveryStatus,
    Envelope,
    GoalChanged,
    jsonable,
    utc,
)


@dataclass(frozen=True, slots=True)
class Family:
    """Events of one kind: the type of each is the family's name and the value of one field. `personal`: they say more of a person than an id."""

    name: str
    field: str
    words: tuple[str, ...]
    personal: bool = False


FAMILIES: Mapping[type[Data], Family] = MappingProxyType({
    DeliveryChanged: Family("delivery", "status", tuple(DeliveryStatus)),
    ConversationChanged: Family("conversation", "change", get_args(ConversationChanged.model_fields["change"].annotation)),
    ConsentChanged: Family("consent", "state", tuple(ConsentState), personal=True),
    GoalChanged: Family("goal", "change", get_args(GoalChanged.model_fields["change"].annotation), personal=True),
})  # fmt: skip
DISABLED, TEST = "webhook.disabled", "webhook.test"
"""Told of webhooks themselves: to the tenant's others that want it, when one is disabled; to the one that is tried out, whatever it wants."""
USUAL = ("delivery.*",)
TYPES = frozenset({
    *(f"{one.name}.{word}" for one in FAMILIES.values() for word in one.words),
    *(f"{one.name}.*" for one in FAMILIES.values()),
    DISABLED,
})  # fmt: skip
"""What a webhook may ask for."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it is told. `body` is signed as it stands; `personal`: the contact with whom it must be forgotten."""

    id: str
    tenant: str
    type: str
    body: str
    at: datetime
    personal: UUID | None = None


def type_of(data: Data) -> str | None:
    """`delivery.failed`, `consent.granted`, …; None for what nobody outside is told."""
    family = FAMILIES.get(type(data))
    return f"{family.name}.{getattr(data, family.field)}" if family is not None else None


def family_of(kind: str) -> str:
    """What stands for all types of the same family: `delivery.*`."""
    return f"{kind.partition('.')[0]}.*"


def told(event: Envelope, kind: str) -> Told:
    """An event of the bus, under its own id and time."""
    personal = event.data.contact_id if FAMILIES[type(event.data)].personal else None  # type: ignore[attr-defined]  # all of them are of a contact
    return Told(event.id, event.tenant, kind, body(kind, event.time, jsonable(event.data)), event.time, personal)


def body(kind: str, at: datetime, data: Mapping[str, Any]) -> str:
    """The three fields of Standard Webhooks."""
    return orjson.dumps({"type": kind, "timestamp": utc(at), "data": data}).decode()


def unknown(types: Iterable[str]) -> str | None:
    """Which of these is no type, and what may have been meant; None where all are."""
    wrong = next((one for one in types if one not in TYPES), None)
    if wrong is None:
        return None
    near = get_close_matches(wrong, sorted(TYPES), n=1)
    families = ", ".join(sorted(one for one in TYPES if one.endswith(".*")))
    return f"{wrong[:100]!r} is no type of event{f'; did you mean {near[0]!r}?' if near else ''} Known: {families}, {DISABLED}, and each single one of them"

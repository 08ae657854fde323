"""From a customer's event to a conversion with its value, where the tenant named it as a goal. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple
from uuid import UUID

from parley.attribution import Attribution
from parley.channels.text import storable
from parley.contracts import CustomerActed, Envelope
from parley_analytics.moments import representable

OrderKey = tuple[str, str, str]
"""Tenant, goal, and the conversion's own id."""
DIGITS = 15
"""Before the point, and behind it: what is larger or finer is no price."""


class Order(NamedTuple):
    """A conversion as told. Of several tellings under one id the least tuple counts: the earliest, ties by content, never by arrival."""

    at: datetime
    contact_id: UUID
    value: Decimal
    currency: str


def conversion(event: Envelope, data: CustomerActed, rule: Attribution) -> tuple[OrderKey, Order]:
    """The conversion that an event is. Without an id of its own it is known by its event's: a repeated event is the same one."""
    number, currency = data.properties.get("order_id"), data.properties.get("currency")
    named = storable(str(number)) if isinstance(number, str | int) else ""
    key = (event.tenant, data.name, named or storable(f"event:{event.id}"))
    coin = storable(currency) if isinstance(currency, str) else ""
    return key, Order(representable(data.occurred_at), data.contact_id, amount(data.properties.get("total")), coin or rule.currency)


def amount(total: object) -> Decimal:
    """A conversion's value; 0 when there is none that can be read: the conversion itself still counts."""
    if isinstance(total, bool) or not isinstance(total, int | float | str):
        return Decimal(0)
    try:
        value = Decimal(str(total))
    except (InvalidOperation, ValueError):
        return Decimal(0)
    fits = value.is_finite() and abs(value) < 10**DIGITS and -int(value.as_tuple().exponent) <= DIGITS
    return value if fits else Decimal(0)

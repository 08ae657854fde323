"""What a provider says that a message takes: its price and its segments, read with care. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from parley.channels.text import string, whole

MOST = Decimal(100_000)
"""No message costs as much, in whatever currency: what is more is no price."""
MAX_DIGITS, MAX_SEGMENTS = 30, 1000
"""Characters of a price; segments of a message."""
_CURRENCY = re.compile("[A-Za-z]{3}")


class Cost(NamedTuple):
    """Price and currency, both or neither, and segments; None for what is not told."""

    price: Decimal | None = None
    currency: str | None = None
    segments: int | None = None


def cost(amount: object, currency: object, segments: object = None, *, each: bool = False) -> Cost:
    """What was told, where it can be true: a price of this world with its currency, segments from 1 on.

    A price may be told as a debit (Twilio's are negative). With `each` it is that of one segment, so it is told for all of them only where their
    number is told.
    """
    found, unit, count = _amount(amount), string(currency) or "", whole(segments)
    parts = count if count is not None and 0 < count <= MAX_SEGMENTS else None
    if each and found is not None:
        found = found * parts if parts is not None else None
    if found is None or not _CURRENCY.fullmatch(unit):
        return Cost(segments=parts)
    return Cost(found, unit.upper(), parts)


def total(parts: Sequence[Cost]) -> Cost:
    """What the parts of a message take together, as far as each of them tells it, in one currency."""
    prices, counts = [one.price for one in parts if one.price is not None], [one.segments for one in parts if one.segments is not None]
    segments = sum(counts) if counts and len(counts) == len(parts) else None
    if not prices or len(prices) < len(parts) or len({one.currency for one in parts}) > 1:
        return Cost(segments=segments)
    return Cost(sum(prices, Decimal(0)), parts[0].currency, segments)


def _amount(value: object) -> Decimal | None:
    text = (string(value) or "").strip()
    try:
        found = abs(Decimal(text)) if 0 < len(text) <= MAX_DIGITS else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and found <= MOST else None

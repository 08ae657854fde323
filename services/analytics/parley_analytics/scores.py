"""How fond of a brand a person is, and how silent: two scores from 0 to 100, made of what they did, which counts less the longer ago it was. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

FAN_HALF = 90.0
SILENT_HALF = 60.0
"""Days in which what was done, or left undone, comes to count half."""
POINTS = {"clicked": 3.0, "answered": 4.0, "bought": 10.0, "recommended": 15.0}
"""What an act of today is worth."""
FULL = 20.0
"""So many points make a fan of 50; twice as many one of 75."""
HEARD = 3.0
"""So many messages without a reaction weigh as much as one act, an open among them."""
BEFORE = 3.0
"""So many such messages, beside those that there are, weigh for everybody: one alone says little."""
DAY = 86_400.0

STEP = 5
"""Points by which a score moves before it is told."""
SHIFT = 0.1
SHARE = 0.15
"""How far the probability of an order, and the share by which days and money move before they are told."""

Whose = Literal["contact", "segment", "tenant"]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did: `opened`, or one of `POINTS`."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Scores:
    """What is told of a person: see `parley.contracts.ContactScored`."""

    fan: int = 0
    silent: int = 0
    best_hour: int | None = None
    best_hour_of: Whose | None = None
    order_again: float | None = None
    next_order_days: float | None = None
    lifetime_value: Decimal | None = None
    currency: str | None = None


NOTHING = Scores()


def faded(at: datetime, now: datetime, half: float) -> float:
    """How much what happened then counts now, 1 at most; what is said to lie ahead counts as of now."""
    return math.pow(0.5, max(0.0, (now - at).total_seconds()) / DAY / half)


def fan(acts: Iterable[Act], now: datetime) -> float:
    """`100 · (1 − 2^(−points / 20))`: one order makes 29, two orders and two clicks of today 59; half a year later these are 20."""
    points = sum(POINTS.get(one.kind, 0.0) * faded(one.at, now, FAN_HALF) for one in acts)
    return 100 * (1 - math.pow(0.5, points / FULL))


def silent(unheard: Iterable[datetime], acts: Iterable[Act], now: datetime) -> float:
    """`100 · u / (u + 3·h + 3)` with u messages that nothing came of and h acts, both faded: one message makes 25, five 62; an act then 45."""
    messages = sum(faded(at, now, SILENT_HALF) for at in unheard)
    heard = sum(faded(one.at, now, SILENT_HALF) for one in acts)
    return 100 * messages / (messages + HEARD * heard + BEFORE)


def moved(before: Scores | None, after: Scores) -> bool:
    """Whether the difference is worth an event: what flows go by is never further off than that."""
    if before is None:
        return after != NOTHING
    return (
        abs(after.fan - before.fan) >= STEP
        or abs(after.silent - before.silent) >= STEP
        or (after.fan == 0) != (before.fan == 0)
        or (after.best_hour, after.currency) != (before.best_hour, before.currency)
        or _moved(before.order_again, after.order_again, SHIFT, 0)
        or _moved(before.next_order_days, after.next_order_days, 0.5, SHARE)
        or _moved(_number(before.lifetime_value), _number(after.lifetime_value), 0, SHARE)
    )


def _moved(before: float | None, after: float | None, step: float, share: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > step and abs(after - before) >= share * max(abs(before), abs(after))


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def acts_of(sequence: Sequence[tuple[str, datetime | None]]) -> list[Act]:
    """The acts among these, those without a time left out."""
    return [Act(kind, at) for kind, at in sequence if at is not None]

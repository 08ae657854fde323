"""What a tenant's conversions are, and what they are owed to: `attribution` in `accounts.yaml`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

LENGTHS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a tenant's conversions are, and what they are owed to (see `AttributionEntry`)."""

    window: timedelta = timedelta(days=7)
    after_delivery: timedelta = timedelta(0)
    goals: frozenset[str] = frozenset({"order.placed"})
    currency: str = ""


def _length(text: object) -> timedelta:
    """Of 0 to 365 days, in whole minutes, hours or days."""
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"([0-9]{1,5})(m|h|d)", "0m" if text in (0, "0") else str(text))
    length = int(found[1]) * LENGTHS[found[2]] if found else timedelta.max
    if length > timedelta(days=365):
        raise ValueError(f"a length of time is a number of minutes, hours or days, of at most a year, as in 30m, 24h or 7d; not {str(text)[:50]!r}")
    return length


class AttributionEntry(BaseModel):
    """What a conversion is owed to: the last click within `window` before it, else the last message that arrived within `after_delivery`, where that is set.

    `goals`: the events that are conversions; `currency`: of values that are told without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Annotated[timedelta, BeforeValidator(_length)] = timedelta(days=7)
    after_delivery: Annotated[timedelta, BeforeValidator(_length)] = timedelta(0)
    goals: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")], ...] = ("order.placed",)
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None

    def told(self) -> Attribution:
        """As a value."""
        return Attribution(self.window, self.after_delivery, frozenset(self.goals), self.currency or "")

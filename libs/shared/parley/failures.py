"""The closed set of ways in which a delivery can fail, and how long to wait: rules as values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

Class = Literal["accepted", "permanent", "transient", "throttled", "opted_out", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call to a provider came to.

    `accepted`: the provider has it, under `provider_id`. `permanent`: never will. `transient` and `throttled`: it did not take it, try later;
    throttled costs no attempt and pauses the lane (`scope="recipient"`: only this recipient). `opted_out`: never again to this address.
    `unknown`: the bytes left and no answer came, so it may have been taken: never resent without a key that the provider honours.
    `price` (with its `currency`) and `segments` only where the answer tells them already.
    """

    kind: Class
    code: str | None = None
    reason: str = ""
    provider_id: str | None = None
    retry_after: timedelta | None = None
    scope: Literal["message", "recipient", "account"] = "message"
    drop_address: bool = False
    price: Decimal | None = None
    currency: str | None = None
    segments: int | None = None


REPLY_SCHEDULE = (2, 10, 60, 300)
"""Seconds between attempts of a reply or a transactional message: a conversation does not wait for hours."""
MARKETING_SCHEDULE = (30, 300, 1800, 7200)
JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Schedule:
    """Pauses before the second, third, ... attempt, in seconds; after the last one, never again."""

    pauses: tuple[int, ...] = field(default=REPLY_SCHEDULE)


def next_try(schedule: Schedule, attempt: int, now: datetime, seed: str) -> datetime | None:
    """When to try again after the failed `attempt` (1 = the first), or None for never.

    Spread by ±20 % so that messages that failed together do not come back together. The spread is a function of `seed` (the message id)
    and the attempt: the same question has the same answer.
    """
    if not 1 <= attempt <= len(schedule.pauses):
        return None
    draw = int.from_bytes(hashlib.blake2b(f"{seed}:{attempt}".encode(), digest_size=8).digest(), "big") / 2**64
    return now + timedelta(seconds=schedule.pauses[attempt - 1] * (1 + JITTER * (2 * draw - 1)))

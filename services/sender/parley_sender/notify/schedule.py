"""What an answer to a webhook means: it is done, it is tried again at a time, or it has failed; and when the whole webhook has to rest or to end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from parley.failures import Schedule, next_try

PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 43_200, 86_400)
"""Seconds before the second, third, … try: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h, 12 h, 24 h. The first is made at once, the tenth is the last, after
two and a half days. The beginning is Standard Webhooks' own proposal."""
SCHEDULE = Schedule(PAUSES)
LONGEST_PAUSE = timedelta(days=1)
"""More is not granted, whatever Retry-After says."""
GIVEN_UP = timedelta(days=5)
"""A webhook at which nothing succeeded for so long is disabled, by the failure of a post that has waited for `LASTING` itself: one that hears little is
not ended by one bad moment a week after the last."""
LASTING = timedelta(hours=12)
GONE = 410
RESTS = frozenset({429, 502, 503, 504})
"""Answers that speak of the whole system, not of one message (Standard Webhooks): a Retry-After of theirs holds for everything that it is told."""

State = Literal["sent", "due", "failed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call came to: a status, or in words why there is none. `body`: its beginning."""

    status: int | None = None
    error: str | None = None
    body: str = ""
    retry_after: timedelta | None = None
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows for the post; `due_at` only counts where it is due."""

    state: State
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """What the answers of one webhook, together, say of it. `lasting`: what failed has waited for long."""

    good: bool
    gone: bool
    lasting: bool
    paused_until: datetime | None


def verdict(answer: Answer, tries: int, now: datetime, seed: str) -> Verdict:
    """After the `tries`-th call. Spread by `seed`, so that what failed together does not come back together; never before a Retry-After."""
    if answer.good:
        return Verdict("sent", now)
    planned = next_try(SCHEDULE, tries, now, seed)
    if planned is None or answer.status == GONE:
        return Verdict("failed", now)
    return Verdict("due", max(planned, now + _granted(answer)))


def health(answers: Iterable[tuple[Answer, datetime]], now: datetime) -> Health:
    """Of answers, each with the time when its post was noted. One success shows that it works; a 410 counts all the same, for it is said on purpose."""
    found = list(answers)
    pauses = [now + _granted(one) for one, _ in found if one.status in RESTS and one.retry_after]
    good, gone = any(one.good for one, _ in found), any(one.status == GONE for one, _ in found)
    return Health(good, gone, not good and any(now - noted_at >= LASTING for _, noted_at in found), max(pauses, default=None))


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Seconds or a date (RFC 9110, 10.2.3); None where there is neither, or it is over."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_PAUSE) or None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    pause = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(pause, LONGEST_PAUSE) if pause > timedelta() else None


def _granted(answer: Answer) -> timedelta:
    return min(answer.retry_after or timedelta(), LONGEST_PAUSE)

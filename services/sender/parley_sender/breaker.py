"""The circuit of an account: who has failed again and again is left alone for a while, then tried with one message. Pure: every time comes in as a value.

Closed, everything may leave. It opens after so many failures in a row, or where at least half of the last half minute failed; then nothing leaves until a
time. After that it is half open: one message is the trial. If the provider takes it, the circuit closes; if not, it opens for twice as long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from parley.failures import Outcome
from parley_sender.outcome import FAULT

ROW = 5
"""Failures in a row that open it."""
RATIO, LEAST, WINDOW = 0.5, 20, timedelta(seconds=30)
"""Or this share of failures within the window, of at least so many calls."""
FIRST, LONGEST = timedelta(seconds=5), timedelta(minutes=5)
"""How long it stays open: at first, and at most after trials that failed."""
TRIAL = timedelta(minutes=2)
"""After so long a trial that did not end is forgotten: its message may have been called back, or its process ended."""

Health: TypeAlias = Literal["well", "ill"]


def health(outcome: Outcome) -> Health | None:
    """What a call says of the account; None for nothing.

    Ill: the provider's own fault (5xx), not reached, the account refused, or no answer at all. An answer about one message or one recipient shows that the
    provider works. A 429 says neither: it has a pace of its own; nor does a fault of ours.
    """
    if outcome.code == FAULT or outcome.kind == "throttled":
        return None
    refused = outcome.kind == "permanent" and outcome.scope == "account"
    return "ill" if refused or outcome.kind in ("transient", "unknown") else "well"


@dataclass
class Breaker:
    """The circuit of one lane, kept by whoever drives it. `until`: that it is open, and until when; who takes a lane over gives what its row says."""

    until: datetime | None = None
    _row: int = 0
    _seconds: deque[tuple[int, int, int]] = field(default_factory=deque)
    """By second: calls that went well, and that did not."""
    _pause: timedelta = FIRST
    _trial_at: datetime | None = None

    def note(self, outcome: Outcome, now: datetime, called_at: datetime | None = None) -> None:
        """A call is over. One that began (`called_at`) before the circuit opened says nothing of how the provider does since."""
        said = health(outcome)
        if self.until is not None:
            if self._trial_at is not None and (called_at is None or called_at >= self._trial_at):
                self._tried(outcome, said, now)
        elif said is not None:
            self._row = self._row + 1 if said == "ill" else 0
            self._count(said, now)
            if said == "ill" and (self._row >= ROW or self._ratio()):
                self._open(now)

    def opens_until(self, now: datetime) -> datetime | None:
        """Until when nothing leaves; None while it is closed, and while it is half open: then a trial decides."""
        return self.until if self.until is not None and now < self.until else None

    def room(self, now: datetime) -> int | None:
        """How many messages may leave: None for as many as there are; of an open circuit none, or the one that is the trial."""
        if self.until is None:
            return None
        if now < self.until or (self._trial_at is not None and now < self._trial_at + TRIAL):
            return 0
        return 1

    def leaves(self, now: datetime) -> None:
        """A message leaves; of a circuit that is half open it is the trial."""
        if self.until is not None:
            self._trial_at = now

    def stayed(self) -> None:
        """The trial did not leave after all."""
        self._trial_at = None

    def _tried(self, outcome: Outcome, said: Health | None, now: datetime) -> None:
        """The trial is over. A provider that asks for a pause answers: that closes it too. After a fault of ours another one is made."""
        self._trial_at = None
        if said == "ill":
            self._pause = min(LONGEST, self._pause * 2)
            self._open(now)
        elif outcome.code != FAULT:
            self.until, self._pause, self._row = None, FIRST, 0
            self._seconds.clear()

    def _open(self, now: datetime) -> None:
        self.until, self._trial_at = now + self._pause, None

    def _count(self, said: Health, now: datetime) -> None:
        second = int(now.timestamp())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, 0, 0))
        _, well, ill = self._seconds[-1]
        self._seconds[-1] = second, well + (said == "well"), ill + (said == "ill")
        while self._seconds[0][0] <= second - WINDOW.total_seconds():
            self._seconds.popleft()

    def _ratio(self) -> bool:
        well, ill = (sum(one[place] for one in self._seconds) for place in (1, 2))
        return well + ill >= LEAST and ill >= RATIO * (well + ill)

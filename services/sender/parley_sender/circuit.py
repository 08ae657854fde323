"""The circuit of a lane at work: what calls come to opens and closes it, and while it is open what waits there takes another way, some of it at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import structlog

from parley.database import Connection
from parley.failures import Outcome
from parley_sender import rerouting
from parley_sender.breaker import Breaker
from parley_sender.law import Law
from parley_sender.standing import Stirred

log = structlog.get_logger()

AGAIN, MOST = 0.5, 500
"""Seconds between two moves of messages away from an open circuit, and how many move at once."""


@dataclass
class Circuit:
    """`part`: of which lane. The breaker is told of each message that leaves; `until` stands in the lane's row. Times `at` are the loop's."""

    part: str
    law: Law
    breaker: Breaker = field(default_factory=Breaker)
    _reached: dict[int, int] = field(default_factory=dict)
    """Up to which place of each line was looked for what may move."""
    _again_at: float = 0.0

    @property
    def until(self) -> datetime | None:
        """That it is open, and until when: for the lane's row."""
        return self.breaker.until

    def begin(self, until: datetime | None) -> None:
        """As the lane's row says of it: nothing is known of the calls of whoever had the lane before."""
        self.breaker = Breaker(until)

    def room(self, now: datetime, claimed: int, most: int) -> int:
        """How many messages may be claimed beside those that are. While it is half open it is one, when nothing else is under way: the trial."""
        allowed = self.breaker.room(now)
        return most - claimed if allowed is None else 0 if claimed else allowed

    def judged(self, outcome: Outcome, now: datetime, called_at: datetime) -> bool:
        """A call is over: whether the circuit opened by that, for another time or closed."""
        before = self.breaker.until
        self.breaker.note(outcome, now, called_at)
        if self.breaker.until == before:
            return False
        until = self.breaker.opens_until(now)
        log.warning("circuit open" if until else "circuit closed", lane=self.part, until=until and until.isoformat())
        return True

    def shut(self, now: datetime) -> float:
        """Seconds for which nothing leaves; 0 while it is closed or half open."""
        until = self.breaker.opens_until(now)
        return 0.0 if until is None else (until - now).total_seconds()

    def moves(self, now: datetime, at: float) -> bool:
        """Whether it is time for what waits to take another way."""
        return at >= self._again_at and self.breaker.opens_until(now) is not None

    async def rerouted(self, connection: Connection, now: datetime, at: float) -> Stirred:
        """Moves some of what waits, where it is time; gives where that came to stand."""
        if not self.moves(now, at):
            return {}
        self._again_at = at + AGAIN
        return await rerouting.move(connection, self.part, self.law, now, MOST, self._reached)

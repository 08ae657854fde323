"""To whom nothing more shall leave, as this process heard it, once for all its lanes: people who said stop or were erased, addresses that came on a list,
messages that were called back. Where it may have missed one, everybody counts as having said stop: whoever was asked about at the gate before is asked about
again there, and the gate reads the tables. Pure: every time comes in as a value.

Missed may be what was recorded while the connection that hears of it was lost, while the process stood still (frozen, without a processor, or the machine
slept: what was sent to it may be on its way yet), and what came before the oldest that is remembered.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

KEPT = 10_000
"""Stops that are remembered."""
BEAT = 0.25
"""Seconds between two signs of life of the process."""
FROZEN = 0.5
"""Seconds by which such a sign may be late. After a longer standstill nothing that was claimed before it leaves unasked; shorter ones are for `departures.STILL`."""

SECOND = timedelta(seconds=1)


@dataclass
class Stops:
    """Times are of the loop's clock; `wall` is the other clock, which goes on while a machine sleeps."""

    _heard: OrderedDict[UUID, float] = field(default_factory=OrderedDict)
    """When who said stop last, in this order."""
    _latest: float = -math.inf
    _missed: float = math.inf
    """Up to when stops may have been missed."""
    _beat: tuple[float, datetime] | None = None

    def listens(self, now: float) -> None:
        """From now on every stop is heard."""
        self._missed = now

    def deaf(self) -> None:
        """From now on none is, until it `listens` again."""
        self._missed = math.inf

    def hear(self, who: UUID, now: float) -> None:
        """A contact, or whoever has an address (`standing.of_address`), wants nothing more; or a message is called back."""
        self._heard.pop(who, None)
        self._heard[who] = self._latest = now
        if len(self._heard) > KEPT:
            self._missed = max(self._missed, self._heard.popitem(last=False)[1])

    def told(self, said: str, now: float) -> None:
        """What a notification says (`standing.tell_stops`): who wants nothing more. Where it names nobody, or cannot be read, that may be everybody."""
        try:
            whom = [UUID(one) for one in said.split()]
        except ValueError:
            whom = []
        if not whom:
            self._missed = max(self._missed, now)
        for who in whom:
            self.hear(who, now)

    def beat(self, now: float, wall: datetime) -> None:
        """The process lives. It says so at each `BEAT`, and whenever it is about to ask whether somebody `said` stop."""
        if self._beat is not None and max(now - self._beat[0], (wall - self._beat[1]) / SECOND) > BEAT + FROZEN:
            self._missed = max(self._missed, now)
        self._beat = now, wall

    def said(self, asked_at: float, whom: Callable[[], Iterable[UUID]]) -> bool:
        """Whether one of these said stop since then, or may have. `whom` is asked for only where somebody did."""
        if self._missed >= asked_at:
            return True
        return self._latest >= asked_at and any(self._heard.get(who, -math.inf) >= asked_at for who in whom())

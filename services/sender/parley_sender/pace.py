"""How fast a lane may send: buckets, all of which must have room, and to whom how often. Values and their arithmetic; the time comes in."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from parley_sender.bucket import Bucket

LIVELY = 10.0
"""Seconds after a reply for which a lane is kept even: who waits for an answer comes at any moment."""
PAUSE = 1.0
"""Seconds of a pause for which the provider named no time."""
NOTICED = 0.002
"""Seconds after which something that was let go counts as late: its bytes leave only now."""


@dataclass(slots=True)
class Recipients:
    """`most` different recipients in any `window` seconds, as some providers allow to be written to first. Who is among them may get more."""

    most: int
    window: float = 86_400.0
    _last: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def at(self, address: str, now: float) -> float:
        """When this recipient may be written to."""
        while self._last and next(iter(self._last.values())) + self.window <= now:
            self._last.popitem(last=False)
        if address in self._last or len(self._last) < self.most:
            return now
        return next(iter(self._last.values())) + self.window

    def take(self, address: str, now: float) -> None:
        """Something leaves to this recipient now."""
        self._last[address] = now
        self._last.move_to_end(address)


@dataclass(slots=True)
class Pairs:
    """A bucket for each recipient: how often one sender may write to one person. Only of late ones is anything kept."""

    rate: float
    burst: int
    _full_at: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def at(self, address: str, now: float) -> float:
        """When the next message may leave to this recipient."""
        return max(now, self._full_at.get(address, now) - (self.burst - 1) / self.rate)

    def take(self, address: str, now: float) -> None:
        """A message leaves to this recipient now."""
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
        self._full_at[address] = max(self._full_at.get(address, now), now) + 1 / self.rate
        self._full_at.move_to_end(address)


@dataclass(slots=True)
class Pace:
    """The buckets of a lane: its own first, then those that it shares with other lanes. `paused_until`: nothing leaves before."""

    own: Bucket
    shared: Sequence[Bucket] = ()
    recipients: Recipients | None = None
    pairs: Pairs | None = None
    paused_until: float = 0.0
    left_at: float = 0.0
    """When the last message left."""
    replied_at: float = -math.inf
    """And the last that somebody waited for."""

    def at(self, units: int, now: float) -> float:
        """When so many units may leave."""
        return max(self.paused_until, self.own.at(units, now), *(one.at(units, now) for one in self.shared)) if self.shared else max(
            self.paused_until, self.own.at(units, now))  # fmt: skip

    def to(self, address: str, first: bool, now: float) -> float:
        """When something may leave to this recipient; `first`: we write first, nobody is waiting for an answer."""
        waits = [now]
        if self.pairs is not None:
            waits.append(self.pairs.at(address, now))
        if self.recipients is not None and first:
            waits.append(self.recipients.at(address, now))
        return max(waits)

    def take(self, units: int, address: str, first: bool, now: float) -> None:
        """A message leaves now; `first`: nobody waits for it."""
        self.left_at = now
        if not first:
            self.replied_at = now
        even = now < self.replied_at + LIVELY
        for one in (self.own, *self.shared):
            one.take(units, now, even)
        if self.pairs is not None:
            self.pairs.take(address, now)
        if self.recipients is not None and first:
            self.recipients.take(address, now)

    def begun(self, units: int, left: float, now: float) -> float:
        """What left at `left` by the book leaves now in truth: its process stood still or was frozen in between, or a connection had to be made first. The provider
        counts it from now on. Gives the time by which it is known from now on."""
        if now <= left + NOTICED:
            return left
        for one in (self.own, *self.shared):
            one.later(units, left, now)
        return now

    def stood_still(self, since: float, now: float) -> None:
        """The process stood still from then until now."""
        for one in (self.own, *self.shared):
            one.stood_still(since, now)

    def ahead(self, now: float, seconds: float) -> int:
        """Units that may be made ready for the next seconds: what the slowest bucket gives in them, one at least."""
        slowest = min(one.speed(now) for one in (self.own, *self.shared))
        return max(1, math.ceil(slowest * seconds))

    def throttled(self, now: float, pause: float | None) -> None:
        """After the provider asked to slow down: a pause, then a slower pace that grows back. Many such answers at once count as one."""
        until = max(self.paused_until, now + (PAUSE if pause is None else pause))
        if now >= self.paused_until:
            self.own.slowed(until)
        self.paused_until = until

    def pause(self, until: float) -> None:
        """A pause that says nothing about the rate."""
        self.paused_until = max(self.paused_until, until)


@dataclass(slots=True)
class Leaving:
    """One message on its way out of the process: the buckets know it by the last moment at which its bytes had not left for sure."""

    pace: Pace
    units: int
    left: float
    begun: bool = False
    """A first request of it has left."""
    called_off: bool = False
    """At the last moment: the bytes that were about to leave did not."""

    def noted(self, now: float) -> None:
        """Its bytes leave now, at the latest."""
        self.left = self.pace.begun(self.units, self.left, now)

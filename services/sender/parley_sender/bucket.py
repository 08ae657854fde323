"""A bucket in the provider's unit: how fast something may leave. Values and their arithmetic; the time comes in.

It holds two rules at once. No sliding window sees more than the rate allows: what left is remembered for as long as the window is (a sliding log),
so it holds exactly, however late a loop wakes. And within the window the sends are spread: a token bucket of `burst` units, kept as the time at which it
is full again (GCRA, the virtual scheduling form of the leaky bucket, ITU-T I.371).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

GUARD = 0.008
"""Seconds by which a window is longer here than at the provider: of two calls on their way the first may take longer than the second."""
CATCH_UP = 0.25
"""Seconds of a standstill that are made up for afterwards: a turn that took long, a loop that woke late. The window holds all the same."""
SLOWER, SLOWEST = 0.5, 0.05
"""After a provider's 429 the rate falls to this share of what it was, but not below that of the configured one."""
GROWTH = 0.02
"""Share of the configured rate that comes back each second afterwards."""
HOLE, EVEN = 0.03, 0.01
"""Seconds of a hole that is closed only by and by, or the time of two units where that is more; and of one that stays, or the time of one unit: a reply does not
notice it, and to close it would cost the rate."""
CLOSED = 0.005
"""Of each second so much is given for closing the former: a reply in each twentieth of them would wait for it, second after second."""
LARGEST = 10.0
"""Seconds for which a message of several units tells of what the lane sends."""


@dataclass(frozen=True, slots=True)
class State:
    """A bucket as one process leaves it to the next: every time in seconds from the moment at which it was left."""

    sent: Sequence[tuple[float, int]]
    full: float
    fresh: float
    share: float
    shared: float


@dataclass(slots=True)
class Bucket:
    """`rate` units a second at most, seen over `window` seconds; `burst` units at once at most. Times are in seconds of one clock.

    A message of more units than the bucket holds leaves when it is full, and its debt is waited out afterwards.
    """

    rate: float
    burst: int = 1
    window: float = 1.0
    full_at: float = 0.0
    share: float = 1.0
    share_at: float = 0.0
    fresh_at: float = 0.0
    """What was not sent before is not made up for."""
    closed_at: float = -math.inf
    """When a hole was made smaller, the last time."""
    largest: int = 1
    largest_at: float = -math.inf
    """Units of the largest message that left lately, and when."""
    roomed_at: float = -math.inf
    """When the window had room again, the last time that it had none."""
    _sent: deque[tuple[float, int]] = field(default_factory=deque)
    _held: int = 0

    @classmethod
    def empty(cls, rate: float, burst: int, window: float, now: float, sent: Iterable[tuple[float, int]] = ()) -> Bucket:
        """As whoever takes a lane over must begin: the last holder may have sent all that the second allows. Of longer windows it is known what was `sent`."""
        one = cls(rate, burst, window, full_at=now + burst / rate)
        one.unsaved(now)
        for at, units in sent if window > 1 else [(now, one.most)]:
            one.note(at, units)
        return one

    def state(self, now: float) -> State:
        """As another process may go on with it. What left is said to have left up to a millisecond later."""
        self._room_at(1, now)
        sent: dict[float, int] = {}
        for at, units in self._sent:
            ago = math.ceil((at - now) * 1000) / 1000
            sent[ago] = sent.get(ago, 0) + units
        return State(list(sent.items()), self.full_at - now, self.fresh_at - now, self.share, self.share_at - now)

    def resume(self, state: State, at: float) -> None:
        """Goes on where another process left it `at` that time by this one's clock."""
        self._sent, self._held = deque((at + ago, units) for ago, units in state.sent), sum(units for _, units in state.sent)
        self.full_at, self.fresh_at, self.share, self.share_at = at + state.full, at + state.fresh, state.share, at + state.shared
        self.roomed_at = -math.inf

    @property
    def most(self) -> int:
        """Units that a window may see."""
        return max(1, math.ceil(self.rate * self.window - 1e-9))

    def speed(self, now: float) -> float:
        """Units a second at `now`."""
        return self.rate * min(1.0, self.share + GROWTH * max(0.0, now - self.share_at))

    def at(self, units: int, now: float) -> float:
        """When so many units may leave, `now` at the earliest."""
        spread = self.full_at - max(self.burst - units, 0) / self.speed(now)
        return max(now, spread, self._room_at(min(units, self.most), now))

    def take(self, units: int, now: float, even: bool = False) -> None:
        """Units leave now, and those that were late are made up for. A standstill, and the rush after it, then come again each window for as long as the lane is
        busy, and whoever comes within the one waits for the other. `even`: they do not, for what the window kept is not made up for: the rate loses it once."""
        fits = self._fits(units, now)
        kept = self._kept(units, fits, now) if even else -math.inf
        each = max(1 / self.speed(now), (self.window + GUARD) / self.most) if even else 1 / self.speed(now)
        self.full_at = max(self.full_at, now - max(CATCH_UP, fits), self.fresh_at, kept) + units * each
        self.note(now, units)

    def _fits(self, units: int, now: float) -> float:
        """Seconds that may pass for nothing where messages are of several units, which is no standstill: one waits for its room, and the smaller ones behind it
        wait for it. What the window kept in that time leaves at once when there is room, else a lane of short and long texts loses a hundredth of its rate."""
        if units >= self.largest or now > self.largest_at + LARGEST:
            self.largest, self.largest_at = units, now
        return 2 * self.largest / self.rate if self.largest > 1 else 0.0

    def _kept(self, units: int, fits: float, now: float) -> float:
        """Until when nothing is made up for of what the window kept, so that its holes close: wide ones at once, the others by and by."""
        self._room_at(min(units, self.most), now)
        roomed = min(self.roomed_at, now)
        more = roomed - self.full_at - max(EVEN, 1 / self.rate, fits)
        if more <= 0:
            return -math.inf
        closing, self.closed_at = min(more, CLOSED * min(1.0, now - self.closed_at)), now
        return max(self.full_at + closing, roomed - max(HOLE, 2 / self.rate, fits))

    def unsaved(self, now: float) -> None:
        """Where nothing leaves for a second, because nobody knows what left in the one before, nothing is saved up in it either: else a burst would follow it."""
        if self.window <= 1:
            self.fresh_at = now + self.window + GUARD

    def later(self, units: int, left: float, now: float) -> None:
        """Units that left by the book leave now in truth: the process stood still meanwhile. The window counts them from now on."""
        for place in range(len(self._sent) - 1, -1, -1):
            if self._sent[place][0] < left:
                break
            if self._sent[place] == (left, units):
                del self._sent[place]
                self._held -= units
                break
        self.note(now, units)

    def stood_still(self, since: float, now: float) -> None:
        """The process stood still from then until now: what left just before may be leaving only now."""
        moved = sum(units for at, units in self._sent if at >= since)
        if moved:
            self._sent = deque(one for one in self._sent if one[0] < since)
            self._sent.append((now, moved))

    def set(self, rate: float, window: float, now: float) -> None:
        """Another rate from now on. What the bucket owes it owes in units: at the new rate they are waited out."""
        owed = max(0.0, self.full_at - now) * self.rate
        self.rate, self.window, self.full_at = rate, window, now + owed / rate

    def slowed(self, until: float) -> None:
        """The provider asked to slow down: a share of the rate, which grows back from `until` on."""
        share = min(1.0, self.share + GROWTH * max(0.0, until - self.share_at))
        self.share, self.share_at = max(SLOWEST, share * SLOWER), until

    def note(self, at: float, units: int) -> None:
        """Units left at that time; for what left before this process knew of it, in any order."""
        late = bool(self._sent) and at < self._sent[-1][0]
        self._sent.append((at, units))
        self._held += units
        if late:
            self._sent = deque(sorted(self._sent))

    def _room_at(self, units: int, now: float) -> float:
        """When the window has room: at once, or when enough of what it sees is behind it."""
        span = self.window + GUARD
        while self._sent and self._sent[0][0] + span <= now:
            at, gone = self._sent.popleft()
            if self._held + units > self.most:
                self.roomed_at = at + span
            self._held -= gone
        over = self._held + units - self.most
        if over <= 0:
            return now
        for at, gone in self._sent:
            over -= gone
            if over <= 0:
                return at + span
        return now

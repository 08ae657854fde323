"""How fast a lane may send: a token bucket in the provider's unit that hands out times to send at, and slows down when told to. Pure.

The bucket is kept as the time at which it will be full of debt again (GCRA, the virtual scheduling form of the leaky bucket, ITU-T I.371):
messages get their times in advance, so that a loop that wakes late wastes nothing and still never sends faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MARGIN = 0.985
"""Of the rate that is used: a call's way to the provider takes a little longer or shorter, and no second there may see more than the rate."""
HORIZON = 0.1
"""Seconds ahead for which times are handed out: so long may a message that was let through still wait here."""
SLOWER, SLOWEST = 0.5, 0.05
"""After a provider's 429 the rate falls to this share of what it was, but not below that of the configured one."""
GROWTH = 0.02
"""Share of the configured rate that comes back each second afterwards."""
PAUSE = 1.0
"""Seconds of a pause for which the provider named no time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`rate` units a second, `burst` units at once at most. `full_at`: when the bucket is full again. Times are in seconds of one clock."""

    rate: float
    burst: int
    full_at: float
    paused_until: float = 0.0
    share: float = 1.0
    share_at: float = 0.0

    @classmethod
    def empty(cls, rate: float, burst: int, now: float) -> Pace:
        """As whoever takes a lane over must begin: the last holder may have sent all that the second allows."""
        return cls(rate, burst, now + burst / (rate * MARGIN))

    def speed(self, now: float) -> float:
        """Units a second at `now`."""
        return self.rate * MARGIN * min(1.0, self.share + GROWTH * max(0.0, now - self.share_at))

    def plan(self, units: Sequence[int], now: float) -> tuple[Pace, list[float]]:
        """Times for the first of these messages, in order, as many as fall within the horizon; and the pace after them.

        A message of more units than the burst leaves when the bucket is full, and its debt is waited out afterwards.
        """
        speed, full_at, times = self.speed(now), self.full_at, list[float]()
        for cost in units:
            room = max(self.burst - cost, 0)
            at = max(now, self.paused_until, full_at - room / speed)
            if at > now + HORIZON:
                break
            times.append(at)
            full_at = max(full_at, at) + cost / speed
        return replace(self, full_at=full_at), times

    def next_at(self, now: float) -> float:
        """When one more unit may leave."""
        return max(now, self.paused_until, self.full_at - max(self.burst - 1, 0) / self.speed(now))

    def throttled(self, now: float, pause: float | None) -> Pace:
        """After the provider asked to slow down: a pause, then a slower pace that grows back. Many such answers at once count as one."""
        until = max(self.paused_until, now + (PAUSE if pause is None else pause))
        if now < self.paused_until:
            return replace(self, paused_until=until)
        share = min(1.0, self.share + GROWTH * max(0.0, now - self.share_at))
        return replace(self, paused_until=until, share=max(SLOWEST, share * SLOWER), share_at=until)

    def paused(self, until: float) -> Pace:
        """With a pause that says nothing about the rate."""
        return replace(self, paused_until=max(self.paused_until, until))

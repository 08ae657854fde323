"""How many lanes are whose: every replica drives its share, and gives what is beyond it to those that come. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

STEADY = 30.0
"""Seconds for which the replicas must have been the same before one gives lanes to another. A rolling update changes them more often than that: in it a lane
moves because its replica goes, and not a second time because another came."""
LINGER = 3.0
"""Seconds after which a lane that nobody takes is taken also by one that has its share: whose it would be may not know it yet."""


@dataclass
class Spread:
    """What this replica takes and gives, from what it saw. Times are the loop's, in seconds; replicas are told by a number each."""

    _replicas: frozenset[int] = frozenset()
    _since: float = 0.0
    _free: dict[str, float] = field(default_factory=dict)
    _kept: set[str] = field(default_factory=set)
    """Taken beyond the share, for nobody else did: giving them back would begin it anew."""

    def takes(self, lanes: Sequence[str], mine: Collection[str], replicas: frozenset[int], free: Collection[str], now: float) -> list[str]:
        """Which of the free lanes to try: as many as are missing to the share at once, the others after they were seen free for `LINGER`."""
        if replicas != self._replicas:
            self._replicas, self._since = replicas, now
        self._free = {name: self._free.get(name, now) for name in lanes if name in free and name not in mine}
        missing = max(0, share(len(lanes), len(replicas)) - len(mine))
        found = list(self._free)
        lingering = [name for name in found[missing:] if now - self._free[name] >= LINGER]
        self._kept |= set(lingering)
        return found[:missing] + lingering

    def gives(self, lanes: Sequence[str], mine: Sequence[str], now: float) -> list[str]:
        """Which of mine to leave to others: what is beyond the share, once the replicas were the same for `STEADY`.

        Evenly from all of them: lanes that stand beside each other in accounts.yaml are often busy at the same time.
        """
        self._kept &= set(mine)
        others = [name for name in reversed(mine) if name not in self._kept]
        beyond = max(0, len(others) - share(len(lanes), len(self._replicas)))
        return [others[place * len(others) // beyond] for place in range(beyond)] if now - self._since >= STEADY else []


def share(lanes: int, replicas: int) -> int:
    """Lanes of one replica at most."""
    return -(-lanes // max(1, replicas))

"""How many requests one account, key or client address may make: token buckets in memory. Pure; the time comes in, in seconds of any clock that only grows."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

SECONDS = 2.0
"""A bucket holds what may come in so many seconds: requests come in bursts."""
KNOWN = 10_000
"""Buckets that are kept, the last asked ones. Who was forgotten begins with a full one: a flood from more addresses than that is not for this limit."""


@dataclass(slots=True)
class Buckets:
    """A bucket a key. `rate`: tokens a second, unless a key has its own; `size`: what a bucket holds, else two seconds' worth."""

    rate: float
    size: float | None = None
    known: int = KNOWN
    _levels: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)
    """Tokens, and when they were counted."""

    def take(self, key: str, now: float, rate: float | None = None) -> float:
        """Takes a token and gives 0; where there is none, the seconds until there is one. `rate`: of this key alone."""
        speed = rate or self.rate
        size = self.size or max(1.0, speed * SECONDS)
        levels = self._levels
        if (known := levels.get(key)) is None:
            known = levels[key] = [size, now]
            if len(levels) > self.known:
                levels.popitem(last=False)
        else:
            levels.move_to_end(key)
        level = min(size, known[0] + max(0.0, now - known[1]) * speed)
        known[1] = now
        if level >= 1:
            known[0] = level - 1
            return 0.0
        known[0] = level
        return (1 - level) / speed


def caller(host: str) -> str:
    """Whose bucket an address draws on: its own, or in IPv6 the /64, of which a caller has all addresses."""
    if ":" not in host:
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.exploded[:19]
    return str(getattr(address, "ipv4_mapped", None) or address)

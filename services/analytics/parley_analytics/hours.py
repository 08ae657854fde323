"""The hour of the day in which somebody reacts most: their own acts, drawn towards those of people like them. Pure.

Acts of each hour are counted, spread a little over the hours beside them, and added to what is known before: for a tenant nothing (all hours alike), for a
segment (the people of one channel) the tenant's hours, for a person their segment's. That is the mean of a Dirichlet distribution at each level.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from parley_analytics.scores import Whose, faded

HALF = 180.0
"""Days in which an act comes to count half for the hour."""
BESIDE, OWN = 0.25, 0.5
"""How much of an act counts for the hour before and for the one after, and for its own."""
OF_TENANT, OF_SEGMENT, OF_CONTACT = 24.0, 50.0, 6.0
"""How many acts what is known before weighs as much as: for a tenant, a segment, a person."""
MANY = 100.0
"""Acts from which on a tenant or a segment has a best hour."""
FEW = 2.5
"""Acts from which on a person has one of their own: three of late."""
BETTER = 1.1
"""An hour that was told stays until another is so much better."""

Hours: TypeAlias = tuple[float, ...]
"""Acts, or shares, of each of the 24 hours."""
NONE: Hours = (0.0,) * 24
ALIKE: Hours = (1 / 24,) * 24


@dataclass
class Habits:
    """Acts by tenant and channel ('' is all channels): `known` from the last round, `coming` for the next one, to which a chunk adds."""

    known: dict[tuple[str, str], Hours]
    coming: dict[tuple[str, str], Hours]
    added: set[tuple[str, str]] = field(default_factory=set)

    def of(self, tenant: str, channel: str) -> Hours:
        return self.known.get((tenant, channel), NONE)

    def segments(self, tenant: str) -> dict[str, Hours]:
        return {channel: acts for (name, channel), acts in self.known.items() if name == tenant and channel}

    def add(self, place: tuple[str, str], acts: Hours) -> None:
        self.coming[place] = together(self.coming.get(place, NONE), acts)
        self.added.add(place)


class Best(NamedTuple):
    hour: int
    of: Whose


def counted(moments: Iterable[datetime], zone: tzinfo, now: datetime) -> Hours:
    """Acts by the hour of the zone's clock, faded."""
    found = [0.0] * 24
    for at in moments:
        found[at.astimezone(zone).hour] += faded(at, now, HALF)
    return tuple(found)


def together(one: Hours, other: Hours) -> Hours:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def expected(own: Hours, before: Hours, weight: float) -> Hours:
    """The share of acts expected of each hour, by what was seen and what is known before."""
    total = sum(own) + weight
    sides = zip(own[-1:] + own[:-1], own, own[1:] + own[:1], before, strict=True)
    return tuple((BESIDE * (last + following) + OWN * one + weight * share) / total for last, one, following, share in sides)


@lru_cache(maxsize=1000)
def expected_of_many(segment: Hours, tenant: Hours) -> tuple[Hours, Hours]:
    """What is expected of a segment's people, and of the tenant's: the same for all of them."""
    of_tenant = expected(tenant, ALIKE, OF_TENANT)
    return expected(segment, of_tenant, OF_SEGMENT), of_tenant


def best(own: Hours, segment: Hours, tenant: Hours, allowed: Collection[int], told: int | None = None) -> Best | None:
    """The best of the hours in which a message may come, by the person's acts, else their segment's, else the tenant's; None while there are too few."""
    of_segment, of_tenant = expected_of_many(segment, tenant)
    if sum(own) >= FEW:
        return _best(expected(own, of_segment, OF_CONTACT), "contact", allowed, told)
    if sum(segment) >= MANY:
        return _best(of_segment, "segment", allowed, told)
    return _best(of_tenant, "tenant", allowed, told) if sum(tenant) >= MANY else None


def _best(shares: Hours, of: Whose, allowed: Collection[int], told: int | None) -> Best | None:
    if not allowed:
        return None
    hour = max(sorted(allowed), key=lambda one: shares[one])
    return Best(told if told in allowed and told is not None and shares[hour] < BETTER * shares[told] else hour, of)


def daytime(day: tuple[time, time]) -> Sequence[int]:
    """The hours that lie in the tenant's daytime as a whole; all where it has no night."""
    begin, end = (one.hour + one.minute / 60 for one in day)
    if begin == end:
        return range(24)
    length = (end - begin) % 24
    return [hour for hour in range(24) if (hour - begin) % 24 + 1 <= length]

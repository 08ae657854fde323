"""Whose turn it is in a lane. Replies before transactional before marketing, with a floor for the last; within a purpose tenants share alike, and
within a tenant its campaigns (`fair`). Values of what waits, no I/O.

The lane keeps only the front of each of its lines here; where a line goes on is read when the front is short.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from uuid import UUID

from parley.contracts import Purpose
from parley_sender.fair import Fair, Front

URGENT = (Purpose.REPLY, Purpose.TRANSACTIONAL)
LATE = 5_000
"""Places by which a message may stand before one that was read earlier: a place is given at once, and seen when its transaction is committed."""
FLOOR = 0.1
"""Of the units that leave while marketing waits, this share is marketing, however many replies there are."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that stands in a line."""

    message_id: UUID
    line: int
    place: int
    units: int
    owed: bool = False
    """It leaves by the floor: before what is more urgent."""


@dataclass(slots=True)
class Line:
    """The messages of one purpose, tenant and campaign. `front`: those read already; `read_to`: the place up to which was read; `more`: behind them are others."""

    number: int
    purpose: Purpose
    tenant: str
    campaign: str
    front: deque[Waiting] = field(default_factory=deque)
    read_to: int = 0
    more: bool = False


@dataclass
class Lines:
    """The lines of one lane. What is taken is gone from here; `returned` puts it back."""

    lines: dict[int, Line] = field(default_factory=dict)
    owed: float = 0.0
    """Units that marketing is owed by its floor."""
    _wet: set[int] = field(default_factory=set)
    """Lines that may go on behind their front."""
    _told: set[int] = field(default_factory=set)
    """Those among them of which somebody said so: they are read before those that are looked at now and then."""
    _tenants: dict[Purpose, Fair[str]] = field(default_factory=lambda: {one: Fair() for one in Purpose})
    _campaigns: dict[tuple[Purpose, str], Fair[int]] = field(default_factory=dict)

    def known(self, lines: Iterable[Line]) -> None:
        """Lines that there are; those known already stay as they are."""
        for one in lines:
            if one.number not in self.lines:
                self.lines[one.number] = one
                self._campaigns.setdefault((one.purpose, one.tenant), Fair())
                self._wet.add(one.number)

    def only(self, numbers: Collection[int]) -> None:
        """There are no lines but these: campaigns that are over are forgotten."""
        for number in [one.number for one in self.lines.values() if one.number not in numbers and not one.front]:
            del self.lines[number]
            self._wet.discard(number)
            self._told.discard(number)

    def stirred(self, numbers: Iterable[int] | None = None) -> list[int]:
        """Something came to stand in these lines, or (None) may have in any: at their end, or a little before it, where a later one was committed first.
        Gives those that nobody knows here."""
        asked = list(self.lines if numbers is None else numbers)
        for line in (self.lines[one] for one in asked if one in self.lines):
            if not line.front:
                line.read_to = max(0, line.read_to - LATE)
            self._wet.add(line.number)
        self._told.update(() if numbers is None else (one for one in asked if one in self.lines))
        return [one for one in asked if one not in self.lines]

    def reread(self, places: Mapping[int, int]) -> None:
        """Reads lines again from these places on: what was committed late stands before what was read already."""
        for number, place in places.items():
            line = self.lines[number]
            line.read_to = min(line.read_to, place)
            line.more = line.more or bool(line.front)
            line.front.clear()
            self._wet.add(number)

    def short(self, most: int) -> list[Line]:
        """The lines to read further, `most` of them, those that were told of first: their front is empty, and they may go on. Who is stirred while it is
        read is read once more."""
        first = chain(self._told, self._wet - self._told) if self._told else self._wet
        found = [line for line, _ in zip((self.lines[one] for one in first if not self.lines[one].front), range(most), strict=False)]
        self._wet.difference_update(one.number for one in found)
        self._told.intersection_update(self._wet)
        return found

    def filled(self, number: int, found: Sequence[Waiting], asked: int) -> None:
        """What a reading found, in order of place, of at most `asked`."""
        line = self.lines[number]
        line.more = len(found) >= asked
        if found:
            line.front.extend(found)
            line.read_to = max(line.read_to, found[-1].place)
            self._joined(line)
        if line.more:
            self._wet.add(number)

    @property
    def idle(self) -> bool:
        """Nothing stands at the front, and no line goes on."""
        return not self._wet and all(self._turn(one) is None for one in Purpose)

    def take(self, units: int, least: Purpose = Purpose.MARKETING) -> Iterator[Waiting]:
        """Messages in the order in which they may leave, until they come to so many units or nothing waits; none less urgent than `least`."""
        while units > 0 and (one := self._next(least)) is not None:
            units -= one.units
            yield one

    def newcomers(self, purpose: Purpose, units: int, held: Callable[[str], int]) -> Iterator[Waiting]:
        """Of each tenant with something for this purpose and nothing in hand its share of so many units, where others have it in hand already. It is no turn: the
        others have had theirs."""
        tenants = list(self._tenants[purpose].deficit)
        if not 1 < len(tenants) <= units:
            return
        for tenant in (one for one in tenants if not held(one)):
            left = units // len(tenants)
            while left > 0 and self._front_of(purpose, tenant) is Front.THERE:
                one = self._first(purpose, tenant)
                left -= one.units
                yield one

    def returned(self, some: Iterable[Waiting]) -> None:
        """Messages that were taken and did not leave stand at the front of their lines again."""
        for one in sorted(some, key=lambda one: -one.place):
            if one.line in self.lines:
                self.lines[one.line].front.appendleft(one)
                self._joined(self.lines[one.line])

    def _joined(self, line: Line) -> None:
        self._campaigns[line.purpose, line.tenant].join(line.number)
        self._tenants[line.purpose].join(line.tenant)

    def _next(self, least: Purpose) -> Waiting | None:
        marketing = self._turn(Purpose.MARKETING) if least is Purpose.MARKETING else None
        if marketing is not None and self.owed >= 1:
            return replace(self._marketing(marketing), owed=True)
        for purpose in URGENT[: URGENT.index(least) + 1] if least in URGENT else URGENT:
            if (found := self._turn(purpose)) is not None:
                one = self._taken(purpose, found)
                if least is Purpose.MARKETING:  # else nobody looked whether marketing waits
                    self.owed = self.owed + FLOOR / (1 - FLOOR) * one.units if marketing is not None else 0.0
                return one
        return None if marketing is None else self._marketing(marketing)

    def _marketing(self, tenant: str) -> Waiting:
        one = self._taken(Purpose.MARKETING, tenant)
        self.owed = max(0.0, self.owed - one.units)
        return one

    def _turn(self, purpose: Purpose) -> str | None:
        """The tenant whose turn it is in a purpose."""
        return self._tenants[purpose].peek(lambda tenant: self._front_of(purpose, tenant))

    def _front_of(self, purpose: Purpose, tenant: str) -> Front:
        campaigns = self._campaigns[purpose, tenant]
        if campaigns.peek(self._front) is not None:
            return Front.THERE
        return Front.UNREAD if campaigns.deficit else Front.NONE

    def _front(self, number: int) -> Front:
        line = self.lines.get(number)
        if line is None:
            return Front.NONE
        return Front.THERE if line.front else Front.UNREAD if line.more else Front.NONE

    def _taken(self, purpose: Purpose, tenant: str) -> Waiting:
        one = self._first(purpose, tenant)
        self._tenants[purpose].pay(tenant, one.units)
        return one

    def _first(self, purpose: Purpose, tenant: str) -> Waiting:
        number = self._campaigns[purpose, tenant].peek(self._front)
        assert number is not None
        one = self.lines[number].front.popleft()
        self._campaigns[purpose, tenant].pay(number, one.units)
        return one

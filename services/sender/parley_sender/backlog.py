"""The backlog of a lane as far as its driver has read it: which lines there are and what stands at their fronts, what is to be read again, what leaves next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from parley.contracts import Purpose
from parley.database import Connection
from parley_sender import facts, picking
from parley_sender.departures import RANK
from parley_sender.queue import Line, Lines, Waiting

AGAIN, WHOLE = 5.0, 60.0
"""Seconds after which lines are read again from where they stood that long ago (what was committed late stands before what was read), and from their beginning."""


class Hand(Protocol):
    """What is claimed and has not left, in units (`departures.Departures`)."""

    def of(self, purpose: Purpose) -> int:
        """Of this purpose and of those before it."""

    def before(self, purpose: Purpose) -> int:
        """Of those before it alone."""

    def held(self, purpose: Purpose, tenant: str) -> int:
        """Of this purpose and tenant."""


@dataclass
class Backlog:
    """`part`: of which lane. Times are the loop's."""

    part: str
    lines: Lines = field(default_factory=Lines)
    _unknown: set[int] = field(default_factory=set)
    _all_unknown: bool = False
    """Something may stand in a line of which nobody told the number."""
    _looked: tuple[float, dict[int, int]] = (0.0, {})
    _whole_at: float = 0.0

    def begin(self, lines: Iterable[Line], now: float) -> None:
        """The lane is taken over, and has these lines. What was told of meanwhile is asked for all the same."""
        self.lines = Lines()
        self.lines.known(lines)
        self._whole_at = now + WHOLE

    @property
    def idle(self) -> bool:
        """Nothing waits, as far as is known."""
        return self.lines.idle

    @property
    def untold(self) -> bool:
        """There may be lines of which only the number is known, or not even that."""
        return bool(self._unknown) or self._all_unknown

    def stirred(self, lines: Iterable[int] | None) -> bool:
        """Something came to stand in these lines, or (None) in any. Whether it is a reply, where that is known."""
        self._unknown.update(self.lines.stirred(lines))
        self._all_unknown |= lines is None
        known = self.lines.lines
        return any(known[line].purpose is Purpose.REPLY for line in lines or () if line in known)

    def reread(self) -> None:
        """Every line is read again from its beginning."""
        self.lines.reread(dict.fromkeys(self.lines.lines, 0))

    def look_again(self, now: float) -> None:
        """Now and then lines are read again from where they stood a while ago: what was committed late stands before what was read."""
        if now >= self._whole_at:
            self._whole_at, self._looked, self._all_unknown = now + WHOLE, (now + AGAIN, {}), True
            self.reread()
        elif now >= self._looked[0]:
            before = self._looked[1]
            reached = {number: line.read_to for number, line in self.lines.lines.items() if line.read_to}
            self.lines.reread({number: before.get(number, 0) for number, place in reached.items() if before.get(number, 0) != place})
            self._looked = now + AGAIN, reached

    async def ask(self, connection: Connection) -> None:
        """Asks for the lines of which only was told that they are there; after a question for all of them there are no others."""
        if not self.untold:
            return
        asked = None if self._all_unknown else self._unknown
        self._unknown, self._all_unknown = set(), False  # what is told from here on is asked for at the next turn
        lines = await facts.lines(connection, self.part, asked)
        self.lines.known(lines)
        if asked is None:
            self.lines.only({one.number for one in lines})

    async def take(self, connection: Connection, room: int, units: int, hand: Hand, purposes: Iterable[Purpose]) -> list[Waiting]:
        """The next messages in fair order, `room` of them at most: a pass for each of `purposes`, in which nothing less urgent is taken, for as many of the
        `units` as are not in `hand` of it and of those before it. So what is urgent finds room also where the rest has none; and so do tenants of whom nothing is
        in hand, before all others."""
        await picking.read(connection, self.lines, min(room, units))
        found: list[Waiting] = []
        purposes = list(purposes)
        for purpose in purposes:
            new = self.lines.newcomers(purpose, units - hand.before(purpose), partial(hand.held, purpose))
            found += [one for _, one in zip(range(room - len(found)), new, strict=False)]
        for purpose in purposes:
            urgent = sum(one.units for one in found if RANK[self.lines.lines[one.line].purpose] <= RANK[purpose])
            free = units - hand.of(purpose) - urgent
            found += [one for _, one in zip(range(room - len(found)), self.lines.take(free, purpose), strict=False)]
        return found

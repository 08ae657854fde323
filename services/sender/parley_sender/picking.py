"""Which messages of a lane leave next: in fair order from its lines, each asked at the gate, its slot under the frequency caps reserved. In the lane's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from parley.channels.shape import Account
from parley.contracts import Purpose
from parley.database import Connection
from parley_sender import facts, law
from parley_sender.facts import Asked
from parley_sender.gate import Drop, Go, Hold, Verdict, capped, gate
from parley_sender.law import Law
from parley_sender.queue import Lines, Waiting
from parley_sender.rulings import Ruling

SHORT = 256
"""Lines read in one statement."""
READS = 8
"""Statements at most, before what was found has to do."""
EACH = 128
"""Messages of a line read at once."""
LEAST = 8
UNTOLD = frozenset({"settling", "priority", "recipient_pace"})
"""Reasons of holds that last a moment: nobody is told."""


@dataclass
class Picked:
    """What a picking came to: who goes, in order, with what stood at the gate; who is dropped; who is held, until when and why."""

    going: list[Asked] = field(default_factory=list)
    gates: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)
    dropped: list[tuple[UUID, Drop]] = field(default_factory=list)
    held: list[tuple[UUID, datetime, str]] = field(default_factory=list)
    stale: list[UUID] = field(default_factory=list)
    """Those that ended meanwhile: a receipt, a person, an erasure."""

    @property
    def told(self) -> list[tuple[UUID, datetime, str]]:
        """Holds that are worth telling."""
        return [one for one in self.held if one[2] not in UNTOLD]

    def note(self, message_id: UUID, verdict: Verdict) -> bool:
        """Notes a verdict that keeps a message; whether it is one."""
        if isinstance(verdict, Drop):
            self.dropped.append((message_id, verdict))
        elif isinstance(verdict, Hold):
            self.held.append((message_id, verdict.until, verdict.reason))
        return not isinstance(verdict, Go)


async def read(connection: Connection, lines: Lines, room: int) -> None:
    """Reads lines further whose front is empty, so that so many messages can be taken in fair order."""
    for _ in range(READS):
        short = lines.short(SHORT)
        if not short:
            return
        each = min(EACH, max(LEAST, 2 * room // len(short)))
        found = await facts.fronts(connection, {one.number: one.read_to for one in short}, each)
        for number, waiting in found.items():
            lines.filled(number, waiting, each)


async def pick(
    connection: Connection, taken: Sequence[Waiting], account: Account, rules: Law, pace: Callable[[str, bool], float], now: datetime
) -> Picked:
    """Asks the gate about messages that were taken from their lines, each once: what was handed back and read again stands in memory twice.

    `pace`: in how many seconds something may leave to an address, we first or not.
    """
    picked = Picked()
    if not taken:
        return picked
    asked = await facts.asked(connection, [one.message_id for one in taken], account.tenant)
    picked.stale = [one.message_id for one in taken if one.message_id not in asked]
    passed: list[tuple[Asked, Ruling]] = []
    for one in (asked[number] for number in dict.fromkeys(waiting.message_id for waiting in taken) if number in asked):
        holding, ruling = rules.of(one.candidate, account, now)
        if picked.note(one.candidate.message_id, gate(one.candidate, holding, now)):
            continue
        wait = pace(one.candidate.address, one.candidate.purpose is not Purpose.REPLY)
        if not picked.note(one.candidate.message_id, Hold(now + timedelta(seconds=wait), "recipient_pace") if wait > 0 else Go()):
            passed.append((one, ruling))
    await _reserve(connection, passed, picked, now)
    return picked


async def _reserve(connection: Connection, passed: Sequence[tuple[Asked, Ruling]], picked: Picked, now: datetime) -> None:
    """Lets go whom no cap keeps, each with a slot of its own; lanes that ask for the same person at once ask one after the other.

    Who comes again with the slot of an earlier try asks for no second one; but it counts from now on: what is sent now was not sent then.
    """
    people = {(one.candidate.contact_id, one.candidate.purpose) for one, ruling in passed if ruling.caps and one.candidate.notice is None}
    times = await facts.touched(connection, people) if people else {}
    ahead = await facts.before(connection, [one.candidate.message_id for one, ruling in passed if ruling.caps]) if people else {}
    taken: list[facts.Slot] = []
    given_back: list[facts.Slot] = []
    for one, ruling in passed:
        asked, slots = one.candidate, None
        key = asked.contact_id, asked.purpose
        if ruling.caps and asked.notice is None:
            before = asked.reserved
            if before is None and picked.note(asked.message_id, capped(times[key], ruling.caps, ahead.get(asked.message_id, 0), now)):
                continue
            if before is not None and before in times[key]:
                times[key].remove(before)
                given_back.append((*key, before))
                before = None
            if before is None:
                taken.append((*key, at := _slot(times[key], now)))
                asked = replace(asked, reserved=at)
            slots = sum(1 for time in times[key] if time > now - max(cap.window for cap in ruling.caps))
        picked.going.append(one if asked is one.candidate else replace(one, candidate=asked))
        picked.gates[asked.message_id] = law.found(asked, ruling, slots)
    await facts.untouch(connection, given_back)
    if taken:
        await facts.touch(connection, taken)


def _slot(times: list[datetime], now: datetime) -> datetime:
    """A slot among those of a person: each has a time of its own, by which it is given back."""
    at = max(now, times[-1] + timedelta(microseconds=1)) if times else now
    times.append(at)
    return at

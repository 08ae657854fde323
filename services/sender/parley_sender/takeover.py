"""A lane comes into the hands of this process: in one transaction its row is locked and moved on, so that whoever had it before can write nothing any more, and
the calls that were under way are settled. What the other had not said is said by who has the lane now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from parley import cursor
from parley.channels.shape import Account
from parley.contracts import Record
from parley.database import Pool
from parley_sender import facts, ledger, standing
from parley_sender.handover import unpacked
from parley_sender.law import Law
from parley_sender.ledger import Hold, Wishes
from parley_sender.limits import Limits, Sent, as_wished
from parley_sender.pace import Pace
from parley_sender.queue import Line
from parley_sender.tell import records

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Before:
    """What this process has of a lane that it drove before: its hold, the messages that it calls for, and until when the circuit is open. All of it counts only
    if nobody had the lane in between."""

    hold: Hold | None
    calls: Sequence[UUID]
    broken_until: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A lane that is ours. `said`: what is to be told to the bus. `pace`: with which it begins; None if nobody had it in between: then all goes on as it was,
    calls, pace and circuit."""

    hold: Hold
    wishes: Wishes
    lines: Sequence[Line]
    said: Sequence[Record]
    broken_until: datetime | None
    pace: Pace | None


async def take(pool: Pool, account: Account, part: str, law: Law, limits: Limits, before: Before, now: datetime) -> Taken:
    """Takes a part of an account's lane over, whose lock this process has."""
    loop = asyncio.get_running_loop()
    async with pool.acquire() as connection, connection.transaction():
        found, pending, wishes, broken, left = await ledger.standing(connection, part)
        handed = unpacked(left[0], loop.time() - left[1]) if left else None
        mine = before.hold is not None and found.fence == before.hold.fence
        hold = Hold(found.fence if mine else found.fence + 1, found.turn + 1)
        alive = before.calls if mine else []
        changes, chains = await ledger.interrupted(connection, account, law.policy, part, found if mine else None, alive, now)
        stirred = await standing.promote(connection, chains, now)
        await standing.tell(connection, {other: lines for other, lines in stirred.items() if other != part})
        lines = await facts.lines(connection, part)
        wished = as_wished(account, wishes.rate)
        sent = await limits.history(connection, wished, now) if not mine else []
        said = [*cursor.unpack(pending), *records(changes, now)]
        until = before.broken_until if mine else broken
        await ledger.move(connection, part, hold, cursor.pack(said), until)
    log.info("lane taken", lane=part, fence=hold.fence, doubtful=len(changes), handed_over=handed is not None)
    here = loop.time()
    pace = limits.pace(wished, here, _by_the_loop(sent, now.timestamp() - here), handed) if not mine else None
    return Taken(hold, wishes, lines, said, until, pace)


def _by_the_loop(sent: Sequence[Sent], ahead: float) -> list[Sent]:
    """What was sent, by the loop's clock, which the other is so much `ahead` of."""
    return [(at - ahead, units, to, first) for at, units, to, first in sent]

"""A lane's row: who holds the lane, where its last turn left it, and what whoever holds it next must know. It is the lane's fence and its outbox (decision 7).

A takeover locks it by `row`, a turn by `keep`; both end with `move`, in one transaction with all that they write. So a process that lost its lane writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from parley.database import Connection

Left = tuple[str, float]
"""What was said of a lane that was left to others, and how many seconds ago."""


class Fenced(Exception):
    """The lane is not where this process left it: somebody else drives it, or a commit went through whose answer was lost. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Hold:
    """By what a process holds a lane: the fence of its takeover, and the number of its last turn."""

    fence: int
    turn: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What people set for the lane while it runs: whether it is paused, and another rate."""

    paused: bool = False
    rate: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What a lane's row says: whose it was, the events of its last turn that may not be on the bus, what people set, until when its circuit is open, and how it
    was left to whoever takes it; None where it was not left in order, or somebody had it since."""

    hold: Hold
    pending: bytes
    wishes: Wishes
    broken_until: datetime | None
    left: Left | None


async def row(connection: Connection, part: str) -> Row:
    """The lane's row, locked; made when there is none, set as other parts of its account are."""
    await connection.execute(
        """INSERT INTO lanes (lane, paused_by, paused_at, rate)
           SELECT $1, other.paused_by, other.paused_at, other.rate FROM (SELECT) AS new LEFT JOIN LATERAL (
               SELECT * FROM lanes WHERE split_part(lane, '#', 1) = split_part($1, '#', 1) ORDER BY moved_at DESC LIMIT 1) AS other ON true
           ON CONFLICT DO NOTHING""",
        part,
    )  # fmt: skip
    found = await connection.fetchrow(
        """SELECT fence, turn, pending, paused_by, rate, broken_until, CASE WHEN (handed_fence, handed_turn) = (fence, turn) THEN handed END AS handed,
               extract(epoch FROM clock_timestamp() - handed_at)::float8 AS ago FROM lanes WHERE lane = $1 FOR UPDATE""",
        part,
    )  # fmt: skip
    assert found is not None
    left = (found["handed"], max(0.0, found["ago"])) if found["handed"] is not None else None
    return Row(Hold(found["fence"], found["turn"]), found["pending"], _wishes(found), found["broken_until"], left)


async def keep(connection: Connection, part: str, hold: Hold) -> Wishes:
    """Locks the lane's row for a turn. Raises `Fenced` when it is not as `hold` says."""
    found = await connection.fetchrow(
        "SELECT paused_by, rate FROM lanes WHERE lane = $1 AND fence = $2 AND turn = $3 FOR UPDATE", part, hold.fence, hold.turn
    )
    if found is None:
        raise Fenced(part)
    return _wishes(found)


async def move(connection: Connection, part: str, hold: Hold, pending: bytes, broken_until: datetime | None) -> None:
    """Notes the hold, the events to publish, and until when the circuit is open."""
    await connection.execute(
        "UPDATE lanes SET fence = $2, turn = $3, pending = $4, broken_until = $5, moved_at = now() WHERE lane = $1",
        part, hold.fence, hold.turn, pending, broken_until,
    )  # fmt: skip


async def hand_over(connection: Connection, left: Sequence[tuple[str, Hold, str]]) -> None:
    """Notes how parts stand that are left to other replicas, as long as they are where their hold says."""
    await connection.execute("SELECT FROM lanes WHERE lane = ANY($1::text[]) ORDER BY lane FOR UPDATE", [part for part, _, _ in left])
    await connection.execute(
        """UPDATE lanes SET handed = told::jsonb, handed_at = clock_timestamp(), handed_fence = fence, handed_turn = turn
           FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS new (part, had, at, told) WHERE lane = part AND fence = had AND turn = at""",
        *zip(*((part, hold.fence, hold.turn, told) for part, hold, told in left), strict=True),
    )  # fmt: skip


def _wishes(found: asyncpg.Record) -> Wishes:
    return Wishes(found["paused_by"] is not None, found["rate"])

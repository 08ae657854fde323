"""The cursor: where a stage stands, moved by compare-and-set together with the state, carrying the outputs of its last batch."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgpack

from parley.contracts import Record
from parley.database import Connection


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Lost(Exception):
    """Cursors were not where they were expected: somebody else moved them, or an own commit whose answer was lost. Nothing was written."""

    def __init__(self, places: frozenset[Place]) -> None:
        super().__init__(", ".join(f"{place.topic}/{place.partition}" for place in sorted(places)))
        self.places = places


@dataclass(frozen=True, slots=True)
class Cursor:
    """`next_offset`: the first record not yet applied. `pending`: the outputs of the last batch, to be published again by whoever takes over."""

    next_offset: int
    pending: bytes


@dataclass(frozen=True, slots=True)
class Move:
    place: Place
    expected: int
    next_offset: int
    pending: bytes


def pack(records: Sequence[Record]) -> bytes:
    """Records as one compressed value; empty for none."""
    return zlib.compress(msgpack.packb(records), 1) if records else b""


def unpack(pending: bytes) -> list[Record]:
    """The records that `pack` took."""
    rows = msgpack.unpackb(zlib.decompress(pending)) if pending else []
    return [(topic, key, [(name, raw) for name, raw in headers], value) for topic, key, headers, value in rows]


async def load(connection: Connection, stage: str, places: Sequence[Place]) -> dict[Place, Cursor]:
    """The cursors that there are."""
    rows = await connection.fetch(
        """SELECT topic, partition, next_offset, pending FROM cursors
           JOIN unnest($2::text[], $3::int[]) AS asked (topic, partition) USING (topic, partition) WHERE stage = $1""",
        stage, [place.topic for place in places], [place.partition for place in places],
    )  # fmt: skip
    return {Place(row["topic"], row["partition"]): Cursor(row["next_offset"], row["pending"]) for row in rows}


async def create(connection: Connection, stage: str, places: dict[Place, int]) -> None:
    """Cursors at the given offsets, where there are none yet."""
    await connection.execute(
        """INSERT INTO cursors (stage, topic, partition, next_offset)
           SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[]) ON CONFLICT DO NOTHING""",
        stage, [place.topic for place in places], [place.partition for place in places], list(places.values()),
    )  # fmt: skip


async def move(connection: Connection, stage: str, moves: Sequence[Move]) -> None:
    """Moves every cursor from its expected place, or raises `Lost` (the caller's transaction must then roll back)."""
    rows = await connection.fetch(
        """UPDATE cursors SET next_offset = new.next_offset, pending = new.pending, moved_at = now()
           FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bytea[]) AS new (topic, partition, expected, next_offset, pending)
           WHERE cursors.stage = $1 AND cursors.topic = new.topic AND cursors.partition = new.partition AND cursors.next_offset = new.expected
           RETURNING cursors.topic, cursors.partition""",
        stage,
        [one.place.topic for one in moves],
        [one.place.partition for one in moves],
        [one.expected for one in moves],
        [one.next_offset for one in moves],
        [one.pending for one in moves],
    )
    moved = {Place(row["topic"], row["partition"]) for row in rows}
    if lost := frozenset(one.place for one in moves) - moved:
        raise Lost(lost)

"""A stage over one state a key: read the states of the batch's keys, decide event by event, write the states. One statement each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import msgpack

from parley import positions
from parley.contracts import Data, Envelope, Frozen, OfContact
from parley.database import Connection
from parley.positions import Positions
from parley.step import Arrived, Caused

S = TypeVar("S", bound=Frozen)

Decide = Callable[["S | None", Envelope, datetime], "tuple[S, Sequence[Data]]"]
"""What one event means for one state: the new state and what to publish. Pure."""


@dataclass(frozen=True, slots=True)
class Changed(Generic[S]):
    """What a batch made of one contact: whose it is, and its state before (None: not known until then) and after."""

    key: UUID
    tenant: str
    before: S | None
    after: S


Held = tuple["S | None", Positions]
NOBODY: tuple[None, Positions] = (None, {})

Follow = Callable[[Connection, "Sequence[Changed[S]]", datetime], Awaitable[None]]
"""What else is written when states change, in the same transaction: rows that follow from the states alone."""


@dataclass(frozen=True)
class Keyed(Generic[S]):
    """A stage made of a pure decision. Every event is applied to its contact's state exactly once, in the order of the partition.

    `table` has the columns key, tenant, status, reference, state and positions. `labels` gives the two that queries need: a word for what
    the state is in, and an id by which the outside knows it (they stand beside the state so that an index on them costs nothing while they stay).
    `follow` is called once a batch, behind the states, with the contacts whose state is another object than before.
    """

    name: str
    topics: tuple[str, ...]
    table: str
    model: type[S]
    decide: Decide[S]
    labels: Callable[[S], tuple[str, UUID | None]]
    on_repeat: Callable[[int], None] = field(default=lambda _: None)
    follow: Follow[S] | None = None

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        keys = list(dict.fromkeys(_key(one) for one in batch))
        held = await self._read(connection, keys)
        before = dict(held) if self.follow is not None else {}
        results: list[Caused] = []
        changed: dict[UUID, str] = {}
        repeats = 0
        for one in batch:
            key = _key(one)
            state, seen = held.get(key, NOBODY)
            place = positions.parse(one.event.origin) if one.event.origin else None
            if place is not None and positions.is_repeat(seen, place):
                repeats += 1
                continue
            state, said = self.decide(state, one.event, now)
            held[key] = (state, positions.advanced(seen, place) if place is not None else seen)
            changed[key] = one.event.tenant
            results += [Caused(one, data) for data in said]
        await self._write(connection, changed, held)
        if self.follow is not None and (moved := _moved(changed, before, held)):
            await self.follow(connection, moved, now)
        if repeats:
            self.on_repeat(repeats)
        return results

    async def _read(self, connection: Connection, keys: Sequence[UUID]) -> dict[UUID, Held[S]]:
        rows = await connection.fetch(f"SELECT key, state, positions FROM {self.table} WHERE key = ANY($1::uuid[])", keys)
        return {row["key"]: (self.model.model_validate_json(row["state"]), _unpacked(row["positions"])) for row in rows}

    async def _write(self, connection: Connection, changed: dict[UUID, str], held: dict[UUID, Held[S]]) -> None:
        states = {key: state for key in changed if (state := held[key][0]) is not None}
        labels = [self.labels(state) for state in states.values()]
        await connection.execute(
            f"""INSERT INTO {self.table} AS old (key, tenant, status, reference, state, positions)
                SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::jsonb[], $6::bytea[])
                ON CONFLICT (key) DO UPDATE SET status = excluded.status, reference = excluded.reference, state = excluded.state,
                    positions = excluded.positions, changed_at = now()""",
            list(states),
            [changed[key] for key in states],
            [status for status, _ in labels],
            [reference for _, reference in labels],
            [state.model_dump_json(exclude_defaults=True) for state in states.values()],
            [msgpack.packb(held[key][1]) for key in states],
        )


def _moved(changed: dict[UUID, str], before: dict[UUID, Held[S]], held: dict[UUID, Held[S]]) -> list[Changed[S]]:
    """The contacts of a batch whose state is another object than it was."""
    pairs = ((key, tenant, before.get(key, NOBODY)[0], held[key][0]) for key, tenant in changed.items())
    return [Changed(key, tenant, was, now) for key, tenant, was, now in pairs if now is not None and now is not was]


def _unpacked(packed: bytes) -> Positions:
    return {line: (offset, index) for line, (offset, index) in msgpack.unpackb(packed).items()}


def _key(one: Arrived) -> UUID:
    data = one.event.data
    if not isinstance(data, OfContact):
        raise TypeError(f"{data.type} is not about a contact")
    return data.contact_id

"""What became of people who were drawn for experiments: looked up anew whenever something is told of them, and counted by the difference.

An outcome is a function of the draw and of the facts as they stand, so it does not matter which of them came first, nor how often.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from parley.attribution import Attribution
from parley.database import Connection

KNOWN = """
SELECT contact_id, tenant FROM drawn JOIN designs USING (design_id) WHERE contact_id = ANY($1::uuid[])
ORDER BY drawn.experiment_id, contact_id FOR UPDATE OF drawn
"""
"""Who of these was drawn. The rows are locked: of two batches that tell of one person, the second looks up what the first has written."""
USUAL = Attribution()


class Draw(NamedTuple):
    """That somebody was drawn: as the table has it."""

    experiment_id: UUID
    contact_id: UUID
    design_id: UUID
    variant: str
    at: datetime


@dataclass(frozen=True)
class Outcomes:
    """Counts what follows draws, by `sql/follow.sql`."""

    sql: str

    async def follow(self, connection: Connection, contacts: Collection[UUID], rules: Mapping[str, Attribution]) -> None:
        """Something was told of these people, and is written. `rules` say how long after a draw a conversion counts."""
        rows = await connection.fetch(KNOWN, list(contacts))
        if rows:
            await self.count(connection, (), {row["contact_id"] for row in rows}, {row["tenant"] for row in rows}, rules)

    async def count(
        self,
        connection: Connection,
        draws: Sequence[Draw],
        contacts: Iterable[UUID],
        tenants: Collection[str],
        rules: Mapping[str, Attribution],
    ) -> None:
        """These draws are told, of designs that are there, and something of these contacts, who are these tenants'."""
        told = [list(column) for column in zip(*draws, strict=True)] or [[] for _ in Draw._fields]
        windows = [rules.get(tenant, USUAL).window for tenant in tenants]
        await connection.execute(self.sql, *told, list(contacts), list(tenants), windows)

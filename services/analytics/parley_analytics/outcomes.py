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

STIRRED = """
SELECT contact_id, tenant FROM drawn JOIN designs USING (design_id)
WHERE contact_id = ANY($1::uuid[]) AND (contact_id = ANY($2::uuid[]) OR drawn.opened + drawn.clicked + drawn.replied > 0
    OR EXISTS (SELECT FROM messages AS m WHERE m.contact_id = drawn.contact_id AND m.opened + m.clicked + m.replied > 0))
ORDER BY drawn.experiment_id, contact_id FOR UPDATE OF drawn
"""
"""Those of these people who were drawn, and of whom something may be otherwise now: who did nothing, and was counted so, stays as they are.

The rows are locked: of two batches that tell of one person, the second looks up what the first has written."""
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

    async def follow(self, connection: Connection, contacts: Collection[UUID], buyers: Collection[UUID], rules: Mapping[str, Attribution]) -> None:
        """Something was told of these people, and is written; of `buyers` conversions, new ones or ones that are another's now.

        `rules` say how long after a draw a conversion counts.
        """
        rows = await connection.fetch(STIRRED, list(contacts), list(buyers))
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

"""The stage that counts people as they are drawn: everybody who came to an experiment, also those to whom nothing was ever said.

Whether somebody can be reached may depend on what their variant says, and a holdout is never written to: so experiments are read from those who were drawn,
not from those who were sent something. The first draw of a person counts, however often they come again and whatever the weights are by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import orjson

from parley.attribution import Attribution
from parley.contracts import ContactDrawn, Envelope
from parley.database import Connection
from parley.step import Arrived, Caused
from parley.wire import natural_id
from parley_analytics.counting import columns, lock
from parley_analytics.erasing import of_contact
from parley_analytics.outcomes import Draw, Outcomes
from parley_analytics.stage import ERASING, statement

DESIGNED = """
INSERT INTO designs (design_id, experiment_id, tenant, campaign, experiment, weights, holdout)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]::jsonb[], $7::text[]) AS given (design_id) ORDER BY design_id
ON CONFLICT DO NOTHING
"""


class Designed(NamedTuple):
    """An experiment as it was drawn: a row of the table but for its ids. `weights` as JSON in order of the names, `holdout` '' is none."""

    tenant: str
    campaign: str
    experiment: str
    weights: str
    holdout: str

    @property
    def experiment_id(self) -> UUID:
        return natural_id("experiment", *self[:3])

    @property
    def design_id(self) -> UUID:
        return natural_id("design", *self)


@dataclass(slots=True)
class Draws:
    """What a batch says of draws."""

    designs: dict[UUID, Designed] = field(default_factory=dict)
    rows: set[Draw] = field(default_factory=set)

    def people(self) -> set[UUID]:
        return {one.contact_id for one in self.rows}

    def renamed(self, others: Mapping[UUID, UUID]) -> Draws:
        """The same of other contacts; those that are not named stay."""
        return Draws(self.designs, {one._replace(contact_id=others.get(one.contact_id, one.contact_id)) for one in self.rows})


def gather(events: Iterable[Envelope]) -> Draws:
    """The draws of a batch. Pure."""
    draws = Draws()
    for event in events:
        data = event.data
        if isinstance(data, ContactDrawn):
            weights = orjson.dumps(data.weights, option=orjson.OPT_SORT_KEYS).decode()
            design = Designed(event.tenant, data.campaign, data.experiment, weights, data.holdout or "")
            number = design.design_id
            draws.designs[number] = design
            draws.rows.add(Draw(design.experiment_id, data.contact_id, number, data.variant, data.at))
    return draws


@dataclass(frozen=True)
class Drawn:
    """Counts who was drawn, and what they did then. Produces nothing. `key`: under which it is known who was erased (`erasing`)."""

    key: bytes
    outcomes: Outcomes
    rules: Mapping[str, Attribution]
    name: str = "drawn"
    topics: tuple[str, ...] = (ContactDrawn.topic,)

    @classmethod
    def prepared(cls, key: bytes, rules: Mapping[str, Attribution] = MappingProxyType({})) -> Drawn:
        return cls(key, Outcomes(statement("follow")), rules)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        draws = gather(one.event for one in batch)
        if draws.rows:
            await connection.execute("SELECT pg_advisory_xact_lock_shared($1, $2)", *ERASING)
            draws = draws.renamed(await self._erased(connection, draws.people()))
            await lock(connection, draws.people())
            await self._count(connection, draws)
        return ()

    async def _count(self, connection: Connection, draws: Draws) -> None:
        designs = draws.designs
        experiments = [one.experiment_id for one in designs.values()]
        await connection.execute(DESIGNED, list(designs), experiments, *columns(designs.values(), len(Designed._fields)))
        tenants = {one.tenant for one in designs.values()}
        await self.outcomes.count(connection, list(draws.rows), draws.people(), tenants, self.rules)

    async def _erased(self, connection: Connection, contacts: Iterable[UUID]) -> dict[UUID, UUID]:
        """The ids that stand for those of these contacts who were erased."""
        hashes = {of_contact(self.key, one): one for one in contacts}
        rows = await connection.fetch("SELECT hashed, other FROM erased WHERE hashed = ANY($1::bytea[])", list(hashes))
        return {hashes[row["hashed"]]: row["other"] for row in rows}

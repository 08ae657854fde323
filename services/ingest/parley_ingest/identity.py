"""Who a batch is about: the contact of each thing found, after whatever was said of who is who."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from parley.addresses import Address
from parley.contracts import CustomerEvent
from parley.database import Connection
from parley_ingest import joining, merging, people
from parley_ingest.merging import Move


class Found(Protocol):
    """One thing found, as the normaliser finds it."""

    @property
    def id(self) -> UUID: ...
    @property
    def tenant(self) -> str: ...
    @property
    def item(self) -> object: ...


F = TypeVar("F", bound=Found)


async def identify(
    connection: Connection, persons: Sequence[tuple[F, tuple[Address, ...]]], now: datetime
) -> tuple[dict[UUID, UUID], Mapping[UUID, Sequence[Move]]]:
    """The contact of each by its natural id, and what contacts must hear: of each tenant once, told by its last.

    `persons`: what was found, each with the addresses that it names. In it, whom events say who is who (`merging.NAMES`) is looked at by the
    words alone, for being named together in those is what is said, not a side effect.
    """
    said = [tie for one, _ in persons if isinstance(one.item, CustomerEvent) for tie in merging.said(one.tenant, one.item, now)]
    if said:  # of all tenants at once, in order: asked for one after another, two normalisers could wait for each other
        await joining.hold(connection, {one.tenant for one, _ in persons})
    asked = [addresses[:1] if getattr(one.item, "name", None) in merging.NAMES else addresses for one, addresses in persons]
    alone = [(address,) for tie in said for address in (tie.one, tie.other)]
    found, book = await people.known(connection, [*asked, *alone], held=bool(said))
    moves: dict[UUID, Sequence[Move]] = {}
    if said or book.joins:
        last = {one.tenant: one.id for one, _ in persons}
        settled = await joining.settle(connection, [*said, *people.ties(book.joins)], book.added, now)
        moves = {last[tenant]: heard for tenant, heard in settled.items()}
        found, _ = await people.known(connection, asked, held=True)
    return dict(zip((one.id for one, _ in persons), found[: len(persons)], strict=True)), moves

"""A person's click as an event of the contact, in order with everything else that they do: flows wait for it, begin with it, ask about it.

Told to the contact that the person is now. Of who is nobody's any more (erased, or never known) nothing is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from parley.addresses import CUSTOMER, by_channel
from parley.contracts import Customer, CustomerActed
from parley.database import Connection
from parley_ingest import people

CLICKED = "message.clicked"


@dataclass(frozen=True, slots=True)
class Click:
    """A click that was judged a person's."""

    contact_id: UUID
    message_id: UUID
    link: str | None
    campaign: str | None
    at: datetime


async def told(connection: Connection, clicks: Mapping[UUID, Click]) -> dict[UUID, CustomerActed]:
    """What contacts hear of clicks, by the ids of these. Two statements, however many there are; none where there is none."""
    if not clicks:
        return {}
    now = await _now(connection, {one.contact_id for one in clicks.values()})
    known = await people.reachable(connection, list(now.values()))
    return {number: acted(one, now[one.contact_id], there) for number, one in clicks.items() if (there := known.get(now[one.contact_id]))}


def acted(click: Click, contact: UUID, known: Mapping[str, str]) -> CustomerActed:
    """The event of a click; `known`: an address of each kind by which the person is known, at least one."""
    addresses = by_channel(known, {})
    properties: dict[str, JsonValue] = {"message_id": str(click.message_id)}
    properties |= {name: value for name, value in (("link", click.link), ("campaign", click.campaign)) if value}
    return CustomerActed(
        contact_id=contact, customer=Customer(id=known.get(CUSTOMER), addresses=addresses), name=CLICKED, properties=properties,
        occurred_at=click.at, addresses=addresses,
    )  # fmt: skip


async def _now(connection: Connection, contacts: Collection[UUID]) -> dict[UUID, UUID]:
    """The contact of which each is part now, or itself."""
    rows = await connection.fetch(
        """SELECT was, coalesce(found.contact_id, was) FROM unnest($1::uuid[]) AS was
           LEFT JOIN LATERAL (SELECT contact_id FROM addresses WHERE founds = was LIMIT 1) AS found ON true""",
        list(contacts),
    )
    return {row[0]: row[1] for row in rows}

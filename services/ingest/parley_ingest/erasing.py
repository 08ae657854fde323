"""Erasing a person: the book forgets whose the addresses are, web chat what was said, links whom they were for; and every contact that the person was hears
of it. What others hold is theirs to erase (decision 21).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from parley.addresses import CUSTOMER, Address, of_customer
from parley.contracts import Channel, ContactErased, CustomerEvent, Data, LinkMinted
from parley.database import Connection
from parley_ingest import joining

ERASED = "customer.erased"
NOBODY = UUID(int=0)
"""The contact and the message of a link that is forgotten: told on the compacted topic, so that the log forgets it too."""


class Found(Protocol):
    """One thing found, as the normaliser finds it."""

    @property
    def id(self) -> UUID: ...
    @property
    def tenant(self) -> str: ...
    @property
    def item(self) -> object: ...


def asks(item: object) -> bool:
    """Whether somebody is to be erased."""
    return isinstance(item, CustomerEvent) and item.name == ERASED


async def hold(connection: Connection, found: Iterable[Found]) -> None:
    """Where anybody is to be erased nobody joins or parts people of these tenants meanwhile. Asked for before the book is touched, for whoever
    waits for it holds nothing yet."""
    found = list(found)
    if any(asks(one.item) for one in found):
        await joining.hold(connection, {one.tenant for one in found})


async def erased(connection: Connection, asked: Sequence[Found], chats: Sequence[str], now: datetime) -> Mapping[UUID, Sequence[Data]]:
    """Erases whom each of the events names, and gives what is to be told, by the event's natural id. The locks must be held (`hold`).

    `chats`: the accounts of web chat.
    """
    told: dict[UUID, Sequence[Data]] = {}
    for one in asked:
        assert isinstance(one.item, CustomerEvent)
        contacts = await _forgotten(connection, await _named(connection, of_customer(one.tenant, one.item.customer)), chats)
        codes = await connection.fetch("SELECT code FROM links WHERE contact_id = ANY($1::uuid[]) ORDER BY code", contacts)
        told[one.id] = [
            *(ContactErased(contact_id=contact, at=now) for contact in contacts),
            *(LinkMinted(contact_id=NOBODY, message_id=NOBODY, code=row["code"], url="", at=now) for row in codes),
        ]
    return told


async def _named(connection: Connection, addresses: Sequence[Address]) -> list[UUID]:
    """Whom the addresses lead to. Beside a customer's id, an address of somebody who has another id is somebody else's: families share numbers."""
    rows = await connection.fetch(
        """SELECT DISTINCT contact_id FROM addresses AS a JOIN unnest($1::text[], $2::text[], $3::text[]) AS named (tenant, scheme, address)
               USING (tenant, scheme, address)
           WHERE scheme = 'customer' OR $4::text IS NULL OR NOT EXISTS (
               SELECT FROM addresses AS o WHERE o.contact_id = a.contact_id AND o.scheme = 'customer' AND o.address <> $4
                   AND NOT EXISTS (SELECT FROM addresses AS own WHERE own.contact_id = a.contact_id AND own.scheme = 'customer' AND own.address = $4))""",
        [one.tenant for one in addresses], [one.scheme for one in addresses], [one.address for one in addresses],
        next((one.address for one in addresses if one.scheme == CUSTOMER), None),
    )  # fmt: skip
    return [row["contact_id"] for row in rows]


async def _forgotten(connection: Connection, contacts: Sequence[UUID], chats: Sequence[str]) -> list[UUID]:
    """Takes people out of the book, with what was said of their addresses and in their chats. Gives every contact that they were, in order."""
    rows = await connection.fetch(
        "DELETE FROM addresses WHERE contact_id = ANY($1::uuid[]) RETURNING tenant, scheme, address, contact_id, founds", contacts
    )
    places = [[row[name] for row in rows] for name in ("tenant", "scheme", "address")]
    for side in ("one", "other"):
        await connection.execute(
            f"DELETE FROM ties USING unnest($1::text[], $2::text[], $3::text[]) AS gone (tenant, scheme, address)"
            f" WHERE (ties.tenant, ties.{side}_scheme, ties.{side}_address) = (gone.tenant, gone.scheme, gone.address)",
            *places,
        )
    visitors = [row["address"] for row in rows if row["scheme"] == Channel.WEBCHAT]
    await connection.execute("DELETE FROM chat_messages WHERE account = ANY($1::text[]) AND visitor = ANY($2::text[]::uuid[])", chats, visitors)
    # The counter stays: a browser that is open goes on counting from it.
    await connection.execute(
        "UPDATE chat_visitors SET customer = NULL WHERE account = ANY($1::text[]) AND visitor = ANY($2::text[]::uuid[])", chats, visitors
    )
    return sorted({*contacts, *(row["founds"] for row in rows if row["founds"] is not None)})

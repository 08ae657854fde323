"""Whose an address is: the book of `addresses` in the database, read and written for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from parley.database import Connection
from parley_ingest.addresses import Address, Book


class Overtaken(Exception):
    """Another normaliser wrote one of the addresses first."""


async def contacts(connection: Connection, asked: Sequence[tuple[Address, ...]]) -> list[UUID]:
    """The contact of each, made where there is none.

    Race-free: when another normaliser was first with any address, nothing of ours stays and the book is read again. Keeping the half that was
    written would part a person for good: the customer's id here, the phone number there.
    """
    wanted = sorted({address for addresses in asked for address in addresses})
    while True:
        book = Book(await _known(connection, wanted))
        found = [book.contact(addresses) for addresses in asked]
        if not book.added:
            return found
        try:
            async with connection.transaction():
                await _write(connection, book)
            return found
        except Overtaken:
            continue


async def reachable(connection: Connection, of: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """The first known address of each scheme, by contact."""
    found: dict[UUID, dict[str, str]] = {}
    if of:
        rows = await connection.fetch(
            "SELECT contact_id, scheme, address FROM addresses WHERE contact_id = ANY($1::uuid[]) ORDER BY found_at, address", of
        )
        for row in rows:
            found.setdefault(row["contact_id"], {}).setdefault(row["scheme"], row["address"])
    return found


async def _known(connection: Connection, wanted: Sequence[Address]) -> dict[Address, UUID]:
    rows = await connection.fetch(
        "SELECT tenant, scheme, address, contact_id FROM addresses JOIN unnest($1::text[], $2::text[], $3::text[])"
        " AS wanted (tenant, scheme, address) USING (tenant, scheme, address)",
        [one.tenant for one in wanted], [one.scheme for one in wanted], [one.address for one in wanted],
    )  # fmt: skip
    return {Address(row["tenant"], row["scheme"], row["address"]): row["contact_id"] for row in rows}


async def _write(connection: Connection, book: Book) -> None:
    """What the batch adds to the book, all of it, in order (two normalisers never wait for each other crosswise); else raises `Overtaken`."""
    rows = sorted(book.added.items())
    done = await connection.fetch(
        "INSERT INTO addresses (tenant, scheme, address, contact_id) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[])"
        " ON CONFLICT DO NOTHING RETURNING 1",
        [one.tenant for one, _ in rows], [one.scheme for one, _ in rows], [one.address for one, _ in rows], [contact for _, contact in rows],
    )  # fmt: skip
    if len(done) < len(rows):
        raise Overtaken

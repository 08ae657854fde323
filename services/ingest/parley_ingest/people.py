"""Whose an address is: the book of `addresses` in the database, read and written for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from parley.addresses import CUSTOMER, Address
from parley.database import Connection
from parley_ingest import joining
from parley_ingest.book import Book
from parley_ingest.merging import EPOCH, Tie


class Overtaken(Exception):
    """Another normaliser wrote one of the addresses first."""


async def contacts(connection: Connection, asked: Sequence[tuple[Address, ...]]) -> list[UUID]:
    """The contact of each, made where there is none."""
    found, _ = await known(connection, asked)
    return found


async def known(connection: Connection, asked: Sequence[tuple[Address, ...]], *, held: bool = False) -> tuple[list[UUID], Book]:
    """The contact of each, made where there is none, and the book with what was added; its `joins` are for the caller to settle.
    `held`: the locks of the tenants are held already.

    Race-free: when another normaliser was first with any address, nothing of ours stays and the book is read again. Keeping the half that was
    written would part a person for good: the customer's id here, the phone number there. Where an address comes to a contact, or contacts
    come together, the tenant's lock keeps contacts as they are meanwhile.
    """
    wanted = sorted({address for addresses in asked for address in addresses})
    while True:
        book = Book(found := await _known(connection, wanted), await _customers(connection, asked, found))
        contacts = [book.contact(addresses) for addresses in asked]
        if not held and (book.together or book.joins):
            await joining.hold(connection, {one.tenant for one in wanted})
            held = True
            continue
        if not book.added:
            return contacts, book
        try:
            async with connection.transaction():
                await _write(connection, book)
            return contacts, book
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


def ties(pairs: Iterable[tuple[Address, Address]]) -> list[Tie]:
    """What it says of two addresses that an event named them together, which was about something else."""
    return [Tie.between(one, other).joining(EPOCH) for one, other in pairs]


async def _known(connection: Connection, wanted: Sequence[Address]) -> dict[Address, UUID]:
    rows = await connection.fetch(
        "SELECT tenant, scheme, address, contact_id FROM addresses JOIN unnest($1::text[], $2::text[], $3::text[])"
        " AS wanted (tenant, scheme, address) USING (tenant, scheme, address)",
        [one.tenant for one in wanted], [one.scheme for one in wanted], [one.address for one in wanted],
    )  # fmt: skip
    return {Address(row["tenant"], row["scheme"], row["address"]): row["contact_id"] for row in rows}


async def _customers(connection: Connection, asked: Sequence[tuple[Address, ...]], found: dict[Address, UUID]) -> set[UUID]:
    """Of the contacts that a customer's id may come to, or come together with, those that have one."""
    doubtful: set[UUID] = set()
    for addresses in asked:
        if addresses[0].scheme == CUSTOMER:
            of = {found[one] for one in addresses if one in found}
            doubtful |= of if addresses[0] not in found else of - {found[addresses[0]]}
    if not doubtful:
        return set()
    rows = await connection.fetch(
        "SELECT DISTINCT contact_id FROM addresses WHERE contact_id = ANY($1::uuid[]) AND scheme = 'customer'", list(doubtful)
    )
    return {row["contact_id"] for row in rows}


async def _write(connection: Connection, book: Book) -> None:
    """What the batch adds to the book, all of it, in order (two normalisers never wait for each other crosswise); else raises `Overtaken`."""
    rows = sorted(book.added.items())
    done = await connection.fetch(
        "INSERT INTO addresses (tenant, scheme, address, contact_id, founds)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::uuid[]) ON CONFLICT DO NOTHING RETURNING 1",
        [one.tenant for one, _ in rows], [one.scheme for one, _ in rows], [one.address for one, _ in rows], [contact for _, contact in rows],
        [contact if one in book.founders else None for one, contact in rows],
    )  # fmt: skip
    if len(done) < len(rows):
        raise Overtaken
    await joining.say(connection, ties(book.together))

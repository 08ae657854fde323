"""Joining and parting people in the database: what was said is kept, and the book follows it. One tenant, one at a time."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from parley.addresses import Address
from parley.contracts import ContactMerged
from parley.database import Connection
from parley_ingest import merging
from parley_ingest.merging import Held, Move, Tie

LOCK = 1_181_774_955
"""The class of our advisory locks in the database (any number that nobody else uses)."""


async def hold(connection: Connection, tenants: Collection[str]) -> None:
    """Until the transaction ends nobody else joins or parts people of these tenants. Asked for once in a transaction, in order."""
    numbers = sorted({zlib.crc32(tenant.encode()) & 0x7FFFFFFF for tenant in tenants})
    await connection.execute("SELECT pg_advisory_xact_lock($1, number) FROM unnest($2::integer[]) AS number", LOCK, numbers)


async def say(connection: Connection, ties: Iterable[Tie]) -> None:
    """Keeps what was said; of each word the latest time."""
    told = merging.folded(ties)
    if not told:
        return
    await connection.execute(
        """INSERT INTO ties AS t SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
               $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
           ON CONFLICT (tenant, one_scheme, one_address, other_scheme, other_address) DO UPDATE SET
               identified_at = GREATEST(t.identified_at, excluded.identified_at),
               merged_at = GREATEST(t.merged_at, excluded.merged_at), apart_at = GREATEST(t.apart_at, excluded.apart_at)""",
        *zip(*((*tie.one, *tie.other[1:], tie.identified, tie.merged, tie.apart) for tie in told), strict=True),
    )  # fmt: skip


async def settle(connection: Connection, ties: Sequence[Tie], fresh: Iterable[Address], now: datetime) -> dict[str, list[Move]]:
    """Keeps what was said and puts everybody whom it concerns with the contact that follows from it. Gives what contacts must hear, by tenant.

    The tenants' locks must be held, and all addresses be in the book. `fresh`: those that this transaction put there.
    """
    await say(connection, ties)
    unheard, found = frozenset(fresh), {}
    for tenant in sorted({tie.one.tenant for tie in ties}):
        near, known = await _near(connection, tenant, sorted({one for tie in ties if tie.one.tenant == tenant for one in (tie.one, tie.other)}))
        after = merging.settled(near, known, unheard)
        await _write(connection, [now_ for now_, was in zip(sorted(after, key=_place), near, strict=True) if now_ != was])
        found[tenant] = await _numbered(connection, tenant, merging.moves(near, after, unheard, now))
    return found


async def _near(connection: Connection, tenant: str, seeds: Sequence[Address]) -> tuple[list[Held], list[Tie]]:
    """All addresses that anything said connects with `seeds`, in order, and what was said of them."""
    rows = await connection.fetch(
        """WITH RECURSIVE near (scheme, address) AS (
               SELECT * FROM unnest($2::text[], $3::text[])
               UNION
               SELECT next.* FROM near CROSS JOIN LATERAL (
                   SELECT other_scheme, other_address FROM ties WHERE tenant = $1 AND one_scheme = near.scheme AND one_address = near.address
                   UNION ALL
                   SELECT one_scheme, one_address FROM ties WHERE tenant = $1 AND other_scheme = near.scheme AND other_address = near.address
               ) AS next)
           SELECT tenant, scheme, address, contact_id, founds, found_at FROM near JOIN addresses USING (scheme, address) WHERE tenant = $1""",
        tenant, [one.scheme for one in seeds], [one.address for one in seeds],
    )  # fmt: skip
    held = sorted((Held(Address(*row[:3]), *row[3:]) for row in map(tuple, rows)), key=_place)
    said = await connection.fetch(
        """SELECT tenant, one_scheme, one_address, other_scheme, other_address, identified_at, merged_at, apart_at
           FROM ties JOIN unnest($2::text[], $3::text[]) AS near (one_scheme, one_address) USING (one_scheme, one_address) WHERE tenant = $1""",
        tenant, [one.address.scheme for one in held], [one.address.address for one in held],
    )  # fmt: skip
    return held, [_tie(row) for row in said]


async def _write(connection: Connection, changed: Sequence[Held]) -> None:
    await connection.execute(
        """UPDATE addresses SET contact_id = new.contact_id, founds = new.founds
           FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::uuid[]) AS new (tenant, scheme, address, contact_id, founds)
           WHERE (addresses.tenant, addresses.scheme, addresses.address) = (new.tenant, new.scheme, new.address)""",
        [one.address.tenant for one in changed], [one.address.scheme for one in changed], [one.address.address for one in changed],
        [one.contact for one in changed], [one.founds for one in changed],
    )  # fmt: skip


async def _numbered(connection: Connection, tenant: str, moves: Sequence[Move]) -> list[Move]:
    """The moves with their version, as the journal numbers them."""
    rows = await connection.fetch(
        """INSERT INTO merges (tenant, kind, contact_id, other, at)
           SELECT $1, kind, contact_id, other, at FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[])
               WITH ORDINALITY AS given (kind, contact_id, other, at, place) ORDER BY place
           RETURNING version""",
        tenant, ["merged" if isinstance(one, ContactMerged) else "parted" for one in moves], [one.contact_id for one in moves],
        [_other(one) for one in moves], [one.at for one in moves],
    )  # fmt: skip
    version = min((row["version"] for row in rows), default=0)  # one for all that was decided together
    return [one.model_copy(update={"version": version}) for one in moves]


def _other(move: Move) -> UUID | None:
    return move.into if isinstance(move, ContactMerged) else move.other


def _place(one: Held) -> Address:
    return one.address


def _tie(row: asyncpg.Record) -> Tie:
    tenant, *pair = tuple(row)[:5]
    return Tie(Address(tenant, *pair[:2]), Address(tenant, *pair[2:]), *tuple(row)[5:])

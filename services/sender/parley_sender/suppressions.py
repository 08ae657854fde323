"""Addresses to which nothing leaves any more: of one account, of a tenant, or of everybody. The gate asks for them at the last moment; here they come and go.

Whoever puts one on the list tells the lanes in the same transaction, whomever it holds for: what is claimed for the address is asked again at the gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from parley.database import Connection, Pool
from parley_sender import standing
from parley_sender.bounces import BOUNCED

EVERYBODY = ""
"""In place of a tenant: the entry holds for all. In place of an account: for all of the tenant's."""
NOWHERE = frozenset({"", "erased"})
"""What stands in a delivery in place of an address: there was none, or it was forgotten (`erasing.ERASED`)."""
GONE = "address_gone"
OF_THE_ADDRESS = frozenset({GONE, BOUNCED})
"""Reasons that tell of an address alone. Any other is a word against being written to: a complaint, a person's or an import's."""
SHOWN = "channel, address, tenant, account, reason, note, since, by"


class Entry(NamedTuple):
    """One address on the list. `by`: the key of who put it there, None for Parley itself."""

    tenant: str
    account: str
    channel: str
    address: str
    reason: str
    note: str | None = None
    by: str | None = None


class Page(NamedTuple):
    """Where a page of the list begins: behind this entry."""

    since: datetime
    channel: str
    address: str
    account: str


async def put(connection: Connection, entries: Sequence[Entry], now: datetime) -> list[asyncpg.Record]:
    """Puts addresses on the list, each once, in the caller's transaction; what stands there already gets the new reason and note and keeps its time.
    Gives the entries, with `new`."""
    rows = _single(reversed(entries))  # of one twice the last word
    if not rows:
        return []
    await _tell(connection, rows)
    return await connection.fetch(
        f"""INSERT INTO suppressions AS s (tenant, account, channel, address, reason, note, by, since)
            SELECT *, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
            ON CONFLICT (address, channel, tenant, account) DO UPDATE SET reason = excluded.reason, note = excluded.note, by = excluded.by
            RETURNING {SHOWN}, old.address IS NULL AS new""",
        *zip(*rows, strict=True), now,
    )  # fmt: skip


async def note(connection: Connection, entries: Sequence[Entry], now: datetime) -> None:
    """Puts addresses on the list that events tell of, in the caller's transaction; whatever stands there already says more, and stays."""
    rows = _single(one for one in entries if one.address not in NOWHERE)
    if not rows:
        return
    await _tell(connection, rows)
    await connection.execute(
        """INSERT INTO suppressions (tenant, account, channel, address, reason, note, by, since)
           SELECT *, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) ON CONFLICT DO NOTHING""",
        *zip(*rows, strict=True), now,
    )  # fmt: skip


def _single(entries: Iterable[Entry]) -> list[Entry]:
    """Each address once, as it comes first; in the order in which all who write them do, so that no two wait for each other."""
    single: dict[tuple[str, str, str, str], Entry] = {}
    for one in entries:
        single.setdefault((one.address, one.channel, one.tenant, one.account), one)
    return [single[key] for key in sorted(single)]


async def _tell(connection: Connection, entries: Sequence[Entry]) -> None:
    """By the addresses; where they are too many, by the tenants: an import of one shall not hold up what others send."""
    names = {standing.of_address(one.channel, one.address) for one in entries}
    if len(names) > standing.MOST_NAMED and all(one.tenant != EVERYBODY for one in entries):
        names = {standing.of_tenant(one.tenant) for one in entries}
    await standing.tell_stops(connection, names)


async def of_address(pool: Pool, tenant: str, address: str, channel: str | None) -> list[asyncpg.Record]:
    """Everything that keeps messages of the tenant from an address, that which holds for everybody among it."""
    return await pool.fetch(
        f"SELECT {SHOWN} FROM suppressions WHERE address = $1 AND ($2::text IS NULL OR channel = $2) AND tenant IN ($3, $4) ORDER BY since DESC, channel, account",
        address, channel, EVERYBODY, tenant,
    )  # fmt: skip


async def listed(pool: Pool, tenant: str, after: Page | None, limit: int) -> list[asyncpg.Record]:
    """The tenant's own entries, the newest first."""
    page: tuple[object, ...] = after or (None, None, None, None)
    return await pool.fetch(
        f"""SELECT {SHOWN} FROM suppressions WHERE tenant = $1
            AND ($2::timestamptz IS NULL OR (since, channel, address, account) < ($2, $3::text, $4::text, $5::text))
            ORDER BY since DESC, channel DESC, address DESC, account DESC LIMIT $6""",
        tenant, *page, limit,
    )  # fmt: skip


async def remove(pool: Pool, tenant: str, account: str, channel: str, address: str) -> bool:
    """Takes one entry off the list; whether it stood there."""
    found = await pool.fetchval(
        "DELETE FROM suppressions WHERE (address, channel, tenant, account) = ($1, $2, $3, $4) RETURNING true", address, channel, tenant, account
    )
    return bool(found)

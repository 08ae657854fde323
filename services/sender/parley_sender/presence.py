"""Which replicas of the sender are there, and which lanes nobody drives: seen by the locks that they hold in PostgreSQL.

Each replica holds a shared lock of its presence on the connection of its lanes' locks, so that it is there, and what it drives, end with that connection.
Who frees a lane, or goes, tells the others at once; of one that died without a word the locks tell at the next look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import asyncpg

Connected: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CHANNEL = "parley_spread"
"""Told when a lane became free, or a replica went in order."""


async def announce(connection: Connected) -> None:
    """Makes this replica count until its connection ends, or it withdraws. Nothing is written over the connection, so what it tells waits for no disk."""
    await connection.execute("SET synchronous_commit = off")
    await connection.execute("SELECT pg_advisory_lock_shared(hashtextextended('parley.sender', 0))")


async def withdraw(connection: Connected) -> None:
    """This replica takes no lanes any more: those that it frees from now on are the others' to share."""
    await connection.execute("SELECT pg_advisory_unlock_shared(hashtextextended('parley.sender', 0)), pg_notify($1, '')", CHANNEL)


async def look(connection: Connected, names: Sequence[str], timeout: float) -> tuple[frozenset[int], set[str]]:
    """The replicas that are there, and which of these lanes nobody drives. Raises what asyncpg raises, TimeoutError after so many seconds."""
    replicas, free = await connection.fetchrow(
        """WITH held AS (
               SELECT pid, (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
           SELECT ARRAY(SELECT pid FROM held WHERE key = hashtextextended('parley.sender', 0)),
                  ARRAY(SELECT name FROM unnest($1::text[]) AS name WHERE hashtextextended('parley.lane:' || name, 0) NOT IN (SELECT key FROM held))""",
        names, timeout=timeout,
    ) or ([0], [])  # fmt: skip
    return frozenset(replicas), set(free)


async def take(connection: Connected, names: Sequence[str]) -> set[str]:
    """Takes the locks of these lanes that are to be had; gives which."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE pg_try_advisory_lock(hashtextextended('parley.lane:' || name, 0))", names
    )
    return {row["name"] for row in rows}


async def free(connection: Connected, names: Sequence[str], tell: bool = True) -> None:
    """Frees the locks of these lanes, and tells the others."""
    await connection.execute(
        """SELECT pg_advisory_unlock(hashtextextended('parley.lane:' || name, 0)) FROM unnest($1::text[]) AS name
           UNION ALL SELECT pg_notify($2, '') IS NULL WHERE $3""",
        names, CHANNEL, tell,
    )  # fmt: skip

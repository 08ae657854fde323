"""Which replicas of the sender are there, and which lanes nobody drives: seen by the locks that they hold in PostgreSQL.

Each replica holds a shared lock of its presence on the connection of its lanes' locks, so that it is there, and what it drives, end with that connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import asyncpg

Connected: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def announce(connection: Connected) -> None:
    """Makes this replica count until its connection ends."""
    await connection.execute("SELECT pg_advisory_lock_shared(hashtextextended('parley.sender', 0))")


async def look(connection: Connected, names: Sequence[str], timeout: float) -> tuple[int, set[str]]:
    """How many replicas there are, and which of these lanes nobody drives. Raises what asyncpg raises, TimeoutError after so many seconds."""
    replicas, free = await connection.fetchrow(
        """WITH held AS (
               SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
           SELECT (SELECT count(*) FROM held WHERE key = hashtextextended('parley.sender', 0)),
                  ARRAY(SELECT name FROM unnest($1::text[]) AS name WHERE hashtextextended('parley.lane:' || name, 0) NOT IN (SELECT key FROM held))""",
        names, timeout=timeout,
    ) or (1, [])  # fmt: skip
    return replicas, set(free)

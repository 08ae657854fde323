"""The schema beside the live one: made by the same migrations, filled with what is taken over, and put in the live one's place in one transaction.

A transaction of the service is wholly in the old tables or wholly in the new ones: the swap waits for those that touched an old table, holds up the others,
and is over when they go on. Their cursors tell them where the new tables stand: whoever expects another place than it finds reads it anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import asyncpg
import orjson

from parley import database
from parley.cursor import Place
from parley.database import Pool

LIVE, NEXT, BEFORE = "analytics", "analytics_next", "analytics_before"
NOT_TOLD = ("erased",)
"""What the log may not tell any more, and has to be known before it is read: who was erased."""
WORKERS = ("scores", "scoring", "habits", "forecasts", "retention")
"""What workers keep, and no event says: it is carried along when the schemas are swapped."""
SUMS = re.compile(r"rolled_zones|.+_(quarters|days|months|deltas)")
"""What a worker sums up of the counters, sooner or later: it follows from them, and is theirs on either side."""
BY_THE_WAY = {("cursors", "pending"), ("cursors", "moved_at"), ("erased", "at"), ("orders", "erased")}
"""Columns that say nothing of what is counted: when something was written, and whether an order had come before its buyer was erased."""
LOCK_WITHIN = "2s"
"""How long a swap may wait for the tables, and with it everybody else; then it lets go and tries again."""

A_DAY = 86_400.0
"""Seconds that copying a table may take; what the service asks has a minute."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Standing: TypeAlias = "Mapping[str, Mapping[Place, int]]"
"""Where stages stand: by their names, the first offset not yet applied of each partition."""


class Note(NamedTuple):
    """What a schema that is being made is: it stands in its comment once everything was taken over."""

    since: str
    """The moment from which the log is read over what was there; empty: from nothing."""
    migrations: list[str]


async def there(connection: Connection, schema: str) -> bool:
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema)
    return found


async def applied(connection: Connection, schema: str) -> list[str]:
    """The migrations of a schema; none where there is no such schema."""
    if not await there(connection, schema):
        return []
    return [row["name"] for row in await connection.fetch(f"SELECT name FROM {schema}.migrations ORDER BY name")]


async def noted(connection: Connection) -> Note | None:
    """What the schema beside is; None where there is none, or one that was not prepared to its end."""
    text = await connection.fetchval("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1", NEXT)
    return Note(**orjson.loads(text)) if text else None


async def prepare(pool: Pool, connection: Connection, note: Note, packages: Sequence[str]) -> None:
    """Makes the schema beside anew. From a moment on: with all that is live now, else with what the log may not tell."""
    await drop(connection, NEXT)
    await database.migrate(pool, NEXT, *packages)
    async with connection.transaction(isolation="repeatable_read"):
        for table in await tables(connection, NEXT):
            if (note.since or table in NOT_TOLD) and table not in ("migrations", "cursors") and not SUMS.fullmatch(table):
                await take_over(connection, table)
        await connection.execute(f"COMMENT ON SCHEMA {NEXT} IS {await connection.fetchval('SELECT quote_literal($1::text)', said(note))}")


def said(note: Note) -> str:
    return orjson.dumps(note._asdict()).decode()


async def swap(connection: Connection) -> Standing:
    """Puts the schema beside in the place of the live one, which is kept as `BEFORE`. Gives where the live one stood.

    Raises `asyncpg.LockNotAvailableError` or `asyncpg.DeadlockDetectedError` when the tables are not to be had in time: nothing has changed then.
    """
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
        live = await tables(connection, LIVE)
        await connection.execute(f"LOCK TABLE {', '.join(f'{LIVE}.{quoted(one)}' for one in live)} IN ACCESS EXCLUSIVE MODE")
        for table in (one for one in WORKERS if one in live):
            await take_over(connection, table)
        stood = await standing(connection, LIVE)
        await connection.execute(CARRIED)
        await connection.execute(f"COMMENT ON SCHEMA {NEXT} IS NULL")
        await connection.execute(f"ALTER SCHEMA {LIVE} RENAME TO {BEFORE}")
        await connection.execute(f"ALTER SCHEMA {NEXT} RENAME TO {LIVE}")
    return stood


async def differences(connection: Connection) -> dict[str, int]:
    """Rows by table that stand in one of the schemas and not in the other, as of one moment."""
    found: dict[str, int] = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for table in await tables(connection, NEXT):
            if counts(table):
                ours, theirs = [await told(connection, schema, table) for schema in (NEXT, LIVE)]
                found[table] = await connection.fetchval(
                    f"SELECT (SELECT count(*) FROM ({ours} EXCEPT ALL {theirs}) AS a) + (SELECT count(*) FROM ({theirs} EXCEPT ALL {ours}) AS b)",
                    timeout=A_DAY,
                )
    return found


def counts(table: str) -> bool:
    """Whether a table's rows follow from the log alone."""
    return table not in ("migrations", "rolled", *WORKERS) and not SUMS.fullmatch(table)


async def told(connection: Connection, schema: str, table: str) -> str:
    """The query of what a table says: without what is by the way, and without counters of nothing, which are left where something was counted elsewhere after all."""
    here = await columns(connection, schema, table)
    sums = [one.quoted for one in here if not one.key]
    names = ", ".join(one.alike for one in here if (table, one.name) not in BY_THE_WAY)
    counters = sums and all(one.number for one in here if not one.key)
    return f"SELECT {names} FROM {schema}.{quoted(table)}" + (f" WHERE ({', '.join(sums)}) <> ({', '.join('0' for _ in sums)})" if counters else "")


CARRIED = f"""
INSERT INTO {NEXT}.cursors AS c (stage, topic, partition, next_offset, pending, moved_at)
SELECT stage, topic, partition, next_offset, pending, moved_at FROM {LIVE}.cursors
ON CONFLICT (stage, topic, partition) DO UPDATE SET pending = excluded.pending
"""
"""What was told last goes along (nobody knows yet whether it is on the bus), and the places of which nothing was read here."""


async def standing(connection: Connection, schema: str) -> Standing:
    """Where the stages of a schema stand."""
    found: dict[str, dict[Place, int]] = {}
    for row in await connection.fetch(f"SELECT stage, topic, partition, next_offset FROM {schema}.cursors"):
        found.setdefault(row["stage"], {})[Place(row["topic"], row["partition"])] = row["next_offset"]
    return found


async def tables(connection: Connection, schema: str) -> list[str]:
    """The tables of a schema, by name."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname", schema
    )
    return [row["relname"] for row in rows]


class Column(NamedTuple):
    name: str
    key: bool
    """Whether it is a part of the primary key."""
    number: bool
    own: str | None
    """Its type, where that is one of the schema itself: it is another one in each schema, though it looks the same."""

    @property
    def quoted(self) -> str:
        return quoted(self.name)

    @property
    def alike(self) -> str:
        """Its value as any schema can compare it."""
        return f"{self.quoted}::text" if self.own else self.quoted

    def into(self, schema: str) -> str:
        """Its value as another schema takes it."""
        return f"{self.alike}::{schema}.{quoted(self.own)}" if self.own else self.quoted


async def columns(connection: Connection, schema: str, table: str) -> list[Column]:
    """The columns of a table that are written: not those that follow from others."""
    rows = await connection.fetch(
        "SELECT attname, COALESCE(attnum = ANY(indkey), false) AS key, atttypid = ANY('{int4, int8, numeric}'::regtype[]) AS number,"
        " (SELECT typname FROM pg_type WHERE pg_type.oid = atttypid AND typnamespace = (SELECT relnamespace FROM pg_class WHERE pg_class.oid = attrelid)) AS own"
        " FROM pg_attribute LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary"
        " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        f"{schema}.{quoted(table)}",
    )
    return [Column(*row) for row in rows]


async def take_over(connection: Connection, table: str) -> None:
    """Puts what the live table holds in the place of what the one beside does. What follows from its rows is taken over with its own table."""
    here, beside = await columns(connection, LIVE, table), f"{NEXT}.{quoted(table)}"
    names, values = ", ".join(one.quoted for one in here), ", ".join(one.into(NEXT) for one in here)
    await connection.execute(f"ALTER TABLE {beside} DISABLE TRIGGER USER")
    await connection.execute(f"DELETE FROM {beside}")
    await connection.execute(f"INSERT INTO {beside} ({names}) SELECT {values} FROM {LIVE}.{quoted(table)}", timeout=A_DAY)
    await connection.execute(f"ALTER TABLE {beside} ENABLE TRIGGER USER")


async def drop(connection: Connection, schema: str) -> None:
    await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def quoted(name: str) -> str:
    """A name of the catalogue as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'

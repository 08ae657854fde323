"""PostgreSQL: a pool in a service's own schema, its numbered migrations, and which errors are not the event's fault."""

from __future__ import annotations

import re
from importlib import resources
from typing import TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

OUTSIDE: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
)
"""Errors of the database, not of what was asked of it: the same step may succeed later."""

WHOLE = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
"""PostgreSQL's ways to answer by reading a table, or an index, from its beginning to its end."""

_NUMBERED = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class SchemaError(RuntimeError):
    """The migrations in the code and those in the database do not fit."""


async def connect(dsn: str, schema: str, *, size: int = 24, by_keys: bool = False) -> Pool:
    """A pool whose connections live in `schema`. Raises what asyncpg raises when there is no database.

    `size`: connections at most; each lane of a sender wants one for its turn. One is made at once, and none is kept by force: while the database is away
    asyncpg would try again and again, a trace each time. `by_keys`: rows are found by their keys whatever size the planner takes a table for
    (docs/decisions/0047); who reads a table whole says so (`whole`).
    """
    session = _session(schema) | (dict.fromkeys(WHOLE, "off") if by_keys else {})
    return await asyncpg.create_pool(
        dsn, init_size=1, min_size=0, max_size=size, timeout=10, command_timeout=60, server_settings=session, reset=_as_it_is
    )


async def _as_it_is(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """A connection goes back to the pool as it is (asyncpg has ended its transaction): nothing here sets, locks or listens beyond a transaction but on
    connections of its own (`single`), and resetting all that for each transaction is one more way to the server and back."""


async def whole(connection: Connection) -> None:
    """For the rest of this transaction tables may be read whole, also where the pool finds rows by their keys."""
    await connection.execute("".join(f"SET LOCAL {way} = on;" for way in WHOLE))


async def single(dsn: str, schema: str, within: float = 60.0) -> asyncpg.Connection[asyncpg.Record]:
    """One connection in `schema` outside any pool, for locks and notifications that belong to a session. `within`: seconds for each statement."""
    found: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn, timeout=10, command_timeout=within, server_settings=_session(schema))
    return found


def _session(schema: str) -> dict[str, str]:
    # Every statement here is short and asked again and again: compiling one takes longer than running it, and planning it anew as long. What is named by
    # its key is in memory, or on a disk without arms: with the usual price of a page out of turn, young tables are read whole for it.
    return {"search_path": schema, "application_name": f"parley-{schema}", "timezone": "UTC", "jit": "off", "random_page_cost": "1.1"}


def migrations(*packages: str) -> list[tuple[str, str]]:
    """Names and texts of the migrations of the packages, package by package, in order of their numbers."""
    found: list[tuple[str, str]] = []
    for package in packages:
        folder = resources.files(package) / "sql"
        files = sorted((one for one in folder.iterdir() if _NUMBERED.match(one.name)), key=lambda one: one.name)
        found += [(f"{package}/{one.name}", one.read_text(encoding="utf-8")) for one in files]
    return found


async def migrate(pool: Pool, schema: str, *packages: str) -> list[str]:
    """Applies the migrations that `schema` does not have yet; all or nothing, one process at a time. Gives their names.

    Raises `SchemaError` when the database has a migration that this code does not know: then the code is older than the database.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('parley.migrate'))")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(f'SET LOCAL search_path TO "{schema}"')
        await whole(connection)
        await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())")
        done = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
        known = migrations(*packages)
        if newer := done - {name for name, _ in known}:
            raise SchemaError(f"schema {schema} has migrations this version does not know ({', '.join(sorted(newer))}): run a newer Parley")
        missing = [(name, text) for name, text in known if name not in done]
        for name, text in missing:
            await connection.execute(text)
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", name)
    if missing:
        structlog.get_logger().info("schema migrated", schema=schema, applied=[name for name, _ in missing])
    return [name for name, _ in missing]

"""The schemas of the services as files: what a service's migrations together make, read back from a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from importlib import import_module, resources
from pathlib import Path
from uuid import uuid4

import asyncpg

from parley import database
from parley.database import Connection
from parley.service import Service
from parley.settings import PORTS

HEAD = """\
-- The schema `{name}` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

"""


def write(folder: Path, address: str) -> list[Path]:
    """Writes `<service>.sql` for each service into `folder` and gives the paths. `address`: as for `pages`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {folder / f"{name}.sql": page for name, page in asyncio.run(pages(address)).items()}
    for path, page in written.items():
        path.write_text(page, encoding="utf-8")
    return list(written)


async def pages(address: str) -> dict[str, str]:
    """The schemas by service, made in a database that is gone afterwards: on the server at `address` or, where that is empty, on a
    PostgreSQL that lives as long as the call."""
    async with contextlib.AsyncExitStack() as stack:
        server = address or await stack.enter_async_context(_own_server())
        scratch = await stack.enter_async_context(_scratch(server))
        return {name: await made(scratch, service(name)) for name in PORTS}


def service(name: str) -> Service:
    """The service of that name."""
    found: Service = import_module(f"parley_{name}.app").SERVICE
    return found


async def made(address: str, service: Service) -> str:
    """Migrates the service's schema in the database at `address` and describes what is there then."""
    pool = await database.connect(address, service.name, size=1)
    try:
        await database.migrate(pool, service.name, *service.packages)
        async with pool.acquire() as connection:
            return HEAD.format(name=service.name) + await described(connection, service.name)
    finally:
        await pool.close()


async def described(connection: Connection, schema: str) -> str:
    """Every table of the schema with its columns, constraints, storage and indexes, in the order of their names."""
    statement = (resources.files("parley") / "sql" / "describe.sql").read_text(encoding="utf-8")
    return "\n".join([row["description"] for row in await connection.fetch(statement, schema)])


@contextlib.asynccontextmanager
async def _own_server() -> AsyncIterator[str]:
    from parley.local import free_port
    from parley.local.postgres import Postgres

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "postgres", free_port())
        await server.start()
        try:
            yield server.address
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def _scratch(server: str) -> AsyncIterator[str]:
    name = f"parley_docs_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.close()

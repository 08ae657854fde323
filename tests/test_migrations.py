"""Migrations: all of them together make the schema that is checked in; twice changes nothing; a newer database is refused."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from parley import schemadocs
from parley.database import SchemaError, connect, migrate, migrations
from parley.service import Service
from parley.settings import PORTS

CHECKED_IN = Path(__file__).parents[1] / "docs" / "schema"

services = pytest.mark.parametrize("service", [schemadocs.service(name) for name in PORTS], ids=list(PORTS))


async def migrated(address, service, *, alter="SELECT 1"):
    """Migrates, runs `alter` in the schema, and migrates again: gives what was applied each time."""
    pool = await connect(address, service.name, size=1)
    try:
        first = await migrate(pool, service.name, *service.packages)
        await pool.execute(alter)
        return first, await migrate(pool, service.name, *service.packages)
    finally:
        await pool.close()


@services
def test_files_are_numbered_without_a_gap(service):
    """0001, 0002, … in each package: no two changes share a number, none was taken away."""
    for package in service.packages:
        names = [name for name, _ in migrations(package)]

        assert list(range(1, len(names) + 1)) == [int(re.search(r"/(\d{4})_", name)[1]) for name in names]


@services
@pytest.mark.stack
def test_all_together_make_the_schema_that_is_checked_in(service, empty_database):
    """On an empty database, whatever the order in which the files came to be; `make docs` writes the description."""
    assert (CHECKED_IN / f"{service.name}.sql").read_text(encoding="utf-8") == asyncio.run(schemadocs.made(empty_database, service))


@services
@pytest.mark.stack
def test_the_second_time_applies_nothing(service, empty_database):
    """A restart finds its schema and leaves it alone."""
    applied, again = asyncio.run(migrated(empty_database, service))

    assert ([name for name, _ in migrations(*service.packages)], []) == (applied, again)


@services
@pytest.mark.stack
def test_a_database_that_is_newer_is_refused(service, empty_database):
    """The sentence names the schema, the migration and the way out; an old process must not write into a schema it does not know."""
    with pytest.raises(SchemaError) as error:
        asyncio.run(migrated(empty_database, service, alter="INSERT INTO migrations (name) VALUES ('parley/9999_later.sql')"))

    assert f"schema {service.name} has migrations this version does not know (parley/9999_later.sql): run a newer Parley" == str(error.value)


@pytest.mark.stack
def test_two_replicas_migrate_once(empty_database):
    """Those that start together wait for each other: each migration is applied by one of them."""
    service = schemadocs.service("router")

    async def both():
        return await asyncio.gather(*(migrated(empty_database, service) for _ in range(4)))

    applied = sorted(name for first, _ in asyncio.run(both()) for name in first)

    assert sorted(name for name, _ in migrations(*service.packages)) == applied


@pytest.mark.stack
def test_what_fails_leaves_nothing(empty_database, tmp_path, monkeypatch):
    """All or nothing: a migration that fails takes back those before it, and the schema with them."""
    (tmp_path / "half" / "sql").mkdir(parents=True)
    (tmp_path / "half" / "__init__.py").touch()
    (tmp_path / "half" / "sql" / "0001_good.sql").write_text("CREATE TABLE good ()")
    (tmp_path / "half" / "sql" / "0002_wrong.sql").write_text("SELECT nonsense")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(asyncpg.UndefinedColumnError):
        asyncio.run(migrated(empty_database, Service("half", ("half",), never)))

    assert 0 == asyncio.run(schemas(empty_database, "half"))


async def never(_):
    raise AssertionError("nobody builds this service")


async def schemas(address, name):
    connection = await asyncpg.connect(address)
    try:
        return await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", name)
    finally:
        await connection.close()


def test_no_schema_is_checked_in_for_a_service_that_is_not():
    """Nor is one missing."""
    assert {f"{name}.sql" for name in PORTS} == {path.name for path in CHECKED_IN.glob("*.sql")}

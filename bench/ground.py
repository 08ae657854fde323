"""Where a benchmark stands: a database, topics, groups and a configuration of its own on the given servers, gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import yaml
from aiokafka.admin import AIOKafkaAdminClient

from parley import connecting
from parley.bus import Bus
from parley.contracts import TOPICS, Record
from parley.demo import premises
from parley.demo.fleet import USUAL, Fleet, Terms
from parley.demo.premises import Premises
from parley.local import free_port
from parley.settings import Settings

CHUNK = 2000
"""Records that are under way at once while a topic is filled."""
RATE, BURST = "100000/s", 100_000
"""Of every account: what a provider allows shall not bind here."""


@dataclass(frozen=True)
class Ground:
    """Settings with an own database and an own prefix, the configuration with the twin as provider, and ports that are free."""

    settings: Settings
    premises: Premises
    fleet: Fleet
    """The processes, none of them started."""


@contextlib.asynccontextmanager
async def ground(settings: Settings, burst: int = BURST) -> AsyncIterator[Ground]:
    """A ground; its database and its topics are deleted at the end, its processes stopped. `burst`: what every account sends at once."""
    name = f"bench_{uuid4().hex[:8]}"
    server = settings.database.get_secret_value()
    own = {"database": f"{server.rpartition('/')[0]}/{name}", "prefix": f"{name}."}
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        await _database(server, f"CREATE DATABASE {name}")
        found = _laid(Settings(**{**settings.model_dump(), **own}), Path(folder), burst)
        try:
            await _make_topics(found.settings)
            yield found
        finally:
            await found.fleet.stop()
            await _delete_topics(found.settings)
            await _database(server, f"DROP DATABASE {name} WITH (FORCE)")


def _laid(settings: Settings, folder: Path, burst: int) -> Ground:
    ports = {name: free_port() for name in USUAL}
    source = _unbound(settings.config, folder / "source", burst)
    papers = premises.prepare(folder / "parley", source, f"http://127.0.0.1:{ports['ingest']}", f"http://127.0.0.1:{ports['twin']}")
    own = Settings(**{**settings.model_dump(), "config": papers.directory, "secret": papers.variables[premises.SECRET], "log_level": "warning"})
    return Ground(own, papers, Fleet(own, papers, ports, folder / "logs", Terms(own, folder), None))


def _unbound(source: Path, target: Path, burst: int) -> Path:
    """The configuration with rates that never bind, and no provider that waits for the customer's word."""
    shutil.copytree(source, target)
    path = target / "accounts.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for account in document["accounts"].values():
        account |= {"rate": RATE, "burst": burst, "window": "none"}
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return target


def environment(here: Ground, port: int, **more: str) -> dict[str, str]:
    """The variables of a service as a process of its own."""
    settings = here.settings
    return {
        **here.premises.variables,
        "PARLEY_KAFKA": settings.kafka,
        "PARLEY_DATABASE": settings.database.get_secret_value(),
        "PARLEY_CONFIG": str(settings.config),
        "PARLEY_PREFIX": settings.prefix,
        "PARLEY_PARTITIONS": str(settings.partitions),
        "PARLEY_PORT": str(port),
        "PARLEY_LOG_LEVEL": settings.log_level,
        "PARLEY_PACKS": "off",
        "PARLEY_SPOOL": str(here.fleet.logs.parent / "spool"),
        "PARLEY_ACCOUNT_REQUESTS": "1000000",
        "PARLEY_ADDRESS_REQUESTS": "1000000",
        **more,
    }


async def fill(settings: Settings, records: Sequence[Record]) -> None:
    """Puts the records on the bus, in order."""
    bus = Bus(settings, client="bench-fill")
    try:
        for start in range(0, len(records), CHUNK):
            await bus.publish(records[start : start + CHUNK])
    finally:
        await bus.stop()


async def empty(settings: Settings, schema: str) -> None:
    """Empties every table of a service, its cursors too: the next round begins where the first did. What was written is on disk before it begins."""
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'migrations'", schema)
        if rows:
            await connection.execute("TRUNCATE " + ", ".join(f'"{schema}"."{row["tablename"]}"' for row in rows))
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _database(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _make_topics(settings: Settings) -> None:
    bus = Bus(settings, client="bench")
    await bus.ensure_topics()
    await bus.stop()


async def _delete_topics(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(client_id="bench", **connecting.options(settings))
    await admin.start()
    try:
        async with asyncio.timeout(30):
            await admin.delete_topics([settings.prefix + name for name in TOPICS])
    finally:
        await admin.close()

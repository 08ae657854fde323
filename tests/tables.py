"""The sender's tables with nobody at work on them: a test does what lanes and intake do, step by step."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from parley import config, database, policies
from parley_sender.app import SERVICE
from parley_sender.law import Law
from parley_sender.packs import Packs

T = TypeVar("T")


def law(folder: Path) -> Law:
    """The law of a configuration, without policy packs."""
    found = config.load(folder)
    return Law(found, policies.load(folder, found.tenants, {}), Packs({}))


def at_tables(address: str, what: Callable[[database.Pool], Awaitable[T]], size: int = 3) -> T:
    """Does something with a pool as the sender has it, in a database that may be empty."""

    async def main() -> T:
        pool = await database.connect(address, SERVICE.name, size=size, by_keys=SERVICE.by_keys)
        try:
            await database.migrate(pool, SERVICE.name, *SERVICE.packages)
            return await what(pool)
        finally:
            await pool.close()

    return asyncio.run(main())

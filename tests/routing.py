"""A router's database and bus for tests, without the stage: its schema migrated, a clock that is set by hand, and what lies on the bus."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from parley import database, wire
from parley.bus import Bus
from parley.config import Config
from parley.contracts import Data, Envelope
from parley.metrics import Metrics
from parley.service import Context, Worker
from parley.settings import Settings
from tests.ingesting import records

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CONTACT = UUID(int=7)


@dataclass
class Router:
    """What workers of the router have at hand."""

    context: Context
    clock: list[datetime] = field(default_factory=lambda: [NOW])

    async def events(self, kind: type[Data]) -> list[Envelope]:
        """What is on the bus of this kind, in order within a partition."""
        found = [wire.decode(kind.topic, one.headers, one.value) for one in await records(self.context.settings, kind.topic)]
        return [one for one in found if isinstance(one.data, kind)]

    @contextlib.asynccontextmanager
    async def working(self, worker: Worker) -> AsyncIterator[None]:
        """The worker runs until the end of the block, then ends in order."""
        stopping = asyncio.Event()
        task = asyncio.create_task(worker.run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await asyncio.wait_for(task, 15)


@contextlib.asynccontextmanager
async def routing(settings: Settings, config: Config | None = None) -> AsyncIterator[Router]:
    """A migrated schema and a bus with its topics."""
    clock = [NOW]
    pool = await database.connect(settings.database.get_secret_value(), "router")
    bus = Bus(settings, client="test-router")
    try:
        await database.migrate(pool, "router", "parley", "parley_router")
        await bus.ensure_topics()
        yield Router(Context(settings, config or Config({}, {}), pool, bus, Metrics(), lambda: clock[0]), clock)
    finally:
        await bus.stop()
        await pool.close()

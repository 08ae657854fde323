"""Services for tests: a stage that stands still on demand, what is asked of a service, what it says."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from parley import service
from parley.contracts import Customer, CustomerEvent, Envelope
from parley.local import free_port
from parley.service import Parts, Service
from parley.settings import Settings
from tests.ingesting import NOW, write_accounts


@dataclass
class Waiting:
    """A stage that stands still while it is told to."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "waiting"
    topics: tuple[str, ...] = ("parley.customers",)

    async def apply(self, connection, batch, now):
        await self.go.wait()
        return []


def event(**changes) -> Envelope:
    data = CustomerEvent(customer=Customer(id="c"), name="order.placed", occurred_at=NOW)
    return Envelope(**{"id": str(uuid4()), "source": "test", "time": NOW, "tenant": "acme", "data": data} | changes)


def serving(*stages, routes=()) -> Service:
    async def build(_):
        return Parts(stages=stages, routes=routes)

    return Service("ingest", ("parley", "parley_ingest"), build)


def impatient(settings: Settings, directory: Path) -> Settings:
    """Settings that lose patience soon, on a free port, with the accounts of the samples."""
    return settings.model_copy(update={"stuck": 0.5, "port": free_port(), "drain": 1.0, "config": write_accounts(directory)})


async def ask(one: service.Running, path: str, method: str = "GET") -> tuple[int, str]:
    async with aiohttp.request(method, f"http://127.0.0.1:{one.port}{path}") as answer:
        return answer.status, await answer.text()


def values(text: str) -> dict[tuple[str, ...], float]:
    """Samples of an exposition by name and labels."""
    return {(one.name, *one.labels.values()): one.value for family in text_string_to_metric_families(text) for one in family.samples}

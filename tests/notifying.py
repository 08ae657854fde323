"""Webhooks for tests: a receiver as a tenant has one, and the stage, the worker and the database behind it, under a clock that is set by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from aiohttp import web

from parley import database
from parley.config import Config
from parley.contracts import ConsentChanged, Data, DeliveryChanged, Envelope
from parley.cursor import Place
from parley.metrics import Metrics
from parley.outside import lookup
from parley.service import Context
from parley.settings import Settings
from parley.step import Arrived
from parley_sender.notify import signing
from parley_sender.notify.noting import Noting
from parley_sender.notify.worker import Posting

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
CONTACT = UUID(int=7)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Got:
    """A request as the receiver got it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """A tenant's system: what it got, and how many asked it at the same time. `answer`: what it does next."""

    answer: Handler
    base: str = ""
    got: list[Got] = field(default_factory=list)
    now: int = 0
    most: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.got.append(Got(request.path, {name.lower(): value for name, value in request.headers.items()}, await request.read()))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self.answer(request)
        finally:
            self.now -= 1


def says(status: int, body: bytes = b"", **headers: str) -> Handler:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def hangs(gate: asyncio.Event, status: int = 204) -> Handler:
    """Answers once the gate is open."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        await gate.wait()
        return web.Response(status=status)

    return answer


@contextlib.asynccontextmanager
async def receiver(answer: Handler | None = None) -> AsyncIterator[Receiver]:
    found = Receiver(answer or says(204))
    runner = web.ServerRunner(web.Server(found.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


@dataclass
class Hooks:
    """The database of a sender, and what a test does with its webhooks."""

    context: Context
    clock: list[datetime]

    async def make(self, url: str, *types: str, tenant: str = "acme") -> UUID:
        number = uuid4()
        await self.context.pool.execute(
            "INSERT INTO webhooks (id, tenant, url, types, description, created_at) VALUES ($1, $2, $3, $4, '', $5)",
            number, tenant, url, list(types or ("delivery.*",)), self.clock[0],
        )  # fmt: skip
        return number

    async def happen(self, *events: Envelope) -> None:
        """A batch, as the stage gets it: in a transaction that is committed."""
        batch = [Arrived(event, Place("t", 0), offset, None) for offset, event in enumerate(events)]
        async with self.context.pool.acquire() as connection, connection.transaction():
            assert () == await Noting().apply(connection, batch, self.clock[0])

    @contextlib.asynccontextmanager
    async def posting(self, addresses: Any = lookup) -> AsyncIterator[Posting]:
        async with Posting(self.context, addresses).opened() as worker:
            yield worker

    async def turns(self, worker: Posting, count: int = 1, after: timedelta = timedelta()) -> int:
        """Turns of a worker, each with the calls that it begins and what came of them; how many calls."""
        begun = 0
        for _ in range(count):
            self.clock[0] += after
            begun += await worker.turn(self.clock[0])
            await worker.quiet()
            begun += await worker.turn(self.clock[0])
            await worker.quiet()
        return begun

    async def posts(self) -> list[dict[str, Any]]:
        rows = await self.context.pool.fetch("SELECT * FROM webhook_posts ORDER BY noted_at, event_id, webhook_id")
        return [{**row, "answers": orjson.loads(row["answers"])} for row in rows]

    async def webhook(self, number: UUID) -> dict[str, Any]:
        return dict(await self.context.pool.fetchrow("SELECT * FROM webhooks WHERE id = $1", number))

    def secret(self, number: UUID, generation: int = 1) -> str:
        return signing.secret(self.context.settings.secret.get_secret_value().encode(), number, generation)


@contextlib.asynccontextmanager
async def hooks(settings: Settings, **more: Any) -> AsyncIterator[Hooks]:
    """A migrated schema; webhooks may stand on this machine."""
    clock = [NOW]
    settings = settings.model_copy(update={"webhooks_local": "on", **more})
    pool = await database.connect(settings.database.get_secret_value(), "sender")
    try:
        await database.migrate(pool, "sender", "parley", "parley_sender")
        yield Hooks(Context(settings, Config({}, {}), pool, None, Metrics(), lambda: clock[0]), clock)
    finally:
        await pool.close()


def event(data: Data, identifier: str | None = None, tenant: str = "acme", at: datetime = NOW) -> Envelope:
    return Envelope(id=identifier or str(uuid4()), source="parley/sender", time=at, tenant=tenant, data=data)


def delivery(status: str = "delivered", **more: Any) -> DeliveryChanged:
    plain = {"contact_id": CONTACT, "message_id": uuid4(), "channel": "sms", "account": "acme-sms", "purpose": "reply", "at": NOW}
    return DeliveryChanged(**{**plain, "status": status, **more})


def consent(**more: Any) -> ConsentChanged:
    plain = {
        "contact_id": CONTACT,
        "channel": "sms",
        "address": "+821012345678",
        "purpose": "marketing",
        "state": "granted",
        "source": "flow",
        "at": NOW,
    }
    return ConsentChanged(**{**plain, **more})

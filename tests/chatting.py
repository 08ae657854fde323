"""A shop with web chat for tests: ingest, router and sender in this process, on real Kafka and PostgreSQL; and a visitor who speaks the protocol."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import jwt
import orjson
import yaml

from parley import service
from parley.channels import webchat
from parley.local import free_port
from parley.settings import Settings
from parley_ingest.app import SERVICE as INGEST
from parley_ingest.chat.sockets import PROTOCOL
from parley_router.app import SERVICE as ROUTER
from parley_sender.app import SERVICE as SENDER
from tests.conftest import CONFIG, until
from tests.ingesting import records

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHOP = "https://shop.example"
DESK = {"Authorization": "Bearer desk-key"}


@dataclass
class Shop:
    """The services and where they are. Every ingest is a replica of its own; `ingest` is the first."""

    settings: Settings
    port: int
    router: service.Running | None = None
    ingest: service.Running | None = None
    door: str | None = None
    """Of another replica, where messages are to be delivered there."""
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/chat/shop"

    async def start(self) -> None:
        self.ingest = await self._stack.enter_async_context(self.replica(self.port))

    async def stop(self) -> None:
        await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()

    def replica(self, port: int) -> contextlib.AbstractAsyncContextManager[service.Running]:
        return service.running(INGEST, self.settings.model_copy(update={"port": port}))

    async def deliver(self, to: str, text: str, identifier: str | None = None, **more: Any) -> int:
        """As sender does it; the status of the answer."""
        name = identifier or str(uuid4())
        return await self.signed("deliver", {"id": name, "to": to, "text": text, **more}, f"msg_{name}")

    async def signed(self, path: str, body: dict[str, Any], name: str = "msg_1", **changes: str) -> int:
        account, content = self.ingest.context.config.accounts["shop"], orjson.dumps(body)
        headers = webchat.signed(content, name, account, datetime.now(UTC)) | changes
        async with aiohttp.request("POST", f"{self.door or self.base}/{path}", data=content, headers=headers) as answer:
            return answer.status

    async def topic(self, name: str, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a kind that the bus holds."""
        return [orjson.loads(one.value) for one in await records(self.settings, name) if dict(one.headers)["ce_type"] == kind.encode()]

    async def events(self, name: str, kind: str, count: int, **fields: Any) -> list[dict[str, Any]]:
        """As `topic`, those with these fields, once there are so many."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [one for one in await self.topic(name, kind) if fields.items() <= one.items()]
            return len(found) >= count

        await until(there, f"{count} of {kind}")
        return found


def configured(directory: Path, port: int, *origins: str) -> Path:
    """The sample tenant's flows, and accounts with a chat of ours and one of somebody else."""
    (directory / "secret").write_text(SECRET)
    (directory / "desk").write_text("desk-key")
    account = {"tenant": "acme", "provider": "webchat", "channel": "webchat", "sender": "acme", "rate": "500/s", "burst": 100, "origins": [SHOP, *origins],
               "credentials": {"symmetric": "file:secret"}, "base_url": f"http://127.0.0.1:{port}"}  # fmt: skip
    other = {**account, "provider": "plain", "channel": "inapp", "origins": []}
    keys = {"desk": {"tenant": "acme", "scopes": ["conversations:read", "conversations:write"], "token": "file:desk"}}
    tenants = {"acme": {"timezone": "Asia/Seoul", "languages": ["ko", "en"]}}
    (directory / "accounts.yaml").write_text(yaml.safe_dump({"tenants": tenants, "accounts": {"shop": account, "app": other}, "keys": keys}))
    shutil.copytree(CONFIG / "flows", directory / "flows")
    return directory


@contextlib.asynccontextmanager
async def open_shop(settings: Settings, directory: Path, *origins: str) -> AsyncIterator[Shop]:
    """Everything started."""
    port = free_port()
    settings = settings.model_copy(update={"config": configured(directory, port, *origins), "spool": directory / "spool"})
    shop = Shop(settings, port)
    async with contextlib.AsyncExitStack() as stack:
        await shop.start()
        stack.push_async_callback(shop.stop)
        for one in (ROUTER, SENDER):
            started = await stack.enter_async_context(service.running(one, settings.model_copy(update={"port": free_port()})))
            shop.router = shop.router or started
        yield shop


class Shared:
    """One shop for all tests of a module, with a loop of its own that runs only while a test asks something."""

    def __init__(self, servers: Any, directory: Path, *origins: str) -> None:
        self._servers, self._directory, self._origins = servers, directory, origins

    def __enter__(self) -> "Shared":
        self._runner = asyncio.Runner()
        self._name, base = f"test_{uuid4().hex[:12]}", self._servers.database.rpartition("/")[0]
        self.run(self._sql(f"CREATE DATABASE {self._name} {self._servers.migrated}"))
        settings = Settings(kafka=self._servers.kafka, database=f"{base}/{self._name}", prefix=f"{uuid4().hex[:8]}.", partitions=3, secret="test")
        self._context = open_shop(settings, self._directory, *self._origins)
        self.shop: Shop = self.run(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self.run(self._sql(f"DROP DATABASE {self._name} WITH (FORCE)"))
        self._runner.close()

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(main)

    async def _sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self._servers.database)
        await connection.execute(statement)
        await connection.close()


def customer_token(customer: str, secret: str = SECRET, minutes: float = 60) -> str:
    """As the shop's server makes it, with the library that anybody would take."""
    return jwt.encode({"sub": customer, "exp": datetime.now(UTC) + timedelta(minutes=minutes)}, secret, "HS256")


class Visitor:
    """A browser that speaks the protocol: what it says, and what it has heard so far."""

    def __init__(self, base: str, http: aiohttp.ClientSession) -> None:
        self.base, self.http = base, http
        self.token, self.name, self.cursor = "", "", 0
        self.heard: dict[str, dict[str, Any]] = {}
        self.frames: list[dict[str, Any]] = []
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    async def session(self, **body: str) -> "Visitor":
        async with self.http.post(f"{self.base}/session", json={"token": self.token, **body}) as answer:
            assert answer.status == 200, await answer.text()
            found = await answer.json()
        self.token, self.name = found["token"], found["visitor"]
        return self

    async def connect(self, base: str | None = None) -> "Visitor":
        address = f"{(base or self.base).replace('http', 'ws')}/socket?after={self.cursor}"
        self.socket = await self.http.ws_connect(address, protocols=[PROTOCOL, self.token])
        await self.hear(lambda frame: "cursor" in frame)
        return self

    async def say(self, text: str = "", identifier: str | None = None, **more: Any) -> str:
        name = identifier or str(uuid4())
        await self.tell(type="message", id=name, text=text, **more)
        return name

    async def tell(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def hear(self, wanted, seconds: float = 20) -> dict[str, Any]:
        """The next frame that is wanted; all that come are noted."""
        async with asyncio.timeout(seconds):
            while True:
                frame = orjson.loads((await self.socket.receive()).data)
                self.note(frame)
                if wanted(frame):
                    return frame

    def note(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        self.cursor = max(self.cursor, frame.get("cursor", 0))
        self.heard |= {one["id"]: one for one in frame.get("messages", ())}

    async def until(self, condition) -> None:
        """Hears until what was heard satisfies."""
        while not condition(self):
            await self.hear(lambda _: True)

    def texts(self, whose: str) -> list[str]:
        """What one side said, in the order of the conversation."""
        return [one["text"] for one in sorted(self.heard.values(), key=lambda one: one["seq"]) if one["from"] == whose]


@contextlib.asynccontextmanager
async def visitor(base: str) -> AsyncIterator[Visitor]:
    """A visitor with a session and no socket yet."""
    async with aiohttp.ClientSession() as http:
        yield await Visitor(base, http).session()

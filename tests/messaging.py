"""A sender whose API other systems ask, for tests: over the plain provider's twin, with keys of two tenants; several replicas where a test wants them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import yaml

from parley.local import free_port
from parley.service import Running, running
from parley.settings import Settings
from parley.twin.behaviour import Behaviour
from parley.twin.server import running_twin
from parley.twin.shape import Account
from parley.twin.twin import Twin, TwinOptions
from parley_sender.app import SERVICE
from tests.conftest import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEYS = {
    "shop": ("acme", ["messages:read", "messages:write", "messages:settle", "lanes:write", "suppressions:read", "suppressions:write", "webhooks:read",
                      "webhooks:write"]),
    "spy": ("other", ["messages:read", "messages:write"]),
    "reader": ("acme", ["messages:read"]),
}  # fmt: skip
BODY = {"to": {"addresses": {"inapp": "u1"}}, "purpose": "transactional", "channels": ["inapp"], "content": {"text": "Hello"}}


def write_accounts(folder: Path, base_url: str = "http://127.0.0.1:9", **account: Any) -> Path:
    """accounts.yaml with an app of the plain provider and an SMS number, and keys whose tokens are their names."""
    accounts = {
        "app": {"tenant": "acme", "provider": "plain", "channel": "inapp", "sender": "acme", "rate": "1000/s", "burst": 100,
                "credentials": {"symmetric": "file:secret"}, "base_url": base_url, **account},
        "number": {"tenant": "acme", "provider": "twilio", "channel": "sms", "sender": "+15005550006",
                   "credentials": {"account_sid": "file:secret", "auth_token": "file:secret"}},
        "elsewhere": {"tenant": "other", "provider": "plain", "channel": "inapp", "sender": "other", "credentials": {"symmetric": "file:secret"},
                      "base_url": base_url},
    }  # fmt: skip
    (folder / "secret").write_text(SECRET)
    for name in KEYS:
        (folder / f"{name}.key").write_text(name)
    keys = {name: {"tenant": tenant, "scopes": scopes, "token": f"file:{name}.key"} for name, (tenant, scopes) in KEYS.items()}
    tenants = {"acme": {"timezone": "Asia/Seoul", "languages": ["ko", "en"]}, "other": {}}
    (folder / "accounts.yaml").write_text(yaml.safe_dump({"tenants": tenants, "accounts": accounts, "keys": keys}, allow_unicode=True))
    return folder


@dataclass
class Told:
    """What the API answered."""

    status: int
    body: Any
    raw: bytes
    location: str | None


@dataclass
class Office:
    """The settings of replicas, the twin behind them, and a client in front."""

    settings: Settings
    twin: Twin
    http: aiohttp.ClientSession
    replicas: list[Running] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def replica(self) -> AsyncIterator[Running]:
        """One more sender on the same database and bus."""
        async with running(SERVICE, self.settings.model_copy(update={"port": free_port()})) as one:
            self.replicas.append(one)
            yield one
            self.replicas.remove(one)

    async def post(self, body: Any, key: str | None = "", path: str = "/v1/messages", who: str = "shop", replica: int = 0) -> Told:
        """Asks; `key` is new where none is given, and left out where it is None."""
        headers = {"authorization": f"Bearer {who}"} | ({} if key is None else {"idempotency-key": key or str(uuid4())})
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.http.post(f"http://127.0.0.1:{self.replicas[replica].port}{path}", data=data, headers=headers) as answer:
            raw = await answer.read()
            return Told(answer.status, orjson.loads(raw), raw, answer.headers.get("location"))

    async def get(self, path: str) -> Told:
        async with self.http.get(f"http://127.0.0.1:{self.replicas[0].port}{path}", headers={"authorization": "Bearer shop"}) as answer:
            raw = await answer.read()
            return Told(answer.status, orjson.loads(raw), raw, None)

    async def stands(self, number: str, *statuses: str) -> dict[str, Any]:
        """The message, once it has one of these statuses."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [(await self.get(f"/v1/messages/{number}")).body]
            return found[0].get("status") in statuses

        await until(there, f"the message is {' or '.join(map(str, statuses))}")
        return found[0]

    def texts(self, address: str = "u1") -> list[str | None]:
        """What reached this address, in order."""
        return [one.text for one in self.twin.inboxes.of(address)]


@contextlib.asynccontextmanager
async def office(settings: Settings, folder: Path, replicas: int = 1, **account: Any) -> AsyncIterator[Office]:
    """An office at work."""
    told = Account(name="app", provider="plain", channel="inapp", sender="acme", credentials={"symmetric": SECRET})
    moods = {"*": Behaviour(receipts=False)}
    async with running_twin(TwinOptions(folder / "ledger.jsonl", port=0, accounts=[told], behaviours=moods)) as twin, aiohttp.ClientSession() as http:
        write_accounts(folder, twin.url, **account)
        one = Office(settings.model_copy(update={"config": folder}), twin, http)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(replicas):
                await stack.enter_async_context(one.replica())
            yield one

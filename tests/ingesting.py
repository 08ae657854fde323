"""An ingest for tests: the real service with an account for each sample, a clock that is set by hand, and the bus read back."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import asyncpg
import orjson
import yaml
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from yarl import URL

from parley import service, wire
from parley.channels import PROVIDERS
from parley.contracts import Envelope, RawReceived
from parley.local import free_port
from parley.settings import Settings
from parley_ingest.app import SERVICE
from tests.conftest import SAMPLES
from tests.test_samples import Sample, found

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
RECEIVED = [one for one in found(SAMPLES) if "http_status" not in one.about and "cert_url" not in one.about.get("secret", {})]
"""Every request of a provider that the samples hold, but for those whose key stands at an address of the provider's own."""
KEY, OTHER_KEY = "shop-key", "staff-key"
CHAT_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def slug(sample: Sample) -> str:
    return sample.name.replace("/", "-").replace("_", "-").lower()


def write_accounts(directory: Path) -> Path:
    """accounts.yaml with an account for each sample, under the address and with the secrets that its signature was made with, and some plain ones."""
    accounts = {slug(sample): _account(directory, sample) for sample in RECEIVED}
    for name, provider, channel in (("sms", "twilio", "sms"), ("whatsapp", "meta", "whatsapp"), ("app", "plain", "inapp"), ("else", "plain", "sms")):
        secrets = dict.fromkeys(PROVIDERS[provider].CREDENTIALS, "file:unused")
        tenant = "other" if name == "else" else "acme"
        accounts[name] = {"tenant": tenant, "provider": provider, "channel": channel, "sender": "s", "credentials": secrets}
    accounts["sms"]["known_as"] = "+8215440000"
    accounts["chat"] = {"tenant": "acme", "provider": "webchat", "channel": "webchat", "sender": "s", "credentials": {"symmetric": "file:chat"}}
    for name, value in (("shop", KEY), ("staff", OTHER_KEY), ("other", "other-key"), ("unused", "unused"), ("chat", CHAT_SECRET)):
        (directory / name).write_text(value)
    keys = {
        "shop": {"tenant": "acme", "scopes": ["events:write"], "token": "file:shop"},
        "other": {"tenant": "other", "scopes": ["events:write"], "token": "file:other"},
        "staff": {"tenant": "acme", "scopes": ["rates:read", "conversations:read", "engagement:write"], "token": "file:staff"},
    }
    (directory / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}, "other": {}}, "accounts": accounts, "keys": keys}))
    return directory


def _account(directory: Path, sample: Sample) -> dict[str, Any]:
    secrets = dict.fromkeys(PROVIDERS[sample.provider].CREDENTIALS, "file:unused")
    for name, value in sample.about.get("secret", {}).items():
        (directory / f"{slug(sample)}.{name}").write_text(value)
        secrets[name] = f"file:{slug(sample)}.{name}"
    return {
        "tenant": "acme", "provider": sample.provider, "channel": str(sample.account.channel), "sender": sample.account.sender,
        "credentials": secrets, "public_url": sample.about["url"].partition("?")[0],
    }  # fmt: skip


@dataclass
class Ingest:
    """A running ingest and an HTTP client in front of it."""

    settings: Settings
    one: service.Running
    http: aiohttp.ClientSession
    clock: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.one.port}"

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers (names in lower case) of the answer; redirects are not followed."""
        async with self.http.request(method, URL(self.base + path, encoded=True), allow_redirects=False, **options) as answer:
            return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}

    async def send(
        self, sample: Sample, account: str | None = None, *, now: datetime | None = None, **changes: Any
    ) -> tuple[int, bytes, dict[str, str]]:
        """A sample as its provider sent it, with changes."""
        self.clock[0] = now or sample.now
        query = sample.about["url"].partition("?")[2]
        wanted = {"headers": sample.about["headers"], "data": sample.body, **changes}
        return await self.ask(sample.about["method"], f"/hooks/{account or slug(sample)}{'?' + query if query else ''}", **wanted)

    async def topic(self, name: str) -> list[Envelope]:
        return [wire.decode(name, record.headers, record.value) for record in await records(self.settings, name)]


@contextlib.asynccontextmanager
async def running(settings: Settings, port: int | None = None, one: service.Service = SERVICE) -> AsyncIterator[Ingest]:
    """An ingest on a port of its own, or on the given one."""
    clock = [NOW]
    settings = settings.model_copy(update={"port": port or free_port()})
    async with service.running(one, settings, clock=lambda: clock[0]) as started, aiohttp.ClientSession() as http:
        yield Ingest(settings, started, http, clock)


class Shared:
    """One ingest for all tests of a module, with a loop of its own that runs only while a test asks something."""

    def __init__(self, servers: Any, directory: Path, **settings: Any) -> None:
        self._servers, self._directory, self._settings = servers, directory, settings

    def __enter__(self) -> "Shared":
        self.runner = asyncio.Runner()
        name, base = f"test_{uuid4().hex[:12]}", self._servers.database.rpartition("/")[0]
        self.run(self._sql(f"CREATE DATABASE {name} {self._servers.migrated}"))
        settings = Settings(
            kafka=self._servers.kafka, database=f"{base}/{name}", config=write_accounts(self._directory), prefix=f"{uuid4().hex[:8]}.", partitions=3,
            spool=self._directory / "spool", **self._settings,
        )  # fmt: skip
        self._context, self._name = running(settings), name
        self.ingest: Ingest = self.run(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self.run(self._sql(f"DROP DATABASE {self._name} WITH (FORCE)"))
        self.runner.close()

    def run(self, main: Any) -> Any:
        return self.runner.run(main)

    async def _sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self._servers.database)
        await connection.execute(statement)
        await connection.close()


async def records(settings: Settings, topic: str) -> list[ConsumerRecord]:
    """All records that a topic holds now, in order within a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(settings.prefix + topic, partition) for partition in range(settings.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[ConsumerRecord] = []
        while len(found) < sum(ends.values()):
            batches = await asyncio.wait_for(consumer.getmany(timeout_ms=500), 20)
            found += [record for batch in batches.values() for record in batch]
        return found
    finally:
        await consumer.stop()


# --- what stands on parley.raw ---------------------------------------------------------------------------------------------------------


def raw(account: str, body: bytes | dict[str, Any], *, sender: str = "", query: str = "") -> Envelope:
    """A request as the door puts it on the bus."""
    exact = body if isinstance(body, bytes) else orjson.dumps(body)
    kind = "application/json" if exact[:1] in b"{[" else "application/x-www-form-urlencoded"
    headers = {"content-type": kind, "webhook-id": str(body.get("webhook", "msg_1")) if isinstance(body, dict) else "msg_1"}
    data = RawReceived(account=account, sender=sender, query=query, headers=headers, body=base64.b64encode(exact).decode(), received_at=NOW)
    return Envelope(id=str(uuid4()), source=f"parley/hooks/{account}", time=NOW, tenant="acme", started_at=NOW, data=data)


def form(**fields: str) -> bytes:
    """A form as Twilio posts it."""
    return urlencode({name: value for name, value in fields.items() if value}).encode()


def whatsapp(sender: str, text: str) -> dict[str, Any]:
    """A message as Meta posts it."""
    message = {"from": sender[1:], "id": f"wamid.{uuid4()}", "timestamp": "1795426200", "type": "text", "text": {"body": text}}
    value = {"metadata": {"phone_number_id": "s"}, "messages": [message]}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]}


def happened(data: dict[str, Any], event_id: str, kind: str = "order.placed") -> dict[str, Any]:
    """An event of a generic source over the plain provider; `webhook` becomes its id in the header."""
    return {"type": kind, "data": data, "webhook": event_id}

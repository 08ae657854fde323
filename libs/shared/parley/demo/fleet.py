"""A running Parley on this machine: Kafka and PostgreSQL, the twin, the four services, each a process that can be stopped, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from parley.demo import premises
from parley.demo.premises import Premises
from parley.local import Places, Stack, StackError, free_port
from parley.local.server import Server
from parley.settings import PORTS, Settings

SERVICES = tuple(PORTS)
START_WITHIN = 60.0
ASK_WITHIN = aiohttp.ClientTimeout(total=5)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Terms:
    """How a Parley is run here. `ports` by name; those that are missing are any free ones. `settings` may name a Kafka and a PostgreSQL already.

    `honour_keys`: whether the providers know a repeated Idempotency-Key, and our accounts rely on it; None: as accounts.yaml says.
    """

    settings: Settings
    data: Path = Path(".parley")
    ports: Mapping[str, int] | None = None
    seed: int = 0
    honour_keys: bool | None = None
    places: Places | None = None


USUAL: Mapping[str, int] = {**PORTS, "twin": 9100}
"""The ports of `parley demo`, which a reader of the README can look at."""


class Child(Server):
    """A service or the twin as a process of its own. Never outlives us (see `Server`)."""

    def __init__(self, name: str, port: int, log: Path, arguments: Sequence[str], env: Mapping[str, str], health: str) -> None:
        super().__init__(name, port, "", log, self._ready)
        self._command, self._env = [sys.executable, "-m", "parley", name, *arguments], env
        self.url = f"http://127.0.0.1:{port}"
        self._health = self.url + health

    async def start(self, _: Say = lambda _: None) -> None:
        """Returns once it is ready. Raises `StackError` with the end of its log when it does not become so."""
        await self.launch(self._command, self._env, START_WITHIN)

    def check_port(self) -> None:
        try:
            super().check_port()
        except StackError as error:
            raise StackError(f"port {self.port} is in use, so {self.name} cannot start: stop what listens there, or add --free-ports") from error

    async def _ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with aiohttp.ClientSession(timeout=ASK_WITHIN) as session, session.get(self._health) as answer:
                return answer.status == 200
        return False


class Fleet:
    """All processes by name: `ingest`, `router`, `sender`, `analytics`, `twin`, and `kafka` and `postgres` where they are ours."""

    def __init__(self, settings: Settings, papers: Premises, ports: Mapping[str, int], logs: Path, terms: Terms, stack: Stack | None) -> None:
        self.settings, self.premises, self.logs, self.stack = settings, papers, logs, stack
        twin = ("--port", str(ports["twin"]), "--ledger", str(papers.ledger), "--seed", str(terms.seed))
        keys = "--no-honour-keys" if terms.honour_keys is False else "--honour-keys"
        self._children = {"twin": Child("twin", ports["twin"], logs / "twin.log", (*twin, keys), {}, "/healthz")}
        for name in SERVICES:
            self._children[name] = Child(name, ports[name], logs / f"{name}.log", (), self._environment(ports[name], ports["ingest"]), "/readyz")
        self.servers: dict[str, Any] = {**self._children}
        if stack is not None:
            self.servers |= {"kafka": stack.kafka_server, "postgres": stack.postgres_server}

    def url(self, name: str) -> str:
        return self._children[name].url

    async def start(self) -> None:
        """Starts the twin, then the services side by side, until all are ready."""
        for child in self._children.values():
            child.check_port()
        await self.start_one("twin")
        started = await asyncio.gather(*(self._children[name].start() for name in SERVICES), return_exceptions=True)
        for one in started:
            if isinstance(one, BaseException):
                raise one

    async def stop(self) -> None:
        """Stops the services in order, then the twin; Kafka and PostgreSQL are whose who started them."""
        await asyncio.gather(*(self._children[name].stop() for name in SERVICES))
        await self._children["twin"].stop()

    async def start_one(self, name: str) -> None:
        """Starts one process that is not running; the twin gets its accounts again. Raises `StackError`."""
        await self.servers[name].start()
        if name == "twin":
            await self._open_accounts()

    async def stop_one(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Stops one process cleanly; PostgreSQL by its own fast way."""
        server = self.servers[name]
        await (server.stop() if name == "postgres" else server.stop(number))

    async def kill(self, name: str) -> None:
        """SIGKILL, as a power cut would."""
        await self.servers[name].kill()

    async def restart(self, name: str) -> None:
        """A clean stop and a start."""
        await self.stop_one(name)
        await self.start_one(name)

    async def behave(self, behaviours: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Sets how the providers behave (see docs/twin.md)."""
        await self._tell("/control/behaviour", behaviours)

    async def _open_accounts(self) -> None:
        """The accounts of the configuration, as the provider knows them."""
        for name, one in self.premises.config.accounts.items():
            if one.provider == premises.HERE:
                continue
            secrets = {key: values[0] for key, values in one.credentials.items()}
            body = {"provider": one.provider, "channel": one.channel, "sender": one.sender, "credentials": secrets, "hook_url": one.public_url}
            await self._tell(f"/control/accounts/{name}", body)

    async def _tell(self, path: str, body: Mapping[str, Any]) -> None:
        async with aiohttp.ClientSession(timeout=ASK_WITHIN) as session, session.put(self.url("twin") + path, json=body) as answer:
            if answer.status != 200:
                raise StackError(f"the twin refuses {path}: {(await answer.json())['error']}")

    def _environment(self, port: int, ingest: int) -> dict[str, str]:
        settings = self.settings
        return {
            **self.premises.variables,
            "PARLEY_KAFKA": settings.kafka,
            "PARLEY_DATABASE": settings.database.get_secret_value(),
            "PARLEY_CONFIG": str(self.premises.directory),
            "PARLEY_LINKS": f"http://127.0.0.1:{ingest}",
            "PARLEY_HOST": "127.0.0.1",
            "PARLEY_PORT": str(port),
            "PARLEY_PREFIX": settings.prefix,
            "PARLEY_PARTITIONS": str(settings.partitions),
            "PARLEY_LOG": "json",
            "PARLEY_PACKS": "off",  # nobody is there to be woken: a demo looks the same at night
            "PARLEY_SPOOL": str(self.logs.resolve().parent / "spool"),
        }


@contextlib.asynccontextmanager
async def running(terms: Terms, say: Say = lambda _: None) -> AsyncIterator[Fleet]:
    """A fleet, started; everything that was started is stopped at the end. Raises `StackError` and `ConfigError` in a sentence."""
    data, ports = terms.data.resolve(), _ports(terms.ports or {})
    async with _stack(terms, data, say) as (settings, stack):
        folder = data / ("demo" if stack is not None else f"demo-{_mark(settings)}")
        ingest, twin = f"http://127.0.0.1:{ports['ingest']}", f"http://127.0.0.1:{ports['twin']}"
        papers = premises.prepare(folder, settings.config, ingest, twin, terms.honour_keys)
        fleet = Fleet(settings, papers, ports, data / "logs", terms, stack)
        say("starting the provider twin, ingest, router, sender and analytics")
        try:
            await fleet.start()
            yield fleet
        finally:
            say("stopping the services")
            await fleet.stop()


@contextlib.asynccontextmanager
async def _stack(terms: Terms, data: Path, say: Say) -> AsyncIterator[tuple[Settings, Stack | None]]:
    """Settings with servers behind them, and the servers where they are ours."""
    settings = terms.settings
    if settings.kafka and settings.database.get_secret_value():
        say("using the Kafka and PostgreSQL of PARLEY_KAFKA and PARLEY_DATABASE")
        yield settings, None
        return
    if settings.kafka or settings.database.get_secret_value():
        raise StackError("set both PARLEY_KAFKA and PARLEY_DATABASE to use your own servers, or neither to have both started here")
    stack = Stack(terms.places or Places.of_environment(data))
    say("starting Apache Kafka 4.4 and PostgreSQL 18")
    await stack.start(say)
    try:
        yield Settings(**{**settings.model_dump(), "kafka": stack.kafka, "database": stack.database}), stack
    finally:
        say("stopping Kafka and PostgreSQL")
        await stack.stop()


def _ports(given: Mapping[str, int]) -> dict[str, int]:
    return {name: given.get(name) or free_port() for name in USUAL}


def _mark(settings: Settings) -> str:
    """A name for somebody else's servers: ledger and run numbers belong to the data they were made with."""
    place = f"{settings.kafka} {settings.database.get_secret_value()} {settings.prefix}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]

"""Both servers together: `parley up`, the demo and the tests."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from parley.local.kafka import Kafka
from parley.local.postgres import Postgres
from parley.local.server import StackError
from parley.settings import Settings

KAFKA_PORT = 19092
POSTGRES_PORT = 15432


@dataclass(frozen=True)
class Places:
    """Where the stack keeps its data and listens. `heap`: MiB of Kafka's; ten thousand partitions, as many tests make, need more than a demo."""

    data: Path = Path(".parley")
    kafka_port: int = KAFKA_PORT
    postgres_port: int = POSTGRES_PORT
    heap: int = 384

    @classmethod
    def of_environment(cls, data: Path = Path(".parley")) -> Places:
        """The usual places, with ports from PARLEY_KAFKA_PORT and PARLEY_POSTGRES_PORT. Raises `StackError` for what is no port."""
        found: dict[str, int] = {}
        for name, usual in (("PARLEY_KAFKA_PORT", KAFKA_PORT), ("PARLEY_POSTGRES_PORT", POSTGRES_PORT)):
            text = os.environ.get(name, str(usual))
            if not (text.isdigit() and 0 < int(text) < 65536):
                raise StackError(f"{name} is {text!r}: set a port between 1 and 65535")
            found[name] = int(text)
        return cls(data, found["PARLEY_KAFKA_PORT"], found["PARLEY_POSTGRES_PORT"])


class Stack:
    """Kafka and PostgreSQL on this machine, over one data folder; a second start takes over what is there."""

    def __init__(self, places: Places, postgres: Mapping[str, str] | None = None) -> None:
        """`postgres`: settings of its server beside the usual ones."""
        folder = places.data.resolve()
        self.kafka_server = Kafka(folder / "kafka", places.kafka_port, places.heap)
        self.postgres_server = Postgres(folder / "postgres", places.postgres_port, postgres)
        self.kafka, self.database = self.kafka_server.address, self.postgres_server.address
        self._folder = folder
        self._lock: IO[str] | None = None

    async def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Starts both. Raises `StackError`, with nothing left running."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._hold()
        try:
            self.kafka_server.check_port()
            self.postgres_server.check_port()
            started = await asyncio.gather(self.postgres_server.start(say), self.kafka_server.start(say), return_exceptions=True)
            for one in started:
                if isinstance(one, BaseException):
                    raise one
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops both cleanly."""
        await asyncio.gather(self.kafka_server.stop(), self.postgres_server.stop())
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _hold(self) -> None:
        """Two stacks on one folder would ruin it; the lock goes with the process, however that ends."""
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise StackError(f"a stack is running on {self._folder} already: use it, or stop it first") from error


@contextlib.asynccontextmanager
async def serving(settings: Settings, places: Places, say: Callable[[str], None]) -> AsyncIterator[Settings]:
    """Settings with servers behind them: those that are named already, else the local stack's, stopped at the end."""
    if settings.kafka and settings.database.get_secret_value():
        say("using the Kafka and PostgreSQL of PARLEY_KAFKA and PARLEY_DATABASE")
        yield settings
        return
    stack = Stack(places)
    say("starting Apache Kafka 4.4 and PostgreSQL 18")
    await stack.start(say)
    try:
        yield Settings(
            **{**settings.model_dump(), "kafka": settings.kafka or stack.kafka, "database": settings.database.get_secret_value() or stack.database}
        )
    finally:
        say("stopping Kafka and PostgreSQL")
        await stack.stop()

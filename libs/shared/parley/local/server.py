"""A server as a child process: started, known to answer, stopped cleanly or killed, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

STOP_WITHIN = 30.0
PR_SET_PDEATHSIG = 1


class StackError(RuntimeError):
    """The local stack cannot run here: one sentence with the way out."""


def free_port() -> int:
    """A port that nobody listens on now, drawn from below those that systems give to connections: none of them takes it before it is used, or
    while its server is away. Two processes that ask at once hardly draw the same."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def taken(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def as_child(user: int | None = None) -> Callable[[], None]:
    """What a child does before its program starts: becomes `user`, and asks the kernel to end it when the parent is killed (Linux): nothing may
    go on with the data behind our back. By hand, for uvloop's subprocesses know no `user`."""

    def become() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return become


class Server:
    """One server process. Its output goes to `log`; `answers` tells whether it is of use yet."""

    def __init__(self, name: str, port: int, variable: str, log: Path, answers: Callable[[], Awaitable[bool]]) -> None:
        self.name, self.port, self.log = name, port, log
        self._variable, self._answers = variable, answers
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def check_port(self) -> None:
        """Raises `StackError` when somebody else listens on the port."""
        if taken(self.port):
            raise StackError(
                f"port {self.port} is in use, so {self.name} cannot start: stop what listens there, or set {self._variable} to another port"
            )

    async def launch(self, command: Sequence[str], env: Mapping[str, str], within: float, user: int | None = None) -> None:
        """Starts the process and returns once it answers. Raises `StackError` with the end of its log when it does not."""
        self.check_port()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL, cwd="/", env={**os.environ, **env},
                start_new_session=True,  # a terminal's Ctrl-C is for us; we stop the children in order
                preexec_fn=as_child(user),
            )  # fmt: skip
        answered = False
        try:
            async with asyncio.timeout(within):
                while not await self._answers():
                    if not self.alive:
                        raise StackError(f"{self.name} ended at its start; its log {self.log} closes with:\n{self.tail()}")
                    await asyncio.sleep(0.05)
            answered = True
        except TimeoutError as error:
            raise StackError(f"{self.name} did not answer within {within:.0f} s; its log {self.log} closes with:\n{self.tail()}") from error
        finally:
            if not answered:
                await self.stop(signal.SIGKILL)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stops the process and waits for its end; kills it when it takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        await self.stop(signal.SIGKILL)

    def tail(self, lines: int = 12) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

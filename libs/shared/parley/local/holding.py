"""`parley up`: the local stack, held until somebody ends it, with the lines that tell other commands where it is."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from parley.local.server import StackError
from parley.local.stack import Places, Stack
from parley.settings import Settings

LOOK_EVERY = 0.5
"""Seconds between two looks whether the servers are alive."""

Say = Callable[[str], None]


async def hold(settings: Settings, data: Path, give: Say, say: Say) -> None:
    """Runs both servers until SIGINT or SIGTERM, then stops them cleanly; `give` gets the lines to set, `say` the progress.

    Does nothing where the settings name servers already. Raises `StackError` when they cannot start, or one of them ends by itself.
    """
    named = (bool(settings.kafka), bool(settings.database.get_secret_value()))
    if all(named):
        say("PARLEY_KAFKA and PARLEY_DATABASE are set, so those servers are used and there is nothing to start")
        return
    if any(named):
        raise StackError("one of PARLEY_KAFKA and PARLEY_DATABASE is set: set both to use servers of your own, or none for those of `parley up`")
    stack = Stack(Places.of_environment(data))
    with ending() as ended:
        if not await _done(stack.start(say), ended):
            return
        try:
            _tell(stack, data, give, say)
            await _watch(stack, ended)
        finally:
            say("stopping Kafka and PostgreSQL")
            await stack.stop()


@contextlib.contextmanager
def ending() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set, in place of what they do otherwise."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _done(work: Coroutine[Any, Any, None], ended: asyncio.Event) -> bool:
    """Whether `work` was done; it is left when `ended` comes first: nobody waits for a start that is not needed any more."""
    task, stop = asyncio.create_task(work), asyncio.create_task(ended.wait())
    await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if task.cancel():
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return False
    await task
    return True


def _tell(stack: Stack, data: Path, give: Say, say: Say) -> None:
    say(f"Apache Kafka and PostgreSQL are up; their data and logs are in {data}. For the other commands, in another terminal:")
    give(f"export PARLEY_KAFKA={stack.kafka} PARLEY_DATABASE={stack.database}")
    say("Ctrl-C stops both; the next `parley up` takes over what is there")


async def _watch(stack: Stack, ended: asyncio.Event) -> None:
    """Returns when `ended` is set. Raises `StackError` when a server is gone: half a stack is none."""
    while not ended.is_set():
        for server in (stack.kafka_server, stack.postgres_server):
            if not server.alive:
                raise StackError(f"{server.name} has ended by itself; its log {server.log} closes with:\n{server.tail()}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), LOOK_EVERY)

"""`parley demo`: starts a Parley, lets customers come, shows what happens, and says at the end whether everything held."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from rich.console import Console
from rich.live import Live

from parley.demo import audit, evidence, fleet
from parley.demo.actor import Actor, Places
from parley.demo.customers import customers
from parley.demo.figures import Counting, counting
from parley.demo.fleet import USUAL, Fleet, Terms
from parley.demo.quiet import quiet
from parley.demo.summary import Summary, in_words, table
from parley.local import StackError
from parley.settings import Settings

REFRESH = 0.5
TOLD_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal to draw a table in."""
GOOD, BAD, INTERRUPTED = 0, 1, 130
"""Exit statuses."""
KEYS = ("shop", "staff")


@dataclass(frozen=True)
class Options:
    """What the command line says. `free_ports`: any, where the usual ones are wanted by somebody else."""

    customers: int = 200
    seed: int = 1
    once: bool = False
    json: bool = False
    data: Path = Path(".parley")
    free_ports: bool = False


def run(settings: Settings, options: Options) -> int:
    """Runs the demo; gives the exit status. Raises `StackError` and `ConfigError` when it cannot run here."""
    return asyncio.run(_interruptible(settings, options))


async def _interruptible(settings: Settings, options: Options) -> int:
    """Ctrl-C and SIGTERM end the customers' coming and going; a second one, or one before they came, ends everything at once, in order."""
    stage = Stage(Console(stderr=True))
    playing = asyncio.create_task(stage.perform(settings, options))

    def interrupt() -> None:
        if stage.playing and not stage.stopping.is_set():
            stage.stopping.set()
        else:
            playing.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await playing
    except asyncio.CancelledError:
        stage.console.print("ended before the summary")
        return INTERRUPTED


class Stage:
    """One performance, on one console. `stopping` is set when no more customers shall come."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.playing = False
        self.stopping = asyncio.Event()

    async def perform(self, settings: Settings, options: Options) -> int:
        """From the start of the servers to their stop."""
        begun = time.monotonic()
        terms = Terms(settings, options.data, {} if options.free_ports else USUAL, options.seed)
        async with fleet.running(terms, self.say) as parley, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            actor = Actor(_places(parley), session)
            async with counting(parley) as count:
                self.playing = True
                people = await self._play(parley, actor, count, options)
                self.say("waiting until everything has come to rest")
                restless = await quiet(parley)
                found = await evidence.gather(parley.settings, parley.premises.config, parley.premises.ledger)
                rows = await count.rows()
                summary = Summary(people, count.totals(rows), audit.judge(found), restless, actor.troubles, time.monotonic() - begun)
            self._show(summary, in_words(summary, rows), options)
        return GOOD if summary.good else BAD

    def say(self, progress: str) -> None:
        self.console.print(progress, highlight=False, markup=False, soft_wrap=True)

    async def _play(self, parley: Fleet, actor: Actor, count: Counting, options: Options) -> int:
        """Run after run of new customers, one with `once`; gives how many came."""
        people = 0
        async with self._shown(count, lambda: f"{people} customers, {actor.done} through"):
            while not self.stopping.is_set():
                number = parley.premises.next_run()
                coming = customers(options.seed, number, options.customers)
                people += len(coming)
                count.tell(coming)
                if not await self._unless_stopped(actor.play_all(coming)) or options.once:
                    break
                if people == len(coming):
                    self.say(where_to_look(parley))
        return people

    async def _unless_stopped(self, playing: Coroutine[Any, Any, None]) -> bool:
        """Whether the run went to its end."""
        going, stop = asyncio.create_task(playing), asyncio.create_task(self.stopping.wait())
        await asyncio.wait((going, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not going.done():
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            return False
        await going
        return True

    @contextlib.asynccontextmanager
    async def _shown(self, count: Counting, title: Callable[[], str]) -> AsyncIterator[None]:
        """The figures while it runs: a table in a terminal, else a line every few seconds."""
        showing = asyncio.create_task(self._draw(count, title) if self.console.is_terminal else self._tell(count, title))
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    async def _draw(self, count: Counting, title: Callable[[], str]) -> None:
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                rows = await count.rows()
                live.update(table(rows, count.totals(rows), title()), refresh=True)
                await asyncio.sleep(REFRESH)

    async def _tell(self, count: Counting, title: Callable[[], str]) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY)
            totals = count.totals(await count.rows())
            p99 = f"{totals.p99_ms:.0f}" if totals.p99_ms is not None else "-"
            self.say(f"{title()}: {totals.received} received, {totals.answered} answered, {totals.sent} sent, {totals.queue} queued, p99 {p99} ms")

    def _show(self, summary: Summary, words: object, options: Options) -> None:
        """For people on standard error with `json`, whose last line of standard output is the figures; else on standard output."""
        (self.console if options.json else Console(file=sys.stdout)).print(words, soft_wrap=True)
        if options.json:
            sys.stdout.write(orjson.dumps(summary.as_json()).decode() + "\n")
            sys.stdout.flush()


def where_to_look(parley: Fleet) -> str:
    """What a curious reader can open meanwhile."""
    staff = parley.premises.tokens["staff"]
    lines = [f"{name:<10} {parley.url(name)}/readyz  {parley.url(name)}/metrics" for name in ("ingest", "router", "sender", "analytics")]
    asking = f"curl -H 'Authorization: Bearer {staff}' '{{}}'"
    return "\n".join([
        "It goes on with new customers until Ctrl-C. Where to look meanwhile:", *(f"  {one}" for one in lines),
        f"  the twin's ledger  {parley.url('twin')}/ledger?format=jsonl",
        "  rates              " + asking.format(f"{parley.url('analytics')}/v1/rates?group_by=campaign,channel,variant"),
        "  who waits          " + asking.format(f"{parley.url('router')}/v1/conversations"),
        f"  logs               {parley.logs}",
    ])  # fmt: skip


def _places(parley: Fleet) -> Places:
    tokens: Mapping[str, str] = parley.premises.tokens
    if missing := [name for name in KEYS if name not in tokens]:
        raise StackError(f"the demo needs the keys shop and staff in accounts.yaml; missing: {', '.join(missing)}. config/ has them")
    return Places(parley.url("twin"), parley.url("ingest"), parley.url("router"), tokens["shop"], tokens["staff"])

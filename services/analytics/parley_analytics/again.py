"""`parley replay analytics`: every number made anew from the log, beside the live ones, and put in their place while the service goes on.

The stages read the log up to where the service stands, into a schema beside. Once they stand at nearly the same place the schemas are swapped; what the live
one had read beyond that is read then, in turn with the service, which finds its cursors moved and goes on from there. Facts do not mind order, repeats or
cuts: the digits are those of the live tables, wherever these were right. A run that was interrupted goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import structlog
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from parley import config, database, history
from parley.bus import Bus
from parley.config import Config
from parley.cursor import Place
from parley.database import Pool
from parley.history import Held
from parley.metrics import Metrics
from parley.service import Context, Parts, Worker
from parley.settings import Settings, SettingsError
from parley_analytics import rebuild
from parley_analytics.app import SERVICE
from parley_analytics.rebuild import BEFORE, LIVE, NEXT, Note
from parley_analytics.rereading import Reading, Told
from parley_analytics.rolling import Rolling

NEAR = 2_000
"""Records that the swap may leave to be read behind it: a second's work."""
ROUNDS = 100
"""Times that the log is read up to where the service stands; a service that keeps running ahead is swapped where it is then."""
TRIES = 100
"""Times that a swap waits for the tables."""
LOCK = 1_634_628_732
"""Our advisory lock in the database (any number that nobody else uses): one replay at a time."""

log = structlog.get_logger()


async def run(settings: Settings, since: datetime | None, *, dry_run: bool) -> None:
    """The whole command, with progress and a table. Raises `SettingsError` for what cannot be replayed."""
    console = Console()
    async with contextlib.AsyncExitStack() as stack:
        again = await stack.enter_async_context(ready(settings, console))
        if dry_run:
            console.print(would_differ(await again.compare(since)))
        else:
            console.print(table(await again.run(since)))


@contextlib.asynccontextmanager
async def ready(settings: Settings, console: Console) -> AsyncIterator[Again]:
    """All that a replay needs; nobody else replays meanwhile."""
    configuration, address = config.load(settings.config), settings.database.get_secret_value()
    async with contextlib.AsyncExitStack() as stack:
        connection = await database.single(address, LIVE)
        stack.push_async_callback(connection.close)
        live, beside = [await stack.enter_async_context(await database.connect(address, schema, size=8)) for schema in (LIVE, NEXT)]
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise SettingsError("another replay of analytics is running: wait for its end")
        if await rebuild.applied(connection, LIVE) != sorted(name for name, _ in database.migrations(*SERVICE.packages)):
            raise SettingsError(f"the tables in {LIVE} are not those of this version: start `parley analytics` of this version first")
        yield Again(settings, configuration, connection, live, beside, console)


@contextlib.asynccontextmanager
async def summing_up(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Meanwhile what is counted is summed up by days, as beside the service: else all of it would lie there to be folded at the end."""
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(one.run(stopping)) for one in workers if isinstance(one, Rolling)]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


def note_of(held: Mapping[Place, Held], since: datetime | None, migrations: list[str]) -> Note:
    """From where everything is made anew: from nothing, as long as the log holds all that ever came; else the log since a moment is read over what is there.

    Facts reach over any moment (a click belongs to a message of last week), so a moment alone is no reason to begin with less than everything.
    Raises `SettingsError` where the beginning of the log is gone and no moment is given.
    """
    gone = {place: one.first for place, one in sorted(held.items()) if one.first > 0}
    if not gone:
        return Note("", migrations)
    if since is None:
        place, first = next(iter(gone.items()))
        raise SettingsError(
            f"the log does not reach back to its beginning ({place.topic}/{place.partition} begins at {first}): what only it could tell would be lost."
            " Say --from a moment: what was counted stays, and the log since then is read over it"
        )
    return Note(since.isoformat(), migrations)


def table(readings: Sequence[Reading]) -> Table:
    """What was read, by stage."""
    made = Table("stage", "records", "not to be processed", title="made anew")
    for name in dict.fromkeys(one.stage.name for one in readings):
        same = [one for one in readings if one.stage.name == name]
        made.add_row(name, f"{sum(one.records for one in same):,}", f"{sum(one.dead for one in same):,}")
    return made


def would_differ(found: Mapping[str, int]) -> Table:
    """Where live numbers and those made anew are not the same."""
    made = Table("table", "rows that differ", title="made anew, and thrown away")
    for name, count in found.items():
        made.add_row(name, f"{count:,}")
    return made


@dataclass(frozen=True)
class Again:
    """A replay: `live` is a pool on the service's schema, `beside` one on ours. `connection`: one outside of both, which holds the lock."""

    settings: Settings
    configuration: Config
    connection: asyncpg.Connection[asyncpg.Record]
    live: Pool
    beside: Pool
    console: Console

    async def run(self, since: datetime | None) -> list[Reading]:
        """The whole replay, from where an interrupted one of the same kind was; gives what each stage read."""
        readings = await self._made(since, NEAR)
        await self._swap()
        return [*readings, *await self._finish()]

    async def compare(self, since: datetime | None) -> dict[str, int]:
        """What would differ, in rows by table; the live tables stay, and those beside are gone again."""
        await self._made(since, 0)
        found = await rebuild.differences(self.connection)
        await rebuild.drop(self.connection, NEXT)
        return found

    async def _made(self, since: datetime | None, near: int) -> list[Reading]:
        """The schema beside, up to `near` records as far as the live one."""
        await self._finish()
        parts = await self._parts(self.beside)
        held = await history.held(self.settings, sorted({topic for stage in parts.stages for topic in stage.topics}), since)
        note = note_of(held, since, await rebuild.applied(self.connection, LIVE))
        await self._prepare(note)
        async with self._progress() as told, summing_up(parts.workers):
            readings = [Reading(stage, self.beside, self.settings, told) for stage in parts.stages]
            await self._begin(readings, {place: one.since if note.since else one.first for place, one in held.items()})
            await self._catch_up(readings, near)
        return readings

    async def _parts(self, pool: Pool) -> Parts:
        """The service, over a schema."""
        bus = Bus(self.settings, client="parley-replay")
        return await SERVICE.build(Context(self.settings, self.configuration, pool, bus, Metrics()))

    async def _prepare(self, note: Note) -> None:
        """A schema beside as `note` says: the one that an interrupted run left, or a new one."""
        if await rebuild.noted(self.connection) == note == note._replace(migrations=await rebuild.applied(self.connection, NEXT)):
            self.console.print("an interrupted replay goes on where it was")
            return
        await rebuild.prepare(self.beside, self.connection, note, SERVICE.packages)

    async def _begin(self, readings: Sequence[Reading], starts: Mapping[Place, int]) -> None:
        """A cursor for every place at which the service has one: nobody reads further than the service does."""
        stood = await rebuild.standing(self.connection, LIVE)
        for one in readings:
            there = stood.get(one.stage.name, {})
            await one.begin({place: min(offset, starts.get(place, offset)) for place, offset in there.items()})

    async def _catch_up(self, readings: Sequence[Reading], near: int) -> None:
        """Reads until not more than `near` records are left, which is over when the service comes to a rest or is slower than this."""
        for _ in range(ROUNDS):
            stood = await rebuild.standing(self.connection, LIVE)
            await asyncio.gather(*(one.up_to(stood.get(one.stage.name, {})) for one in readings))
            stood = await rebuild.standing(self.connection, LIVE)
            if sum([end - start for one in readings for start, end in (await one.left(stood.get(one.stage.name, {}))).values()]) <= near:
                return

    async def _swap(self) -> None:
        """Swaps the schemas as soon as the tables are to be had."""
        for tries in range(TRIES):
            try:
                await rebuild.swap(self.connection)
                return
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                log.info("the tables are busy, trying again", cause=type(error).__name__, tries=tries + 1)
                await asyncio.sleep(0.2)
        raise SettingsError(
            f"the tables of {LIVE} were never free within {rebuild.LOCK_WITHIN}: end what keeps them locked, then begin again; it goes on from here"
        )

    async def _finish(self) -> list[Reading]:
        """After a swap: reads what the service had read beyond it, in turn with the service, and drops the old tables."""
        if not await rebuild.there(self.connection, BEFORE):
            return []
        stood = await rebuild.standing(self.connection, BEFORE)
        readings = [Reading(stage, self.live, self.settings, lambda _: None) for stage in (await self._parts(self.live)).stages]
        await asyncio.gather(*(one.up_to(stood.get(one.stage.name, {})) for one in readings))
        await rebuild.drop(self.connection, BEFORE)
        return readings

    @contextlib.asynccontextmanager
    async def _progress(self) -> AsyncIterator[Told]:
        with Progress(TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(), console=self.console, transient=True) as progress:
            task = progress.add_task("records read", total=None)
            yield lambda count: progress.advance(task, count)

"""`parley replay`: requests of the past, read again with the adapters as they are now. What they yield and never yielded before goes in; nothing twice.

A request that holds something new is put onto `parley.raw` once more, as it was; the normaliser does the rest, as for any repeat: it drops what it has
seen by its natural id. So an item that the old adapter did not see comes out, and one that it saw keeps the meaning that it had.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from aiokafka import ConsumerRecord
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from parley import config, cursor, database, history, step
from parley.bus import Bus
from parley.channels.shape import Engaged, Opted, Receipt, Received
from parley.config import Config
from parley.contracts import ConsentState, CustomerEvent, RawReceived, Record
from parley.cursor import Place
from parley.database import Pool
from parley.service import utc_now
from parley.settings import Settings, SettingsError
from parley.step import Arrived
from parley_ingest.normalise import Found, Normalise
from parley_ingest.repeats import KEPT

MARGIN = timedelta(hours=1)
TAKEN_WITHIN = 60.0
"""Seconds that the normaliser is waited for at the end."""


@dataclass
class Tally:
    """What was found."""

    requests: int = 0
    again: int = 0
    """Requests that hold something new."""
    not_yet: int = 0
    """Requests that the normaliser has not read yet: they are left to it."""
    seen: int = 0
    new: dict[UUID, str] = field(default_factory=dict)
    """What is new, by its natural id, in words."""
    unreadable: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Wanted:
    """Whose requests, and of which time."""

    account: str
    since: datetime
    until: datetime | None

    def __contains__(self, data: object) -> bool:
        if not isinstance(data, RawReceived) or data.account != self.account or data.received_at < self.since:
            return False
        return self.until is None or data.received_at < self.until


async def run(settings: Settings, account: str, since: datetime, until: datetime | None, *, dry_run: bool) -> bool:
    """The whole command, with progress and a table. False when the normaliser did not take in time what was put back. Raises `SettingsError`."""
    configuration = config.load(settings.config)
    check(configuration, account, since, utc_now())
    pool = await database.connect(settings.database.get_secret_value(), "ingest", size=2)
    bus = Bus(settings, client="parley-replay")
    console = Console()
    try:
        tally = await replay(settings, configuration, pool, bus, Wanted(account, since, until), dry_run=dry_run, console=console)
        console.print(table(tally, dry_run))
        return dry_run or await _taken(pool, tally, console)
    finally:
        await bus.stop()
        await pool.close()


def check(configuration: Config, account: str, since: datetime, now: datetime) -> None:
    """Raises `SettingsError` for what cannot be replayed without doubling."""
    if account not in configuration.accounts:
        raise SettingsError(f"--account {account}: there is no such account in accounts.yaml; known: {', '.join(configuration.accounts)}")
    if since < now - KEPT + MARGIN:
        raise SettingsError(
            f"--from: ids are remembered for {KEPT.days} days; of older requests nobody knows what they yielded, and all would come twice"
        )


async def replay(settings: Settings, configuration: Config, pool: Pool, bus: Bus, wanted: Wanted, *, dry_run: bool, console: Console) -> Tally:
    """Reads what is wanted, and puts back onto the bus what holds something new, in order."""
    tally, stage = Tally(), Normalise(configuration)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading parley.raw", total=None)
        async for stretch in history.read(settings, RawReceived.topic, wanted.since):
            cursors = await _cursors(pool, stage.name, stretch.records)
            found = list(_read(stretch.records, settings.prefix, stage, wanted, cursors, tally))
            records = [_again(arrived) for arrived in await _with_news(pool, found, tally)]
            if not dry_run:
                await bus.publish(records)
            progress.update(task, completed=stretch.done, total=stretch.total)
    return tally


def _read(
    records: Sequence[ConsumerRecord], prefix: str, stage: Normalise, wanted: Wanted, cursors: dict[Place, int], tally: Tally
) -> Iterator[tuple[Arrived, list[Found]]]:
    """The wanted requests, each with all that it says now."""
    for entry in step.decoded(records, prefix):
        if not isinstance(entry, Arrived) or entry.event.data not in wanted:
            continue
        if entry.offset >= cursors.get(entry.place, 0):
            tally.not_yet += 1
            continue
        tally.requests += 1
        try:
            yield entry, list(stage.read(entry))
        except Exception as error:  # whatever an adapter stumbles over makes a dead letter in the stage, too
            tally.unreadable[f"{type(error).__name__}: {error}"[:200]] += 1


async def _with_news(pool: Pool, found: Sequence[tuple[Arrived, list[Found]]], tally: Tally) -> list[Arrived]:
    """The requests that say something that was never seen."""
    ids = [one.id for _, said in found for one in said]
    rows = await pool.fetch("SELECT id FROM seen WHERE id = ANY($1::uuid[])", ids)
    seen = {row["id"] for row in rows}
    news: list[Arrived] = []
    for arrived, said in found:
        fresh = {one.id: words(one) for one in said if one.id not in seen and one.id not in tally.new}
        tally.seen += len(said) - len(fresh)
        tally.new |= fresh
        if fresh:
            tally.again += 1
            news.append(arrived)
    return news


async def _cursors(pool: Pool, stage: str, records: Iterable[ConsumerRecord]) -> dict[Place, int]:
    """Up to where the normaliser has read. Asked before its `seen` is: what it takes meanwhile counts as not yet read."""
    places = sorted({Place(record.topic, record.partition) for record in records})
    async with pool.acquire() as connection:
        return {place: one.next_offset for place, one in (await cursor.load(connection, stage, places)).items()}


async def _taken(pool: Pool, tally: Tally, console: Console) -> bool:
    """Waits for the normaliser to take what is new; says so when it does not."""
    left = set(tally.new)
    try:
        async with asyncio.timeout(TAKEN_WITHIN):
            while left:
                rows = await pool.fetch("SELECT id FROM seen WHERE id = ANY($1::uuid[])", list(left))
                left -= {row["id"] for row in rows}
                await asyncio.sleep(0.2 if left else 0)
    except TimeoutError:
        console.print(f"{len(left)} of {len(tally.new)} are on parley.raw, and no normaliser has taken them yet: is ingest running?")
        return False
    return True


def _again(arrived: Arrived) -> Record:
    record = arrived.record
    return RawReceived.topic, record.key or b"", list(record.headers), record.value or b""


def words(one: Found) -> str:
    """What was found, for people."""
    item = one.item
    if isinstance(item, Received):
        return f"message ({item.kind})"
    if isinstance(item, Receipt):
        return f"receipt ({item.status})"
    if isinstance(item, Opted):
        return "opt-out" if item.state is ConsentState.REVOKED else "opt-in"
    if isinstance(item, Engaged):
        return item.kind
    return f"event ({item.name})" if isinstance(item, CustomerEvent) else type(item).__name__.lower()


def table(tally: Tally, dry_run: bool) -> Table:
    """The figures: what was read, what is new, what still cannot be read."""
    made = Table("what", "count", title="would be new" if dry_run else "replayed")
    made.add_row("requests read", f"{tally.requests:,}")
    made.add_row("items seen before: they stay as they are", f"{tally.seen:,}")
    for what, count in sorted(Counter(tally.new.values()).items()):
        made.add_row(Text(f"new: {what}"), f"{count:,}")
    for why, count in tally.unreadable.most_common(10):
        made.add_row(Text(f"still unreadable: {why}"), f"{count:,}")
    if tally.not_yet:
        made.add_row("requests that the normaliser has not read yet: left to it", f"{tally.not_yet:,}")
    made.add_row("requests put back" if not dry_run else "requests that would be put back", f"{tally.again:,}")
    return made

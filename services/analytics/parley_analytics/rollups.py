"""Which sums a report is read from, and the SQL that makes them: by more dimensions or by fewer, each of them by day and by month. Pure.

Sums are of whole days of the tenant's zone; what a report asks for beyond them, before its first midnight or since its last one, is read by quarters of an
hour: from the counters, or, where it is about few values, from sums as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from parley_analytics.query import BROAD, DIMENSIONS
from parley_analytics.rates import COUNTS


class Source(NamedTuple):
    """A table of counters: what its rows are told apart by beside cell and period, and what is summed."""

    table: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]


AMOUNTS = ("revenue", "cost")
"""The sums that are decimals."""
COUNTERS = Source("counters", (), COUNTS)
MONEY = Source("money", ("currency",), ("orders", "revenue", "cost"))
REASONS = Source("reasons", ("status", "reason"), ("messages",))
SOURCES = (COUNTERS, MONEY, REASONS)

OWNED = "owned"
"""Whether it is of a campaign: what is told of that in broad sums."""


class Level(NamedTuple):
    """Sums by some dimensions of a tenant. `name`: what their tables are called by; `grains`: of which times there are sums."""

    name: str
    dimensions: tuple[str, ...]
    grains: tuple[str, ...] = ("days", "months")

    def table(self, grain: str) -> str:
        return f"{self.name}_{grain}"

    def without(self, name: str, *dropped: str) -> Level:
        return Level(name, tuple(one for one in self.dimensions if one not in dropped))


BROADS = Level("broad", (*BROAD, OWNED), ("quarters", "days", "months"))
CELLS = Level("cell", DIMENSIONS)
STEPS, CAMPAIGNS = CELLS.without("step", "campaign"), CELLS.without("campaign", "flow", "step")
LEVELS = (BROADS, STEPS, CAMPAIGNS, CELLS)
"""Those with the fewest rows first."""

COUNTED, DELTAS = "", "deltas"
"""The counters themselves, and what became of them and is not folded yet: rows of cells."""


class Part(NamedTuple):
    """A time, and from which table of a source it is read: the counters and their changes, and sums by quarter, are of moments, the others of dates."""

    table: str
    since: datetime | date
    until: datetime | date

    @property
    def at(self) -> str:
        """The column that says when."""
        return "period" if isinstance(self.since, datetime) else "day"

    @property
    def named(self) -> bool:
        """Whether the dimensions stand in its rows."""
        return self.table not in (COUNTED, DELTAS)


def parts(since: datetime, until: datetime, zone: ZoneInfo, level: Level | None, grain: str) -> list[Part]:
    """How a time is read from a level's sums that are no coarser than `grain` (quarters, days, months), each moment once; without a level: from counters."""
    quarters = level.table("quarters") if level is not None and "quarters" in level.grains else COUNTED
    first, last = _whole_days(since, until, zone)
    if level is None or grain == "quarters" or first >= last:
        return [Part(quarters, since, until), *([Part(DELTAS, since, until)] if quarters else [])]
    begin, end = midnight(first, zone), midnight(last, zone)
    edges = [part for part in (Part(quarters, since, begin), Part(quarters, end, until)) if part.since != part.until]
    changed = Part(DELTAS, since, until) if quarters else Part(DELTAS, begin, end)
    return [*edges, changed, *(Part(level.table(of), *times) for of, *times in _whole(first, last, grain))]


def _whole(first: date, last: date, grain: str) -> list[tuple[str, date, date]]:
    """Days from `first` until before `last`, whole months of them as such where `grain` allows that."""
    begin, end = _next_month(first - timedelta(days=1)), last.replace(day=1)
    if grain != "months" or begin >= end:
        return [("days", first, last)]
    return [one for one in (("days", first, begin), ("months", begin, end), ("days", end, last)) if one[1] != one[2]]


def _whole_days(since: datetime, until: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """The first day that begins in this time, and the one that is not over in it."""
    first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    return (first if midnight(first, zone) == since else first + timedelta(days=1)), last


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins: where there is no midnight, as clocks go forward, that moment; where there are two, the first."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def folding(source: Source) -> str:
    """Takes what became of the counters into the sums, for tenants who have any. Only one may fold at a time.

    Most changes are of few rows, again and again: they are added up before anything else is done with them.
    """
    keys = ", ".join(("cell_id", "period", *source.keys))
    return (
        f"WITH told AS (DELETE FROM {source.table}_deltas RETURNING *),"
        f" changed AS (SELECT {keys}, {', '.join(f'sum({signed(name)}) AS {name}' for name in source.sums)} FROM told GROUP BY {keys}),"
        f" placed AS MATERIALIZED ({_placed('changed', 'zone')} JOIN rolled_zones USING (tenant)), {_adding(source)}"
    )


def signed(name: str) -> str:
    """A change of a sum: counts as integers, which are added up several times as fast."""
    return f"sign * {name}" if name in AMOUNTS else f"(sign * {name})::integer"


def making(source: Source) -> str:
    """Makes the sums of tenant $1 in zone $2 from the counters; the old ones must be gone. Nobody may fold meanwhile."""
    return (
        f"WITH gone AS (DELETE FROM {source.table}_deltas USING cells WHERE {source.table}_deltas.cell_id = cells.cell_id AND tenant = $1),"
        f" placed AS NOT MATERIALIZED ({_placed(source.table, '$2')} WHERE tenant = $1), {_adding(source)}"
    )


def removing(source: Source) -> Sequence[str]:
    """Statements that take away the sums of tenant $1."""
    return [f"DELETE FROM {source.table}_{level.table(grain)} WHERE tenant = $1" for level in LEVELS for grain in level.grains]


def _placed(changes: str, zone: str) -> str:
    """Rows by cell and quarter with their day and their dimensions."""
    return f"SELECT {changes}.*, (period AT TIME ZONE {zone})::date AS day, tenant, {', '.join(DIMENSIONS)} FROM {changes} JOIN cells USING (cell_id)"


def _adding(source: Source) -> str:
    """Adds `placed` to all sums: to those of days and months from sums by cell and day, which are far fewer."""
    fine = ", ".join(("cell_id", "day", *source.keys))
    names = ", ".join(f"any_value({name}) AS {name}" for name in ("tenant", *DIMENSIONS))
    into = [_into(source, level, grain) for level in LEVELS for grain in level.grains]
    added = ", ".join(f"added_{number} AS ({statement})" for number, statement in enumerate(into[:-1]))
    return f"daily AS MATERIALIZED (SELECT {fine}, {names}, {_summed(source)} FROM placed GROUP BY {fine}), {added} {into[-1]}"


def _into(source: Source, level: Level, grain: str) -> str:
    """Adds rows to the sums of a level."""
    at = "period" if grain == "quarters" else "day"
    begin = "date_trunc('month', day::timestamp)::date" if grain == "months" else at
    keys = ("tenant", *level.dimensions, *source.keys)
    told, rows = ", ".join("campaign <> ''" if name == OWNED else name for name in keys), "placed" if grain == "quarters" else "daily"
    return (
        f"INSERT INTO {source.table}_{level.table(grain)} AS kept ({at}, {', '.join((*keys, *source.sums))})"
        f" SELECT {begin}, {told}, {_summed(source)} FROM {rows} GROUP BY {', '.join(str(place + 1) for place in range(len(keys) + 1))} ORDER BY 1"
        f" ON CONFLICT ({', '.join((at, *keys))}) DO UPDATE SET {', '.join(f'{name} = kept.{name} + excluded.{name}' for name in source.sums)}"
    )


def _summed(source: Source) -> str:
    return ", ".join(f"sum({name}) AS {name}" for name in source.sums)

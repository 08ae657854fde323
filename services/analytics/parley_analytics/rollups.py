"""Which sums a report is read from, and the SQL that makes them: by cell and day, by cell and month, by broad cell and day. Pure.

Sums are of whole days of the tenant's zone; what a report asks for beyond them, before its first midnight or since its last one, is read from the counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from parley_analytics.query import BROAD
from parley_analytics.rates import COUNTS

BROAD_ID = "md5(concat_ws(chr(31), tenant, channel, purpose, language))::uuid"


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


class Part(NamedTuple):
    """A time, and from where it is read: `quarters` and `deltas` are of moments, `days`, `months` and `broad` of dates."""

    level: str
    since: datetime | date
    until: datetime | date


def parts(since: datetime, until: datetime, zone: ZoneInfo, coarsest: str) -> list[Part]:
    """How a time is read with sums no coarser than `coarsest` (quarters, days, months, broad), each moment once."""
    first, last = _whole_days(since, until, zone)
    if coarsest == "quarters" or first >= last:
        return [Part("quarters", since, until)]
    begin, end = midnight(first, zone), midnight(last, zone)
    edges = [part for part in (Part("quarters", since, begin), Part("quarters", end, until)) if part.since != part.until]
    return [*edges, Part("deltas", begin, end), *_whole(first, last, coarsest)]


def _whole(first: date, last: date, coarsest: str) -> list[Part]:
    """Days from `first` until before `last`."""
    if coarsest != "months":
        return [Part(coarsest, first, last)]
    begin, end = _next_month(first - timedelta(days=1)), last.replace(day=1)
    if begin >= end:
        return [Part("days", first, last)]
    return [part for part in (Part("days", first, begin), Part("months", begin, end), Part("days", end, last)) if part.since != part.until]


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
    told = "".join(f"{key}, " for key in source.keys)
    levels = [_adding(source, level, "placed") for level in ("days", "months", "broad")]
    return (
        f"WITH told AS (DELETE FROM {source.table}_deltas RETURNING *),"
        f" changed AS (SELECT {keys}, {', '.join(f'sum({signed(name)}) AS {name}' for name in source.sums)} FROM told GROUP BY {keys}),"
        f" placed AS MATERIALIZED (SELECT cell_id, (period AT TIME ZONE zone)::date AS day, {told}{', '.join(source.sums)}, tenant, channel, purpose, language"
        f" FROM changed JOIN cells USING (cell_id) JOIN rolled_zones USING (tenant)), named AS ({_naming('placed')}),"
        f" days AS ({levels[0]}), months AS ({levels[1]}) {levels[2]}"
    )


def signed(name: str) -> str:
    """A change of a sum: counts as integers, which are added up several times as fast."""
    return f"sign * {name}" if name in AMOUNTS else f"(sign * {name})::integer"


def making(source: Source) -> str:
    """Makes the sums of tenant $1 in zone $2 from the counters; the old ones must be gone. Nobody may fold meanwhile."""
    told = f"{', '.join(source.keys)}{', ' if source.keys else ''}"
    keys = f"cell_id, day{''.join(', ' + key for key in source.keys)}"
    levels = [_adding(source, level, "placed") for level in ("days", "months", "broad")]
    return (
        f"WITH ours AS (SELECT cell_id, tenant, channel, purpose, language FROM cells WHERE tenant = $1),"
        f" gone AS (DELETE FROM {source.table}_deltas USING ours WHERE {source.table}_deltas.cell_id = ours.cell_id),"
        f" summed AS (SELECT {keys}, {', '.join(f'sum({name}) AS {name}' for name in source.sums)} FROM"
        f" (SELECT cell_id, (period AT TIME ZONE $2)::date AS day, {told}{', '.join(source.sums)} FROM {source.table} JOIN ours USING (cell_id)) AS each"
        f" GROUP BY {keys}),"
        f" placed AS MATERIALIZED (SELECT summed.*, tenant, channel, purpose, language FROM summed JOIN ours USING (cell_id)),"
        f" named AS ({_naming('placed')}), days AS ({levels[0]}), months AS ({levels[1]}) {levels[2]}"
    )


def removing(source: Source) -> Sequence[str]:
    """Statements that take away the sums of tenant $1."""
    cells = {"days": "cells", "months": "cells", "broad": "broads"}
    return [
        f"DELETE FROM {source.table}_{level} USING {names} WHERE {source.table}_{level}.cell_id = {names}.cell_id AND tenant = $1"
        for level, names in cells.items()
    ]


def _naming(rows: str) -> str:
    return (
        f"INSERT INTO broads (cell_id, tenant, {', '.join(BROAD)}) SELECT DISTINCT {BROAD_ID}, tenant, {', '.join(BROAD)} FROM {rows}"
        " ON CONFLICT DO NOTHING"
    )


def _adding(source: Source, level: str, rows: str) -> str:
    """Adds rows of days to the sums of a level."""
    cell = BROAD_ID if level == "broad" else "cell_id"
    day = "date_trunc('month', day::timestamp)::date" if level == "months" else "day"
    keys = f"cell_id, day{''.join(', ' + key for key in source.keys)}"
    places = ", ".join(str(number + 1) for number in range(2 + len(source.keys)))
    sums, table = ", ".join(source.sums), f"{source.table}_{level}"
    return (
        f"INSERT INTO {table} AS kept ({keys}, {sums}) SELECT {cell}, {day}{''.join(', ' + key for key in source.keys)},"
        f" {', '.join(f'sum({name})' for name in source.sums)} FROM {rows} GROUP BY {places} ORDER BY 2"
        f" ON CONFLICT ({keys}) DO UPDATE SET {', '.join(f'{name} = kept.{name} + excluded.{name}' for name in source.sums)}"
    )

"""What came of a tenant's conversations, from their counters: for the API and the pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from parley.database import Connection, Pool
from parley_analytics.reports import planned
from parley_analytics.stage import statement
from parley_analytics.talks_kpis import Kpis, Part, kpis, parts

VALUES, CURVES = 1000, 10
"""Values of an answer at most, and of one that tells each of them bucket by bucket: those with the most conversations. Nobody reads more curves."""

FEW = 20
"""Parts of time that are read one by one."""
COUNTED = (
    "SELECT value, what, place, n, {at} AS at FROM talk_counts AS c"
    " WHERE c.tenant = $1 AND c.dimension = $2 AND c.grain = {grain} AND c.period >= {since} AND c.period < {until}"
)
"""The counters of a part."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Conversations that began from `since` until just before `until`, both on a quarter of an hour.

    `group_by`: one of `talks.DIMENSIONS`; `bucket`: hour, day, week or month, as they begin in `zone`; `only`: a dimension and its value, '' for none, which
    is the one that `group_by` names where both are there: counters are kept by one dimension at a time.
    """

    since: datetime
    until: datetime
    zone: ZoneInfo
    group_by: str | None = None
    bucket: str | None = None
    only: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of a value of `group_by` ('' is none; None where nothing is asked for), and of the bucket that begins `at`, where there are any."""

    value: str | None
    at: datetime | None
    kpis: Kpis


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows, those with the most conversations first, each value's buckets in order of time, and the figures of all conversations asked for.

    A bucket without conversations has no row. `truncated`: there are more values than are told.
    """

    rows: list[Row]
    totals: Kpis
    truncated: bool


async def conversations(pool: Pool, tenant: str, asked: Asked) -> Summary:
    """What came of these conversations."""
    async with planned(pool) as connection:
        return await _summary(connection, tenant, asked)


async def _summary(connection: Connection, tenant: str, asked: Asked) -> Summary:
    stored = await connection.fetchval("SELECT zone FROM talk_zones WHERE tenant = $1", tenant)
    # Right after a tenant has moved to another zone the days are still those of the old one.
    fine = stored != str(asked.zone)
    whole = parts(asked.since, asked.until, asked.zone, None, quarters=fine)
    by, some = (asked.only[0], [asked.only[1]]) if asked.only else ("", None)
    total = await _rows(connection, tenant, by, some, whole)
    totals = total[0].kpis if total else kpis(())
    if asked.group_by is None and asked.bucket is None:
        return Summary([Row(None, None, totals)], totals, truncated=False)
    of = parts(asked.since, asked.until, asked.zone, asked.bucket, quarters=fine) if asked.bucket else whole
    if asked.group_by is None:
        return Summary([Row(None, row.at, row.kpis) for row in await _rows(connection, tenant, by, some, of)], totals, truncated=False)
    if asked.bucket is None:
        rows = sorted(await _rows(connection, tenant, asked.group_by, some, of), key=lambda row: -row.kpis.counts["opened"])
        return Summary(rows[:VALUES], totals, truncated=len(rows) > VALUES)
    largest = some or await _largest(connection, tenant, asked.group_by, CURVES + 1, whole)
    shown = {value: place for place, value in enumerate(largest[:CURVES])}
    rows = await _rows(connection, tenant, asked.group_by, list(shown), of)
    return Summary(sorted(rows, key=lambda row: shown[row.value or ""]), totals, truncated=len(largest) > CURVES)


async def _largest(connection: Connection, tenant: str, dimension: str, most: int, of: Sequence[Part]) -> list[str]:
    found = await connection.fetch(statement("talks_largest"), tenant, dimension, *_columns(of)[:3], most)
    return [row["value"] for row in found]


async def _rows(connection: Connection, tenant: str, dimension: str, values: Sequence[str] | None, of: Sequence[Part]) -> list[Row]:
    """The figures of these values, or of all, each with its buckets in order."""
    some = "" if values is None else "AND c.value = ANY($3::text[])"
    among = [] if values is None else [values]
    parts, arguments = (_one_by_one if len(of) <= FEW else _joined)(of, 3 + len(among), some)
    found = await connection.fetch(statement("talks").format(parts=parts), tenant, dimension, *among, *arguments)
    return [
        Row(value, at.astimezone(UTC) if at is not None else None, kpis([dict(row) for row in rows]))
        for (value, at), rows in groupby(found, key=lambda row: (row["value"], row["at"]))
    ]


def _one_by_one(of: Sequence[Part], first: int, some: str) -> tuple[str, list[object]]:
    """The counters of a few parts, and the arguments for that from $`first` on: a look into the index for each."""
    numbers = range(first, first + 4 * len(of), 4)
    parts = [f"{COUNTED.format(at=f'${one}::timestamptz', grain=f'${one + 1}', since=f'${one + 2}', until=f'${one + 3}')} {some}" for one in numbers]
    return " UNION ALL ".join(parts), [value for part in of for value in (part.at, part.grain, part.since, part.until)]


def _joined(of: Sequence[Part], first: int, some: str) -> tuple[str, list[object]]:
    """The same of many parts: to plan each of them would take longer than to join them."""
    columns = ", ".join(f"${first + place}::{kind}[]" for place, kind in enumerate(("text", "timestamptz", "timestamptz", "timestamptz")))
    counted = COUNTED.format(at="part.at", grain="part.grain", since="part.since", until="part.until")
    # OFFSET 0: a look into the index for every part, never a scan of all.
    joined = f"unnest({columns}) AS part (grain, since, until, at), LATERAL ({counted} {some} OFFSET 0) AS counted"
    return f"SELECT counted.* FROM {joined}", [*_columns(of)]


def _columns(of: Sequence[Part]) -> list[list[object]]:
    return [list(column) for column in zip(*of, strict=True)]

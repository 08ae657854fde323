"""What came of a tenant's conversations, from their counters: for the API and the pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from parley.database import Pool
from parley_analytics.stage import statement
from parley_analytics.talks_kpis import Kpis, Part, kpis, parts

VALUES, CURVES = 1000, 10
"""Values of an answer at most, and of one that tells each of them bucket by bucket: those with the most conversations. Nobody reads more curves."""


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
    stored = await pool.fetchval("SELECT zone FROM talk_zones WHERE tenant = $1", tenant)
    # Right after a tenant has moved to another zone the days are still those of the old one.
    fine = stored != str(asked.zone)
    whole = parts(asked.since, asked.until, asked.zone, None, quarters=fine)
    by, some = (asked.only[0], [asked.only[1]]) if asked.only else ("", None)
    total = await _rows(pool, tenant, by, some, whole)
    totals = total[0].kpis if total else kpis(())
    if asked.group_by is None and asked.bucket is None:
        return Summary([Row(None, None, totals)], totals, truncated=False)
    of = parts(asked.since, asked.until, asked.zone, asked.bucket, quarters=fine) if asked.bucket else whole
    if asked.group_by is None:
        return Summary([Row(None, row.at, row.kpis) for row in await _rows(pool, tenant, by, some, of)], totals, truncated=False)
    if asked.bucket is None:
        rows = sorted(await _rows(pool, tenant, asked.group_by, some, of), key=lambda row: -row.kpis.counts["opened"])
        return Summary(rows[:VALUES], totals, truncated=len(rows) > VALUES)
    largest = some or await _largest(pool, tenant, asked.group_by, CURVES + 1, whole)
    shown = {value: place for place, value in enumerate(largest[:CURVES])}
    rows = await _rows(pool, tenant, asked.group_by, list(shown), of)
    return Summary(sorted(rows, key=lambda row: shown[row.value or ""]), totals, truncated=len(largest) > CURVES)


async def _largest(pool: Pool, tenant: str, dimension: str, most: int, of: Sequence[Part]) -> list[str]:
    found = await pool.fetch(statement("talks_largest"), tenant, dimension, *_columns(of)[:3], most)
    return [row["value"] for row in found]


async def _rows(pool: Pool, tenant: str, dimension: str, values: Sequence[str] | None, of: Sequence[Part]) -> list[Row]:
    """The figures of these values, or of all, each with its buckets in order."""
    sql = statement("talks").format(some="" if values is None else "AND c.value = ANY($7::text[])")
    found = await pool.fetch(sql, tenant, dimension, *_columns(of), *([] if values is None else [values]))
    return [
        Row(value, at.astimezone(UTC) if at is not None else None, kpis([dict(row) for row in rows]))
        for (value, at), rows in groupby(found, key=lambda row: (row["value"], row["at"]))
    ]


def _columns(of: Sequence[Part]) -> list[list[object]]:
    return [list(column) for column in zip(*of, strict=True)]

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

ROWS = 1000
"""Rows of an answer at most: whole series of buckets, of the values with the most conversations."""


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

    A bucket without conversations has no row. `truncated`: there are more values.
    """

    rows: list[Row]
    totals: Kpis
    truncated: bool


async def conversations(pool: Pool, tenant: str, asked: Asked) -> Summary:
    """What came of these conversations."""
    stored = await pool.fetchval("SELECT zone FROM talk_zones WHERE tenant = $1", tenant)
    # Right after a tenant has moved to another zone the days are still those of the old one.
    fine = stored != str(asked.zone)
    by, value = asked.only or ("", None)
    total = await _rows(pool, tenant, by, value, 1, parts(asked.since, asked.until, asked.zone, None, quarters=fine))
    totals = total[0].kpis if total else kpis(())
    if asked.group_by is None and asked.bucket is None:
        return Summary([Row(None, None, totals)], totals, truncated=False)
    of = parts(asked.since, asked.until, asked.zone, asked.bucket, quarters=fine)
    most = max(1, ROWS // len({one.at for one in of}))
    rows = await _rows(pool, tenant, asked.group_by or by, value, most + 1, of)
    values = list(dict.fromkeys(row.value for row in rows))
    beyond = set(values[most:])
    shown = [row for row in rows if row.value not in beyond]
    if asked.group_by is None:
        shown = [Row(None, row.at, row.kpis) for row in shown]
    return Summary(shown, totals, truncated=len(values) > most)


async def _rows(pool: Pool, tenant: str, dimension: str, value: str | None, most: int, of: Sequence[Part]) -> list[Row]:
    found = await pool.fetch(statement("talks"), tenant, dimension, value, most, *(list(column) for column in zip(*of, strict=True)))
    return [
        Row(value, at.astimezone(UTC) if at is not None else None, kpis([dict(row) for row in rows]))
        for (value, at), rows in groupby(found, key=lambda row: (row["value"], row["at"]))
    ]

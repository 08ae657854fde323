"""The figures of conversations as files, as those of messages are: one row a value or bucket, one column a figure. Pure."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from parley_analytics.exports import as_text
from parley_analytics.talks_kpis import COUNTS, RATES, TIMES
from parley_analytics.talks_report import Asked, Summary


def columns(asked: Asked, found: Summary) -> dict[str, list[Any]]:
    """The table, column by column: dimension, bucket, counts, rates with their intervals, seconds, and the mean of ratings."""
    rows = found.rows
    table: dict[str, list[Any]] = {asked.group_by: [row.value or None for row in rows]} if asked.group_by else {}
    if asked.bucket:
        table["bucket"] = [row.at and row.at.astimezone(asked.zone) for row in rows]
    table |= {name: [row.kpis.counts[name] for row in rows] for name in COUNTS}
    for name in RATES:
        rates = [row.kpis.rates[name] for row in rows]
        # A count has the name of the rate beside it, so the rates say what they are.
        table |= {f"{name}_rate{end}": [None if one is None else one[place] for one in rates] for place, end in enumerate(("", "_low", "_high"))}
    for name in TIMES:
        times = [row.kpis.times[name] for row in rows]
        table |= {f"{name}_{part}_seconds": [None if one is None else one[place] for one in times] for place, part in enumerate(("median", "p90"))}
    return {**table, "rating_mean": [row.kpis.rating and row.kpis.rating.mean for row in rows]}


def comma_separated(asked: Asked, found: Summary) -> bytes:
    return as_text(columns(asked, found))


def parquet(asked: Asked, found: Summary) -> bytes:
    """Counts as integers, rates and seconds as doubles, buckets as moments in the tenant's zone."""
    import pyarrow as arrow  # large: whoever never exports does without it
    import pyarrow.parquet

    kinds = {"bucket": arrow.timestamp("us", tz=str(asked.zone)), asked.group_by: arrow.string(), **dict.fromkeys(COUNTS, arrow.int64())}
    fields = {name: arrow.array(values, kinds.get(name, arrow.float64())) for name, values in columns(asked, found).items()}
    written = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table(fields), written, compression="zstd")
    return written.getvalue()


WRITERS: Mapping[str, Callable[[Asked, Summary], bytes]] = {"csv": comma_separated, "parquet": parquet}

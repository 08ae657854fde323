"""Reports as files: CSV for spreadsheets, Parquet for programs. One row a line, one column a figure. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from parley_analytics.rates import COUNTS, RATES, RAW
from parley_analytics.reports import Line, Report

MEDIA = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula when a text begins with it."""
DIGITS = 9
"""Behind the point, of money in Parquet: more than any currency or price per message has."""


def columns(found: Report) -> dict[str, list[Any]]:
    """The table, column by column: dimensions, bucket, counts, rates with their intervals, and money by currency."""
    lines, asked = found.lines, found.query
    table: dict[str, list[Any]] = {name: [one.names[name] for one in lines] for name in asked.group_by}
    if asked.bucket:
        table["bucket"] = [one.bucket for one in lines]
    table |= {name: [one.counts[name] for one in lines] for name in COUNTS}
    for name in (*RATES, *RAW):
        rates = [one.rates[name] for one in lines]
        table |= {f"{name}{end}": [None if one is None else one[place] for one in rates] for place, end in enumerate(("", "_low", "_high"))}
    for currency in sorted({currency for one in lines for currency in one.money}):
        table |= {f"{figure}_{currency or 'none'}": [_money(one, currency, figure) for one in lines] for figure in ("orders", "revenue", "cost")}
    return table


def _money(line: Line, currency: str, figure: str) -> int | Decimal:
    found = line.money.get(currency)
    value: int | Decimal = 0 if found is None else getattr(found, figure)
    return value


def comma_separated(found: Report) -> bytes:
    """CSV (RFC 4180) in UTF-8, with a mark at the beginning by which spreadsheets know that; texts that would be formulas there begin with an apostrophe."""
    return as_text(columns(found))


def as_text(table: Mapping[str, Sequence[Any]]) -> bytes:
    """A table of columns as such a file."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(table)
    writer.writerows([_cell(value) for value in row] for row in zip(*table.values(), strict=True))
    return written.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return "'" + value if value.startswith(FORMULAS) else value
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if hasattr(value, "isoformat") else value


def parquet(found: Report) -> bytes:
    """Parquet, compressed: counts as integers, rates as doubles, money as decimals, buckets as moments in the tenant's zone."""
    import pyarrow as arrow  # large: whoever never exports does without it
    import pyarrow.parquet

    def kind(name: str) -> Any:
        if name in found.query.group_by:
            return arrow.string()
        if name == "bucket":
            return arrow.timestamp("us", tz=str(found.query.zone))
        if name in COUNTS or name.startswith("orders_"):
            return arrow.int64()
        return arrow.decimal128(38, DIGITS) if name.startswith(("revenue_", "cost_")) else arrow.float64()

    table = columns(found)
    fields = {name: arrow.array([_exact(one) for one in values], kind(name)) for name, values in table.items()}
    written = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table(fields), written, compression="zstd")
    return written.getvalue()


def _exact(value: Any) -> Any:
    return value.quantize(Decimal(1).scaleb(-DIGITS)) if isinstance(value, Decimal) else value


WRITERS: Mapping[str, Callable[[Report], bytes]] = {"csv": comma_separated, "parquet": parquet}


def wanted(given: str | None, accept: str) -> str | None:
    """The format that is asked for: by the parameter `format`, else by the header `Accept`, the first that is known of those it prefers; None: JSON.

    Raises `KeyError` for a parameter that names none.
    """
    if given is not None:
        return None if given == "json" else {name: name for name in WRITERS}[given]
    formats = {media: name for name, media in MEDIA.items()}
    return next((formats.get(one) for one in _preferred(accept) if one in (*formats, "application/json", "*/*")), None)


def _preferred(accept: str) -> Sequence[str]:
    """Media types, the most wanted first."""
    parts = [one.partition(";") for one in accept.lower().split(",")]
    weighed = [(media.strip(), _weight(rest)) for media, _, rest in parts]
    return [media for media, weight in sorted(weighed, key=lambda one: -one[1]) if weight > 0]


def _weight(rest: str) -> float:
    for part in rest.split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip() == "q" and value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit():
            return min(float(value), 1.0)
    return 1.0

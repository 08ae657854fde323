"""The SQL of a report from its query: one statement that counts, orders, cuts a page and adds up. Pure.

Only names of our own become part of the SQL (dimensions, counts, rates: `query` takes no others); values are its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

from parley_analytics.query import Query
from parley_analytics.rates import COUNTS, RATES


class Statement(NamedTuple):
    """SQL with its arguments."""

    sql: str
    arguments: tuple[object, ...]


class Arguments:
    """The arguments of a statement, as they are met."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def add(self, value: object) -> str:
        """How the SQL names this value."""
        self.values.append(value)
        return f"${len(self.values)}"


def report(tenant: str, query: Query) -> Statement:
    """Rows of a page, bucket by bucket, and one more group where there are more; the totals are the row whose `total` is true, always the first.

    Groups are ranked by what they are in all their buckets together.
    """
    given = Arguments()
    names = ", ".join(query.group_by)
    keys = [*query.group_by, *(["bucket"] if query.bucket else [])]
    grouped = f"SELECT {''.join(f'{key}, ' for key in keys)}{sums()} FROM counted GROUP BY {', '.join(keys) or '()'}"
    return Statement(
        f"WITH counted AS ({counted(tenant, query, given)}), grouped AS ({grouped}), "
        f"ranked AS (SELECT {names + ', ' if names else ''}{sums()} FROM grouped GROUP BY {names or '()'}), "
        f"page AS ({page(query, given)}) "
        f"SELECT true AS total, NULL::bigint AS place, {''.join(f'NULL AS {key}, ' for key in keys)}{sums()} FROM ranked "
        f"UNION ALL SELECT false, page.place, {''.join(f'grouped.{key}, ' for key in keys)}{', '.join(f'grouped.{name}' for name in COUNTS)} "
        f"FROM page JOIN grouped {f'USING ({names})' if names else 'ON true'} ORDER BY total DESC, place{', bucket' if query.bucket else ''}",
        tuple(given.values),
    )


def sums() -> str:
    """Every count, summed."""
    return ", ".join(f"COALESCE(sum({name}), 0)::bigint AS {name}" for name in COUNTS)


def counted(tenant: str, query: Query, given: Arguments) -> str:
    """The counters of what is asked for, with the dimensions, and the bucket where there are any."""
    bucket = f"date_trunc({given.add(query.bucket)}, period, {given.add(str(query.zone))}) AS bucket, " if query.bucket else ""
    return (
        f"SELECT {''.join(f'{name}, ' for name in query.group_by)}{bucket}{', '.join(COUNTS)} FROM counters JOIN cells USING (cell_id) "
        f"WHERE {only(tenant, query, given)} AND period >= {given.add(query.since)} AND period < {given.add(query.until)}"
    )


def only(tenant: str, query: Query, given: Arguments) -> str:
    """Which cells are asked for."""
    parts = [f"tenant = {given.add(tenant)}", *(f"{name} = {given.add(value)}" for name, value in query.where)]
    if query.search:
        parts.append(f"strpos(lower(campaign), lower({given.add(query.search)})) > 0")
    return " AND ".join(parts)


def page(query: Query, given: Arguments) -> str:
    """The groups of the page, and one more where there are more, numbered. A rate of nothing stands at the end."""
    by, falling = ordering(query.order), query.order.startswith("-")
    names = ", ".join(query.group_by)
    ordered = f"{by} {'DESC' if falling else 'ASC'} NULLS LAST{', ' + names if names else ''}"
    return (
        f"SELECT {names + ', ' if names else ''}row_number() OVER (ORDER BY {ordered}) AS place FROM ranked "
        f"WHERE {behind(query, by, falling, given)} ORDER BY {ordered} LIMIT {given.add(query.limit + 1)}"
    )


def ordering(order: str) -> str:
    """What rows are ordered by, as SQL."""
    name = order.removeprefix("-")
    if name in RATES:
        hits, trials = RATES[name]
        return f"({hits}::float8 / NULLIF({trials}, 0))"
    return name


def behind(query: Query, by: str, falling: bool, given: Arguments) -> str:
    """What stands behind the last row of the page before."""
    if query.after is None or not query.group_by:
        return "true"
    names, value = query.after.names, query.after.value
    later = f"({', '.join(query.group_by)}) > ({', '.join(given.add(one) + '::text' for one in names)})"
    if value is None:
        return f"({by} IS NULL AND {later})"
    kind = "text" if query.order.removeprefix("-") in query.group_by else "float8" if query.order.removeprefix("-") in RATES else "bigint"
    same = f"{given.add(value)}::{kind}"
    return f"({by} {'<' if falling else '>'} {same} OR ({by} = {same} AND {later}) OR {by} IS NULL)"

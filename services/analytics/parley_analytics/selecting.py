"""The statements of a report: which groups stand on the page, and what is summed up for them. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from parley_analytics.query import Query
from parley_analytics.rates import RATES
from parley_analytics.reading import Arguments, Groups, Names, bucket, found, listed, rows
from parley_analytics.rollups import AMOUNTS, COUNTERS, Source

ANY = ("sent", "failed", "unknown", "suppressed", "expired")
"""What happens to every message that counts: where none of these is, nothing is."""

MANY = 1000
"""So many campaigns are read one by one; of more, all rows of the time."""


class Statement(NamedTuple):
    """SQL with its arguments."""

    sql: str
    arguments: tuple[object, ...]


def campaigns(tenant: str, query: Query) -> Statement:
    """The campaigns that a query searches for, and more than `MANY` where there are more."""
    given = Arguments()
    return Statement(found(tenant, query, MANY, given), tuple(given.values))


def page(tenant: str, query: Query, summed: bool, known: Names | None) -> Statement:
    """The groups of the page in order, with what they are ordered by, and one more where there are more. A rate of nothing stands at the end.

    Only what decides the order is added up here, over all buckets; groups that came to nothing are none.
    """
    given = Arguments()
    names, (value, needed) = listed(query.group_by), ordering(query)
    source = COUNTERS._replace(sums=tuple(dict.fromkeys((*needed, *ANY))))
    counted = rows(source, tenant, replace(query, bucket=None), summed, known, None, given)
    something = f"sum({' + '.join(ANY)})"
    order = f"value {'DESC' if query.order.startswith('-') else 'ASC'} NULLS LAST{''.join(f', {name}' for name in query.group_by)}"
    return Statement(
        f"SELECT * FROM (SELECT {names}{value} AS value FROM ({counted}) AS counted {grouping(query.group_by)} HAVING {something} <> 0) AS ranked"
        f" WHERE {behind(query, given)} ORDER BY {order} LIMIT {given.add(query.limit + 1)}",
        tuple(given.values),
    )


def added(source: Source, tenant: str, query: Query, summed: bool, known: Names | None, groups: Groups | None = None) -> Statement:
    """The sums of a source by group, bucket and its keys: of these campaigns where they are known, and of these groups."""
    given = Arguments()
    keys = (*query.group_by, *(["bucket"] if query.bucket else []), *source.keys)
    counted = rows(source, tenant, query, summed, known, groups, given)
    return Statement(f"SELECT {listed(keys)}{sums(source.sums)} FROM ({counted}) AS counted {grouping(keys)}", tuple(given.values))


def unowed(tenant: str, query: Query) -> Statement:
    """What reached goals and is owed to no message, by bucket."""
    given = Arguments()
    keys = (*(["bucket"] if query.bucket else []), "goal", "currency")
    return Statement(
        f"SELECT {bucket(query, 'period', given)}goal, currency, sum(happened)::bigint AS happened, sum(value) AS value FROM unowed"
        f" WHERE tenant = {given.add(tenant)} AND period >= {given.add(query.since)} AND period < {given.add(query.until)} {grouping(keys)}",
        tuple(given.values),
    )


def sums(names: tuple[str, ...]) -> str:
    """Each of these, summed: counts as bigint, money as it is."""
    return ", ".join(f"COALESCE(sum({name}), 0){'' if name in AMOUNTS else '::bigint'} AS {name}" for name in names)


def grouping(keys: tuple[str, ...]) -> str:
    return f"GROUP BY {', '.join(keys) or '()'}"


def ordering(query: Query) -> tuple[str, tuple[str, ...]]:
    """What groups are ordered by, as SQL, and the counts it is made of."""
    name = query.order.removeprefix("-")
    if name in query.group_by:
        return name, ()
    if name in RATES:
        hits, trials = RATES[name]
        return f"sum({hits})::float8 / NULLIF(sum({trials}), 0)::float8", (hits, trials)
    return f"sum({name})::bigint", (name,)


def behind(query: Query, given: Arguments) -> str:
    """What stands behind the last group of the page before."""
    if query.after is None or not query.group_by:
        return "true"
    later = f"({', '.join(query.group_by)}) > ({', '.join(given.add(one) + '::text' for one in query.after.names)})"
    if query.after.value is None:
        return f"(value IS NULL AND {later})"
    name = query.order.removeprefix("-")
    seen = given.add(query.after.value) + ("::text" if name in query.group_by else "::float8" if name in RATES else "::bigint")
    return f"(value {'<' if query.order.startswith('-') else '>'} {seen} OR (value = {seen} AND {later}) OR value IS NULL)"

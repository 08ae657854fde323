"""The rows that a query is about, as SQL: from sums by day and month where there are any, else from the counters. Pure.

Only names of our own become part of the SQL (dimensions, counts: `query` takes no others); values are its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from parley_analytics.query import BROAD, Query
from parley_analytics.rollups import AMOUNTS, Part, Source, midnight, parts, signed


class Arguments:
    """The arguments of a statement, as they are met."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def add(self, value: object) -> str:
        """How the SQL names this value."""
        self.values.append(value)
        return f"${len(self.values)}"


Groups = Sequence[tuple[str, ...]]
"""Groups by the values of their dimensions."""
Cells = Sequence[UUID]


def rows(source: Source, tenant: str, query: Query, summed: bool, cells: Cells | None, given: Arguments) -> str:
    """Dimensions, bucket, keys and sums of a source's rows, each moment once; where it is known which cells they are of, of these.

    `summed`: whether there are sums by the query's days. What is read is integer, whatever the tables hold: sums of that are made, and turned back, several
    times as fast.
    """
    found = parts(query.since, query.until, query.zone, coarsest(query) if summed else "quarters")
    among = "" if cells is None else f" AND cells.cell_id = ANY({given.add(cells)}::uuid[])"  # or all cells of the tenant would be joined
    broad = [_part(source, query, one, None, given) for one in found if one.level == "broad"]
    fine = [_part(source, query, one, cells, given) for one in found if one.level != "broad"]
    return " UNION ALL ".join(
        f"SELECT {listed(query.group_by)}{'bucket, ' if query.bucket else ''}{listed(source.keys)}{', '.join(source.sums)}"
        f" FROM ({' UNION ALL '.join(told)}) AS told JOIN {names} USING (cell_id) WHERE {only(tenant, query, given)}{also}"
        for told, names, also in ((fine, "cells", among), (broad, "broads", ""))
        if told
    )


def narrow(query: Query, groups: Groups | None, summed: bool) -> bool:
    """Whether it is worth to know which cells a query is about: not where all are meant, or few broad ones."""
    filtered = bool(query.where or query.search or (groups and query.group_by))
    return filtered and not (summed and coarsest(query) == "broad")


def these(tenant: str, query: Query, groups: Groups | None, most: int, given: Arguments) -> str:
    """The cells of a query, and of these groups where some are given: one more than `most` where there are more."""
    joined = ""
    if groups is not None and query.group_by:
        columns = (given.add([one[place] for one in groups]) + "::text[]" for place in range(len(query.group_by)))
        joined = f" JOIN unnest({', '.join(columns)}) AS page ({', '.join(query.group_by)}) USING ({', '.join(query.group_by)})"
    return f"SELECT cell_id FROM cells{joined} WHERE {only(tenant, query, given)} LIMIT {given.add(most + 1)}"


def coarsest(query: Query) -> str:
    """Which sums suffice."""
    if query.bucket == "hour":
        return "quarters"
    if {*query.group_by, *(name for name, _ in query.where), *(["campaign"] if query.search or query.campaigns else [])} <= set(BROAD):
        return "broad"
    return "months" if query.bucket in (None, "month") else "days"


def only(tenant: str, query: Query, given: Arguments) -> str:
    """Which cells are asked for."""
    found = [f"tenant = {given.add(tenant)}", *(f"{name} = {given.add(value)}" for name, value in query.where)]
    if query.search:
        found.append(f"strpos(lower(campaign), lower({given.add(query.search)})) > 0")
    if query.campaigns:
        found.append("campaign <> ''")
    return " AND ".join(found)


def listed(names: tuple[str, ...]) -> str:
    """Names with a comma behind each."""
    return "".join(f"{name}, " for name in names)


def _part(source: Source, query: Query, part: Part, cells: Cells | None, given: Arguments) -> str:
    """The rows of one part of the time."""
    at = "period" if part.level in ("quarters", "deltas") else "day"
    table = source.table if part.level == "quarters" else f"{source.table}_{part.level}"
    at_begin = f"{bucket(query, at, given)} AS bucket, " if query.bucket else ""
    return (
        f"SELECT cell_id, {at_begin}{listed(source.keys)}{', '.join(_sum(name, part) for name in source.sums)} FROM {table}"
        f" WHERE {at} >= {given.add(part.since)} AND {at} < {given.add(part.until)}"
        f"{'' if cells is None else f' AND cell_id = ANY({given.add(cells)}::uuid[])'}"
    )


def _sum(name: str, part: Part) -> str:
    if part.level == "deltas":
        return f"{signed(name)} AS {name}"
    return name if name in AMOUNTS else f"{name}::integer AS {name}"


def bucket(query: Query, at: str, given: Arguments) -> str:
    """When the bucket of a row begins: hours as moments, for one of them may come twice a night; the others as dates."""
    if query.bucket == "hour":
        return f"date_trunc('hour', period, {given.add(str(query.zone))})"
    local = "day::timestamp" if at == "day" else f"(period AT TIME ZONE {given.add(str(query.zone))})"
    return f"date_trunc('{query.bucket}', {local})::date"


def begins(found: date, query: Query) -> datetime:
    """The begin of a bucket as it was read."""
    if isinstance(found, datetime):
        return found.astimezone(query.zone)
    return midnight(found, query.zone).astimezone(query.zone)

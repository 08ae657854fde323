"""The rows that a query is about, as SQL: from sums where there are any, else from the counters. Pure.

Only names of our own become part of the SQL (dimensions, counts: `query` takes no others); values are its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from parley_analytics.query import Query
from parley_analytics.rollups import AMOUNTS, COUNTED, DELTAS, LEVELS, OWNED, Level, Part, Source, midnight, parts, signed


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
Names = Sequence[str]


def rows(source: Source, tenant: str, query: Query, summed: bool, campaigns: Names | None, groups: Groups | None, given: Arguments) -> str:
    """Dimensions, bucket, keys and sums of a source's rows, each moment once: of these campaigns alone where they are known, and of these groups.

    `summed`: whether there are sums by the query's days.
    """
    level = coarsest(query) if summed else None
    wanted = only(tenant, query, given) + (among(query, groups, given) if groups is not None else "")
    known = "" if campaigns is None else f" JOIN unnest({given.add(campaigns)}::text[]) AS known (campaign) USING (campaign)"
    return " UNION ALL ".join(
        f"SELECT {listed(query.group_by)}{bucket(query, part.at, given)}{listed(source.keys)}{', '.join(_sum(name, part) for name in source.sums)}"
        f" FROM {_whence(source, part)}{known} WHERE {wanted}{_owned(query, level, part)}"
        f" AND {part.at} >= {given.add(part.since)} AND {part.at} < {given.add(part.until)}"
        for part in parts(query.since, query.until, query.zone, level, grain(query))
    )


def named(query: Query, groups: Groups | None) -> Names | None:
    """The campaigns that a query names, or these groups of it; None where it names none."""
    if groups is not None and "campaign" in query.group_by:
        place = query.group_by.index("campaign")
        return sorted({group[place] for group in groups})
    return next(([value] for name, value in query.where if name == "campaign"), None)


def found(tenant: str, query: Query, most: int, given: Arguments) -> str:
    """The campaigns that a query searches for: one more than `most` where there are more."""
    return f"SELECT DISTINCT campaign FROM cells WHERE {only(tenant, query, given)} LIMIT {given.add(most + 1)}"


def coarsest(query: Query) -> Level:
    """The sums with the fewest rows that know what is asked."""
    asked = {*query.group_by, *(name for name, _ in query.where), *(["campaign"] if query.search else []), *([OWNED] if query.campaigns else [])}
    return next(level for level in LEVELS if asked <= {*level.dimensions, *([OWNED] if "campaign" in level.dimensions else [])})


def grain(query: Query) -> str:
    """How long the sums may be of, so that each lies in one bucket."""
    return {"hour": "quarters", "day": "days", "week": "days"}.get(query.bucket or "month", "months")


def only(tenant: str, query: Query, given: Arguments) -> str:
    """Which rows are asked for, whatever they are of."""
    found = [f"tenant = {given.add(tenant)}", *(f"{name} = {given.add(value)}" for name, value in query.where)]
    if query.search:
        found.append(f"strpos(lower(campaign), lower({given.add(query.search)})) > 0")
    return " AND ".join(found)


def among(query: Query, groups: Groups, given: Arguments) -> str:
    """That rows are of these groups."""
    if not query.group_by:
        return ""
    columns = ", ".join(f"{given.add([one[place] for one in groups])}::text[]" for place in range(len(query.group_by)))
    return f" AND ({', '.join(query.group_by)}) IN (SELECT * FROM unnest({columns}))"


def listed(names: tuple[str, ...]) -> str:
    """Names with a comma behind each."""
    return "".join(f"{name}, " for name in names)


def _whence(source: Source, part: Part) -> str:
    """The table of a part, with the dimensions of its rows."""
    table = f"{source.table}_{part.table}" if part.table != COUNTED else source.table
    return table if part.named else f"{table} JOIN cells USING (cell_id)"


def _owned(query: Query, level: Level | None, part: Part) -> str:
    """That rows are of campaigns, where that is asked."""
    if not query.campaigns:
        return ""
    return f" AND {OWNED}" if part.named and level is not None and OWNED in level.dimensions else " AND campaign <> ''"


def _sum(name: str, part: Part) -> str:
    """A sum as integer, whatever the tables hold: those are added up, and turned back, several times as fast."""
    if part.table == DELTAS:
        return f"{signed(name)} AS {name}"
    return name if name in AMOUNTS or part.named else f"{name}::integer AS {name}"


def bucket(query: Query, at: str, given: Arguments) -> str:
    """When the bucket of a row begins, as a column with a comma behind it: hours as moments, for one of them may come twice a night; the others as dates."""
    if query.bucket is None:
        return ""
    if query.bucket == "hour":
        return f"date_trunc('hour', period, {given.add(str(query.zone))}) AS bucket, "
    local = "day::timestamp" if at == "day" else f"(period AT TIME ZONE {given.add(str(query.zone))})"
    return f"date_trunc('{query.bucket}', {local})::date AS bucket, "


def begins(found: date, query: Query) -> datetime:
    """The begin of a bucket as it was read."""
    if isinstance(found, datetime):
        return found.astimezone(query.zone)
    return midnight(found, query.zone).astimezone(query.zone)

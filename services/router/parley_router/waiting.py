"""What follows from the states alone, as rows: who waits for a time, what is to be asked outside, how many are on their way through a flow.

Written in the transaction of the batch, from the differences of its states: where nothing differs there is no statement.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import TypeVar
from uuid import UUID
from zlib import crc32

from parley.database import Connection
from parley.keyed import Changed
from parley_router.state import ContactState, Wanted

CALLS = "parley_calls"
"""PostgreSQL's notification channel by which callers learn that there is something to ask, and of whom."""
WRITERS = 64
"""Rows of a flow's count at most: processes that share one wait for each other, no more."""
NOBODY = ContactState()

T = TypeVar("T")
Row = tuple[UUID, str, str, T]
"""Contact, token, tenant, and what the token stands for."""


@dataclass(frozen=True)
class Differences:
    """Rows that must be there now, and (contact, token) of those that must not."""

    timers: Sequence[Row[datetime]]
    calls: Sequence[Row[Wanted]]
    timers_gone: Sequence[tuple[UUID, str]]
    calls_gone: Sequence[tuple[UUID, str]]
    runs: Mapping[tuple[str, str, int], int]


async def follow(connection: Connection, changes: Sequence[Changed[ContactState]], now: datetime) -> None:
    """Makes the rows those of the states after a batch. Callers hear of new calls when the transaction is committed."""
    found = differences(changes)
    if found.timers_gone:
        await _drop(connection, "timers", found.timers_gone)
    if found.calls_gone:
        await _drop(connection, "calls", found.calls_gone)
    if found.timers:
        await _remind(connection, found.timers)
    if found.calls:
        await _want(connection, found.calls, now)
    if found.runs:
        await _count(connection, found.runs)


def differences(changes: Sequence[Changed[ContactState]]) -> Differences:
    """What the rows of these contacts must become."""
    timers: list[Row[datetime]] = []
    calls: list[Row[Wanted]] = []
    timers_gone: list[tuple[UUID, str]] = []
    calls_gone: list[tuple[UUID, str]] = []
    runs: Counter[tuple[str, str, int]] = Counter()
    for one in changes:
        if _same(one.before, one.after):
            continue
        was, now = one.before or NOBODY, one.after
        _differ(one, was.timers(), now.timers(), timers, timers_gone)
        _differ(one, was.calls(), now.calls(), calls, calls_gone)
        if (before := walks(was)) != (after := walks(now)):
            runs.update((one.tenant, *flow) for flow in after - before)
            runs.subtract((one.tenant, *flow) for flow in before - after)
    return Differences(timers, calls, timers_gone, calls_gone, {flow: count for flow, count in sorted(runs.items()) if count})


def service_of(tenant: str, wanted: Wanted) -> str:
    """Whom a call asks: a service by the tenant's name for it, else whoever answers such questions."""
    return f"{tenant}/{wanted.service}" if wanted.kind == "http" else wanted.kind


def walks(state: ContactState) -> frozenset[tuple[str, int]]:
    """The flows that a contact is in, each with its version: those that wait, and those that they come back to."""
    if state.into is not None or (not state.runs and state.position is None):
        return frozenset()
    positions = state.runs if state.position is None else (*state.runs, state.position)
    found = {(one.flow, one.version) for one in positions}
    found.update((part.flow, part.version) for one in positions for part in one.stack)
    return frozenset(found)


def needed(state: ContactState) -> frozenset[tuple[str, int]]:
    """The versions without which nothing can be decided about a contact: those that they are in, and those whose conversions are watched for."""
    if not state.goals:
        return walks(state)
    watched = (one.flow.rpartition("@") for one in state.goals)
    return walks(state) | {(flow, int(version)) for flow, _, version in watched}


def _same(before: ContactState | None, after: ContactState) -> bool:
    """Whether nothing that waits can differ, seen without looking into it: most events change none of it."""
    if before is None:
        return not after.runs and after.position is None and not after.planned and after.unread is None and after.promised is None
    return (
        before.runs is after.runs and before.position is after.position and before.planned is after.planned
        and before.unread is after.unread and before.promised is after.promised and before.into == after.into
    )  # fmt: skip


def _differ(one: Changed[ContactState], before: Mapping[str, T], after: Mapping[str, T], new: list[Row[T]], gone: list[tuple[UUID, str]]) -> None:
    new += [(one.key, token, one.tenant, value) for token, value in after.items() if before.get(token) != value]
    gone += [(one.key, token) for token in before if token not in after]


@cache
def writer() -> int:
    """The row of this process: of its machine too, for in containers all processes have the same number."""
    return crc32(f"{os.uname().nodename}:{os.getpid()}".encode()) % WRITERS


# --- statements, each in the order of the key, so that two replicas wait for each other instead of locking each other out ---------------


async def _remind(connection: Connection, rows: Iterable[Row[datetime]]) -> None:
    contacts, tokens, tenants, dues = zip(*sorted(rows, key=itemgetter(0, 1)), strict=True)
    await connection.execute(
        """INSERT INTO timers (contact_id, token, tenant, due_at) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
           ON CONFLICT (contact_id, token) DO UPDATE SET due_at = excluded.due_at""",
        contacts, tokens, tenants, dues,
    )  # fmt: skip


async def _want(connection: Connection, rows: Iterable[Row[Wanted]], now: datetime) -> None:
    contacts, tokens, tenants, wanted = zip(*sorted(rows, key=itemgetter(0, 1)), strict=True)
    services = [service_of(tenant, one) for tenant, one in zip(tenants, wanted, strict=True)]
    await connection.execute(
        """INSERT INTO calls (contact_id, token, tenant, service, wanted, due_at)
               SELECT *, $6::timestamptz FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
           ON CONFLICT (contact_id, token) DO UPDATE SET
               service = excluded.service, wanted = excluded.wanted, attempt = 0, asked_at = NULL, due_at = excluded.due_at""",
        contacts, tokens, tenants, services, [one.model_dump_json(exclude_defaults=True) for one in wanted], now,
    )  # fmt: skip
    for service in sorted(set(services)):
        await connection.execute("SELECT pg_notify($1, $2)", CALLS, service)


async def _drop(connection: Connection, table: str, gone: Iterable[tuple[UUID, str]]) -> None:
    contacts, tokens = zip(*sorted(gone), strict=True)
    await connection.execute(
        f"DELETE FROM {table} AS t USING unnest($1::uuid[], $2::text[]) AS gone (contact_id, token)"
        " WHERE (t.contact_id, t.token) = (gone.contact_id, gone.token)",
        contacts, tokens,
    )  # fmt: skip


async def _count(connection: Connection, runs: Mapping[tuple[str, str, int], int]) -> None:
    tenants, flows, versions = zip(*runs, strict=True)
    await connection.execute(
        """INSERT INTO flow_runs AS r (tenant, flow, version, writer, waiting)
               SELECT tenant, flow, version, $5, waiting FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])
                   AS given (tenant, flow, version, waiting)
           ON CONFLICT (tenant, flow, version, writer) DO UPDATE SET waiting = r.waiting + excluded.waiting""",
        tenants, flows, versions, list(runs.values()), writer(),
    )  # fmt: skip

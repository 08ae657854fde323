"""What scoring reads of the facts, and where it keeps how far it is and what it told: short statements over a chunk of people, each by an index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from parley.database import Connection, Pool
from parley_analytics.hours import NONE, Habits
from parley_analytics.persons import Forecast, Order, Person
from parley_analytics.scores import Act, Scores

ORDER_PLACED, RECOMMENDED = "order.placed", "customer.recommended"
"""The goals by which somebody buys, and by which a tenant tells that somebody recommended it."""
LOOKED_BACK, ORDERS_BACK, AHEAD = timedelta(days=730), timedelta(days=7300), timedelta(days=1)
"""What was sent or done longer ago counts for nothing any more: it has faded to a hundredth. Nor does what others date into antiquity or the future."""
MOST = 500
"""Messages, answers and orders of a person that are looked at, each: the latest."""
SAMPLE = 20_000
"""Orders from which is learned how a tenant's buyers order."""
ERASED = 4
"""The version of the ids that stand for people who were erased: random ones. A contact's own is a hash (version 5)."""


NAMES = tuple(one.name for one in fields(Scores))


class Told(NamedTuple):
    tenant: str
    scores: Scores


# --- the round -------------------------------------------------------------------------------------------------------------------------


async def begin(pool: Pool, before: datetime, now: datetime) -> bool:
    """Begins a round as of now, unless another replica has."""
    done = "UPDATE scoring SET round = $2, position = '00000000-0000-0000-0000-000000000000', ended = false WHERE ended AND round = $1"
    return bool(await pool.execute(done, before, now) == "UPDATE 1")


async def following(connection: Connection, position: UUID, count: int) -> list[UUID]:
    """The next contacts in order of their ids, from index to index: no table is read."""
    rows = await connection.fetch(
        """WITH RECURSIVE known (contact_id) AS (
               SELECT person_after($1) UNION ALL SELECT person_after(contact_id) FROM known WHERE contact_id IS NOT NULL
           ) SELECT contact_id FROM known WHERE contact_id IS NOT NULL LIMIT $2""",
        position, count,
    )  # fmt: skip
    return [row["contact_id"] for row in rows]


async def end(connection: Connection) -> None:
    """The round is over; what it found of the hours holds from now on."""
    await connection.execute("UPDATE habits SET hours = coming, coming = array_fill(0::double precision, ARRAY[24])")
    await connection.execute("UPDATE scoring SET ended = true, position = '00000000-0000-0000-0000-000000000000'")


# --- facts -----------------------------------------------------------------------------------------------------------------------------

MESSAGES = """
SELECT m.contact_id, cells.tenant, cells.channel, m.left_at, m.read_at, m.opened_at, m.clicked_at, m.other
FROM unnest($1::uuid[]) AS asked (contact_id), LATERAL (
    SELECT contact_id, cell_id, left_at, read_at, opened_at, clicked_at, replies > 0 OR opt_outs > 0 OR dead AS other
    FROM messages WHERE messages.contact_id = asked.contact_id AND left_at BETWEEN $2 AND $3 ORDER BY left_at DESC LIMIT $4
) AS m JOIN cells USING (cell_id) ORDER BY m.contact_id, m.left_at
"""
REPLIES = """
SELECT DISTINCT ON (r.contact_id, COALESCE(r.message_id::text, r.at::date::text)) r.contact_id, r.at
FROM unnest($1::uuid[]) AS asked (contact_id), LATERAL (
    SELECT * FROM replies WHERE replies.contact_id = asked.contact_id AND at BETWEEN $2 AND $3 ORDER BY at DESC LIMIT $4
) AS r ORDER BY r.contact_id, COALESCE(r.message_id::text, r.at::date::text), r.at
"""
"""An answer counts once a message, or a day where it answers none: who writes thirty lines is not thirty times as fond."""
ORDERS = """
SELECT o.contact_id, o.tenant, o.goal, o.at, o.value, o.currency
FROM unnest($1::uuid[]) AS asked (contact_id), LATERAL (
    SELECT * FROM orders WHERE orders.contact_id = asked.contact_id AND goal = ANY($5::text[]) AND at BETWEEN $2 AND $3
    ORDER BY at DESC LIMIT $4
) AS o ORDER BY o.contact_id, o.at
"""


async def people(connection: Connection, contacts: Sequence[UUID], now: datetime) -> dict[UUID, Person]:
    """What is known of these contacts up to now. Who was erased, and of whom nothing is known any more, is not there."""
    found: dict[UUID, Person] = {}
    asked, since, until = [one for one in contacts if one.version != ERASED], now - LOOKED_BACK, now + AHEAD
    for row in await connection.fetch(MESSAGES, asked, since, until, MOST):
        _message(found.setdefault(row["contact_id"], Person()), row, since, until)
    for row in await connection.fetch(ORDERS, asked, now - ORDERS_BACK, until, MOST, [ORDER_PLACED, RECOMMENDED]):
        person = found.setdefault(row["contact_id"], Person())
        person.tenant = row["tenant"]
        if row["goal"] == RECOMMENDED:
            person.acts.append(Act("recommended", row["at"]))
        else:
            person.orders.append(Order(row["at"], float(row["value"]), row["currency"]))
    for row in await connection.fetch(REPLIES, asked, since, until, MOST):
        if (known := found.get(row["contact_id"])) is not None:  # the tenant of a person who only wrote is not known here
            known.acts.append(Act("answered", row["at"]))
    return found


def _message(person: Person, row: asyncpg.Record, since: datetime, until: datetime) -> None:
    at = {name: value for name in ("left_at", "read_at", "opened_at", "clicked_at") if isinstance(value := row[name], datetime)}
    person.tenant, person.channel = str(row["tenant"]), str(row["channel"])
    opened = min((at[name] for name in ("read_at", "opened_at") if name in at), default=None)
    person.acts += [
        Act(kind, moment) for kind, moment in (("opened", opened), ("clicked", at.get("clicked_at"))) if moment and since <= moment <= until
    ]
    if opened is None and "clicked_at" not in at and not row["other"]:
        person.unheard.append(at["left_at"])


async def buyers(pool: Pool, tenant: str, now: datetime) -> dict[UUID, list[Order]]:
    """Some thousand buyers of a tenant with all of their orders."""
    rows = await pool.fetch(
        "SELECT contact_id, at, value, currency FROM orders WHERE tenant = $1 AND goal = $2 AND at BETWEEN $3 AND $4 ORDER BY contact_id LIMIT $5",
        tenant, ORDER_PLACED, now - ORDERS_BACK, now + AHEAD, SAMPLE,
    )  # fmt: skip
    found = {
        contact: [Order(row["at"], float(row["value"]), row["currency"]) for row in some]
        for contact, some in groupby(rows, key=itemgetter("contact_id"))
    }
    if len(rows) == SAMPLE:
        found.popitem()  # the last one may have more
    return found


# --- what is kept ----------------------------------------------------------------------------------------------------------------------


async def foreseen(pool: Pool, moment: datetime) -> set[str]:
    """The tenants whose buyers this round has looked at."""
    return {row["tenant"] for row in await pool.fetch("SELECT tenant FROM forecasts WHERE round = $1", moment)}


async def forecasts(connection: Connection, tenants: Sequence[str]) -> dict[str, Forecast]:
    rows = await connection.fetch("SELECT tenant, model FROM forecasts WHERE tenant = ANY($1::text[])", tenants)
    return {row["tenant"]: Forecast.loaded(orjson.loads(row["model"])) for row in rows}


async def keep_forecast(pool: Pool, tenant: str, moment: datetime, model: str) -> None:
    await pool.execute(
        "INSERT INTO forecasts (tenant, round, model) VALUES ($1, $2, $3)"
        " ON CONFLICT (tenant) DO UPDATE SET round = excluded.round, model = excluded.model",
        tenant, moment, model,
    )  # fmt: skip


async def habits(connection: Connection, tenants: Sequence[str]) -> Habits:
    rows = await connection.fetch("SELECT tenant, channel, hours, coming FROM habits WHERE tenant = ANY($1::text[])", tenants)
    known, coming = ({(row["tenant"], row["channel"]): tuple(row[name]) for row in rows} for name in ("hours", "coming"))
    return Habits(known, coming)


async def keep_habits(connection: Connection, found: Habits) -> None:
    """Keeps what a chunk added."""
    await connection.executemany(
        "INSERT INTO habits (tenant, channel, hours, coming) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (tenant, channel) DO UPDATE SET coming = excluded.coming",
        [(*place, NONE, found.coming[place]) for place in sorted(found.added)],
    )  # fmt: skip


async def told(connection: Connection, contacts: Sequence[UUID]) -> dict[UUID, Told]:
    """What was told last of these contacts."""
    rows = await connection.fetch("SELECT * FROM scores WHERE contact_id = ANY($1::uuid[])", contacts)
    return {row["contact_id"]: Told(row["tenant"], Scores(**{name: row[name] for name in NAMES})) for row in rows}


async def keep(connection: Connection, changed: Mapping[UUID, tuple[str, Scores]], moment: datetime) -> None:
    """Keeps what is told now."""
    if not changed:
        return
    columns = [[getattr(one, name) for _, one in changed.values()] for name in NAMES]
    names = ", ".join(NAMES)
    await connection.execute(
        f"""INSERT INTO scores (contact_id, tenant, told_at, {names})
            SELECT contact_id, tenant, $3, {names} FROM unnest($1::uuid[], $2::text[], $4::integer[], $5::integer[], $6::integer[], $7::text[],
                $8::double precision[], $9::double precision[], $10::numeric[], $11::text[]) AS given (contact_id, tenant, {names})
            ON CONFLICT (contact_id) DO UPDATE SET (tenant, told_at, {names})
                = (excluded.tenant, excluded.told_at, {', '.join(f'excluded.{name}' for name in NAMES)})""",
        list(changed), [tenant for tenant, _ in changed.values()], moment, *columns,
    )  # fmt: skip


async def forget(connection: Connection, contacts: Collection[UUID]) -> None:
    """Forgets what was told of those of whom nothing is known any more."""
    if contacts:
        await connection.execute("DELETE FROM scores WHERE contact_id = ANY($1::uuid[])", list(contacts))


async def erased(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these stand for somebody who was erased (`parley_analytics.erasing`)."""
    return {row["hashed"] for row in await connection.fetch("SELECT hashed FROM erased WHERE hashed = ANY($1::bytea[])", hashes)}

"""Rolling facts up: once they are older than their tenant keeps them the rows go, a batch at a time, and counters are merged into one a day.

No figure of a day, a month or a campaign changes by it. What still may change something is kept: a message as long as anything happened to it lately, people
as long as messages of their cell are kept, all of somebody as long as an experiment draws in which they are. So nothing is looked up anew and found without
what it hangs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from parley.database import OUTSIDE, Connection, Pool
from parley.service import Context
from parley_analytics.keeping import Keeping, keeping
from parley_analytics.stage import ERASING

MANY = 5_000
"""Rows of one transaction: counting waits for some of them."""
EVERY = 3600.0
"""Seconds between two looks whether another day is over."""
KNOWN = timedelta(days=366)
"""How long it is known of a message, or a conversation, that it was rolled up."""
LOCK = 1_634_628_733
"""Our advisory lock in the database (any number that nobody else uses): one rolls up at a time."""

log = structlog.get_logger()


class Dropping(NamedTuple):
    """What is dropped: $1 the tenant, $2 the moment, $3 how many at most. `reach`: the moment lies so much before; `alone`: nobody may count meanwhile."""

    sql: str
    reach: bool = False
    alone: bool = False


NOBODY_ELSES = "NOT EXISTS (SELECT FROM messages JOIN cells USING (cell_id) WHERE messages.contact_id = t.contact_id AND cells.tenant <> $1)"
"""Of answers and refusals no tenant is known: they belong to who has written to the person, and to nobody when nobody has."""
IN_NO_EXPERIMENT = "NOT EXISTS (SELECT FROM drawn WHERE drawn.contact_id = t.contact_id)"
"""What became of people who were drawn is looked up in all that they did since."""
DROPPINGS = (
    Dropping("""DELETE FROM drawn WHERE (experiment_id, contact_id) IN (
        SELECT experiment_id, contact_id FROM drawn JOIN designs AS d USING (experiment_id, design_id) WHERE tenant = $1 AND NOT EXISTS (
            SELECT FROM designs JOIN arms USING (design_id) WHERE designs.experiment_id = d.experiment_id AND arms.period >= $2)
        LIMIT $3)""", reach=True),
    Dropping(f"""DELETE FROM orders WHERE (tenant, goal, order_id) IN
        (SELECT tenant, goal, order_id FROM orders AS t WHERE tenant = $1 AND at < $2 AND {IN_NO_EXPERIMENT} LIMIT $3)"""),
    Dropping(f"""DELETE FROM replies WHERE (contact_id, at, reply_id) IN
        (SELECT contact_id, at, reply_id FROM replies AS t WHERE at < $2 AND {NOBODY_ELSES} LIMIT $3)"""),
    Dropping(f"""DELETE FROM opt_outs WHERE (contact_id, at, channel) IN
        (SELECT contact_id, at, channel FROM opt_outs AS t WHERE at < $2 AND {NOBODY_ELSES} LIMIT $3)"""),
    Dropping(f"""WITH gone AS (
            DELETE FROM messages WHERE message_id = ANY(ARRAY(
                SELECT message_id FROM messages AS t LEFT JOIN cells USING (cell_id)
                WHERE (tenant = $1 OR tenant IS NULL) AND GREATEST({{messages}}) < $2 AND {IN_NO_EXPERIMENT} AND NOT EXISTS (
                    SELECT FROM hits WHERE hits.contact_id = t.contact_id AND hits.at >= $2 AND hits.message_id = t.message_id)
                LIMIT $3))
            RETURNING message_id, contact_id
        ), judged AS (
            DELETE FROM hits USING gone WHERE hits.contact_id = gone.contact_id AND hits.message_id = gone.message_id
        )
        INSERT INTO rolled SELECT message_id, now() FROM gone ON CONFLICT DO NOTHING""", reach=True, alone=True),
    Dropping("""WITH gone AS (
            DELETE FROM talks WHERE conversation_id = ANY(ARRAY(
                SELECT conversation_id FROM talks WHERE tenant = $1 AND GREATEST({talks}) < $2 LIMIT $3))
            RETURNING conversation_id
        )
        INSERT INTO rolled SELECT conversation_id, now() FROM gone ON CONFLICT DO NOTHING""", reach=True),
)  # fmt: skip
"""In this order: first what is looked up anew from others, then those."""
OF_PEOPLE = ("people", "spenders")

ASLEEP = """
SELECT cell_id FROM cells
WHERE tenant = $1 AND NOT EXISTS (SELECT FROM counters WHERE counters.cell_id = cells.cell_id AND period >= $2)
    AND (EXISTS (SELECT FROM people WHERE people.cell_id = cells.cell_id) OR EXISTS (SELECT FROM spenders WHERE spenders.cell_id = cells.cell_id))
EXCEPT SELECT cell_id FROM messages
"""
"""Cells in which nothing has happened for long, and of which no message is kept."""
COUNTED = {
    "counters": "cell_id IN (SELECT cell_id FROM cells WHERE tenant = $1)",
    "money": "cell_id IN (SELECT cell_id FROM cells WHERE tenant = $1)",
    "reasons": "cell_id IN (SELECT cell_id FROM cells WHERE tenant = $1)",
    "unowed": "tenant = $1",
    "talk_counts": "tenant = $1 AND grain = 'quarter'",
    "arms": "design_id IN (SELECT design_id FROM designs WHERE tenant = $1)",
}
"""Tables of counters by time, and which rows are a tenant's."""


@dataclass(frozen=True)
class Retention:
    """The worker that rolls up. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                for tenant, kept in keeping(self.context.config.tenants).items():
                    await Rolled(self.context.pool, tenant, kept, stopping).up(self.context.clock())
            except OUTSIDE as error:
                log.warning("facts are not rolled up for now", cause=f"{type(error).__name__}: {error}")
            await pause(EVERY, stopping)


@dataclass(frozen=True)
class Rolled:
    """One tenant's facts."""

    pool: Pool
    tenant: str
    kept: Keeping
    stopping: asyncio.Event

    async def up(self, now: datetime) -> int:
        """Rolls up whatever is over. Gives the number of rows that went; 0 when that day was done before."""
        until = self.kept.until(now)
        if await self.pool.fetchval("SELECT until >= $2 FROM retention WHERE tenant = $1", self.tenant, until):
            return 0
        rows = 0
        for dropping in DROPPINGS:
            moment = until - self.kept.reach if dropping.reach else until
            rows += await self._all(await self._worded(dropping.sql), moment, alone=dropping.alone)
        rows += await self._people(until - self.kept.reach)
        for table in COUNTED:
            rows += await self._all(await self._merging(table), until, str(self.kept.zone))
        rows += await self._all(
            "DELETE FROM rolled WHERE $1 = $1 AND message_id = ANY(ARRAY(SELECT message_id FROM rolled WHERE at < $2 LIMIT $3))", now - KNOWN
        )
        if not self.stopping.is_set():
            await self.pool.execute(
                "INSERT INTO retention VALUES ($1, $2) ON CONFLICT (tenant) DO UPDATE SET until = excluded.until", self.tenant, until
            )
            log.info("facts are rolled up", tenant=self.tenant, until=until.isoformat(), rows=rows)
        return rows

    async def _all(self, sql: str, moment: datetime, *more: object, alone: bool = False) -> int:
        """Runs a statement until nothing is left, resting as long as it works."""
        total, went = 0, MANY
        while went >= MANY and not self.stopping.is_set():
            began = time.monotonic()
            async with self.pool.acquire() as connection, connection.transaction():
                if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
                    raise TimeoutError("another replica is at it")
                if alone:
                    await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", *ERASING)
                went = int((await connection.execute(sql, self.tenant, moment, MANY, *more)).split()[-1])
            total += went
            await pause(time.monotonic() - began if went >= MANY else 0, self.stopping)
        return total

    async def _people(self, moment: datetime) -> int:
        """People of cells that sleep: were they told of again, they would count as new, so they stay as long as any message of theirs does."""
        rows = await self.pool.fetch(ASLEEP, self.tenant, moment)
        cells = [row["cell_id"] for row in rows]
        return sum([
            await self._all(
                f"DELETE FROM {table} WHERE $1 = $1 AND (cell_id, contact_id) IN (SELECT cell_id, contact_id FROM {table} AS t WHERE cell_id = ANY($4::uuid[])"
                " AND NOT EXISTS (SELECT FROM counters WHERE counters.cell_id = t.cell_id AND period >= $2) LIMIT $3)",
                moment, cells, alone=True,
            )
            for table in OF_PEOPLE if cells
        ])  # fmt: skip

    async def _worded(self, sql: str) -> str:
        """With the columns of times that the tables have."""
        async with self.pool.acquire() as connection:
            return sql.format(messages=await times(connection, "messages"), talks=await times(connection, "talks")) if "{" in sql else sql

    async def _merging(self, table: str) -> str:
        """Merges quarters into one row a day: $4 is the tenant's zone. A sum over days stays what it was."""
        async with self.pool.acquire() as connection:
            keys, sums = await shape(connection, table)
        mine, of = ", ".join(keys), ", ".join(f"t.{one}" for one in (*keys, "period"))
        places = ", ".join(str(number + 1) for number in range(len(keys) + 1))
        return (
            f"WITH gone AS (DELETE FROM {table} AS t USING (SELECT {mine}, period FROM {table}"
            f" WHERE {COUNTED[table]} AND period < $2 AND period <> date_trunc('day', period, $4) LIMIT $3) AS old"
            f" WHERE ({of}) = ({of.replace('t.', 'old.')}) RETURNING t.*),"
            f" merged AS (INSERT INTO {table} AS kept ({mine}, period, {', '.join(sums)})"
            f" SELECT {mine}, date_trunc('day', period, $4), {', '.join(f'sum({one})' for one in sums)} FROM gone GROUP BY {places} ORDER BY {places}"
            f" ON CONFLICT ({mine}, period) DO UPDATE SET {', '.join(f'{one} = kept.{one} + excluded.{one}' for one in sums)}) SELECT FROM gone"
        )


async def times(connection: Connection, table: str) -> str:
    """The columns of a table that say when something was."""
    found: str = await connection.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND atttypid = 'timestamptz'::regtype AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        table,
    )
    return found


async def shape(connection: Connection, table: str) -> tuple[Sequence[str], Sequence[str]]:
    """What the rows of a table of counters are told apart by beside their time, and what they count."""
    rows = await connection.fetch(
        "SELECT quote_ident(attname) AS name, attnum = ANY(indkey) AS key FROM pg_attribute JOIN pg_index ON indrelid = attrelid AND indisprimary"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        table,
    )
    return [row["name"] for row in rows if row["key"] and row["name"] != "period"], [row["name"] for row in rows if not row["key"]]


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)

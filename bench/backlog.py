"""A queue filled as intake would have filled it, by statements, since a million messages over the bus take a quarter of an hour; and a lane's switches."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from bench.ground import Ground

TEXT = "This week: green, black and white tea for two."
CHUNK = 100_000

DELIVERIES = """
INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, campaign, content, segments, status, due_at, requested_at, started_at)
SELECT md5($2 || ' message ' || n)::uuid, $2, md5($2 || ' contact ' || n)::uuid, $1, $3,
       CASE WHEN $3 = 'inapp' THEN 'person-' || n ELSE '+658' || lpad(n::text, 7, '0') END,
       'marketing', $4, jsonb_build_object('text', $5::text), 1, 'queued', now(), now(), now() FROM generate_series($6::int, $7::int) AS n"""
CONSENTS = """
INSERT INTO consents (contact_id, channel, purpose, state, at, recorded_at, tenant, address)
SELECT contact_id, channel, purpose, 'granted', now(), now(), tenant, address FROM deliveries
WHERE message_id IN (SELECT md5($1 || ' message ' || n)::uuid FROM generate_series($2::int, $3::int) AS n) ON CONFLICT DO NOTHING"""
LINE = """
INSERT INTO lines (part, purpose, tenant, campaign) VALUES ($1, 'marketing', $2, $3) ON CONFLICT (part, purpose, tenant, campaign) DO UPDATE SET part = excluded.part
RETURNING line"""
QUEUE = """
INSERT INTO queue (message_id, line, state, place, contact_id, chain, seq, units, due_at)
SELECT message_id, $4, 'ready', nextval('places'), contact_id, chain_of(channel, purpose, campaign), seq, segments, due_at
FROM (SELECT * FROM deliveries WHERE message_id IN (SELECT md5($1 || ' message ' || n)::uuid FROM generate_series($2::int, $3::int) AS n) ORDER BY seq) AS new"""
FRONT = """
DELETE FROM queue WHERE message_id IN (SELECT message_id FROM queue JOIN lines USING (line) WHERE part = $1 AND state = 'ready' ORDER BY line, place LIMIT $2)"""


@dataclass
class Backlog:
    """The tables of a sender, and what it is told about them."""

    connection: asyncpg.Connection[asyncpg.Record]
    numbered: int = 0

    async def fill(self, lane: str, channel: str, count: int, tenant: str = "acme", campaign: str = "week") -> None:
        """So many more advertisements stand in the lane, each to somebody who agreed. The lane is not told."""
        line = await self.connection.fetchval(LINE, lane, tenant, campaign)
        first, last = self.numbered + 1, self.numbered + count
        for begin in range(first, last + 1, CHUNK):
            end = min(last, begin + CHUNK - 1)
            async with self.connection.transaction():
                await self.connection.execute(DELIVERIES, lane, tenant, channel, campaign, TEXT, begin, end)
                await self.connection.execute(CONSENTS, tenant, begin, end)
                await self.connection.execute(QUEUE, tenant, begin, end, line)
        self.numbered = last
        for name in ("queue", "deliveries", "consents", "lines"):
            await self.connection.execute(f"VACUUM (ANALYZE) {name}")  # as PostgreSQL does by itself in the hours in which so much comes
        await self.connection.execute("CHECKPOINT")

    async def consume(self, lane: str, count: int) -> None:
        """Takes so many from the lane's front, as if they had been sent; what they leave in the indexes stays until PostgreSQL cleans up."""
        await self.connection.execute(FRONT, lane, count)
        await self.connection.execute("CHECKPOINT")

    async def set(self, lane: str, *, paused: bool = False, rate: str | None = None) -> None:
        """Pauses the lane or lets it run, at this rate; it hears of it at once."""
        await self.connection.execute(
            "INSERT INTO lanes (lane, paused_by, rate) VALUES ($1, $2, $3) ON CONFLICT (lane) DO UPDATE SET paused_by = $2, rate = $3",
            lane, "bench" if paused else None, rate,
        )  # fmt: skip
        await self.connection.execute("SELECT pg_notify('parley_lanes', $1)", f"{lane} ")

    async def waiting(self, lane: str) -> int:
        found: int = await self.connection.fetchval("SELECT count(*) FROM queue JOIN lines USING (line) WHERE part = $1", lane)
        return found

    async def backends(self) -> list[int]:
        """The processes that work for the sender."""
        rows = await self.connection.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        return [row["pid"] for row in rows]


@contextlib.asynccontextmanager
async def backlog(here: Ground) -> AsyncIterator[Backlog]:
    """A connection of its own to the sender's tables."""
    connection = await asyncpg.connect(here.settings.database.get_secret_value(), server_settings={"search_path": "sender"})
    try:
        yield Backlog(connection)
    finally:
        await connection.close()

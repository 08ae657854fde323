"""Accounts that change under what waits for them, on a real PostgreSQL: other shares, or none any more. Nothing is stranded, nothing is unsaid."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from parley import config, cursor, policies, wire
from parley import database as db
from parley.bus import Bus
from parley.contracts import DeliveryChanged, Envelope
from parley.metrics import Metrics
from parley.service import Context
from parley_sender import holding, standing
from parley_sender.law import Law
from parley_sender.limits import part_of
from parley_sender.outbox import Outbox
from parley_sender.packs import Packs
from parley_sender.strays import Strays
from tests.messaging import write_accounts

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@contextlib.asynccontextmanager
async def house(settings, folder, shares: int = 1) -> AsyncIterator[Strays]:
    """The worker over an empty queue, with an app in so many shares."""
    found = config.load(write_accounts(folder))
    accounts = {**found.accounts, "app": replace(found.accounts["app"], shares=shares)}
    found = replace(found, accounts=accounts)
    pool = await db.connect(settings.database.get_secret_value(), "sender", size=4)
    try:
        await db.migrate(pool, "sender", "parley", "parley_sender")
        context = Context(settings, found, pool, Bus(settings, client="test"), Metrics(), lambda: NOW)
        box = Outbox(context)
        box._behind = True  # the bus is away: what is to be said stays where it can be read
        yield Strays(context, Law(found, policies.load(folder, found.tenants, {}), Packs({})), box)
    finally:
        await pool.close()


async def ask(pool: db.Pool, part: str, contact: UUID, **more: object) -> UUID:
    """A message comes to stand in a part of a lane."""
    number = uuid4()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, content, segments, status, due_at, requested_at, expires_at)"
            " VALUES ($1, 'acme', $2, $3, 'inapp', 'u', 'reply', '{}', 1, 'queued', $4, $4, $5)",
            number, contact, part.partition("#")[0], NOW, more.get("expires_at"),
        )  # fmt: skip
        await standing.enter(connection, {number: part}, NOW)
        if more.get("state"):
            await connection.execute(
                "UPDATE queue SET state = $2, attempt = 1, fence = 1, called_at = $3 WHERE message_id = $1", number, more["state"], NOW
            )
    return number


async def said(pool: db.Pool) -> list[tuple[UUID, str]]:
    """What the bus is to hear of messages."""
    rows = await pool.fetch("SELECT records FROM outbox ORDER BY seq")
    found = [wire.decode(topic, headers, value) for row in rows for topic, _, headers, value in cursor.unpack(row["records"])]
    return [(one.data.message_id, one.data.status) for one in found if isinstance(one.data, DeliveryChanged)]


def test_what_waits_moves_to_the_shares_that_there_are(settings, tmp_path):
    """In its order, a contact to its own share, whatever its state; and no line of the old part is left."""

    async def main():
        async with house(settings, tmp_path, shares=3) as strays:
            pool, people = strays.context.pool, [UUID(int=number) for number in range(6)]
            asked = [await ask(pool, "app", one) for one in people + people]  # the second of each waits behind the first
            await pool.execute("UPDATE queue SET state = 'timed' WHERE message_id = $1", asked[5])
            await strays.turn()
            rows = await pool.fetch("SELECT message_id, contact_id, part FROM queue JOIN lines USING (line) ORDER BY seq")
            order = await pool.fetch("SELECT message_id FROM queue WHERE state = 'ready' ORDER BY place")
            left = await pool.fetchval("SELECT count(*) FROM lines WHERE part = 'app'")
            account = strays.context.config.accounts["app"]
            right = all(row["part"] == part_of(account, row["contact_id"].int) for row in rows)
            return len(rows), right, [row["message_id"] for row in order] == asked[:5], left

    assert (12, True, True, 0) == asyncio.run(main())


def test_a_call_of_a_part_that_is_no_more_is_settled(settings, tmp_path):
    """Its process ended with it: it is called for again where the provider knows keys; and what the lane had not said is said."""

    async def main():
        async with house(settings, tmp_path, shares=3) as strays:
            pool, contact = strays.context.pool, UUID(int=1)
            called, behind = await ask(pool, "app", contact, state="calling"), await ask(pool, "app", contact)
            unsaid = Envelope(id="1", source="test", time=NOW, tenant="acme", data=_queued(behind, contact))
            async with pool.acquire() as connection, connection.transaction():
                await holding.row(connection, "app")
                await holding.move(connection, "app", holding.Hold(1, 1), cursor.pack([wire.encode(unsaid)]), None)
            await strays.turn()
            rows = await pool.fetch("SELECT state, part FROM queue JOIN lines USING (line) ORDER BY seq")
            return await said(pool), [tuple(row) for row in rows], (called, behind)

    heard, rows, (called, behind) = asyncio.run(main())

    assert [(behind, "queued"), (called, "queued")] == heard
    assert [("timed", "app#1"), ("behind", "app#1")] == rows


def test_a_part_that_somebody_drives_is_left_to_them(settings, tmp_path):
    """Another replica has an older accounts.yaml."""

    async def main():
        async with house(settings, tmp_path, shares=3) as strays:
            pool = strays.context.pool
            await ask(pool, "app", UUID(int=1))
            async with pool.acquire() as other:
                await other.execute("SELECT pg_advisory_lock(hashtextextended('parley.lane:app', 0))")
                await strays.turn()
                kept = await pool.fetchval("SELECT part FROM queue JOIN lines USING (line)")
                await other.execute("SELECT pg_advisory_unlock_all()")
            await strays.turn()
            return kept, await pool.fetchval("SELECT part FROM queue JOIN lines USING (line)")

    assert ("app", "app#1") == asyncio.run(main())


def test_what_waits_for_an_account_that_is_gone_expires_in_its_time(settings, tmp_path):
    """It is told; what has no time of its own waits, for the account may come back."""

    async def main():
        async with house(settings, tmp_path) as strays:
            pool = strays.context.pool
            over = await ask(pool, "gone", UUID(int=1), expires_at=NOW)
            later = await ask(pool, "gone", UUID(int=1), expires_at=NOW + timedelta(hours=1))
            await strays.turn()
            rows = await pool.fetch("SELECT message_id, state FROM queue")
            return await said(pool) == [(over, "expired")], [tuple(row) for row in rows] == [(later, "ready")]

    assert (True, True) == asyncio.run(main())


def test_new_shares_are_set_as_the_lane_was(settings, tmp_path):
    """A lane that people paused stays paused, whatever its shares."""

    async def main():
        async with house(settings, tmp_path, shares=3) as strays, strays.context.pool.acquire() as connection, connection.transaction():
            await holding.row(connection, "app")
            await connection.execute("UPDATE lanes SET paused_by = 'ops', rate = '3/s' WHERE lane = 'app'")
            row = await holding.row(connection, "app#1")
            return row.wishes

    assert holding.Wishes(paused=True, rate="3/s") == asyncio.run(main())


def test_lines_of_campaigns_that_are_over_are_forgotten(settings, tmp_path):
    """Not those in which something stands, nor those that somebody is about to stand in."""

    async def main():
        async with house(settings, tmp_path) as strays:
            pool = strays.context.pool
            await pool.execute(
                "INSERT INTO lines (part, purpose, tenant, campaign) SELECT 'app', 'marketing', 'acme', 'c' || n FROM generate_series(1, 5) n"
            )
            async with pool.acquire() as entering, pool.acquire() as connection:
                holding = entering.transaction()
                await holding.start()
                await entering.execute("SELECT FROM lines WHERE campaign = 'c1' FOR KEY SHARE")
                count = await standing.forget(connection, 10)
                await holding.rollback()
            return count, await pool.fetchval("SELECT string_agg(campaign, ',') FROM lines")

    assert (4, "c1") == asyncio.run(main())


def _queued(number: UUID, contact: UUID) -> DeliveryChanged:
    return DeliveryChanged(
        contact_id=contact, message_id=number, channel="inapp", account="app", purpose="reply", status="queued", segments=1, at=NOW
    )  # fmt: skip

"""No table of the sender's grows for ever: what is old is dropped, what may still be asked for is not. On a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from parley import config
from parley import database as db
from parley.bus import Bus
from parley.metrics import Metrics
from parley.service import Context
from parley_sender.janitor import OLD, Janitor
from tests.messaging import write_accounts

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
FILL = """
    INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, content, segments, status, due_at, requested_at)
        VALUES ($2::uuid, 'acme', $2, 'app', 'inapp', 'u', 'reply', '{}', 1, $3, $1, $1);
    INSERT INTO attempts (message_id, attempt, fence, called_at, ended_at, outcome) VALUES ($2, 1, 1, $1, $1, 'accepted');
    INSERT INTO notes (message_id, at, what) VALUES ($2, $1, 'held');
    INSERT INTO inquiries (message_id, attempt) VALUES ($2, 1);
    INSERT INTO parked (lane, provider_id, status, at, parked_at) VALUES ('app', $2::text, 'sent', $1, $1);
    INSERT INTO windows (lane, address, at) VALUES ('app', $2::text, $1);
    INSERT INTO touches (contact_id, purpose, times) VALUES ($2, 'reply', ARRAY[$1::timestamptz])"""


async def counts(settings, folder, rows: list[tuple[timedelta, str]]) -> dict[str, int]:
    """What is left in each table of messages of these ages and statuses."""
    pool = await db.connect(settings.database.get_secret_value(), "sender", size=2)
    try:
        await db.migrate(pool, "sender", "parley", "parley_sender")
        for number, (age, status) in enumerate(rows):
            for statement in FILL.split(";"):
                given = statement.replace("$1", f"'{NOW - age}'").replace("$2", f"'{number:032x}'").replace("$3", f"'{status}'")
                await pool.execute(given)
        assert not await Janitor(
            Context(settings, config.load(write_accounts(folder)), pool, Bus(settings, client="test"), Metrics(), lambda: NOW)
        ).turn()
        return {table: await pool.fetchval(f"SELECT count(*) FROM {table}") for table in OLD}
    finally:
        await pool.close()


@pytest.mark.parametrize(
    "age, status, left",
    [
        (timedelta(days=401), "sent", {}),
        (timedelta(days=401), "unknown", {"attempts", "notes", "inquiries"}),
        (timedelta(days=89), "sent", {"attempts", "notes", "touches"}),
        (timedelta(days=6), "queued", {"attempts", "notes", "inquiries", "parked", "windows", "touches"}),
    ],
)
def test_what_is_old_is_dropped_and_what_is_open_is_kept(settings, tmp_path, age, status, left):
    """Each table by its own age; of a message that is open, or of which nobody knows, its story stays."""
    assert {table: int(table in left) for table in OLD} == asyncio.run(counts(settings, tmp_path, [(age, status)]))

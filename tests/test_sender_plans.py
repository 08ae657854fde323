"""A plan that PostgreSQL made while the queue was empty is the plan of the next million: what is read for a message must not depend on it."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from parley import database
from parley.contracts import DeliveryStatus
from parley.failures import Outcome
from parley_sender import claims, ledger, standing
from parley_sender.holding import Hold
from parley_sender.law import Law
from parley_sender.outcome import Finished, Next
from parley_sender.queue import Waiting
from tests.messaging import write_accounts
from tests.tables import at_tables, law

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
HOLD = Hold(1, 1)
MANY, SOME = 20_000, 100
ASKED = """INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, content, segments, status, due_at, requested_at)
           SELECT id, 'acme', gen_random_uuid(), 'app', 'inapp', 'u', 'transactional', '{}', 1, 'queued', $2, $2 FROM unnest($1::uuid[]) AS id"""
READ = "SELECT relname, seq_tup_read, idx_tup_fetch FROM pg_stat_user_tables WHERE relname IN ('queue', 'deliveries', 'attempts', 'touches')"


async def asked(connection: database.Connection, count: int) -> list[UUID]:
    """So many messages come to stand in line, each to somebody else."""
    ids = [uuid4() for _ in range(count)]
    await connection.execute(ASKED, ids, NOW)
    await standing.enter(connection, dict.fromkeys(ids, "app"), NOW)
    return ids


async def sent(connection: database.Connection, law: Law, count: int) -> None:
    """So many come and leave, as intake and a lane do it."""
    account = law.config.accounts["app"]
    waiting = [Waiting(one, 1, place, 1) for place, one in enumerate(await asked(connection, count))]
    claimed = (await claims.ask(connection, waiting, account, law, lambda *_: 0.0, HOLD, NOW)).claimed
    assert count == len(claimed)
    accepted = Outcome(kind="accepted", provider_id=None)
    calls = [Finished(one.message_id, one.purpose, one.attempt, 0, 1, accepted, NOW, NOW) for one in claimed]
    _, chains = await ledger.record(connection, "app", [(one, Next(DeliveryStatus.SENT, None, 0, NOW)) for one in calls], HOLD)
    await standing.promote(connection, chains, NOW)


async def read(connection: database.Connection) -> dict[str, tuple[int, int]]:
    """Rows read so far by table: by whole readings, and by index."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    return {row["relname"]: (row["seq_tup_read"], row["idx_tup_fetch"]) for row in await connection.fetch(READ)}


async def read_for(pool: database.Pool, law: Law) -> dict[str, tuple[float, float]]:
    """Rows read for each of some messages beside many, by a connection that knew the tables empty."""
    async with pool.acquire() as connection:
        for _ in range(8):  # a prepared statement has a plan for good after five times
            await sent(connection, law, 1)
            await connection.execute("TRUNCATE queue, deliveries, attempts, touches")
            await connection.execute("VACUUM ANALYZE queue, deliveries, attempts, touches")
        await asked(connection, MANY)
        before = await read(connection)
        await sent(connection, law, SOME)
        after = await read(connection)
        return {name: tuple((now - then) / SOME for now, then in zip(after[name], before[name], strict=True)) for name in after}


def test_what_is_read_for_a_message_does_not_grow_with_the_queue(database, tmp_path):
    """Beside twenty thousand that came since the plans were made, a few rows: each by its key."""
    write_accounts(tmp_path)
    rules = law(tmp_path)
    found = at_tables(database, lambda pool: read_for(pool, rules), size=1)
    assert dict.fromkeys(found, 0) == {name: whole for name, (whole, _) in found.items()}
    assert all(by_index <= 30 for _, by_index in found.values()), found

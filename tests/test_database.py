"""The pool: it says at once that there is no database, and is quiet and of use again when one goes away and comes back."""

import asyncio
import logging

import asyncpg
import pytest

from parley.database import OUTSIDE, connect
from parley.local import free_port
from tests.conftest import until


def test_no_database_is_told_at_the_start(run):
    """Not at the first question."""
    with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
        run(connect(f"postgresql://parley@127.0.0.1:{free_port()}/parley", "sender"))


@pytest.mark.stack
def test_a_database_that_is_away_fills_no_log(stack, database, caplog):
    """Whoever asks is told, and tells it in a line; the pool itself says nothing, and serves again when the database is back."""
    name = database.rpartition("/")[2]
    caplog.set_level(logging.WARNING, "asyncpg")

    async def refused(pool: asyncpg.Pool) -> bool:
        try:
            await pool.fetchval("SELECT 1")
        except OUTSIDE:
            return True
        except asyncpg.ObjectNotInPrerequisiteStateError:
            return True  # the test's own way of being away
        return False

    async def main():
        admin, pool = await asyncpg.connect(stack.database), await connect(database, "sender", size=2)
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await until(lambda: refused(pool), "the end of the database")
        answers = [await refused(pool) for _ in range(20)]
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        back = await pool.fetchval("SELECT 1")
        await pool.close()
        await admin.close()
        return answers, back

    assert ([True] * 20, 1) == asyncio.run(main())
    assert [] == caplog.messages

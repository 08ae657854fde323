"""Figures through SIGKILLs of real processes on real Kafka: at the end they are what a naive reading of the log says."""

import asyncio
import contextlib
import os
import random
import signal
import sys

import asyncpg
import pytest

from parley import wire
from parley.bus import Bus
from parley.local import free_port
from tests import analytics_oracle as oracle
from tests.conftest import until
from tests.test_analytics_count import NAIVE, dealt, figures
from tests.test_start_stop import environment

pytestmark = pytest.mark.stack
EVENTS, BATCH = 2_000, 20
"""Batches so small that there are many to be killed in."""
ACCOUNTS = """
tenants:
  acme:
    attribution: {window: 2d, after_delivery: 24h, goals: [order.placed, trial.started], currency: EUR}
accounts: {}
"""


@contextlib.asynccontextmanager
async def replica(settings, log):
    """A real `parley analytics` on a port of its own, SIGKILLed at the end."""
    own = environment(settings, port=free_port(), secret="test", batch=BATCH, log_level="warning")
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "parley", "analytics", env=own, stdout=file, stderr=file)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.fixture
def own(settings, tmp_path):
    """A tenant whose conversions are owed by a rule of its own."""
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
    return settings.model_copy(update={"config": tmp_path})


@pytest.mark.kills
def test_two_replicas_and_sigkills_leave_the_figures_of_the_log(own, run, tmp_path):
    """Each replica dies in the middle, one of them for good, and another one ends what they began: every figure is that of the oracle."""
    dice = random.Random(7)
    log = [dealt(dice) for _ in range(EVENTS)]

    async def main():
        bus = Bus(own, client="test")
        await bus.ensure_topics()
        await bus.publish([wire.encode(one) for one in log])
        connection = await asyncpg.connect(own.database.get_secret_value(), server_settings={"search_path": "analytics"})

        async def taken(count: int) -> None:
            async def there() -> bool:
                rows = await connection.fetchval("SELECT COALESCE(sum(next_offset), 0) FROM cursors WHERE stage = 'analytics'")
                return rows >= count

            await until(there, f"{count} events to be counted", 60)

        async with replica(own, tmp_path / "log"):
            async with replica(own, tmp_path / "log"):
                await taken(EVENTS // 4)
            async with replica(own, tmp_path / "log"):
                await taken(EVENTS // 2)
        before = await figures(connection)
        async with replica(own, tmp_path / "log"):
            await taken(EVENTS)
        await bus.stop()
        found = await figures(connection)
        await connection.close()
        return before, found

    before, found = run(main())

    assert oracle.figures(log, NAIVE) == found
    assert before != found

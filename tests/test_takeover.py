"""Taking a lane over, on a real PostgreSQL: whose it was decides what goes on, what is in doubt, and with what it begins."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from parley import cursor
from parley import database as db
from parley_sender import holding, standing, takeover
from parley_sender.holding import Hold, Wishes
from parley_sender.law import Law
from parley_sender.limits import Limits
from parley_sender.takeover import Before, Taken
from tests.messaging import write_accounts
from tests.tables import at_tables, law

pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
BROKEN, HERE = T0 + timedelta(seconds=40), T0 + timedelta(seconds=5)
FIRST = Hold(1, 1)
"""As the first takeover of a lane leaves its row."""
NOBODY = Before(None, [], None)


@dataclass
class Desk:
    """A lane without a driver: a test takes it over as often as it likes."""

    pool: db.Pool
    law: Law

    async def take(self, before: Before = NOBODY) -> Taken:
        return await takeover.take(self.pool, self.law.config.accounts["app"], "app", self.law, Limits(self.law.config), before, T0)

    async def calling(self, hold: Hold) -> UUID:
        """A message that is called for under a hold."""
        number = uuid4()
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, content, segments, status, due_at, requested_at)"
                " VALUES ($1, 'acme', $2, 'app', 'inapp', 'u', 'transactional', '{}', 1, 'queued', $3, $3)",
                number, uuid4(), T0,
            )  # fmt: skip
            await standing.enter(connection, {number: "app"}, T0)
            await connection.execute(
                "UPDATE queue SET state = 'calling', attempt = 1, fence = $2, called_at = $3 WHERE message_id = $1", number, hold.fence, T0
            )
        return number

    async def stands(self, number: UUID) -> tuple[str, str | None, int | None]:
        """The status of a message, where it stands in the queue, and its attempts there."""
        row = await self.pool.fetchrow(
            "SELECT status, state, q.attempt FROM deliveries LEFT JOIN queue q USING (message_id) WHERE message_id = $1", number
        )
        return tuple(row)


@pytest.fixture
def at_desk(database, tmp_path):
    """Runs what a test does with a lane of an account whose provider knows no keys."""
    write_accounts(tmp_path, honours_keys=False)
    rules = law(tmp_path)
    return lambda what: at_tables(database, lambda pool: what(Desk(pool, rules)))


def test_what_nobody_had_in_between_goes_on(at_desk):
    """The fence stays, calls under way are left alone, what was claimed and never made goes back; the row learns how the circuit stands here."""

    async def main(desk):
        first = await desk.take()
        mine, unmade = await desk.calling(first.hold), await desk.calling(first.hold)
        taken = await desk.take(Before(first.hold, [mine], HERE))
        until = await desk.pool.fetchval("SELECT broken_until FROM lanes WHERE lane = 'app'")
        return first.hold, taken.hold, taken.pace, until, await desk.stands(mine), await desk.stands(unmade)

    assert (FIRST, Hold(1, 2), None, HERE, ("queued", "calling", 1), ("queued", "ready", 0)) == at_desk(main)


def test_what_somebody_had_in_between_is_begun_anew(at_desk):
    """Whatever this process has of it counts no more: its calls are in doubt like a stranger's, and the circuit stands as the row says."""

    async def main(desk):
        first = await desk.take()
        number = await desk.calling(first.hold)
        async with desk.pool.acquire() as connection, connection.transaction():
            await holding.move(connection, "app", Hold(2, 7), b"", BROKEN)
        taken = await desk.take(Before(first.hold, [number], HERE))
        return taken.hold, taken.pace is None, taken.broken_until, len(taken.said), await desk.stands(number)

    assert (Hold(3, 8), False, BROKEN, 1, ("unknown", None, None)) == at_desk(main)


def test_what_was_not_said_is_said_by_whoever_has_the_lane_now(at_desk):
    """The events of the last turn stand in the row until the next one's do: a takeover that is not lived through loses none."""

    async def main(desk):
        await desk.calling((await desk.take()).hold)
        said = (await desk.take()).said
        return (
            len(said),
            said == (await desk.take()).said,
            said == cursor.unpack(await desk.pool.fetchval("SELECT pending FROM lanes WHERE lane = 'app'")),
        )

    assert (1, True, True) == at_desk(main)


def test_a_stranger_is_fenced_off(at_desk):
    """Who held the lane before cannot lock its row for a turn any more; who has it now can, and finds what people set."""

    async def main(desk):
        first, second = await desk.take(), await desk.take()
        await desk.pool.execute("UPDATE lanes SET rate = '3/s'")
        async with desk.pool.acquire() as connection, connection.transaction():
            wishes = await holding.keep(connection, "app", second.hold)
            with pytest.raises(holding.Fenced):
                await holding.keep(connection, "app", first.hold)
        return second.hold, wishes

    assert (Hold(2, 2), Wishes(rate="3/s")) == at_desk(main)

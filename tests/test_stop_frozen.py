"""A sender that is frozen in the moment between its claim and the call: whoever says STOP meanwhile gets nothing when it wakes, though it had their leave."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from uuid import UUID

import pytest

from parley import database
from parley.contracts import Channel, Content, MessageRequested, Purpose
from parley.demo.witness import Tail
from parley.twin.ledger import Request
from parley.wire import natural_id
from parley_sender.consents import Agreement, agree
from tests.conftest import until
from tests.governed.lanes import TENANT, Lane
from tests.governed.playing import Plan, Run, running
from tests.governed.traffic import Traffic

LANE = Lane("app", "plain", "8/s")
"""Slow enough that what is claimed waits a quarter of a second for its moment."""
TIMES = 3


def message(number: int) -> MessageRequested:
    return MessageRequested(
        contact_id=natural_id("frozen", str(number)), message_id=natural_id("frozen", "message", str(number)), purpose=Purpose.MARKETING,
        channels=(Channel.INAPP,), account=LANE.name, addresses={Channel.INAPP: f"u{number}"}, content=Content(text="tea"), campaign="tea",
    )  # fmt: skip


class Frozen:
    """A run of two replicas, one of which has the lane; `arrived`: the messages that are at the provider's."""

    def __init__(self, run: Run, connection):
        self.run, self.connection, self.arrived, self._ledger = run, connection, set(), Tail(run.papers.ledger)

    async def claimed(self) -> dict[UUID, UUID]:
        """Messages that are claimed and not at the provider's, with whom they are for."""
        rows = await self.connection.fetch("SELECT message_id, contact_id FROM queue WHERE state = 'calling'")
        self.arrived |= {UUID(one.reference) for one in self._ledger.news() if isinstance(one, Request)}
        return {row["message_id"]: row["contact_id"] for row in rows if row["message_id"] not in self.arrived}

    async def frozen(self) -> tuple[int, dict[UUID, UUID]]:
        """Freezes whoever has the lane while something that it claimed waits for its moment; gives the process and what."""
        while True:
            await until(self.claimed, "something is claimed")
            pid = self.run.replicas[self.run.holder()].pid
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.3)  # what had left is in the ledger by then
            if found := await self.claimed():
                return pid, found
            os.kill(pid, signal.SIGCONT)

    async def stop(self, contacts: list[UUID]) -> None:
        """As the intake of any replica does it."""
        now = datetime.now(UTC)
        said = [Agreement(one, "inapp", "marketing", "revoked", now, TENANT) for one in contacts]
        async with self.connection.transaction():
            await agree(self.connection, said, now)

    async def dispossess(self) -> None:
        """The connection of whoever has the lane ends: its lock is free, and no stop is told to it."""
        await self.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            " AND (classid::bigint << 32) | objid::bigint = hashtextextended('parley.lane:' || $1, 0)", LANE.name
        )  # fmt: skip

    async def goes_on(self) -> None:
        """Waits until the lane has sent some more."""
        await self.claimed()
        wanted = len(self.arrived) + 6

        async def more() -> bool:
            await self.claimed()
            return len(self.arrived) >= wanted

        await until(more, "the lane goes on")


@pytest.mark.kills
@pytest.mark.stack
@pytest.mark.parametrize("lost", [False, True], ids=["told", "untold"])
def test_nothing_that_was_claimed_before_a_stop_leaves_after_it(settings, tmp_path, run, lost):
    """Whether the stop is told to the frozen process, or its connection has ended meanwhile and another has the lane. It is not too old to leave by itself."""

    async def main():
        asked = [(TENANT, message(number)) for number in range(150)]
        async with running(Plan(1, 60, (LANE,), Traffic(asked, (), ())), tmp_path, print, settings) as players:
            connection = await database.single(players.settings.database.get_secret_value(), "sender")
            one, stopped = Frozen(players, connection), []
            await players.fill(Traffic(asked, (), ()), together=False)
            for _ in range(TIMES):
                pid, claimed = await one.frozen()
                stopped += claimed
                if lost:
                    await one.dispossess()
                await one.stop(list(claimed.values()))
                await asyncio.sleep(0.7)
                os.kill(pid, signal.SIGCONT)
                await one.goes_on()
            ended = "SELECT array_agg(DISTINCT status) FROM deliveries WHERE message_id = ANY($1::uuid[]) HAVING bool_and(status <> 'queued')"
            await until(lambda: connection.fetchval(ended, stopped), "an end of all that was stopped")
            statuses = await connection.fetchval(ended, stopped)
            await one.claimed()
            await connection.close()
            return stopped, one.arrived, set(statuses)

    stopped, arrived, statuses = run(main())

    assert len(stopped) >= TIMES and set() == arrived & set(stopped)
    assert statuses <= ({"suppressed", "unknown"} if lost else {"suppressed"})

"""What the lane writes of claims, on a real PostgreSQL: one call a message, one slot a message, and the next of a chain never waits for nobody."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import yaml

from parley import database as db
from parley.contracts import DeliveryStatus, Purpose
from parley.failures import Outcome
from parley_sender import claims, dropping, facts, ledger, standing
from parley_sender.claims import Claimed
from parley_sender.gate import Drop
from parley_sender.holding import Hold
from parley_sender.law import Law
from parley_sender.outcome import Finished, Next
from parley_sender.queue import Waiting
from tests.messaging import write_accounts
from tests.tables import at_tables, law

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
HOLD = Hold(1, 1)
CAPS = {"tenants": {"acme": {"caps": [{"purpose": "transactional", "per": "day", "most": 1}]}}}


class Desk:
    """A queue without lanes: a test does what they do, step by step."""

    def __init__(self, pool: db.Pool, law: Law):
        self.pool, self.law, self.contact = pool, law, uuid4()

    async def ask(self, **more: object) -> UUID:
        """A message comes to stand in line."""
        number = uuid4()
        row = {"contact_id": self.contact, "expires_at": None, **more}
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, content, segments, status, due_at, requested_at,"
                " expires_at) VALUES ($1, 'acme', $2, 'app', 'inapp', 'u', 'transactional', '{}', 1, 'queued', $3, $3, $4)",
                number, row["contact_id"], NOW, row["expires_at"],
            )  # fmt: skip
            await standing.enter(connection, {number: "app"}, NOW)
        return number

    async def claim(self, *numbers: UUID, now: datetime = NOW) -> list[Claimed]:
        """One turn: what may go of these, claimed; what the gate stops, dropped."""
        async with self.pool.acquire() as connection, connection.transaction():
            waiting, account = [Waiting(one, 1, 1, 1) for one in numbers], self.law.config.accounts["app"]
            return list((await claims.ask(connection, waiting, account, self.law, lambda *_: 0.0, HOLD, now)).claimed)

    async def record(self, one: Claimed, outcome: Outcome | None, status: DeliveryStatus, now: datetime = NOW) -> None:
        """The call is over, with this end."""
        call = Finished(one.message_id, one.purpose, one.attempt, one.failures, 0, outcome, now, now)
        async with self.pool.acquire() as connection, connection.transaction():
            await ledger.record(connection, "app", [(call, Next(status, None, 0, now))], HOLD)
            await standing.release(connection, now, 10)

    async def slots(self) -> list[datetime]:
        return await self.pool.fetchval("SELECT times FROM touches WHERE contact_id = $1", self.contact) or []


@pytest.fixture
def at_desk(database, tmp_path):
    """Runs what a test does at a desk with a cap of one a day."""
    write_accounts(tmp_path)
    (tmp_path / "policies.yaml").write_text(yaml.safe_dump(CAPS))
    rules = law(tmp_path)
    return lambda what: at_tables(database, lambda pool: what(Desk(pool, rules)))


FAILED = Outcome(kind="transient", code="503")


def test_a_message_that_stands_twice_in_memory_is_called_once(at_desk):
    """It was handed back, and read again before."""

    async def main(desk):
        number = await desk.ask()
        return len(await desk.claim(number, number))

    assert 1 == at_desk(main)


def test_a_call_recorded_twice_takes_no_call_of_another_back(at_desk):
    """The answer of a commit was lost, and the message is called for again, elsewhere perhaps, before its first call is recorded once more."""

    async def main(desk):
        (first,) = await desk.claim(await desk.ask())
        await desk.record(first, FAILED, DeliveryStatus.QUEUED)
        (second,) = await desk.claim(first.message_id)
        await desk.record(first, FAILED, DeliveryStatus.QUEUED)
        return second.attempt, await desk.pool.fetchval("SELECT state FROM queue")

    assert (2, "calling") == at_desk(main)


def test_who_expires_after_a_failed_call_gives_the_slot_back(at_desk):
    """Nothing reached anybody, so the next one may."""

    async def main(desk):
        (first,) = await desk.claim(await desk.ask(expires_at=NOW + timedelta(minutes=1)))
        await desk.record(first, FAILED, DeliveryStatus.QUEUED)
        await desk.claim(first.message_id, now=NOW + timedelta(minutes=2))
        return await desk.slots(), len(await desk.claim(await desk.ask(), now=NOW + timedelta(minutes=2)))

    assert ([], 1) == at_desk(main)


def test_what_ends_in_doubt_keeps_its_slot(at_desk):
    """It may have reached them."""

    async def main(desk):
        (first,) = await desk.claim(await desk.ask(expires_at=NOW + timedelta(minutes=1)))
        await desk.record(first, Outcome(kind="unknown"), DeliveryStatus.QUEUED)
        await desk.claim(first.message_id, now=NOW + timedelta(minutes=2))
        return await desk.slots(), await desk.pool.fetchval("SELECT status FROM deliveries")

    assert ([NOW], "unknown") == at_desk(main)


def test_a_slot_counts_from_the_call_that_was_made_last(at_desk):
    """Tried at one hour and sent at another: the day begins at the other, and it is one slot."""
    later = NOW + timedelta(hours=9)

    async def main(desk):
        (first,) = await desk.claim(await desk.ask())
        await desk.record(first, FAILED, DeliveryStatus.QUEUED)
        (again,) = await desk.claim(first.message_id, now=later)
        held = await desk.pool.fetchval("SELECT reserved FROM queue")
        await desk.record(again, Outcome(kind="accepted", provider_id="1"), DeliveryStatus.SENT, later)
        return held, await desk.slots(), len(await desk.claim(await desk.ask(), now=NOW + timedelta(hours=25)))

    assert (later, [later], 0) == at_desk(main)


def test_slots_of_one_person_are_given_back_together(at_desk):
    """Two messages that are asked again at once leave no slot behind that nobody uses."""

    async def main(desk: Desk):
        slots = [(desk.contact, "transactional", NOW + timedelta(seconds=place)) for place in range(3)]
        async with desk.pool.acquire() as connection, connection.transaction():
            await facts.touched(connection, {(desk.contact, Purpose.TRANSACTIONAL)})
            await facts.touch(connection, slots)
            await facts.untouch(connection, slots[:2])
        return slots[2:], await desk.slots()

    (kept,), slots = at_desk(main)
    assert [kept[-1]] == slots


def test_a_slot_is_remembered_for_as_long_as_a_cap_may_look_back(at_desk):
    """Ninety days."""
    old, purpose = NOW - timedelta(days=89), Purpose.TRANSACTIONAL

    async def main(desk):
        async with desk.pool.acquire() as connection, connection.transaction():
            await facts.touched(connection, {(desk.contact, purpose)})
            await facts.touch(connection, [(desk.contact, purpose, old)])
            await facts.touch(connection, [(desk.contact, purpose, NOW)])
        return await desk.slots()

    assert [old, NOW] == at_desk(main)


def test_who_is_dropped_after_a_receipt_lets_the_next_in(at_desk):
    """The delivery has its end already, told by the provider; its place in the chain is free all the same."""

    async def main(desk):
        first, second = await desk.ask(), await desk.ask()
        await desk.pool.execute("UPDATE deliveries SET status = 'delivered' WHERE message_id = $1", first)
        async with desk.pool.acquire() as connection, connection.transaction():
            _, chains = await dropping.drop(connection, "app", [(first, Drop(DeliveryStatus.EXPIRED, "expired"))], NOW)
            await standing.promote(connection, chains, NOW)
        return await desk.pool.fetch("SELECT message_id, state FROM queue") == [(second, "ready")]

    assert at_desk(main)


def test_nobody_is_let_in_beside_a_call_of_the_same_chain(at_desk):
    """An earlier message is called for again after it was unknown: it waits for the one that is called for now, whoever else of the chain ends."""

    async def main(desk):
        earlier, now_called, last = [await desk.ask() for _ in range(3)]
        async with desk.pool.acquire() as connection, connection.transaction():
            await connection.execute("UPDATE queue SET state = 'behind' WHERE message_id = $1", earlier)
            await connection.execute("UPDATE queue SET state = 'calling' WHERE message_id = $1", now_called)
            _, chains = await dropping.drop(connection, "app", [(last, Drop(DeliveryStatus.SUPPRESSED, "cancelled"))], NOW)
            await standing.promote(connection, chains, NOW)
        return await desk.pool.fetchval("SELECT state FROM queue WHERE message_id = $1", earlier)

    assert "behind" == at_desk(main)

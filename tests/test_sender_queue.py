"""The queue on a real PostgreSQL: chains keep their order, nothing is stranded, what is due comes in, and slots under caps are taken once."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from parley import database as db
from parley.contracts import Purpose
from parley.policies import Cap
from parley_sender import facts, standing
from parley_sender.gate import Go, capped

pytestmark = pytest.mark.stack
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PEOPLE = [UUID(int=number) for number in range(3)]


async def opened(database: str, size: int = 4) -> db.Pool:
    pool = await db.connect(database, "sender", size=size)
    await db.migrate(pool, "sender", "parley", "parley_sender")
    return pool


async def ask(pool: db.Pool, contact: UUID, due: datetime = NOW, purpose: str = "reply", campaign: str | None = None) -> UUID:
    """A message comes to the queue as the stage brings it."""
    number = uuid4()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, campaign, content, segments, status, due_at, requested_at)"
            " VALUES ($1, 'acme', $2, 'app', 'inapp', 'u', $3, $4, '{}', 1, 'queued', $5, $6)",
            number, contact, purpose, campaign, due, NOW,
        )  # fmt: skip
        await standing.enter(connection, {number: "app"}, NOW)
    return number


async def end(pool: db.Pool, number: UUID, now: datetime = NOW) -> None:
    """A message ends, by whomever."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE deliveries SET status = 'sent' WHERE message_id = $1", number)
        await standing.leave(connection, [number], now)


async def states(pool: db.Pool) -> dict[UUID, list[str]]:
    """The states of each contact's messages, in the order in which they were asked for."""
    rows = await pool.fetch("SELECT contact_id, state FROM queue ORDER BY contact_id, seq")
    return {contact: [row["state"] for row in rows if row["contact_id"] == contact] for contact in PEOPLE}


@pytest.mark.parametrize("seed", range(6))
def test_a_chain_keeps_its_order_whatever_comes_and_goes(database, seed):
    """After any sequence the first of a contact stands in line or waits for its time, the others behind it; and in the end none is left."""

    async def main():
        pool, chance, open_ = await opened(database), random.Random(seed), []
        try:
            for _ in range(60):
                if chance.random() < 0.6 or not open_:
                    contact = chance.choice(PEOPLE)
                    open_.append(await ask(pool, contact, NOW + timedelta(hours=chance.choice((-1, 1)))))
                else:
                    await end(pool, open_.pop(chance.randrange(len(open_))))
                for some in (await states(pool)).values():
                    assert some[:1] in ([], ["ready"], ["timed"]) and set(some[1:]) <= {"behind"}
            for number in chance.sample(open_, len(open_)):
                await end(pool, number)
            return await states(pool)
        finally:
            await pool.close()

    assert {one: [] for one in PEOPLE} == asyncio.run(main())


def test_who_comes_while_the_one_before_ends_is_not_stranded(database):
    """Both at once, many times: whichever commits first, the next stands in line."""

    async def main():
        pool = await opened(database)
        try:
            stranded = []
            for _ in range(40):
                first = await ask(pool, PEOPLE[0])
                second, _ = await asyncio.gather(ask(pool, PEOPLE[0]), end(pool, first))
                stranded.append((await states(pool))[PEOPLE[0]])
                await end(pool, second)
            return stranded
        finally:
            await pool.close()

    assert [["ready"]] * 40 == asyncio.run(main())


def test_what_is_due_comes_to_stand_in_its_line(database):
    """In order of its time, not before it, and once."""

    async def main():
        pool = await opened(database)
        try:
            late, early, tomorrow = [await ask(pool, one, NOW + timedelta(minutes=minutes)) for one, minutes in zip(PEOPLE, (9, 5, 999), strict=True)]
            async with pool.acquire() as connection:
                counts = [(await standing.release(connection, NOW + timedelta(minutes=minutes), 10))[0] for minutes in (1, 10, 10)]
            rows = await pool.fetch("SELECT message_id FROM queue WHERE state = 'ready' ORDER BY place")
            return [row["message_id"] for row in rows] == [early, late], counts, tomorrow
        finally:
            await pool.close()

    in_order, counts, _ = asyncio.run(main())

    assert in_order
    assert [0, 2, 0] == counts


def test_a_line_is_read_from_where_it_was_left(database):
    """Each line for itself, in the order of places, so many of each."""

    async def main():
        pool = await opened(database)
        try:
            for campaign in ("x", "y", "x", "x"):
                await ask(pool, uuid4(), purpose="marketing", campaign=campaign)
            async with pool.acquire() as connection:
                lines = {one.campaign: one.number for one in await facts.lines(connection, "app")}
                first = await facts.fronts(connection, {lines["x"]: 0, lines["y"]: 0}, 2)
                rest = await facts.fronts(connection, {lines["x"]: first[lines["x"]][-1].place}, 2)
            return [len(first[lines["x"]]), len(first[lines["y"]]), len(rest[lines["x"]])]
        finally:
            await pool.close()

    assert [2, 1, 1] == asyncio.run(main())


def test_twenty_at_once_take_no_more_slots_than_there_are(database):
    """Each asks in a transaction of its own for the same person: three go, whoever they are."""
    caps = (Cap(Purpose.MARKETING, timedelta(days=1), 3),)

    async def one(pool: db.Pool) -> bool:
        async with pool.acquire() as connection, connection.transaction():
            times = (await facts.touched(connection, {(PEOPLE[0], Purpose.MARKETING)}))[PEOPLE[0], Purpose.MARKETING]
            if not isinstance(capped(times, caps, 0, NOW), Go):
                return False
            at = NOW + timedelta(microseconds=len(times))
            await facts.touch(connection, [(PEOPLE[0], Purpose.MARKETING, at)])
            return True

    async def main():
        pool = await opened(database, 10)
        try:
            went = sum(await asyncio.gather(*(one(pool) for _ in range(20))))
            async with pool.acquire() as connection, connection.transaction():
                await facts.untouch(connection, [(PEOPLE[0], "marketing", NOW)])
            return went, await one(pool), await one(pool)
        finally:
            await pool.close()

    assert (3, True, False) == asyncio.run(main())

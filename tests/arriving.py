"""How a log may come to a stage of analytics: shuffled, repeated and cut, in one hand or in several at once. And the tables that it comes to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from parley import database as db
from parley.contracts import Envelope
from tests.conftest import examples

Batch = list[Envelope]
Apply = Callable[[Any, Batch], Awaitable[None]]
"""A batch applied on a connection, in a transaction."""


def thorough(count: int):
    """The settings of a property on real tables, with so many examples where properties are looked at thoroughly."""
    return settings(max_examples=examples(count), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def arrivals(draw, log: Batch) -> list[Batch]:
    """Batches in which a log may come: shuffled, with repeats, cut anywhere."""
    shuffled = draw(st.permutations(log + draw(st.lists(st.sampled_from(log), max_size=10))))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=8)))
    parts = [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    return [part for part in parts if part]


@pytest.fixture
def tables(database):
    """A pool on the service's schema, and the loop it lives in."""
    with asyncio.Runner() as runner:
        pool = runner.run(db.connect(database, "analytics"))
        runner.run(db.migrate(pool, "analytics", "parley", "parley_analytics"))
        yield runner, pool
        runner.run(pool.close())


async def tried(pool, parts: Sequence[Batch], apply: Apply, read: Callable[[Any], Awaitable[Any]]) -> Any:
    """What is read after these batches, which are undone again: the next example finds the tables empty."""
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            for part in parts:
                await apply(connection, part)
            return await read(connection)
        finally:
            await undone.rollback()


async def at_once(pool, parts: Sequence[Batch], apply: Apply, replicas: int = 4) -> None:
    """Batches as several replicas take them, each its own; one that was locked out tries again, as the runtime does."""

    async def replica(mine: Sequence[Batch]) -> None:
        for part in mine:
            async with pool.acquire() as connection:
                while True:
                    try:
                        await apply(connection, part)
                        break
                    except asyncpg.DeadlockDetectedError:
                        continue

    await asyncio.gather(*(replica(parts[number::replicas]) for number in range(replicas)))


def tens(log: Batch) -> list[Batch]:
    """A log in batches of ten."""
    return [log[start : start + 10] for start in range(0, len(log), 10)]

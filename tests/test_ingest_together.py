"""Requests that come at the same time go through the door together, and each hears its own outcome."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from parley.contracts import Record
from parley_ingest.together import ALONE, PATIENCE, Together


def record(number: int, size: int = 1) -> Record:
    return "parley.raw", str(number).encode(), [], b"x" * size


class Gate:
    """What a door is to those who come together: it notes who came with whom, and lets them through when told."""

    def __init__(self) -> None:
        self.came: list[list[int]] = []
        self.open = asyncio.Event()
        self.refuses: set[int] = set()

    async def accept(self, records: Sequence[Record]) -> None:
        numbers = [int(key) for _, key, _, _ in records]
        self.came.append(numbers)
        await self.open.wait()
        if self.refuses & set(numbers):
            raise RuntimeError(str(numbers))


def test_what_comes_in_one_turn_goes_together_and_the_rest_when_that_is_back():
    """In order, none before its turn, each told once."""

    async def main() -> tuple[list[list[int]], list[int]]:
        gate, told = Gate(), list[int]()
        together = Together(gate.accept)
        for number in range(3):
            together.add(record(number), lambda error, number=number: told.append(number))
        assert [] == gate.came
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in range(3, 5):
            together.add(record(number), lambda error, number=number: told.append(number))
        gate.open.set()
        while len(told) < 5:
            await asyncio.sleep(0)
        return gate.came, told

    assert ([[0, 1, 2], [3, 4]], [0, 1, 2, 3, 4]) == asyncio.run(main())


def test_nobody_waits_for_long_for_those_before():
    """Where a publish hangs, the next one goes beside it."""

    async def main() -> list[list[int]]:
        gate = Gate()
        together = Together(gate.accept)
        together.add(record(0), lambda error: None)
        await asyncio.sleep(PATIENCE / 4)
        together.add(record(1), lambda error: None)
        async with asyncio.timeout(5):
            while len(gate.came) < 2:
                await asyncio.sleep(PATIENCE / 4)
        gate.open.set()
        return gate.came

    assert [[0], [1]] == asyncio.run(main())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=30), st.sets(st.integers(0, 29)))
def test_everybody_hears_their_own_outcome_once(steps, refused):
    """However many come in a turn: an error is heard by those who went with it, and a record that may be too large for the bus went alone."""

    async def main() -> tuple[Gate, dict[int, list[Exception | None]]]:
        gate, told = Gate(), {number: list[Exception | None]() for number in range(len(steps))}
        gate.refuses = refused
        gate.open.set()
        together = Together(gate.accept)
        for number, (large, turns) in enumerate(steps):
            together.add(record(number, ALONE if large else 1), told[number].append)
            for _ in range(turns):
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while not all(told.values()):
                await asyncio.sleep(0)
        return gate, told

    gate, told = asyncio.run(main())

    assert sorted(told) == sorted(number for group in gate.came for number in group)
    assert all(len(group) == 1 for group in gate.came if any(steps[number][0] for number in group))
    for group in gate.came:
        assert all([bool(refused & set(group))] == [error is not None for error in told[number]] for number in group)


def test_who_cannot_be_told_keeps_nobody_from_being_told():
    """The one is in the log, the others have their answers."""

    async def main() -> list[int]:
        gate, told = Gate(), list[int]()
        gate.open.set()
        together = Together(gate.accept)
        together.add(record(0), lambda error: told[0])  # raises: there is nothing yet
        together.add(record(1), lambda error: told.append(1))
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0)
        return told

    with capture_logs() as logs:
        assert [1] == asyncio.run(main())
    assert ["an outcome was not heard"] == [one["event"] for one in logs]

"""Messages are read off the event loop, together, and the same one only once."""

import asyncio
import threading
from datetime import date

import numpy as np
import pytest

from parley_router.understand.service import Reader
from parley_router.understand.understanding import Asked, Understanding

DAY = date(2026, 11, 25)
EXAMPLES = {
    "returns": {"ko": ["반품하고 싶어요", "돌려보낼래요", "반품 되나요"], "en": ["return this", "send it back", "how do returns work"]},
    "hours": {"ko": ["몇 시에 열어요", "영업시간 알려주세요", "주말에도 열어요"], "en": ["when do you open", "opening hours", "open on sunday"]},
}


class Letters:
    """A small encoder of our own: how often each pair of letters occurs. It counts its calls, and can be held or made to fail."""

    name = "letters"

    def __init__(self):
        self.calls, self.go, self.fails, self.threads = [], threading.Event(), False, set()
        self.go.set()

    def encode(self, texts):
        self.go.wait(10)
        self.calls.append(list(texts))
        self.threads.add(threading.current_thread().name)
        if self.fails:
            raise ValueError("the encoder is broken")
        rows = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for pair in zip(f" {text}", f"{text} ", strict=True):
                row[hash_of("".join(pair))] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def hash_of(text):
    return sum(ord(one) * (place + 7) for place, one in enumerate(text)) % 512


@pytest.fixture(scope="module")
def made():
    encoder = Letters()
    return encoder, Understanding.load(EXAMPLES, encoder)


@pytest.fixture
def understanding(made):
    encoder, one = made
    encoder.calls.clear()
    encoder.threads.clear()
    encoder.fails = False
    encoder.go.set()
    return encoder, one


def test_what_waits_is_read_together(understanding):
    """While one batch is read, what comes makes the next one, in a thread of its own."""
    encoder, one = understanding

    async def run():
        reader = Reader(one)
        encoder.go.clear()
        first = asyncio.create_task(reader.read(Asked("반품할게요", DAY)))
        while not reader._waiting:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [asyncio.create_task(reader.read(Asked(f"open at {hour}", DAY))) for hour in range(5)]
        for _ in range(3):
            await asyncio.sleep(0)
        encoder.go.set()
        readings = await asyncio.gather(first, *rest)
        await reader.close()
        return readings

    readings = asyncio.run(run())

    assert 6 == len(readings)
    assert [1, 5] == [len(one) for one in encoder.calls]
    assert all(name.startswith("understanding") for name in encoder.threads)


def test_the_same_message_is_read_once(understanding):
    """At the same time and later; the least recently used is forgotten first."""
    encoder, one = understanding

    async def run():
        reader = Reader(one, kept=2)
        await asyncio.gather(*(reader.read(Asked("a", DAY)) for _ in range(10)))
        for text in ("a", "b", "a", "c", "a", "b"):
            await reader.read(Asked(text, DAY))
        await reader.close()

    asyncio.run(run())

    assert [["a"], ["b"], ["c"], ["b"]] == encoder.calls


def test_a_broken_encoder_is_told_to_who_asked(understanding):
    """The error comes out of `read`; the next message is read as ever."""
    encoder, one = understanding

    async def run():
        reader = Reader(one)
        encoder.fails = True
        with pytest.raises(ValueError, match="the encoder is broken"):
            await reader.read(Asked("x", DAY))
        encoder.fails = False
        reading = await reader.read(Asked("x", DAY))
        await reader.close()
        return reading

    assert asyncio.run(run()).model == one.model


def test_closing_leaves_nobody_waiting(understanding):
    """Who still waits is cancelled."""
    encoder, one = understanding

    async def run():
        reader = Reader(one)
        encoder.go.clear()
        waiting = asyncio.create_task(reader.read(Asked("x", DAY)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing = asyncio.create_task(reader.close())
        await asyncio.sleep(0)
        encoder.go.set()
        await closing
        return (await asyncio.gather(waiting, return_exceptions=True))[0]

    assert isinstance(asyncio.run(run()), asyncio.CancelledError)

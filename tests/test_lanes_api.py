"""Lanes are set while they run: paused, going on, another rate; at once, for all their parts, and for good."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Content
from parley_sender.bucket import Bucket
from tests.conftest import until
from tests.telling import Open

stack = pytest.mark.stack


@pytest.fixture
def desk(settings, tmp_path, monkeypatch):
    return lambda **account: Open(settings, tmp_path, monkeypatch, **account)


@given(
    st.floats(0.001, 500), st.floats(0.001, 500), st.integers(1, 20), st.lists(st.floats(0, 0.5), max_size=40), st.sampled_from([1.0, 60.0]), st.floats(0, 5)
)  # fmt: skip
def test_a_bucket_keeps_what_it_owes_through_a_change(before, after, burst, gaps, window, wait):
    """In units, not in seconds; and from the change on no sliding window sees more than the new rate allows."""
    bucket, now, sent = Bucket.empty(before, burst, 1.0, 0.0), 0.0, []
    for gap in gaps[:10]:
        now = bucket.at(1, now + gap)
        bucket.take(1, now)
    now += wait
    owed = max(0.0, bucket.full_at - now) * before
    bucket.set(after, window, now)
    assert owed == pytest.approx(max(0.0, bucket.full_at - now) * after, rel=1e-6, abs=1e-6)
    for gap in gaps[10:]:
        now = bucket.at(1, now + gap)
        bucket.take(1, now)
        sent.append(now)

    assert all(sum(1 for other in sent if at <= other < at + window) <= bucket.most for at in sent)


async def crowd(one, count):
    """Messages to as many contacts."""
    for number in range(count):
        await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{number}"))


async def turns(one, more):
    """Waits for more turns of the lane."""
    before = await one.one.context.pool.fetchval("SELECT turn FROM lanes WHERE lane = 'app'") or 0

    async def later():
        return (await one.one.context.pool.fetchval("SELECT turn FROM lanes WHERE lane = 'app'") or 0) >= before + more

    await until(later, f"{more} turns of the lane")


@stack
def test_a_paused_lane_sends_nothing_until_it_goes_on(desk):
    """What was claimed leaves within a moment; then nothing, turn after turn; and all of it afterwards, once."""

    async def main():
        async with desk(rate="50/s", burst=1).open() as one:
            await crowd(one, 60)
            await until(lambda: _asked(one, 60), "all of them asked for")
            paused = await one.call("PATCH", "/lanes/app", {"paused": True})
            await turns(one, 1)
            await until(lambda: _at_rest(one), "an end of the calls under way")
            before = one.received()
            await turns(one, 3)
            during, lane = one.received(), (await one.call("GET", "/lanes")).body["lanes"][0]
            await one.call("PATCH", "/lanes/app", {"paused": False})
            await one.ends(sent=60)
            return paused, before, during, lane, one.received()

    paused, before, during, lane, received = asyncio.run(main())

    assert (200, "people") == (paused.status, paused.body["paused"]["by"])
    assert before == during and len(before) < 60
    assert ("people", 60 - len(before)) == (lane["paused"]["by"], lane["waiting"]["reply"]["messages"])
    assert sorted(map(str, range(60))) == sorted(received)


@stack
def test_another_rate_is_seen_at_the_provider(desk):
    """From one an hour to many a second without a restart; and no sliding second has more than the new one allows."""

    async def main():
        async with desk(rate="1/h", burst=1).open() as one:
            await crowd(one, 40)
            await until(lambda: _queued(one, 40), "all in the queue")
            changed = await one.call("PATCH", "/lanes/app", {"rate": "25/s"})
            await one.ends(sent=40)
            return changed.body, sorted(entry.at for entry in one.twin.ledger.book.entries)

    lane, times = asyncio.run(main())

    assert ("25/s", 25.0, 1 / 3600) == (lane["rate"], lane["rate_per_second"], lane["configured_rate_per_second"])
    assert all(sum(1 for other in times if at <= other < at + 1) <= 25 + 1 for at in times)


@stack
def test_what_is_set_outlives_a_restart(desk):
    """A lane that was paused is paused; who paused it first stays known; back to the file with null."""

    async def main():
        async with desk().open() as one:
            for body, key in (({"paused": True, "rate": "7/s"}, "people"), ({"paused": True}, "root")):
                await one.call("PATCH", "/lanes/app", body, key=key)
        async with desk().open() as one:
            await one.ask("waits")
            await until(lambda: _queued(one, 1), "it in the queue")
            await turns(one, 2)
            lane, received = (await one.call("GET", "/lanes")).body["lanes"][0], one.received()
            after = (await one.call("PATCH", "/lanes/app", {"paused": False, "rate": None})).body
            await one.ends(sent=1)
            return lane, received, after

    lane, received, after = asyncio.run(main())

    assert ("people", "7/s", []) == (lane["paused"]["by"], lane["rate"], received)
    assert (None, None, 1000.0) == (after["paused"], after["rate"], after["rate_per_second"])


@stack
def test_every_share_of_a_lane_is_set(desk):
    """And the lane is answered as one."""

    async def main():
        async with desk(shares=3).open() as one:
            await one.call("PATCH", "/lanes/app", {"paused": True, "rate": "30/s"})
            rows = await one.one.context.pool.fetch("SELECT lane, rate, paused_by FROM lanes ORDER BY lane")
            await crowd(one, 9)
            await until(lambda: _queued(one, 9), "all in the queue")
            lane = (await one.call("GET", "/lanes")).body["lanes"]
            await one.call("PATCH", "/lanes/app", {"paused": False})
            await one.ends(sent=9)
            return [tuple(row) for row in rows], lane

    rows, lanes = asyncio.run(main())

    assert [(f"app#{share}", "30/s", "people") for share in range(3)] == rows
    assert [("app", 9)] == [(one["lane"], one["waiting"]["reply"]["messages"]) for one in lanes]


@stack
def test_what_cannot_be_is_refused_in_a_sentence(desk):
    """An empty wish, a rate that is none, another tenant's lane, a key without the scope."""
    asked = [
        ({}, "app", "people", 422), ({"paused": None}, "app", "people", 422), ({"rate": "fast"}, "app", "people", 422), ({"rate": "0/s"}, "app", "people", 422),
        ({"rate": "9" * 400 + "/s"}, "app", "people", 422), ({"rate": "0.0001/h"}, "app", "people", 422), ({"speed": 1}, "app", "people", 422),
        ({"paused": True}, "nowhere", "people", 404), ({"paused": True}, "app", "staff-key", 403), ({"paused": True}, "app", "nobody", 401),
    ]  # fmt: skip

    async def main():
        async with desk().open() as one:
            found = [await one.call("PATCH", f"/lanes/{lane}", body, key=key) for body, lane, key, _ in asked]
            return found, await one.one.context.pool.fetchval("SELECT count(*) FROM lanes WHERE paused_by IS NOT NULL")

    found, paused = asyncio.run(main())

    assert [status for *_, status in asked] == [one.status for one in found]
    assert all(one.body["detail"] for one in found)
    assert 0 == paused


async def _at_rest(one):
    return not await one.one.context.pool.fetchval("SELECT count(*) FROM queue WHERE state = 'calling'")


async def _asked(one, count):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM deliveries") >= count and one.received()


async def _queued(one, count):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM queue") >= count

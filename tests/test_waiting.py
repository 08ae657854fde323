"""What waits, as rows: derived from the states, published when due, at once after a restart, and with one effect however often."""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from datetime import timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from parley import database as db
from parley.bus import BusUnavailable
from parley.contracts import Envelope, OptedOut, TimerFired
from parley.cursor import Place
from parley.keyed import Changed, Keyed
from parley.step import Arrived
from parley.wire import natural_id
from parley_router import alarm, waiting
from parley_router.alarm import Alarm
from parley_router.state import ContactState, Conversation, Frame, Planned, Position, Promised, Unread, Wanted, labels
from parley_router.waiting import Differences, differences, walks
from tests.conftest import until
from tests.routing import CONTACT, NOW, Router, routing
from tests.test_start_stop import environment

HOUR = timedelta(hours=1)
tokens = st.sampled_from(["t1", "t2", "t3", "t4"])
moments = st.integers(0, 3).map(lambda hours: NOW + hours * HOUR)
calls = st.builds(Wanted, kind=st.just("http"), service=st.sampled_from(["orders", "stock"]), path=st.sampled_from(["/a", "/b"]))
frames = st.builds(Frame, flow=st.sampled_from(["outer", "inner"]), version=st.integers(1, 2), step=st.just(1))
positions = st.builds(
    Position, flow=st.sampled_from(["tea", "cake"]), version=st.integers(1, 2), step=st.just(0), token=tokens | st.none(),
    due=moments | st.none(), call=calls | st.none(), stack=st.lists(frames, max_size=2).map(tuple),
)  # fmt: skip
states = st.builds(
    ContactState, position=positions | st.none(), runs=st.lists(positions, max_size=2).map(tuple),
    planned=st.dictionaries(st.just("tea"), st.builds(Planned, token=st.just("p1"), due=moments), max_size=1),
    unread=st.none() | st.builds(Unread, token=st.just("u1"), text=st.just("hm"), call=st.just(Wanted(kind="read", text="hm"))),
    conversation=st.none() | st.builds(
        Conversation, id=st.just(UUID(int=8)), opened_at=st.just(NOW), last_at=st.just(NOW), promised=st.none() | st.builds(Promised, token=st.just("c1"), due=moments),
    ),
    into=st.none() | st.just(UUID(int=99)),
)  # fmt: skip


batches = st.lists(st.dictionaries(st.sampled_from([UUID(int=1), UUID(int=2)]), states, min_size=1), min_size=1, max_size=6)


@pytest.fixture
def tables(database):
    """A pool on the router's schema, and the loop it lives in."""
    with asyncio.Runner() as runner:
        pool = runner.run(db.connect(database, "router"))
        runner.run(db.migrate(pool, "router", "parley", "parley_router"))
        yield runner, pool
        runner.run(pool.close())


def waits(token: str, due=NOW, flow: str = "tea", version: int = 1) -> ContactState:
    return ContactState(runs=(Position(flow=flow, version=version, step=0, token=token, due=due),))


async def put(router: Router, *tokens: str, due=NOW) -> None:
    """A contact for each token that waits for it."""
    changes = [Changed(UUID(int=number), "acme", None, waits(token, due)) for number, token in enumerate(tokens, 1)]
    async with router.context.pool.acquire() as connection, connection.transaction():
        await waiting.follow(connection, changes, NOW)


async def left(router: Router) -> list[str]:
    return [row["token"] for row in await router.context.pool.fetch("SELECT token FROM timers ORDER BY token")]


# --- rows follow from states -----------------------------------------------------------------------------------------------------------


@pytest.mark.stack
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=batches)
def test_the_rows_are_those_of_the_last_states(tables, history):
    """Whatever became of two contacts in whatever batches: a row for each token that a state holds, and the counts are those of the states."""
    runner, pool = tables

    async def main():
        last = {}
        async with pool.acquire() as connection:
            undone = connection.transaction()
            await undone.start()
            try:
                for batch in history:
                    await waiting.follow(connection, [Changed(key, "acme", last.get(key), state) for key, state in batch.items()], NOW)
                    last |= batch
                timers = await connection.fetch("SELECT contact_id, token, due_at FROM timers")
                asked = await connection.fetch("SELECT contact_id, token, wanted FROM calls")
                counts = await connection.fetch("SELECT flow, version, sum(waiting) FROM flow_runs GROUP BY 1, 2 HAVING sum(waiting) <> 0")
            finally:
                await undone.rollback()
        return last, {tuple(row) for row in timers}, {(row[0], row[1]): Wanted.model_validate_json(row[2]) for row in asked}, counts

    last, timers, asked, counts = runner.run(main())

    assert {(key, token, due) for key, state in last.items() for token, due in state.timers().items()} == timers
    assert {(key, token): wanted for key, state in last.items() for token, wanted in state.calls().items()} == asked
    assert Counter(flow for state in last.values() for flow in walks(state)) == {
        (flow, version): count for flow, version, count in map(tuple, counts)
    }


def test_what_does_not_wait_costs_nothing():
    """A message that changes no flow gives no statement; nor does a flow that ends in the batch in which it began."""
    standing = waits("t")
    spoken = Changed(CONTACT, "acme", standing, standing.but(received=1))
    begun = Changed(CONTACT, "acme", None, ContactState(received=1))

    assert Differences([], [], [], [], {}) == differences([spoken, begun])


@pytest.mark.stack
def test_a_state_and_its_rows_are_written_together(tables):
    """The stage calls the hook with the states before and after, in its transaction: what is rolled back leaves neither."""
    runner, pool = tables

    def decide(state, event, _):
        return (waits("t") if state is None else ContactState()), []

    stage = Keyed("router", ("parley.inbound",), "contacts", ContactState, decide, labels, follow=waiting.follow)

    async def counted(connection):
        return [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in ("contacts", "timers", "flow_runs WHERE waiting > 0")]

    async def main():
        found = []
        async with pool.acquire() as connection:
            with contextlib.suppress(ZeroDivisionError):
                async with connection.transaction():
                    await stage.apply(connection, [arrived()], NOW)
                    found.append(await counted(connection))
                    raise ZeroDivisionError
            found.append(await counted(connection))
            for _ in range(2):
                async with connection.transaction():
                    await stage.apply(connection, [arrived()], NOW)
                found.append(await counted(connection))
        return found

    assert [[1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0]] == runner.run(main())


def arrived() -> Arrived:
    data = OptedOut(contact_id=CONTACT, account="sms", channel="sms", address="+1", state="revoked", purposes=("reply",), at=NOW)
    return Arrived(Envelope(id="e", source="test", time=NOW, tenant="acme", data=data), Place("parley.inbound", 0), 0, None)


# --- timers ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.stack
def test_a_timer_is_published_when_it_is_due_and_not_before(settings, run):
    """Once: its row goes with it. The event's id is made of contact and token."""

    async def main():
        async with routing(settings) as router:
            await put(router, "t1", due=NOW + HOUR)
            early = await Alarm(router.context).ring(router.clock[0])
            router.clock[0] += 2 * HOUR
            due = [await Alarm(router.context).ring(router.clock[0]) for _ in range(2)]
            return early, due, await router.events(TimerFired), router.context.metrics

    early, due, (fired,), metrics = run(main())

    assert (0, [1, 0]) == (early, due)
    assert TimerFired(contact_id=UUID(int=1), timer="flow", token="t1", due_at=NOW + HOUR) == fired.data
    assert (str(natural_id("timer", str(UUID(int=1)), "t1")), NOW + 2 * HOUR, "acme") == (fired.id, fired.time, fired.tenant)
    assert 3600 == metrics.registry.get_sample_value("parley_timer_lateness_seconds_sum")


@pytest.mark.stack
def test_a_timer_whose_flow_moved_on_is_not_published(settings, run):
    """What was waited against happened: the row goes with the batch in which it did."""

    async def main():
        async with routing(settings) as router:
            await put(router, "t1", "t2")
            async with router.context.pool.acquire() as connection, connection.transaction():
                await waiting.follow(connection, [Changed(UUID(int=1), "acme", waits("t1"), ContactState())], NOW)
            await Alarm(router.context).ring(NOW)
            return [one.data.token for one in await router.events(TimerFired)]

    assert ["t2"] == run(main())


@pytest.mark.stack
def test_what_the_bus_does_not_take_stays_due(settings, run):
    """The worker says so and goes on; when the bus is back it is published."""

    async def main():
        async with routing(settings) as router:
            await put(router, "t1")
            publish, failed = router.context.bus.publish, asyncio.Event()

            async def away(*_):
                failed.set()
                raise BusUnavailable("away")

            router.context.bus.publish = away
            async with router.working(Alarm(router.context)):
                await failed.wait()
                still = await left(router)
                router.context.bus.publish = publish
                await until(lambda: gone(router), "the timer to be published")
            return still, [one.data.token for one in await router.events(TimerFired)]

    assert (["t1"], ["t1"]) == run(main())


async def gone(router: Router) -> bool:
    return not await left(router)


@pytest.mark.stack
def test_two_replicas_publish_each_timer_once(settings, run):
    """Neither waits for the other's page."""

    async def main():
        async with routing(settings) as router:
            await put(router, *(f"t{number:04}" for number in range(1200)))
            async with router.working(Alarm(router.context)), router.working(Alarm(router.context)):
                await until(lambda: gone(router), "all timers to be published")
            return Counter(one.data.token for one in await router.events(TimerFired))

    assert Counter(f"t{number:04}" for number in range(1200)) == run(main())


KILLED = """
import asyncio, os, signal, sys
from parley.settings import Settings
from parley_router.alarm import Alarm
from tests.routing import NOW, routing

async def main():
    async with routing(Settings()) as router:
        publish = router.context.bus.publish

        async def published(*given):
            await publish(*given)
            os.kill(os.getpid(), signal.SIGKILL)

        router.context.bus.publish = published
        await Alarm(router.context).ring(NOW)

asyncio.run(main())
"""


@pytest.mark.stack
def test_who_is_killed_behind_the_publish_lets_the_next_one_publish_again(settings, run):
    """At once, for its locks went with it, and with the same id and token: whoever heard of the first knows the second as stale."""

    async def main():
        async with routing(settings) as router:
            await put(router, "t1")
            one = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environment(settings))
            killed = await asyncio.wait_for(one.wait(), 60)
            async with router.working(Alarm(router.context)):
                await until(lambda: gone(router), "the timer to be published again", 5)
            return killed, await router.events(TimerFired)

    killed, fired = run(main())

    assert -signal.SIGKILL == killed
    assert ["t1", "t1"] == [one.data.token for one in fired]
    assert 1 == len({one.id for one in fired})


@pytest.mark.stack
def test_all_who_wait_cost_a_look_at_an_index(tables):
    """What is due is found without reading what is not."""
    runner, pool = tables
    fill = "INSERT INTO timers SELECT gen_random_uuid(), n::text, 'acme', $1::timestamptz + n * interval '1 minute' FROM generate_series(-5, 200000) AS n"

    async def main():
        await pool.execute(fill, NOW)
        await pool.execute("ANALYZE timers")
        found = await pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {alarm.DUE}", NOW, alarm.PAGE)
        return orjson.loads(found)[0]["Plan"]

    plan = runner.run(main())

    assert 6 == plan["Actual Rows"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 50

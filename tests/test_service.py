"""Health that means progress, lag by the time of events, requests counted by route: what all services share."""

from datetime import timedelta

import orjson
import pytest

from parley import service, wire
from tests.conftest import until
from tests.ingesting import NOW, running
from tests.serving import Waiting, ask, event, impatient, serving, values

pytestmark = pytest.mark.stack


@pytest.fixture
def quick(settings, tmp_path):
    return impatient(settings, tmp_path)


async def readiness(one: service.Running, status: int, words: str = "") -> str:
    """What /readyz says once it says `status` with these words."""
    found: list[str] = []

    async def so() -> bool:
        code, text = await ask(one, "/readyz")
        found[:] = [text]
        return code == status and words in text

    await until(so, f"/readyz to say {status} {words}")
    return found[0]


def test_a_stage_that_stands_still_is_not_ready_and_one_that_goes_on_is(quick, run):
    """Alive all the time; ready only while there is progress or nothing to do."""

    async def main():
        stage = Waiting()
        async with service.running(serving(stage), quick) as one:
            before = await readiness(one, 200)
            await one.context.bus.publish([wire.encode(event())])
            stuck, alive = await readiness(one, 503), await ask(one, "/healthz")
            stage.go.set()
            return before, orjson.loads(stuck)["detail"], alive, await readiness(one, 200)

    before, stuck, alive, after = run(main())

    assert ("ready\n", "ready\n", (200, "ok\n")) == (before, after, alive)
    assert stuck.startswith("waiting: no progress for ")
    assert stuck.endswith("with 1 records to go")


def test_a_stage_without_its_database_is_not_ready(quick, run):
    """Also one that never had its cursors: what Kafka has for it is lag."""

    async def main():
        stage = Waiting()
        stage.go.set()
        async with service.running(serving(stage), quick) as one:
            await readiness(one, 200)
            one.context.pool.terminate()
            await one.streams[0]._forget(frozenset())
            one.streams[0]._cursors.clear()
            await one.context.bus.publish([wire.encode(event())])
            return orjson.loads(await readiness(one, 503))["detail"]

    assert run(main()).startswith("waiting: no progress for ")


def test_a_stage_that_stopped_says_why(quick, run):
    """Past the limit of dead letters it is alive, not ready, and says what to do."""

    class Refusing(Waiting):
        async def apply(self, connection, batch, now):
            raise ValueError("no")

    async def main():
        async with service.running(serving(Refusing()), quick.model_copy(update={"dead_streak": 3})) as one:
            await one.context.bus.publish([wire.encode(event()) for _ in range(5)])
            return orjson.loads(await readiness(one, 503, "stopped"))["detail"], await ask(one, "/healthz")

    reason, alive = run(main())

    assert " dead letters in a row" in reason
    assert "parley dead list" in reason
    assert (200, "ok\n") == alive


def test_lag_grows_by_the_time_of_events_and_is_nothing_when_idle(quick, run):
    """An idle stage reads 0, however long ago its last event was; one that stands still reads how far behind it is."""

    async def main():
        stage, clock = Waiting(), [NOW]
        stage.go.set()
        async with service.running(serving(stage), quick, clock=lambda: clock[0]) as one:

            async def read() -> tuple[float, float]:
                found = values((await ask(one, "/metrics"))[1])
                return found["parley_lag_records", "waiting"], found["parley_lag_seconds", "waiting"]

            async def taken() -> bool:
                return bool(values((await ask(one, "/metrics"))[1]).get(("parley_consumed_total", "waiting", quick.prefix + "parley.customers")))

            await one.context.bus.publish([wire.encode(event(time=NOW - timedelta(hours=1)))])
            await until(taken, "the first event to be taken")
            clock[0] += timedelta(hours=5)
            await one.streams[0].lag()
            idle = await read()
            stage.go.clear()
            await one.context.bus.publish([wire.encode(event(time=clock[0])) for _ in range(3)])
            await one.streams[0].lag()
            fresh = await read()
            clock[0] += timedelta(minutes=7)
            await one.streams[0].lag()
            late = await read()
            stage.go.set()
            return idle, fresh, late

    assert ((0, 0), (3, 0), (3, 420)) == run(main())


def test_metrics_count_requests_by_route_and_never_by_path(quick, run):
    """The template and the class of the status; what no route has is one series, whoever makes up paths."""

    async def main():
        async with running(quick) as ingest:
            asked = [("GET", "/healthz"), ("POST", "/healthz"), ("GET", "/hooks/one"), ("GET", "/hooks/two"), ("GET", "/x1"), ("GET", "/x2"),
                     ("GET", "/o/abc.gif"), ("GET", "/hooks/one/")]  # fmt: skip
            for method, path in asked:
                await ingest.ask(method, path)
            return values((await ask(ingest.one, "/metrics"))[1])

    found = {key[1:]: value for key, value in run(main()).items() if key[0] == "parley_requests_total"}

    assert {
        ("/healthz", "2xx"): 1, ("/healthz", "4xx"): 1, ("/hooks/{account}", "4xx"): 2, ("none", "4xx"): 3, ("/o/{code}.gif", "2xx"): 1,
    } == found  # fmt: skip

"""What all services share: health that means progress, metrics, problem documents, a stop that drains, and a log without people in it."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson
import pytest
import structlog
from aiokafka import ConsumerRecord
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from parley import log, service, web, wire
from parley.contracts import Customer, CustomerEvent, Envelope
from parley.cursor import Place
from parley.local import free_port
from parley.metrics import Metrics
from parley.service import Parts, Service
from parley.step import Broken, about
from tests.conftest import until
from tests.ingesting import NOW, running, write_accounts
from tests.test_stream import said

PARLEY = str(Path(sys.executable).with_name("parley"))


@dataclass
class Waiting:
    """A stage that stands still while it is told to."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "waiting"
    topics: tuple[str, ...] = ("parley.customers",)

    async def apply(self, connection, batch, now):
        await self.go.wait()
        return []


def event(**changes) -> Envelope:
    data = CustomerEvent(customer=Customer(id="c"), name="order.placed", occurred_at=NOW)
    return Envelope(**{"id": str(uuid4()), "source": "test", "time": NOW, "tenant": "acme", "data": data} | changes)


def serving(*stages, routes=()) -> Service:
    async def build(_):
        return Parts(stages=stages, routes=routes)

    return Service("ingest", ("parley", "parley_ingest"), build)


@pytest.fixture
def quick(settings, tmp_path):
    """Settings that lose patience soon, on a free port."""
    return settings.model_copy(update={"stuck": 0.5, "port": free_port(), "drain": 1.0, "config": write_accounts(tmp_path)})


async def ask(one: service.Running, path: str, method: str = "GET") -> tuple[int, str]:
    async with aiohttp.request(method, f"http://127.0.0.1:{one.port}{path}") as answer:
        return answer.status, await answer.text()


async def readiness(one: service.Running, status: int, words: str = "") -> str:
    """What /readyz says once it says `status` with these words."""
    found: list[str] = []

    async def so() -> bool:
        code, text = await ask(one, "/readyz")
        found[:] = [text]
        return code == status and words in text

    await until(so, f"/readyz to say {status} {words}")
    return found[0]


def values(text: str) -> dict[tuple[str, ...], float]:
    """Samples of an exposition by name and labels."""
    return {(one.name, *one.labels.values()): one.value for family in text_string_to_metric_families(text) for one in family.samples}


@pytest.mark.stack
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


@pytest.mark.stack
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


@pytest.mark.stack
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


@pytest.mark.stack
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


@pytest.mark.stack
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


async def fail(request: Request) -> Response:
    raise KeyError("+821012345678")


async def half(request: Request) -> Response:
    async def parts():
        yield b"one"
        raise KeyError("in the middle")

    return StreamingResponse(parts())


@contextmanager
def served() -> Iterator[tuple[str, Metrics, asyncio.Runner]]:
    """An application with routes that fail, by real HTTP."""
    metrics = Metrics()
    application = web.application([Route("/fail/{who}", fail), Route("/half", half)], [], metrics, 1)
    with asyncio.Runner() as runner, web.bound("127.0.0.1", 0) as one:
        one.listen()
        task = runner.get_loop().create_task(web.serve(application, one))
        yield f"http://127.0.0.1:{one.getsockname()[1]}", metrics, runner
        task.cancel()
        runner.run(asyncio.wait([task], timeout=5))


async def get(url: str, method: str = "GET") -> tuple[int, dict, str]:
    async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
        return answer.status, await answer.json(content_type=None), answer.content_type


@pytest.mark.parametrize("method, path, status, title", [
    ("GET", "/nowhere", 404, "Not found"), ("POST", "/healthz", 405, "Method not allowed"), ("GET", "/fail/somebody", 500, "Internal error"),
])  # fmt: skip
def test_every_error_is_a_problem_document(method, path, status, title):
    """RFC 9457, also where Starlette or nobody answers."""
    with served() as (base, _, runner):
        answer = runner.run(get(base + path, method))

    assert (status, status, title, "application/problem+json") == (answer[0], answer[1]["status"], answer[1]["title"], answer[2])


def test_a_500_tells_the_caller_nothing_and_the_log_the_route(caplog):
    """The detail stays inside; the log has the template, never the path, and the error once."""
    caplog.set_level(logging.WARNING)
    with served() as (base, metrics, runner), capture_logs() as logs:
        _, problem, _ = runner.run(get(base + "/fail/somebody"))
    errors = [one for one in logs if one["log_level"] == "error"]

    assert "+8210" not in str(problem)
    assert [("request failed", "/fail/{who}")] == [(one["event"], one["route"]) for one in errors]
    assert 1 == metrics.requests.labels("/fail/{who}", "5xx")._value.get()
    assert [] == [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_an_answer_that_breaks_off_is_seen_as_broken():
    """A failure after the first bytes cannot become a 500; the connection ends, and the caller knows."""
    with served() as (base, _, runner), capture_logs(), pytest.raises(aiohttp.ClientPayloadError):
        runner.run(get(base + "/half"))


# --- start and stop --------------------------------------------------------------------------------------------------------------------


def environment(settings, **more: object) -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    ours = {"kafka": settings.kafka, "database": settings.database.get_secret_value(), "config": settings.config, "prefix": settings.prefix,
            "partitions": settings.partitions, "port": settings.port, "log": "json"}  # fmt: skip
    return rest | {f"PARLEY_{name.upper()}": str(value) for name, value in (ours | more).items()}


@contextmanager
def process(settings, **more: object) -> Iterator[subprocess.Popen[str]]:
    """A real `parley ingest`."""
    with subprocess.Popen([PARLEY, "ingest"], env=environment(settings, **more), stderr=subprocess.PIPE, text=True) as one:
        try:
            yield one
        finally:
            one.kill()


def lines_until(one: subprocess.Popen[str], event_: str) -> list[dict]:
    """Its log up to the line with that event."""
    found = []
    for line in one.stderr:
        found.append(orjson.loads(line))
        if found[-1]["event"] == event_:
            return found
    pytest.fail(f"the process ended without {event_!r}: {found[-3:]}")


@pytest.mark.stack
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(quick, end):
    """A request that is being answered is answered; then the process ends in order, well within the drain."""
    with process(quick) as one:
        port = lines_until(one, "ready")[-1]["port"]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /hooks/app HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            one.send_signal(end)
            lines_until(one, "stopping")
            client.sendall(b"cd")
            answer = client.recv(100)
        status = one.wait(20)

    assert answer.startswith(b"HTTP/1.1 401")
    assert 0 == status


@pytest.mark.stack
def test_a_signal_ends_also_one_that_still_waits(quick):
    """While Kafka or PostgreSQL is not there yet, SIGTERM is heard at once."""
    with process(quick, database=f"postgresql://nobody@127.0.0.1:{free_port()}/none") as one:
        lines_until(one, "waiting for PostgreSQL")
        one.send_signal(signal.SIGTERM)

        assert 0 == one.wait(10)


def test_a_port_in_use_is_said_in_words(tmp_path):
    """Before anything is started; with the way out, and without a trace."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = {"PARLEY_PORT": str(taken.getsockname()[1]), "PARLEY_CONFIG": str(write_accounts(tmp_path)), "PARLEY_KAFKA": "127.0.0.1:1",
                "PARLEY_DATABASE": "postgresql://127.0.0.1:1/x"}  # fmt: skip
        done = subprocess.run([PARLEY, "ingest"], env=os.environ | more, capture_output=True, text=True, timeout=30, check=False)

    assert 2 == done.returncode
    assert f"parley: port {more['PARLEY_PORT']} of 127.0.0.1 is in use: set PARLEY_PORT to another" in done.stderr
    assert "Traceback" not in done.stderr


# --- the log ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.stack
def test_a_guilty_event_is_named_by_its_ids_only(quick, run):
    """Event, contact, tenant and place; neither the text nor the address of what it carries."""

    class Refusing(Waiting):
        async def apply(self, connection, batch, now):
            structlog.get_logger().info("looking")
            raise ValueError("cannot")

    contact = uuid4()
    guilty = said(contact, "my secret words").model_copy(update={"subject": str(contact)})

    async def main():
        async with service.running(serving(Refusing(topics=("parley.inbound",))), quick) as one:
            await one.context.bus.publish([wire.encode(guilty)])

            async def dead() -> bool:
                return bool(values((await ask(one, "/metrics"))[1]).get(("parley_dead_total", "waiting", quick.prefix + "parley.inbound")))

            await until(dead, "the dead letter")

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        run(main())
    named = [one for one in logs if one["event"] in ("looking", "event cannot be processed", "dead letter")]

    assert ["looking", "event cannot be processed", "dead letter"] == [one["event"] for one in named]
    assert {(guilty.id, str(contact), "acme", 0)} == {(one["event_id"], one["contact_id"], one["tenant"], one["offset"]) for one in named}
    assert "my secret words" not in str(logs)


def test_a_record_that_is_no_event_is_named_by_what_there_is():
    """The ids that its headers tell, and its place; several together only by their number."""
    record = ConsumerRecord("t", 1, 7, 0, 0, b"k", b"v", None, 1, 1, [("ce_id", b"e1"), ("ce_tenant", b"acme"), ("x", b"\xff")])
    broken = Broken(Place("t", 1), 7, "not JSON", record)

    assert {"event_id": "e1", "tenant": "acme", "topic": "t", "partition": 1, "offset": 7} == about([broken])
    assert {"events": 2} == about([broken, broken])


def test_the_log_cuts_what_would_show_a_person():
    """Fields of that name, and numbers and addresses inside sentences and traces."""
    shown = log.without_people(None, "", {"event": "e", "text": "hi", "cause": "no +821012345678 or kim@example.com", "contact_id": "4-5", "n": 1})

    assert {"event": "e", "text": "[cut]", "cause": "no [cut] or [cut]", "contact_id": "4-5", "n": 1} == shown

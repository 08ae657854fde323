"""What operators see: how lanes are set, what is unknown, what the gate kept, whether a process is of use and a stage goes on."""

import ast
import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from parley import service, wire
from parley.contracts import ConsentState, Content, Purpose
from parley_sender import depth, gate, picking
from parley_sender.depth import Depth
from parley_sender.withheld import LISTED, REASONS, reason
from tests.conftest import until
from tests.serving import Waiting, ask, event, impatient, serving, values
from tests.telling import Open

stack = pytest.mark.stack


class Refusing:
    """A stage that no event suits."""

    name, topics = "refusing", Waiting.topics

    async def apply(self, connection, batch, now):
        raise ValueError("never")


async def metrics(one: service.Running) -> dict[tuple[str, ...], float]:
    return values((await ask(one, "/metrics"))[1])


async def shows(one: service.Running, value: float, *series: str) -> None:
    async def so() -> bool:
        return (await metrics(one)).get(series) == value

    await until(so, f"{series} to be {value}")


def test_every_reason_of_the_gate_has_a_name_of_its_own():
    """Read from the verdicts in the code; `capped: 2 in a day` is `capped`, and what people write into lists makes no series."""
    trees = [ast.parse(Path(module.__file__).read_text(encoding="utf-8")) for module in (gate, picking)]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [call.args[-1] for call in calls if getattr(call.func, "id", "") in ("Drop", "Hold", "_until") and len(call.args) > 1]
    texts = [one.values[0] if isinstance(one, ast.JoinedStr) else one for one in given]
    said = {str(one.value).partition(":")[0] for one in texts if isinstance(one, ast.Constant)}

    assert said == REASONS
    assert ("capped", LISTED, LISTED) == (reason("capped: 2 in a day"), reason("moved_to_mars"), reason(None))


@stack
def test_a_paused_lane_an_open_circuit_and_what_is_unknown_are_seen(settings, tmp_path, monkeypatch):
    """By lane and tenant; what is over goes to 0, and what the gate kept is counted by its reason."""

    async def main():
        async with Open(settings, tmp_path, monkeypatch).open() as one:
            await one.ask("first")
            await one.ends(sent=1)
            await one.agree(Purpose.MARKETING, ConsentState.REVOKED)
            await one.publish(message_id=uuid4(), purpose="marketing", content=Content(text="offer"))
            await one.ends(sent=1, suppressed=1)
            await one.call("PATCH", "/lanes/app", {"paused": True})
            pool, gauges = one.one.context.pool, Depth(one.one.context)
            await pool.execute("UPDATE deliveries SET status = 'unknown', changed_at = now() - interval '1 hour' WHERE status = 'sent'")
            await one.publish(message_id=uuid4(), content=Content(text="waits"))
            await until(lambda: _count(pool, "SELECT count(*) FROM queue", 1), "a message in the queue")
            await pool.execute("INSERT INTO outbox (records, at) VALUES ('', now() + interval '1 hour')")
            await gauges.refresh()
            before = await metrics(one.one)
            await pool.execute("DELETE FROM outbox")
            await pool.execute("UPDATE deliveries SET status = 'sent' WHERE status = 'unknown'")
            await one.call("PATCH", "/lanes/app", {"paused": False})
            await one.ends(sent=2, suppressed=1)
            await gauges.refresh()
            return before, await metrics(one.one)

    before, after = asyncio.run(main())
    names = [("parley_lane_paused", "app"), ("parley_lane_circuit_open", "app"), ("parley_unknown", "acme"), ("parley_queue_depth", "app", "reply"),
             ("parley_outbox_entries",)]  # fmt: skip

    assert [1, 0, 1, 1, 1] == [before[name] for name in names]
    assert [0, 0, 0, 0, 0] == [after[name] for name in names]
    assert 3600 <= before["parley_unknown_age_seconds", "acme"] < 3700
    assert before["parley_withheld_total", "app", "opted_out", "suppressed"] == 1


async def _count(pool, query: str, wanted: int) -> bool:
    return bool(await pool.fetchval(query) == wanted)


@stack
def test_an_open_circuit_is_seen_until_its_time(settings, tmp_path, monkeypatch):
    """What its lane's row says is asked with the time: a circuit that is half open is not open."""

    async def main():
        async with Open(settings, tmp_path, monkeypatch).open() as one:
            pool, found = one.one.context.pool, []
            for lane, hours in (("ill", 1), ("mending", -1)):
                await pool.execute("INSERT INTO lanes (lane, broken_until) VALUES ($1, now() + make_interval(hours => $2))", lane, hours)
            await Depth(one.one.context).refresh()
            found = await metrics(one.one)
            return found["parley_lane_circuit_open", "ill"], found["parley_lane_circuit_open", "mending"]

    assert (1, 0) == asyncio.run(main())


@stack
def test_a_long_queue_is_counted_page_by_page(settings, tmp_path, monkeypatch):
    """Also over many pages and lines every message counts once, and the first of each lane tells how long it waits."""
    monkeypatch.setattr(depth, "PAGES", 1)
    monkeypatch.setattr(depth, "PAUSE", 0)
    waits = """WITH line AS (INSERT INTO lines (part, purpose, tenant, campaign) VALUES ($1, 'marketing', 'acme', '') RETURNING line)
               INSERT INTO queue (message_id, line, state, place, contact_id, chain, seq, units, due_at)
               SELECT gen_random_uuid(), line, 'ready', n, gen_random_uuid(), 1, n, 1, $2::timestamptz - make_interval(secs => n)
               FROM line, generate_series(1, $3::int) AS n"""

    async def main():
        async with Open(settings, tmp_path, monkeypatch).open() as one:
            pool, now = one.one.context.pool, one.one.context.clock()
            for lane, count in (("far", 700), ("near", 300)):
                await pool.execute(waits, lane, now, count)
            assert await pool.fetchval(depth.BLOCKS) > 5
            await Depth(one.one.context).refresh()
            found = await metrics(one.one)
            return [
                (found["parley_queue_depth", lane, "marketing"], found["parley_queue_age_seconds", lane, "marketing"]) for lane in ("far", "near")
            ]

    (far, far_age), (near, near_age) = asyncio.run(main())

    assert (700, 300) == (far, near)
    assert 700 <= far_age < 730 and 300 <= near_age < 330


@stack
def test_readiness_is_a_metric_too(settings, tmp_path, monkeypatch, run):
    """Nobody need ask /readyz for it: 1, then 0 while a stage stands still with something to do, then 1."""
    monkeypatch.setattr(service, "LAG_EVERY", 0.1)

    async def main():
        stage = Waiting()
        async with service.running(serving(stage), impatient(settings, tmp_path)) as one:
            await shows(one, 1, "parley_ready")
            await one.context.bus.publish([wire.encode(event())])
            await shows(one, 0, "parley_ready")
            idle = (await metrics(one))["parley_idle_seconds", "waiting"]
            stage.go.set()
            await shows(one, 1, "parley_ready")
            return idle, (await metrics(one))["parley_stage_stopped", "waiting"]

    idle, stopped = run(main())

    assert idle > 0.5
    assert stopped == 0


@stack
def test_a_stage_that_stopped_for_good_says_so(settings, tmp_path, run):
    """Past its limit of dead letters, which are counted from 0: a counter that is born at 1 has not increased, for Prometheus."""

    async def main():
        quick = impatient(settings, tmp_path).model_copy(update={"dead_streak": 1})
        async with service.running(serving(Refusing()), quick) as one:
            await shows(one, 0, "parley_stage_stopped", "refusing")
            await shows(one, 0, "parley_dead_total", "refusing", quick.prefix + "parley.customers")
            await one.context.bus.publish([wire.encode(event())])
            await shows(one, 1, "parley_stage_stopped", "refusing")
            await shows(one, 1, "parley_dead_total", "refusing", quick.prefix + "parley.customers")
            return (await ask(one, "/readyz"))[0]

    assert run(main()) == 503

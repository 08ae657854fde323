"""The benchmarks' own arithmetic, and the names under which scripts find the figures. No test here takes a time."""

import asyncio

import orjson
import pytest
from bench import report, traffic
from bench.__main__ import BENCHMARKS, _arguments
from bench.journey import Awaited
from bench.measure import Comparison, Holding, Latency, Memory, Sample, Series, Waits, alternate, histogram, schedule
from bench.webhooks import webhooks

from parley import wire
from parley.demo.premises import prepare
from parley.demo.witness import caused
from parley_analytics.gathering import gather
from tests.conftest import CONFIG

MACHINE = report.Machine("2026-11-25 12:00 UTC", 2, 24, "processor", "Linux 6", "3.11.7", 0.1)


def compared(key="router_vs_bare", ours=(50, 60), floor=(100, 100), unit="events/s", target=0.5, or_rate=None) -> Comparison:
    return Comparison(key, "what", unit, Series(ours), Series(floor), "a loop", target, or_rate)


def test_a_ratio_is_the_median_of_the_rounds():
    """A round in which both were slow says as much as one in which both were fast."""
    assert 0.5 == compared(ours=(10, 50, 90), floor=(20, 100, 100)).ratio


def test_the_spread_is_from_slowest_to_fastest_over_the_median():
    """Half of the median between the extremes is half."""
    assert 0.5 == Series((80.0, 100.0, 130.0)).spread


@pytest.mark.parametrize(
    "given, missed",
    [
        ({"ours": (60,), "floor": (100,)}, 0.0),
        ({"ours": (40,), "floor": (100,)}, 0.2),
        ({"ours": (40,), "floor": (100,), "or_rate": 40}, 0.0),
        ({"ours": (40,), "floor": (100,), "or_rate": 44.444444444}, 0.1),
        ({"ours": (1,), "floor": (100,), "target": None}, 0.0),
    ],
)
def test_a_target_is_missed_by_what_is_nearest(given, missed):
    """A ratio, or a rate that suffices whatever the ratio; without a target there is nothing to miss."""
    assert pytest.approx(missed) == compared(**given).missed_by


def test_rounds_alternate_after_one_that_does_not_count():
    """Floor and ours in turn, so that a slow moment of the machine falls on both."""
    calls = []

    def measure(name):
        async def once() -> float:
            calls.append(name)
            return float(len(calls))

        return once

    ours, floor = asyncio.run(alternate(measure("ours"), measure("floor"), 2))

    assert ["floor", "ours"] * 3 == calls
    assert (Series((4.0, 6.0)), Series((3.0, 5.0))) == (ours, floor)


def test_percentiles_come_from_a_histogram_of_microseconds():
    """One time in a hundred is beyond the 99th, and what takes minutes counts as the longest."""
    found = Latency("edge", "what", "requests/s", 10, 20, [0.001] * 99 + [1000.0]).figures

    assert (1.0, 1.0) == pytest.approx((found["edge_p50_ms"], found["edge_p99_ms"]), rel=0.01)
    assert pytest.approx(60_000_000, rel=0.01) == histogram([1000.0]).get_max_value()


def test_an_open_loop_keeps_its_times():
    """Four a second for a second, whatever became of the one before."""
    assert [0.0, 0.25, 0.5, 0.75] == list(schedule(4, 1))


def test_an_answer_is_timed_from_the_intended_start_once():
    """Also when the provider's door sees it before the twin has told its customer's message id; a second message of the same answer is none."""
    first, second = list(caused("acme-sms", "SM1"))[:2]
    awaited = Awaited()
    awaited.arrived(first, 12.5)
    awaited.said("acme-sms", "SM1", 10.0)
    awaited.arrived(second, 13.0)

    assert [2.5] == awaited.times


def test_the_json_line_has_the_names_that_scripts_read():
    """One object in one line, with every figure of the contract of `make bench`."""
    pairs = ["router_vs_bare", "edge_vs_send_and_wait", "sender_vs_aiohttp"]
    findings = [*map(compared, pairs), compared("analytics_vs_bare"), Latency("end_to_end", "what", "messages/s", 1, 2, [0.01])]

    line = report.figures(findings, MACHINE, 60)

    assert b"\n" not in line
    assert {*pairs, "analytics_events_per_s", "analytics_vs_bare", "end_to_end_p99_ms", "machine"} <= orjson.loads(line).keys()


def test_a_page_gets_its_figures_between_the_marks():
    """The prose around them stays; a second run replaces the first."""
    page = f"# Before\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"

    once = report.written(page, [compared()], MACHINE, "python -m bench")

    assert "old" not in once
    assert once.startswith("# Before\n") and once.endswith("\n\nafter\n") and "| **0.55** | 0.5 | met |" in once
    assert once == report.written(once, [compared()], MACHINE, "python -m bench")


def test_a_page_without_marks_is_left_alone():
    """It is said what is missing, before anything is written."""
    with pytest.raises(ValueError, match="has no lines"):
        report.written("# A page", [compared()], MACHINE, "python -m bench")


def test_memory_is_told_from_when_the_process_is_warm():
    """Growth is over what it held after a tenth of the events; a run of its own has a place of its own on the page."""
    found = Memory(tuple(Sample(number * 1000, (50 if number == 0 else 100 + number) * 2**20) for number in range(21)))
    page = f"{report.BEGIN}\nkept\n{report.END}\n{report.MEMORY_BEGIN}\nold\n{report.MEMORY_END}\n"

    once = report.written(page, [found], MACHINE, "python -m bench")

    assert {"memory_warm_mb": 102, "memory_end_mb": 120, "memory_most_mb": 120, "memory_events": 20_000} == {
        name: value for name, value in found.figures.items() if name != "memory_growth"
    }
    assert pytest.approx(18 / 102) == found.growth
    assert "kept" in once and "old" not in once
    assert "| 0 | 50.0 MiB |\n| 2,000 | 102.0 MiB |" in once and "| 20,000 | 120.0 MiB |" in once


def test_a_rate_that_is_wanted_beside_the_ratio():
    """Who meets the ratio and not the rate misses by the rate."""
    found = Comparison("sender", "what", "messages/s", Series((1500.0,)), Series((3000.0,)), "posts", target=0.35, and_rate=2000)

    assert pytest.approx(0.25) == found.missed_by
    assert "| 0.35 and 2,000/s | missed by 25% |" in report.table([found])


def test_waits_and_memory_beside_a_crowd():
    """The ratio is that of the 99th of a hundred, and what is held is compared with what may be."""
    waits = Waits("reply", "a reply", [0.01] * 90 + [0.02] * 10, [0.015] * 90 + [0.05] * 10, 2.0)
    held = Holding("sender_memory", "sender", 150 * 2**20, 300 * 2**20)

    assert pytest.approx(2.5, rel=0.01) == waits.figures["reply"]
    assert {"reply_alone_p50_ms", "reply_beside_p99_ms"} < waits.figures.keys()
    assert {"sender_memory_mb": 150} == held.figures
    assert "| **2.50** | 2 | missed by 25% |" in report.table([waits])
    assert "| sender | 150 MiB | 300 MiB | met |" in report.table([held])


def test_benchmarks_are_named_or_refused():
    """A typing error is answered with the names there are; a part of a run is not put down as a whole."""
    assert ("router", "edge") == _arguments(["--only", "router,edge"]).only
    assert tuple(BENCHMARKS) == _arguments([]).only
    assert ("memory",) == _arguments(["--only", "memory", "--write", "page.md"]).only
    assert "memory" not in BENCHMARKS
    for wrong in (["--only", "rooter"], ["--repeat", "0"], ["--only", "router", "--write", "page.md"]):
        with pytest.raises(SystemExit):
            _arguments(wrong)


def test_traffic_is_readable_and_the_same_for_a_seed():
    """Every record decodes as an event of its topic; the same seed gives the same bytes."""
    records = traffic.conversations(300, 20) + traffic.fates(100, 20)
    events = [wire.decode(topic, headers, value) for topic, _, headers, value in records]

    assert records == traffic.conversations(300, 20) + traffic.fates(100, 20)
    assert 100 == len(gather(events).messages)


def test_webhooks_pass_the_edge(tmp_path):
    """What the benchmark posts is signed so that the edge takes it: a refusal would be quicker than the work."""
    papers = prepare(tmp_path, CONFIG, "http://127.0.0.1:1", "http://127.0.0.1:2")

    records = [one.record(papers.config) for one in webhooks(papers.config, 30)]

    assert {"parley.raw"} == {topic for topic, *_ in records}
    assert 30 == len({value for *_, value in records})

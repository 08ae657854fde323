"""Findings as a table for people and as one line of JSON for scripts; the machine they were made on, without its name. Pure but for `machine`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from bench.measure import Answers, Comparison, Finding, Holding, Latency, Memory, Waits

HEAD = ("what", "ours", "floor", "ratio", "target", "", "spread")
BEGIN, END = "<!-- figures: written by `python -m bench --write` -->", "<!-- end of the figures -->"
MEMORY_BEGIN, MEMORY_END = "<!-- memory: written by `python -m bench --only memory --write` -->", "<!-- end of the memory -->"
ROWS = 10
"""Samples of memory that the table shows, evenly over the run, beside the first."""


@dataclass(frozen=True)
class Machine:
    """What the figures were made on."""

    date: str
    cores: int
    memory_gb: int
    processor: str
    kernel: str
    python: str
    load_before: float
    """Processes that wanted a core in the minute before: others who share the machine."""

    @property
    def words(self) -> str:
        return (
            f"{self.date}, {self.cores} cores ({self.processor}), {self.memory_gb} GB, {self.kernel}, Python {self.python},"
            f" load {self.load_before:.1f} before the run"
        )


def machine() -> Machine:
    """This machine, now."""
    return Machine(
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30), _processor(), f"{platform.system()} {platform.release()}",
        platform.python_version(), os.getloadavg()[0],
    )  # fmt: skip


def figures(findings: Sequence[Finding], on: Machine, seconds: float) -> bytes:
    """The JSON line."""
    found = {name: round(value, 3 if abs(value) < 100 else 0) for one in findings for name, value in one.figures.items()}
    return orjson.dumps({**found, "seconds": round(seconds), "machine": asdict(on)})


def table(findings: Sequence[Finding]) -> str:
    """The findings in Markdown."""
    compared = [_row(one) for one in findings if isinstance(one, Comparison)]
    timed = [_timed(one) for one in findings if isinstance(one, Latency)]
    held = [row for one in findings if isinstance(one, Memory) for row in _held(one)]
    waited = [_waited(one) for one in findings if isinstance(one, Waits)]
    holding = [
        (one.what, f"{one.bytes / 2**20:,.0f} MiB", f"{one.most / 2**20:,.0f} MiB", _met(one.bytes / one.most))
        for one in findings
        if isinstance(one, Holding)
    ]
    answered = [
        (one.what, one.key, f"{one.at(50) * 1000:,.1f} ms", f"{one.p95 * 1000:,.1f} ms", f"{one.most * 1000:,.0f} ms", _met(one.p95 / one.most))
        for one in findings
        if isinstance(one, Answers)
    ]
    tables = (
        (HEAD, compared), (("times from the intended start", "offered", "p50", "p99", "p99.9"), timed),
        (("times beside a crowd", "alone p50, p99", "beside p50, p99", "ratio of p99", "at most", ""), waited), (("memory", "held", "at most", ""), holding),
        (("figures at 10,000,000 facts", "asked", "p50", "p95", "at most", ""), answered), (("events, all normalised", "resident memory of ingest"), held),
    )  # fmt: skip
    return "\n".join(_markdown(head, rows) for head, rows in tables if rows)


def written(page: str, findings: Sequence[Finding], on: Machine, command: str) -> str:
    """The page with its figures replaced, those of memory in a place of their own. Raises ValueError where the page has no place for them."""
    first, last = (MEMORY_BEGIN, MEMORY_END) if all(isinstance(one, Memory) for one in findings) else (BEGIN, END)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"the page has no lines {first!r} and {last!r} between which the figures stand")
    return f"{before}{first}\n\n{on.words}; `{command}`\n\n{table(findings)}\n{last}{after}"


def _row(one: Comparison) -> tuple[str, ...]:
    wanted = [f"{one.target:g}"] if one.target else []
    wanted += [f"{one.or_rate:,.0f}/s"] if one.or_rate else []
    also = f" and {one.and_rate:,.0f}/s" if one.and_rate else ""
    verdict = "" if not wanted else f"missed by {one.missed_by:.0%}" if one.missed_by else "met"
    rates = (f"{one.ours.median:,.0f} {one.unit}", f"{one.floor.median:,.0f} ({one.floor_is})")
    return one.what, *rates, f"**{one.ratio:.2f}**", " or ".join(wanted) + also, verdict, f"{one.ours.spread:.0%}, {one.floor.spread:.0%}"


def _timed(one: Latency) -> tuple[str, ...]:
    marks: Mapping[str, float] = one.figures
    times = (f"{marks[f'{one.key}_p{name}_ms']:,.1f} ms" for name in ("50", "99", "999"))
    return one.what, f"{one.offered:,.0f} {one.unit} of {one.sustained:,.0f}", *times


def _waited(one: Waits) -> tuple[str, ...]:
    times = (f"{one.at(some, 50):,.1f}, {one.at(some, 99):,.1f} ms" for some in (one.alone, one.beside))
    return one.what, *times, f"**{one.ratio:.2f}**", f"{one.most:g}", _met(one.ratio / one.most)


def _met(share: float) -> str:
    """Of what may be had at most, so much is used."""
    return "met" if share <= 1 else f"missed by {share - 1:.0%}"


def _held(one: Memory) -> list[tuple[str, str]]:
    step = max(1, (len(one.samples) - 1) // ROWS)
    shown = [*one.samples[::step], *(one.samples[-1:] if (len(one.samples) - 1) % step else [])]
    return [(f"{sample.events:,}", f"{sample.bytes / 2**20:,.1f} MiB") for sample in shown]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""`parley flow test`: every conversation of a directory, judged; what is wrong by file and line, what the tests reach, and JUnit for CI."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from rich import box
from rich.console import Console
from rich.table import Table

from parley import yamlfile
from parley.yamlfile import ConfigError, Lines
from parley_router.tools.coverage import Coverage, coverage, share
from parley_router.tools.judging import Verdict, judged
from parley_router.tools.sources import Flows
from parley_router.tools.talks import Test, Tests


@dataclass(frozen=True, slots=True)
class Written:
    """A test as it stands in a file."""

    path: Path
    test: Test
    tenant: str
    place: tuple[str | int, ...]
    lines: Lines

    def line(self, entry: int | None = None) -> int:
        """The line of the test, or of an entry of its talk."""
        return self.lines.of((*self.place, *(("test",) if entry is None else ("talk", entry))))


@dataclass(frozen=True, slots=True)
class Result:
    """A test and how it went."""

    written: Written
    verdict: Verdict
    seconds: float


def read(flows: Flows) -> list[Written]:
    """The tests of a directory. Raises `ConfigError` with every complaint about their files."""
    found = list[Written]()
    wrong = [f"{path}:1: the file: it is not read; its name must end in .yaml" for path in sorted((flows.directory / "tests").glob("*.yml"))]
    for path in flows.conversations:
        try:
            found += _of_file(path, flows)
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


def _of_file(path: Path, flows: Flows) -> Iterator[Written]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}:1: the file: cannot be read: {error}") from error
    lines = Lines(text)
    if re.search(r"^tests\s*:", text, re.MULTILINE):
        tests: list[tuple[tuple[str | int, ...], Test]] = [
            (("tests", place), one) for place, one in enumerate(yamlfile.parse(text, Tests, str(path)).tests)
        ]
    else:
        tests = [((), yamlfile.parse(text, Test, str(path)))]
    for place, test in tests:
        tenant = test.tenant or (next(iter(flows.zones)) if len(flows.zones) == 1 else None)
        if tenant is None or tenant not in flows.zones:
            said = f"there is no tenant {tenant!r}" if tenant else "`tenant` is missing, and there are several"
            raise ConfigError(f"{path}:{lines.of((*place, 'tenant'))}: {said}; known: {', '.join(flows.zones)}")
        yield Written(path, test, tenant, place, lines)


def run(flows: Flows, tests: Iterable[Written]) -> Iterator[Result]:
    """Judges each test. Messages whose meaning a test does not say are really read where there is an FAQ."""
    for one in tests:
        begun, faq = time.perf_counter(), flows.around.faqs.get(one.tenant)
        reading = partial(faq.read, today=one.test.at.date()) if faq is not None else None
        verdict = judged(one.test, one.tenant, flows.book, flows.zones[one.tenant], reading)
        yield Result(one, verdict, time.perf_counter() - begun)


def covered(flows: Flows, results: Iterable[Result]) -> list[tuple[Path, Lines, Coverage]]:
    """What all tests together reach, by file."""
    trails = {tenant: set[object]() for tenant in flows.zones}
    for one in results:
        trails[one.written.tenant].update(one.verdict.trail)
    return [
        (source.path, source.lines, coverage(source.flow, trails[tenant]))  # type: ignore[arg-type]
        for (tenant, _), source in sorted(flows.sources.items(), key=lambda item: str(item[1].path))
    ]


# --- told --------------------------------------------------------------------------------------------------------------------------------


def failure(one: Result) -> str:
    """A failed test in words: file, line, name, and what was said instead."""
    fault = one.verdict.fault
    assert fault is not None
    head = f"{one.written.path}:{one.written.line(fault.entry)}: {one.written.test.test}"
    after = [f"  after line {one.written.line(fault.cause)}"] if fault.cause is not None and fault.cause != fault.entry else []
    return "\n".join([head, *after, *(f"  {line}" for line in fault.lines)])


def missing(found: Iterable[tuple[Path, Lines, Coverage]]) -> list[str]:
    """What no test took, by file and line."""
    gaps = sorted((str(path), lines.of(gap.place), place, gap.what) for path, lines, one in found for place, gap in enumerate(one.missing))
    return [f"{path}:{line}: {what}" for path, line, _, what in gaps]


def table(found: Sequence[tuple[Path, Lines, Coverage]]) -> Table:
    """Steps and ways of each flow, and how many of them the tests took."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("flow", no_wrap=True)
    for name in ("steps", "ways", "covered"):
        made.add_column(name, justify="right", no_wrap=True)
    for _, _, one in found:
        made.add_row(one.flow.flow, "/".join(map(str, one.steps)), "/".join(map(str, one.ways)), f"{share([one]):g} %")
    return made


def told(console: Console, results: Sequence[Result], found: Sequence[tuple[Path, Lines, Coverage]]) -> None:
    """All of it for people: what failed, what is not covered, how much is, and the sum of it."""
    failed = [one for one in results if one.verdict.fault is not None]
    for one in failed:
        console.print(failure(one) + "\n", markup=False, highlight=False)
    if gaps := missing(found):
        console.print("\n  ".join(["no test takes:", *gaps]), markup=False, highlight=False)
    console.print(table(found))
    took = sum(one.seconds for one in results)
    reached = share(one for _, _, one in found)
    console.print(f"{len(results) - len(failed)} passed, {len(failed)} failed, {reached:g} % covered, in {took:.1f} s", highlight=False)


def junit(results: Sequence[Result]) -> str:
    """The results as JUnit's XML, a suite a file."""
    root = ElementTree.Element("testsuites", name="parley flow test", tests=str(len(results)), failures=str(_failed(results)))
    for path in dict.fromkeys(one.written.path for one in results):
        own = [one for one in results if one.written.path == path]
        seconds = f"{sum(one.seconds for one in own):.3f}"
        suite = ElementTree.SubElement(root, "testsuite", name=str(path), tests=str(len(own)), failures=str(_failed(own)), errors="0", time=seconds)
        for one in own:
            line = str(one.written.line())
            case = ElementTree.SubElement(
                suite, "testcase", name=one.written.test.test, classname=path.stem, file=str(path), line=line, time=f"{one.seconds:.3f}"
            )
            if one.verdict.fault is not None:
                text = failure(one)
                ElementTree.SubElement(case, "failure", message=one.verdict.fault.lines[0], type="conversation").text = text
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _failed(results: Iterable[Result]) -> int:
    return sum(one.verdict.fault is not None for one in results)

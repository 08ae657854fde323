"""`parley flow …`: the tools for those who write flows. What they print is their result; exit status 1: what was checked or tested is not right."""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from parley import settings
from parley.contracts import Channel

app = typer.Typer(no_args_is_help=True, help="Flows: check them, test them, play them, draw them, compare them.")

Config = Annotated[
    Path | None, typer.Option("--config", help="Directory of accounts.yaml; else the one above the flows, or the flows' own.", file_okay=False)
]


class Format(StrEnum):
    SVG = "svg"
    MERMAID = "mermaid"


def flows_of(given: Path | None) -> Path:
    """The directory that was given, else the flows of PARLEY_CONFIG."""
    return given if given is not None else settings.read().config / "flows"


@app.command()
def check(
    directory: Annotated[Path | None, typer.Argument(help="Directory of flows; else that of PARLEY_CONFIG.")] = None,
    config: Config = None,
) -> None:
    """Say what is wrong with flows, by file and line, with what to do; exit status 1 when one cannot be used, 0 for warnings alone."""
    from parley_router.tools import sources

    place = flows_of(directory)
    reads, _, found = sources.checked(place, sources.around(place, config))
    levels = {level: [one.said for one in found if one.level == level] for level in ("error", "warning")}
    for level, said in levels.items():
        if said:
            typer.echo("\n  ".join([f"{level}s:", *said]))
    typer.echo(f"{len(reads)} flows read, {len(levels['error'])} errors, {len(levels['warning'])} warnings")
    if levels["error"]:
        raise typer.Exit(1)


@app.command()
def learn(
    file: Annotated[Path, typer.Argument(help="The file of the intent, faq/NAME.yaml.", dir_okay=False)],
    intent: Annotated[str, typer.Argument(help="The intent that it holds.")],
    language: Annotated[str, typer.Argument(help="The sentence's language, as ko.")],
    sentence: Annotated[str, typer.Argument(help="What a customer wrote.")],
) -> None:
    """Add a sentence to the examples of an intent; all else in the file stays as it is."""
    from parley_router.understand import learning

    new = learning.learn(file, intent, language, sentence)
    typer.echo(f"{file}: {'now an example' if new else 'was an example already'} of {intent}")


@app.command()
def graph(
    place: Annotated[Path | None, typer.Argument(help="A flow's file, or a directory of flows; else the flows of PARLEY_CONFIG.")] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.SVG,
    language: Annotated[str | None, typer.Option(help="Of the texts in it; else the first of each text.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write to instead.", dir_okay=False)] = None,
) -> None:
    """Draw flows: boxes for steps, arrows for where they lead."""
    from parley_router.tools import picture, sources, svg

    pictures = [picture.picture(one, language) for one in sources.drawable(flows_of(place))]
    text = svg.svg(pictures) if form is Format.SVG else picture.mermaid(pictures)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@app.command("test")
def hold(
    directory: Annotated[Path | None, typer.Argument(help="Directory of flows; its tests are tests/*.yaml. Else that of PARLEY_CONFIG.")] = None,
    config: Config = None,
    only: Annotated[str | None, typer.Option(help="Only tests with this in their name or file.")] = None,
    min_coverage: Annotated[float, typer.Option(help="Percent of steps and ways that the tests must take together.", min=0, max=100)] = 0.0,
    junit: Annotated[Path | None, typer.Option(help="File to write the results to, as JUnit's XML.", dir_okay=False)] = None,
) -> None:
    """Hold the conversations that are written down beside the flows; exit status 1 when one goes otherwise."""
    from rich.console import Console

    from parley_router.tools import sources, testing
    from parley_router.tools.coverage import share

    flows = sources.opened(flows_of(directory), config)
    tests = [one for one in testing.read(flows) if only is None or only in one.test.test or only in one.path.name]
    if not tests:
        raise settings.SettingsError(
            f"no test {f'has {only!r} in its name' if only else f'stands in {flows.directory}/tests'}: see docs/flows-testing.md"
        )
    results = list(testing.run(flows, tests))
    found = [one for one in testing.covered(flows, results) if only is None or one[2].taken]
    testing.told(Console(soft_wrap=True), results, found)
    if junit is not None:
        junit.write_text(testing.junit(results), encoding="utf-8")
    reached = share(one for _, _, one in found)
    if reached < min_coverage:
        typer.echo(f"covered are {reached:g} %, not {min_coverage:g} %")
    if reached < min_coverage or any(one.verdict.fault is not None for one in results):
        raise typer.Exit(1)


@app.command()
def schema(tests: Annotated[bool, typer.Option("--tests", help="That of tests instead of flows.")] = False) -> None:
    """Print the JSON Schema of flows, for editors."""
    from parley_router.tools import schema as schemas

    typer.echo(schemas.written(schemas.pages_of()["flow-test" if tests else "flow"]), nl=False)


@app.command()
def play(
    flow: Annotated[str | None, typer.Argument(help="A flow to begin with; else say what begins one.")] = None,
    directory: Annotated[Path | None, typer.Option("--flows", help="Directory of flows; else that of PARLEY_CONFIG.")] = None,
    config: Config = None,
    tenant: Annotated[str | None, typer.Option(help="Whose flows, where there are several tenants.")] = None,
    language: Annotated[str | None, typer.Option(help="What the customer reads.")] = None,
    channel: Annotated[Channel, typer.Option(help="Where it is talked.")] = Channel.SMS,
) -> None:
    """Talk with the flows here; /help tells how to let time pass and things happen."""
    from parley_router.tools import sources, terminal

    terminal.play(sources.opened(flows_of(directory), config), tenant, flow, language, channel)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="Directory of the flows as they are.", file_okay=False)],
    second: Annotated[Path, typer.Argument(help="Directory of the flows as they would be.", file_okay=False)],
    on: Annotated[Path, typer.Option("--on", help="Recorded events, as `parley flow record` writes them.", dir_okay=False)],
    most: Annotated[int, typer.Option("--first", help="How many conversations to show.", min=0)] = 20,
    config: Config = None,
) -> None:
    """Show which recorded conversations the second version of the flows would answer otherwise than the first."""
    from rich.console import Console

    from parley_router.tools import comparing, recording, sources, telling

    one, other = sources.opened(first, config), sources.opened(second, config)
    found = comparing.compared(recording.read(on), one.book, other.book, one.zones)
    console = Console(width=None if Console().is_terminal else 160)
    if found.differences:
        console.print(telling.differences(found, most), markup=False)
        console.print(telling.totals(found))
    for line in found.left_out[:most]:
        typer.echo(line)
    typer.echo(telling.summary(found))


@app.command()
def record(
    since: Annotated[str, typer.Option("--from", help="Since when, as 2026-11-18T00:00:00+09:00.")],
    out: Annotated[Path, typer.Option("--out", help="File to write to; it will hold what customers wrote.", dir_okay=False)],
    until: Annotated[str | None, typer.Option("--to", help="Up to when; without it, up to now.")] = None,
) -> None:
    """Write the events that conversations are made of from Kafka into a file, for `parley flow diff`."""
    from parley_router.tools import recording

    known = _kafka()
    count = asyncio.run(recording.record(known, _moment("--from", since), _moment("--to", until) if until else None, out))
    typer.echo(f"{count} events written to {out}")


@app.command()
def misunderstood(since: Annotated[str, typer.Option("--from", help="Since when, as 2026-11-18T00:00:00+09:00.")]) -> None:
    """List the messages whose meaning was not sure: material for `parley flow learn`."""
    from rich.console import Console

    from parley_router.tools import recording, telling

    found = asyncio.run(recording.misunderstood(_kafka(), _moment("--from", since)))
    Console().print(telling.misunderstood(found), markup=False)
    typer.echo(f"{len(found)} messages were not understood for sure")


def _kafka() -> settings.Settings:
    known = settings.read()
    if not known.kafka:
        raise settings.SettingsError("PARLEY_KAFKA must be set: `parley up` starts Kafka on this machine and prints what to set")
    return known


def _moment(option: str, text: str) -> datetime:
    from parley.cli import moment

    return moment(option, text)

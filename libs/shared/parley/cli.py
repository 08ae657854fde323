"""The command line: `parley up`, one command a service, and the tools around them. Errors are one sentence and exit status 2."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from parley import settings as settings_
from parley.yamlfile import ConfigError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Parley: conversations between brands and customers."
)
dead = typer.Typer(no_args_is_help=True, help="Events that could not be processed.")
app.add_typer(dead, name="dead")


def _service(name: str) -> None:
    from parley import log, service

    settings = settings_.read()
    log.configure(settings, name)
    _needs_servers(settings)
    _run(service.run(import_module(f"parley_{name}.app").SERVICE, settings))


def _needs_servers(settings: settings_.Settings) -> None:
    given = {"PARLEY_KAFKA": settings.kafka, "PARLEY_DATABASE": settings.database.get_secret_value()}
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise settings_.SettingsError(f"{' and '.join(missing)} must be set: `parley up` starts both on this machine and prints what to set")


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Runs on uvloop: at these rates the loop itself is a third of the time."""
    import uvloop

    uvloop.run(main)


@app.command()
def ingest() -> None:
    """Run ingest: webhooks, events of other services, links."""
    _service("ingest")


@app.command()
def router() -> None:
    """Run the router: bots, consent, people."""
    _service("router")


@app.command()
def sender() -> None:
    """Run the sender: deliveries through the lanes."""
    _service("sender")


@app.command()
def analytics() -> None:
    """Run analytics: facts, rates, dashboards."""
    _service("analytics")


@app.command()
def up(data: Annotated[Path, typer.Option(help="Directory for the servers' data.")] = Path(".parley")) -> None:
    """Run Kafka and PostgreSQL on this machine until Ctrl-C; prints what to set for the other commands."""
    from parley.local import StackError
    from parley.local.holding import hold

    try:
        asyncio.run(hold(settings_.read(), data, typer.echo, _say))
    except StackError as error:
        _refuse(error)


@app.command()
def twin(
    ledger: Annotated[Path, typer.Option(help="File of the ledger; what stands in it already is read again.", dir_okay=False)],
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.", min=0, max=65535)] = 9100,
    seed: Annotated[int, typer.Option(help="Number that all draws belong to.")] = 0,
    honour_keys: Annotated[bool, typer.Option(help="Whether a repeated Idempotency-Key is known as a repeat.")] = True,
) -> None:
    """Run the provider twin: it plays Twilio, WhatsApp and the plain provider, and keeps a ledger."""
    from parley.twin import TwinError, TwinOptions, serve

    try:
        asyncio.run(serve(TwinOptions(ledger, port, seed=seed, honour_keys=honour_keys), _say))
    except TwinError as error:
        _refuse(error)


@app.command()
def demo(
    customers: Annotated[int, typer.Option(help="How many customers come in a run.", min=1, max=20_000)] = 200,
    seed: Annotated[int, typer.Option(help="Number that all customers and draws belong to.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="End after one run and its summary.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as the last line of standard output, as JSON.")] = False,
    data: Annotated[Path, typer.Option(help="Directory for the servers' data, logs and the ledger.")] = Path(".parley"),
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Listen on any free ports instead of 8001 to 8004 and 9100.")] = False,
) -> None:
    """Run the sample shop with simulated customers against the provider twin; exit status 1 when something was lost or sent that must not be."""
    from parley.demo.run import Options, run
    from parley.local import StackError

    try:
        status = run(settings_.read(), Options(customers, seed, once, json, data, free_ports))
    except StackError as error:
        _refuse(error)
    raise typer.Exit(status)


@app.command()
def docs(target: Annotated[Path, typer.Argument(help="Directory to write to.")] = Path("docs")) -> None:
    """Write what is made from the code: contract, settings, metrics, the schemas of the services."""
    from parley import contractdocs, log, referencedocs, schemadocs
    from parley.local import StackError

    settings = settings_.read(log_level="warning")
    log.configure(settings, "docs")
    try:
        schemas = schemadocs.write(target / "schema", settings.database.get_secret_value())
    except StackError as error:
        _refuse(error)
    for path in [*contractdocs.write(target / "contract"), *referencedocs.write(target), *schemas]:
        typer.echo(path)


@dead.command("list")
def dead_list(limit: Annotated[int, typer.Option(help="How many of the newest to show.")] = 50) -> None:
    """Show the newest dead letters as a table: when, from where, why."""
    from parley import deadletters

    settings = settings_.read()
    asyncio.run(deadletters.show(settings, limit))


def _say(progress: str) -> None:
    """Progress is for people: standard output stays free for what a command gives."""
    typer.echo(progress, err=True)


def _refuse(error: Exception) -> NoReturn:
    sys.stderr.write(f"parley: {error}\n")
    raise SystemExit(2) from error


def main() -> None:
    """The entry point. A mistake in settings or files is said in words, without a trace."""
    try:
        app()
    except (ConfigError, settings_.SettingsError) as error:
        _refuse(error)
    except OSError as error:
        if error.__class__ is not OSError:
            raise
        _refuse(error)

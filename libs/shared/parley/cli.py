"""The command line: `parley up`, one command a service, and the tools around them. Errors are one sentence and exit status 2."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

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
    _needs(settings, "kafka", "database")
    _run(service.run(import_module(f"parley_{name}.app").SERVICE, settings))


def _needs(settings: settings_.Settings, *names: str) -> None:
    missing = [f"PARLEY_{name.upper()}" for name in names if not str(getattr(settings, name)).strip("*")]
    if not settings.database.get_secret_value() and "PARLEY_DATABASE" not in missing:
        missing.append("PARLEY_DATABASE")
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
def docs(target: Annotated[Path, typer.Argument(help="Directory to write to.")] = Path("docs/contract")) -> None:
    """Write the contract: AsyncAPI 3 and a JSON Schema for each event."""
    from parley import contractdocs

    for path in contractdocs.write(target):
        typer.echo(path)


@dead.command("list")
def dead_list(limit: Annotated[int, typer.Option(help="How many of the newest to show.")] = 50) -> None:
    """Show the newest dead letters as a table: when, from where, why."""
    from parley import deadletters

    settings = settings_.read()
    asyncio.run(deadletters.show(settings, limit))


def main() -> None:
    """The entry point. A mistake in settings or files is said in words, without a trace."""
    try:
        app()
    except (ConfigError, settings_.SettingsError) as error:
        sys.stderr.write(f"parley: {error}\n")
        raise SystemExit(2) from error
    except OSError as error:
        if error.__class__ is not OSError:
            raise
        sys.stderr.write(f"parley: {error}\n")
        raise SystemExit(2) from error

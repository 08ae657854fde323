"""The command line: `parley up`, one command a service, and the tools around them. Errors are one sentence and exit status 2."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from uuid import UUID

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
def replay(
    what: Annotated[Literal["requests", "analytics"], typer.Argument(help="Requests of an account, or all numbers of analytics.")] = "requests",
    since: Annotated[
        str | None,
        typer.Option("--from", help="Since when, as 2026-11-24T09:00:00+09:00, by the time of reception; analytics: all that the log holds."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Whose requests.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to when, of requests; without it, up to now.")] = None,
    topic: Annotated[str, typer.Option(help="Where requests stand; there is no other topic yet.")] = "parley.raw",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")] = False,
) -> None:
    """Read the log again. An account's requests, with the adapter as it is now: what it did not yield before comes out, what it did stays as it was.
    Or, as `parley replay analytics`, everything that is counted: made anew beside the live numbers, then put in their place."""
    settings = settings_.read()
    begin, end = (text if text is None else moment(option, text) for option, text in (("--from", since), ("--to", until)))
    if what == "analytics":
        _only_requests(account=account, to=until)
        _needs_servers(settings)
        asyncio.run(import_module("parley_analytics.again").run(settings, begin, dry_run=dry_run))
        return
    if topic != "parley.raw":
        raise settings_.SettingsError(f"--topic {topic}: only parley.raw can be replayed")
    if begin is None or account is None:
        raise settings_.SettingsError("--from and --account must be given: since when, and whose requests")
    _needs_servers(settings)
    taken = asyncio.run(import_module("parley_ingest.replay").run(settings, account, begin, end, dry_run=dry_run))
    raise typer.Exit(0 if taken else 1)


def _only_requests(**given: str | None) -> None:
    for name, value in given.items():
        if value is not None:
            raise settings_.SettingsError(f"--{name} {value}: numbers are made anew for all tenants and up to now")


def moment(option: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise settings_.SettingsError(f"{option} {text!r} is no time: write it as 2026-11-24T09:00:00+09:00") from error
    if found.tzinfo is None:
        raise settings_.SettingsError(f"{option} {text!r} has no offset: write it as {text}+09:00, or {text}Z")
    return found


@app.command()
def docs(target: Annotated[Path, typer.Argument(help="Directory to write to.")] = Path("docs")) -> None:
    """Write what is made from the code: contract, settings, metrics, the schemas of the services and of flows."""
    from parley import contractdocs, eventdocs, log, referencedocs, schemadocs
    from parley.local import StackError

    settings = settings_.read(log_level="warning")
    log.configure(settings, "docs")
    try:
        schemas = schemadocs.write(target / "schema", settings.database.get_secret_value())
    except StackError as error:
        _refuse(error)
    apis = [
        contractdocs.write_api(target / "contract" / f"openapi-{name}.yaml", import_module(f"parley_{name}.openapi").document())
        for name in ("ingest", "sender", "analytics")
    ]
    schemas += import_module("parley_router.tools.schema").write(target / "schema")
    for path in [*contractdocs.write(target / "contract"), *apis, *referencedocs.write(target), *eventdocs.write(target), *schemas]:
        typer.echo(path)


@app.command()
def why(
    message_id: Annotated[UUID, typer.Argument(help="The message, as events and lists name it.")],
    language: Annotated[str, typer.Option("--lang", help="en or ko.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print the whole story of a message: why it was sent, or was not, and what became of it. Reads the database."""
    settings = settings_.read()
    if not settings.database.get_secret_value():
        raise settings_.SettingsError("PARLEY_DATABASE must be set: stories are read from there")
    if language not in ("en", "ko"):
        raise settings_.SettingsError(f"--lang {language}: stories are told in en or ko")
    if not asyncio.run(import_module("parley_sender.why").run(settings, message_id, language, as_json=json)):
        raise settings_.SettingsError(f"there is no message {message_id}: sender was never asked for it, or it is older than what it keeps")


@app.command()
def link(
    account: Annotated[str, typer.Argument(help="The account of accounts.yaml that the link opens.")],
    keyword: Annotated[str, typer.Option(help="What the customer says first; it starts a flow.")],
    campaign: Annotated[str | None, typer.Option(help="Where the link stands: letters, digits, hyphens. Flows know it as profile.reference.")] = None,
    qr: Annotated[Path | None, typer.Option(help="File to write the QR code to, .svg or .png.", dir_okay=False)] = None,
) -> None:
    """Print a click-to-chat link, and write its QR code."""
    from parley import clicktochat, config
    from parley import qr as codes

    known = config.public(settings_.read().config)
    if account not in known:
        raise settings_.SettingsError(f"there is no account {account!r} in accounts.yaml; known: {', '.join(known)}")
    try:
        found = clicktochat.link(known[account], keyword, campaign)
        if qr is not None:
            qr.write_bytes(codes.picture(found, qr.suffix.lower().removeprefix(".")))
    except ValueError as error:
        _refuse(error)
    typer.echo(found)


@dead.command("list")
def dead_list(limit: Annotated[int, typer.Option(help="How many of the newest to show.")] = 50) -> None:
    """Show the newest dead letters as a table: when, from where, why."""
    from parley import deadletters

    settings = settings_.read()
    asyncio.run(deadletters.show(settings, limit))


@dead.command("show")
def dead_show(event_id: Annotated[str, typer.Argument(help="Id of the event, as `parley dead list` shows it.")]) -> None:
    """Show everything of an event's dead letters, with what it says."""
    from parley import deadletters

    if not asyncio.run(deadletters.inspect(settings_.read(), event_id)):
        raise settings_.SettingsError(f"no dead letter has the id {event_id!r}: `parley dead list` shows them")


@dead.command("retry")
def dead_retry(
    event_id: Annotated[str | None, typer.Argument(help="Id of one event.")] = None,
    stage: Annotated[str | None, typer.Option(help="All that died in this stage.")] = None,
) -> None:
    """Put events back onto their topics, once the cause is mended. Twice does no more than once."""
    from parley import deadletters

    if (event_id is None) == (stage is None):
        raise settings_.SettingsError("name one event by its id, or a stage with --stage")
    count = asyncio.run(deadletters.retry(settings_.read(), event_id=event_id, stage=stage))
    if not count:
        raise settings_.SettingsError(f"no dead letter {f'of {stage}' if stage else f'has the id {event_id!r}'}: `parley dead list` shows them")
    typer.echo(f"{count} put back")


def _say(progress: str) -> None:
    """Progress is for people: standard output stays free for what a command gives."""
    typer.echo(progress, err=True)


def _refuse(error: Exception) -> NoReturn:
    sys.stderr.write(f"parley: {error}\n")
    raise SystemExit(2) from error


def main() -> None:
    """The entry point. A mistake in settings or files is said in words, without a trace."""
    app.add_typer(import_module("parley_router.tools.cli").app, name="flow")
    try:
        app()
    except (ConfigError, settings_.SettingsError) as error:
        _refuse(error)
    except OSError as error:
        if error.__class__ is not OSError:
            raise
        _refuse(error)

"""`parley flow play`, at a terminal or through a pipe: the clock it begins with, the lines that are typed, the lines that are shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime

import typer

from parley.contracts import Channel
from parley.settings import SettingsError
from parley_router.state import ContactState
from parley_router.tools.playing import HELP, Player
from parley_router.tools.rehearsal import Rehearsal
from parley_router.tools.sources import Flows


def play(flows: Flows, tenant: str | None, name: str | None, language: str | None, channel: Channel) -> None:
    """Begins now, with somebody who has written before. Raises `SettingsError` for a tenant, a flow or a language that there is not."""
    owner = tenant or (next(iter(flows.zones)) if len(flows.zones) == 1 else None)
    if owner is None or owner not in flows.zones:
        raise SettingsError(f"name the tenant with --tenant: {', '.join(flows.zones)}")
    shelf = flows.book.shelves[owner]
    if language is not None and language not in shelf.languages:
        raise SettingsError(f"{owner} does not speak {language!r}; its languages: {', '.join(shelf.languages)}")
    if name is not None and name not in shelf.flows:
        raise SettingsError(f"there is no flow {name!r}; known: {', '.join(shelf.flows)}")
    one = Rehearsal(flows.book, owner, lambda wanted: player.answer(wanted), datetime.now(flows.zones[owner]), channel=channel)
    one.state = ContactState(language=language or shelf.languages[0], channel=channel, addresses={channel: one.address}, received=1)
    faq = flows.around.faqs.get(owner)
    player = Player(one, _lines(), typer.echo, faq.read if faq is not None else None)
    if name is None:
        typer.echo(HELP)
    else:
        try:
            player.begin(shelf.flows[name])
        except ValueError as error:
            raise SettingsError(str(error)) from error
    player.play()


def _lines() -> Iterator[str]:
    """What is typed, with a prompt where somebody sits there."""
    asked = sys.stdin.isatty()
    while True:
        if asked:
            typer.echo("› ", nl=False)
        if not (line := sys.stdin.readline()):
            return
        yield line

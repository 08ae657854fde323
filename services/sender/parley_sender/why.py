"""`parley why MESSAGE_ID`: a message's story at a terminal, read from the database of the installation, whatever the tenant."""

from __future__ import annotations

from uuid import UUID

import orjson
import typer

from parley import database
from parley.settings import Settings
from parley_sender.api import shown
from parley_sender.reading import found
from parley_sender.story import Found, first_line, story
from parley_sender.storywords import clock


async def run(settings: Settings, message_id: UUID, language: str, *, as_json: bool) -> bool:
    """Prints the story. False when there is no such message."""
    connection = await database.single(settings.database.get_secret_value(), "sender")
    try:
        told = await found(connection, message_id)
    finally:
        await connection.close()
    if told is None:
        return False
    typer.echo(orjson.dumps(shown(told, language), default=str).decode() if as_json else "\n".join(lines(told, language)))
    return True


def lines(told: Found, language: str) -> list[str]:
    """The story as lines of text: first where the message stands and why, then what happened, a moment a line."""
    row = told.delivery
    about = f"{row['message_id']}  {row['status']}  {row['channel']}  {row['purpose']}"
    found = [first_line(told, language), about, "", *(f"{clock(one.at)}  {one.what:<9} {one.said}" for one in story(told, language))]
    return ["".join(letter if letter.isprintable() else " " for letter in line) for line in found]  # providers' words command no terminal

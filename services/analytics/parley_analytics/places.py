"""The place of a row in a list, for the address of the page behind it: opaque to whoever gets it, and of no use for another question. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

import orjson


class Place(NamedTuple):
    """The last row that was seen: what it was ordered by (None: a rate of nothing), and its names, which tell rows alike apart."""

    value: int | float | str | None
    names: tuple[str, ...]


class Lost(ValueError):
    """A text that no page said as its `next`, or one of another question."""


def mark(question: object, between: tuple[str, str], place: Place) -> str:
    """The place as a text. `question`: what must stay the same from page to page; `between`: the moments that all pages are of."""
    return base64.urlsafe_b64encode(orjson.dumps([_digest(question), *between, place.value, *place.names])).decode().rstrip("=")


def between(text: str) -> tuple[str, str]:
    """The moments that the page of this place was of. Raises `Lost`."""
    _, since, until, *_ = _parts(text)
    if not (isinstance(since, str) and isinstance(until, str)):
        raise Lost
    return since, until


def read(question: object, names: int, text: str) -> Place:
    """The place in a text, in a list of rows with so many names. Raises `Lost`."""
    digest, _, _, value, *found = _parts(text)
    said = tuple(one for one in found if isinstance(one, str))
    fits = digest == _digest(question) and len(found) == len(said) == names
    if not fits or isinstance(value, bool) or not isinstance(value, int | float | str | None):
        raise Lost
    if any("\0" in one for one in (*said, value) if isinstance(one, str)):
        raise Lost
    return Place(value, said)


def _parts(text: str) -> list[object]:
    try:
        found = orjson.loads(base64.b64decode((text + "=" * (-len(text) % 4)).encode(), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise Lost from error
    if not (isinstance(found, list) and len(found) >= 4):
        raise Lost
    return found


def _digest(question: object) -> str:
    return hashlib.sha256(repr(question).encode()).hexdigest()[:12]

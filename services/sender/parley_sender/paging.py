"""Pages of a list over HTTP: how many, and behind which entry. What a page says as `next` is the `after` of the one behind it."""

from __future__ import annotations

import base64
import binascii

import orjson
from starlette.requests import Request

from parley.problem import Problem

PAGE, LARGEST = 50, 200


def limit(request: Request) -> int:
    """How many entries are asked for. Raises 422."""
    given = request.query_params.get("limit", str(PAGE))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= LARGEST):
        raise Problem(422, f"limit: a number from 1 to {LARGEST}.")
    return int(given)


def cursor(*place: object) -> str:
    """The place of an entry, for the address of the next page."""
    return base64.urlsafe_b64encode(orjson.dumps(place, default=str)).decode()


def after(request: Request, parts: int) -> list[str] | None:
    """The place of the last entry that was seen, as `parts` texts; None at the beginning. Raises 422 for what `next` never said."""
    given = request.query_params.get("after")
    if given is None:
        return None
    try:
        found = orjson.loads(base64.b64decode(given.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise wrong() from error
    if not (isinstance(found, list) and len(found) == parts and all(isinstance(one, str) and "\0" not in one for one in found)):
        raise wrong()
    return found


def wrong() -> Problem:
    return Problem(422, "after: give what `next` of the page before said.")

"""Times as callers write them: with a zone, and within the calendar of UTC, outside of which the database has none. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def within(at: datetime) -> datetime:
    """The time in UTC. Raises `ValueError` for the hours at both ends of the calendar that other zones have alone."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this time is outside of the calendar of UTC") from error


Time = Annotated[AwareDatetime, AfterValidator(within)]
"""In a body."""


def read(text: str) -> datetime:
    """A time of ISO 8601 in UTC. Raises `ValueError` for anything else, and for one without a zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"there is no zone in {text!r}")
    return within(found)

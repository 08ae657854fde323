"""Values as tests of conversations write them: texts, moments, names of consents. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints

from parley_router.conditions import clock


def words(value: Any) -> Any:
    """A number, a day or `true` where a text is meant: what people write is often one."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float | date) else value


def moment(value: Any) -> datetime:
    """A day with its time, as `2026-11-25 10:00`; a day alone is its midnight. It is in the tenant's zone. Raises `ValueError`."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, time())
    try:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?", value):
            raise ValueError(value)
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"a moment is written as 2026-11-25 10:00, in the tenant's zone; not {value!r}") from error


def later(value: Any) -> datetime | time:
    """A moment, or a time of day."""
    return clock(value) if isinstance(value, str) and re.fullmatch(r"\d?\d:\d\d", value) else moment(value)


Words = Annotated[str, BeforeValidator(words)]
Moment = Annotated[datetime, BeforeValidator(moment)]
Consented = Annotated[str, StringConstraints(pattern=r"^([a-z]+:)?(reply|transactional|marketing)$")]
"""A purpose on the channel of the conversation, or `whatsapp:marketing` on another."""

"""Lengths of time as flows write them: `90s`, `15m`, `2h`, `3d`, `2w`, and joined as `1d12h`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
LONGEST = timedelta(days=730)
_WHOLE = re.compile(r"(\d{1,6}[wdhms])+")
_PART = re.compile(r"(\d{1,6})([wdhms])")


def duration(text: object) -> timedelta:
    """The length of time that the text writes. Raises `ValueError` for anything else, for none at all and for more than two years."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError(f"a length of time is written as 90s, 15m, 2h, 3d, 2w or 1d12h; not {text!r}")
    found = sum((int(count) * UNITS[unit] for count, unit in _PART.findall(text)), timedelta())
    if not timedelta() < found <= LONGEST:
        raise ValueError(f"a length of time is more than nothing and at most two years; not {text!r}")
    return found


Duration = Annotated[timedelta, BeforeValidator(duration)]

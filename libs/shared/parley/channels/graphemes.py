"""Where a text may be cut: between what is read as one character (UAX #29), never inside an emoji, a flag, or a letter with its marks. Pure."""

from __future__ import annotations

import regex

_READ_AS_ONE = regex.compile(r"\r|\n|\X")
"""Of a line break in two characters nothing is lost when it is cut, and a price is counted without asking for Unicode."""


def clusters(text: str) -> list[str]:
    """The text in what is read as one character each."""
    return list(text) if text.isascii() else _READ_AS_ONE.findall(text)


def border(text: str, limit: int) -> int:
    """The last place up to `limit` where the text may be cut; `limit` itself where a single character of that size stands at the beginning."""
    if limit >= len(text) or text[: limit + 1].isascii():
        return min(limit, len(text))
    place = 0
    for one in _READ_AS_ONE.finditer(text, 0, limit + 1):  # one more: it tells whether the last one goes on
        if one.end() > limit:
            break
        place = one.end()
    return place or limit

"""What providers say in their own words, without whom they say it of: addresses, texts and secrets are blotted out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

BLOT = "•••"
LEAST = 3
"""Characters of an address or a text that is looked for: what is shorter stands in words by chance."""
_MAIL = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")
_NUMBER = re.compile(r"\+?\d(?:[\s().\-/]{0,2}\d){7,}")
_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']+")
_BEARER = re.compile(r"(?i)\b(bearer|basic|key|token|secret|password|signature)(\s*[=:]\s*|\s+)(?=\S*\d)\S+")
_TOKEN = re.compile(r"(?<![\w-])(?=[\w+/=.-]*\d)[\w+/=.-]{32,}")
_ID = re.compile(r"(?<![\w-])([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?![\w-])")
"""A UUID: ids of messages and of what providers made of them, which a story is read for."""


def masked(words: str | None, known: Iterable[str] = ()) -> str | None:
    """The words with everything blotted out that is, or looks like, an address, a number of a person or a secret. `known`: the message's own address and
    text, which are taken out as they are."""
    if words is None:
        return None
    for one in sorted({one.strip() for one in known}, key=len, reverse=True):
        if len(one) >= LEAST:
            words = words.replace(one, BLOT)
    words = _QUERY.sub(rf"\1?{BLOT}", words)
    words = _BEARER.sub(rf"\1\2{BLOT}", words)
    pieces = _ID.split(words)  # every second one is an id
    return "".join(piece if place % 2 else _blotted(piece) for place, piece in enumerate(pieces))


def _blotted(words: str) -> str:
    for pattern in (_MAIL, _TOKEN, _NUMBER):
        words = pattern.sub(BLOT, words)
    return words

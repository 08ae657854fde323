"""What is wrong with a flow, where, and how badly. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, NamedTuple

Place = tuple[str | int, ...]
"""Keys and indexes from the top of the file."""
Level = Literal["error", "warning"]
ALIKE = 0.75
"""How alike two words are (difflib) of which one is a typing mistake."""


class Complaint(NamedTuple):
    """An error keeps the flow from being used; a warning says what its author will hardly have meant, or what it costs."""

    place: Place
    said: str
    level: Level = "error"


def warning(place: Place, said: str) -> Complaint:
    return Complaint(place, said, "warning")


def near(word: str, known: Iterable[str], alike: float = ALIKE) -> str:
    """`; did you mean 'x'?` where one of the known words is like this one, else nothing."""
    found = get_close_matches(word, sorted(set(known)), 1, alike)
    return f"; did you mean {found[0]!r}?" if found else ""


def listed(words: Iterable[str], none: str = "there are none") -> str:
    """The words in a sentence; of many only the first."""
    words = sorted(words)
    return ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "") if words else none

"""What is wrong with a flow, where, and how badly; and what stands around the flow while it is checked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

from parley_router.flow import Flow
from parley_router.templates import Texts

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


@dataclass(frozen=True, slots=True)
class Around:
    """What a flow is checked against: all flows of its tenant (it is one of them), the tenant's languages, and the texts, which are parsed on the way.

    `services` and `intents` are the names that the tenant has; None where nobody said, and then nothing is said of them.
    """

    flows: Sequence[Flow]
    languages: Sequence[str]
    texts: Texts
    services: Collection[str] | None = None
    intents: Collection[str] | None = None

    @property
    def by_name(self) -> Mapping[str, Flow]:
        return {one.flow: one for one in self.flows}


def near(word: str, known: Iterable[str], alike: float = ALIKE) -> str:
    """`; did you mean 'x'?` where one of the known words is like this one, else nothing."""
    found = get_close_matches(word, sorted(set(known)), 1, alike)
    return f"; did you mean {found[0]!r}?" if found else ""


def listed(words: Iterable[str], none: str = "there are none") -> str:
    """The words in a sentence; of many only the first."""
    words = sorted(words)
    return ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "") if words else none

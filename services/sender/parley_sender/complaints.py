"""What is wrong with a body: which place of it (a JSON pointer, RFC 6901), and what to do, all of it at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

DEEPEST = 20
"""Levels of arrays and objects in a body."""
SHOWN = 20
"""Complaints about one message that are told: who has more than that wrong has one thing wrong many times."""


class Complaint(NamedTuple):
    """`pointer`: where in the body, empty for all of it. `detail`: what is wrong and what to do."""

    pointer: str
    detail: str

    def below(self, place: str) -> Complaint:
        """The same, in a body that has this one at `place`."""
        return Complaint(place + self.pointer, self.detail)

    @property
    def told(self) -> dict[str, str]:
        return {"pointer": self.pointer, "detail": self.detail}


class Wrong(Exception):
    """Something that cannot be taken as it is, with everything that is wrong with it."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)[:SHOWN]
        super().__init__("; ".join(f"{one.pointer or 'the body'}: {one.detail}" for one in self.complaints))


def pointer(*parts: object) -> str:
    """The JSON pointer of a place."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def of_model(error: ValidationError) -> Iterator[Complaint]:
    """What pydantic found, without the values: they may be addresses or texts."""
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            said = "There is no such field here: see docs/messages-api.md for those that there are."
        yield Complaint(pointer(*(part for part in item["loc"] if part != "[key]")), said)


def unkept(value: Any) -> Iterator[Complaint]:
    """What no table can hold: NUL characters, and nesting beyond all use."""
    places: list[tuple[Any, tuple[object, ...]]] = [(value, ())]
    while places:
        one, place = places.pop()
        if isinstance(one, str) and "\0" in one:
            yield Complaint(pointer(*place), "NUL characters cannot be stored: leave them out.")
        elif isinstance(one, dict | list) and len(place) >= DEEPEST:
            yield Complaint(pointer(*place), f"This is nested more than {DEEPEST} levels deep.")
        elif isinstance(one, dict):
            if any("\0" in key for key in one):
                yield Complaint(pointer(*place), "NUL characters cannot be stored, in names of fields neither: leave them out.")
            places += [(inner, (*place, key)) for key, inner in one.items()]
        elif isinstance(one, list):
            places += [(inner, (*place, number)) for number, inner in enumerate(one)]

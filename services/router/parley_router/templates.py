"""Texts with Liquid in them: parsed once, strict about names, bounded in what they may do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liquid import Environment, StrictDefaultUndefined
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

CLOCK = ("date",)
"""Filters that can read the clock (`'now' | date`): what is said depends on what is known alone, so they are left out."""


class Unfilled(ValueError):
    """A text that cannot be filled in with what is known; the sentence says why."""


class Bounded(Environment):
    """Liquid with limits: a text is no program."""

    loop_iteration_limit = 200
    output_stream_limit = 20_000
    context_depth_limit = 10


class Texts:
    """The templates of a set of flows by their text; made when the flows are read, and only read afterwards."""

    def __init__(self) -> None:
        self._environment = Bounded(undefined=StrictDefaultUndefined)
        for name in CLOCK:
            self._environment.filters.pop(name)
        self._parsed: dict[str, BoundTemplate] = {}

    def parse(self, text: str) -> Iterator[str]:
        """Parses a text; gives a sentence for each thing wrong with it that can be seen without knowing the flows."""
        if "{" not in text or text in self._parsed:
            return
        try:
            template = self._environment.from_string(text)
            filters = template.analyze(include_partials=False).filters
        except LiquidError as error:
            yield f"the text is no Liquid: {str(error).splitlines()[0]}"
            return
        yield from (f"the text uses the filter {name!r}, which there is not" for name in sorted(filters) if name not in self._environment.filters)
        self._parsed[text] = template

    def names(self, text: str) -> tuple[str, ...]:
        """The names that a parsed text asks for, dotted: `profile.name`, `event.cart_id`."""
        if text not in self._parsed:
            return ()
        places = (one for found in self._parsed[text].analyze(include_partials=False).globals.values() for one in found)
        return tuple(dict.fromkeys(".".join(str(part) for part in one.segments[:2]) for one in places))

    def render(self, text: str, known: Mapping[str, Any]) -> str:
        """The text, filled in. Raises `Unfilled` when a name has no value or a filter cannot take it: half a sentence is not sent."""
        if "{" not in text:
            return text
        try:
            return self._parsed[text].render(**known)
        except (LiquidError, ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
            raise Unfilled(str(error).partition("\n")[0]) from error

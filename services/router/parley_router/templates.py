"""Texts with Liquid in them: parsed once, strict about names, bounded in what they may do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liquid import Environment, StrictUndefined
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

NAMES = frozenset({"profile", "slot", "event", "order", "language", "channel"})
"""What a text may name; `profile.name`, `slot.number`, `event.cart_id`, `order.status`."""


class Bounded(Environment):
    """Liquid with limits: a text is no program."""

    loop_iteration_limit = 200
    output_stream_limit = 20_000
    context_depth_limit = 10


class Texts:
    """The templates of a set of flows by their text; made when the flows are read, and only read afterwards."""

    def __init__(self) -> None:
        self._environment = Bounded(undefined=StrictUndefined)
        self._parsed: dict[str, BoundTemplate] = {}

    def parse(self, text: str) -> Iterator[str]:
        """Parses a text; gives a sentence for each thing wrong with it."""
        if "{" not in text:
            return
        try:
            template = self._parsed[text] = self._environment.from_string(text)
        except LiquidError as error:
            yield f"the text is no Liquid: {error}"
            return
        for name in sorted({str(one).partition(".")[0] for one in template.global_variables()}):
            if name not in NAMES:
                yield f"the text names {name!r}, which nothing fills; known: {', '.join(sorted(NAMES))}"

    def render(self, text: str, known: Mapping[str, Any]) -> str:
        """The text, filled in. A name without a value raises `LiquidError`: half a sentence is not sent."""
        if "{" not in text:
            return text
        return self._parsed[text].render(**known)

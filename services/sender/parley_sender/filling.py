"""The content of a message, filled in with the caller's data: Liquid in every text that a person sees. Pure.

Strict: a name without a value is a complaint about that text, not a hole in it. Values that come into HTML are escaped, so that nobody's name is markup.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from pydantic import ValidationError

from parley.contracts import Content
from parley.templates import Texts, Unfilled
from parley_sender.complaints import Complaint, Wrong, of_model, pointer

LARGEST = 1_048_576
"""Characters of a message's texts together, and bytes of one text, once they are filled in."""
MACHINES = frozenset({"id", "name", "language", "kind", "provider_id", "content_type"})
"""Fields that machines compare: they are sent as they are."""


@dataclass
class Filling:
    """One filling-in: what is known, and what was wrong so far."""

    texts: Texts
    known: Mapping[str, Any]
    zone: tzinfo
    found: list[Complaint] = field(default_factory=list)
    size: int = 0

    def value(self, value: Any, place: tuple[object, ...]) -> Any:
        """The value with its texts filled in."""
        if isinstance(value, str):
            return self._text(value, place)
        if isinstance(value, list):
            return [self.value(one, (*place, number)) for number, one in enumerate(value)]
        if isinstance(value, dict):
            return {name: one if name in MACHINES else self.value(one, (*place, name)) for name, one in value.items()}
        return value

    def _text(self, text: str, place: tuple[object, ...]) -> str:
        if self.size > LARGEST:
            return text  # a complaint about that is there already
        if wrong := list(self.texts.parse(text)):
            self.found += [Complaint(pointer(*place), f"{one}.") for one in wrong]
            return text
        try:
            made = self.texts.render(text, escaped(self.known) if place == ("html",) else self.known, self.zone)
        except Unfilled as error:
            self.found.append(Complaint(pointer(*place), f"It cannot be filled in: {error}. {REMEDY}"))
            return text
        self.size += len(made)
        if self.size > LARGEST:
            self.found.append(Complaint("", f"Filled in, the texts of the message have more than {LARGEST} characters."))
        return made


REMEDY = "Give the name in `data`, or say in the text what stands in its place: {{ name | default: 'you' }}."


def filled(content: Content, data: Mapping[str, Any], language: str, zone: tzinfo, texts: Texts) -> Content:
    """The content with every text filled in from `data`. `language` and `zone`: how filters tell money, days and times. Raises `Wrong`."""
    filling = Filling(texts, {**data, "language": language}, zone)
    made = filling.value(content.model_dump(mode="json", exclude_defaults=True), ())
    if filling.found:
        raise Wrong(filling.found)
    try:
        return Content.model_validate(made)
    except ValidationError as error:
        raise Wrong(one._replace(detail=f"Filled in: {one.detail}.") for one in of_model(error)) from error


def escaped(value: Any) -> Any:
    """The same data for HTML."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, Mapping):
        return {name: escaped(one) for name, one in value.items()}
    return [escaped(one) for one in value] if isinstance(value, list) else value

"""What messages mean to the tools: the intents of the FAQ beside the flows, and the real understanding of them, loaded once a message has to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from parley_router.catalogue import REGIONS, Meaning
from parley_router.state import Wanted
from parley_router.tools.rehearsal import Answer, Unanswered

if TYPE_CHECKING:
    from parley_router.understand.intents import Intent
    from parley_router.understand.understanding import Understanding


Examples = Mapping[str, Mapping[str, Sequence[str]]]
"""By intent and language."""


@dataclass(frozen=True)
class Faq:
    """The intents of one tenant that stand in `faq/`. `learn` makes an understanding of examples, for these languages."""

    intents: Sequence[Intent]
    languages: Sequence[str]
    learn: Callable[[Examples, Sequence[str]], Understanding]

    def meanings(self) -> dict[str, Meaning]:
        """What each intent is called, and its answer."""
        return {one.intent: Meaning(dict(one.title), dict(one.answer) if one.answer else None) for one in self.intents}

    @cached_property
    def understanding(self) -> Understanding:
        """Learns the examples; takes seconds, so only where a message must really be read."""
        return self.learn({one.intent: one.examples for one in self.intents}, self.languages)

    def read(self, wanted: Wanted, today: date) -> Answer:
        """What a message means. Raises `Unanswered` where the understanding is not installed whole."""
        try:
            from parley_router.understand.understanding import Asked

            asked = Asked(wanted.text, today, wanted.language, REGIONS.get(self.languages[0], "US"))
            body: dict[str, Any] = self.understanding.read([asked])[0].model_dump(mode="json")
        except (ImportError, OSError, ValueError) as error:
            raise Unanswered(f"what {wanted.text!r} means must be read, but the understanding cannot be loaded ({error})") from error
        return Answer(body=body)

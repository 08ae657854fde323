"""What was read from a message: plain data, which goes into the log of the conversation and from there into decisions. Pure."""

from __future__ import annotations

from typing import Literal

from parley.contracts import Frozen

Verdict = Literal["sure", "unsure", "unknown"]
CHOICES = 3
"""Intents that a person is asked to choose from, at most."""


class Candidate(Frozen):
    """An intent and how probable it is that the message means it."""

    intent: str
    probability: float


class Reading(Frozen):
    """A message as it was understood.

    - `sure`: `intents` has the one that it means; `unsure`: at most three of which it means one; `unknown`: none, or nobody can tell.
    - `candidates`: the nearest intents whatever the verdict, the likeliest first: the suggestions for a message that was not understood.
    - `stranger`: how probable it is that it means none of the intents. `leaving`: it asks to hear no more, as far as one can tell: to be asked back.
    - `language`: of those that were asked about; None when the text does not tell. `entities`: see `entities.py`.
    - `model`: encoder, its version, and a digest of the examples: the same text, model and day give the same reading.
    """

    model: str
    verdict: Verdict
    intents: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    stranger: float = 0.0
    leaving: bool = False
    leaving_probability: float = 0.0
    language: str | None = None
    entities: dict[str, str] = {}

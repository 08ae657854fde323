"""Reads messages: made once from a tenant's examples and an encoder, then values in, values out. The same text on the same day is read the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.background import ALIKE, LEAVING, STRANGER, Background
from parley_router.understand.classifier import Classifier, Known
from parley_router.understand.encoder import Encoder, Floats
from parley_router.understand.entities import entities
from parley_router.understand.languages import recognised
from parley_router.understand.leaving import Leaving
from parley_router.understand.reading import CHOICES, Candidate, Reading, Verdict

LONGEST = 1000
"""Characters of a message that are read."""
CANDIDATES = 5
"""Intents that a reading names at most, whatever the verdict."""
ASKED_BACK = 0.5
"""Probability from which on a message is taken for a wish to be left alone, and asked back."""
Examples = Mapping[str, Mapping[str, Sequence[str]]]
"""By intent and language."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message to be read. `hint`: the language its writer is known to speak; `today`: the day it is where they are; `region`: of phone numbers and dates."""

    text: str
    today: date
    hint: str | None = None
    region: str = "KR"


class Understanding:
    """Safe for several threads: nothing changes after it is made."""

    def __init__(self, examples: Examples, encoder: Encoder, shipped: Mapping[str, NDArray[np.generic]], languages: Sequence[str]) -> None:
        pairs = [(intent, text) for intent, rows in sorted(examples.items()) for _, texts in sorted(rows.items()) for text in texts]
        if not pairs:
            raise ValueError("there are no examples, so nothing can be understood; write some into config/faq")
        self.languages = tuple(languages)
        self.intents = tuple(dict.fromkeys(intent for intent, _ in pairs))
        self.model = f"{encoder.name}/{_digest(pairs)}"
        self._encoder = encoder
        known = Background.seen_by(encoder, shipped)
        vectors, texts = encoder.encode([text for _, text in pairs]), [text for _, text in pairs]
        labels = [self.intents.index(intent) for intent, _ in pairs]
        shown = ~(known.within(STRANGER) | known.within(LEAVING) | known.within(ALIKE))
        groups = Known(known.vectors, known.texts, known.of).only(shown)
        self._classifier = Classifier(Known(vectors, texts, np.array(labels)), groups, known.vectors[known.within(STRANGER)])
        self._leaving = Leaving(known)
        self.leaving_intents = _mostly_leaving(self._leaving, vectors, texts, labels, self.intents)

    @classmethod
    def load(
        cls, examples: Examples, encoder: Encoder, shipped: Mapping[str, NDArray[np.generic]] | None = None, languages: Sequence[str] = ("ko", "en")
    ) -> Understanding:
        """Learns the examples; takes some seconds, most of them for the encoder."""
        return cls(examples, encoder, shipped or {}, languages)

    def read(self, asked: Sequence[Asked]) -> list[Reading]:
        """A reading of each message. Computes, so it is called off the event loop; several at once cost less each."""
        if not asked:
            return []
        texts = [" ".join(one.text[:LONGEST].split()) for one in asked]
        vectors = self._encoder.encode(texts)
        score, stranger = self._classifier.scores(vectors, texts)
        shares, leaving = self._classifier.probabilities(score), self._leaving.probability(vectors, texts)
        return [
            self._reading(one, text, shares[place], float(stranger[place]), float(leaving[place]))
            for place, (one, text) in enumerate(zip(asked, texts, strict=True))
        ]

    def _reading(self, asked: Asked, text: str, shares: Floats, stranger: float, leaving: float) -> Reading:
        order = np.argsort(-shares, kind="stable")[:CANDIDATES]
        candidates = tuple(Candidate(intent=self.intents[one], probability=round(float(shares[one]), 4)) for one in order)
        verdict, intents = self._verdict(candidates, stranger) if any(one.isalnum() for one in text) else ("unknown", ())
        return Reading(
            model=self.model,
            verdict=verdict,
            intents=intents,
            candidates=candidates,
            stranger=round(stranger, 4),
            leaving=leaving >= ASKED_BACK,
            leaving_probability=round(leaving, 4),
            language=recognised(text, self.languages, asked.hint),
            entities=entities(text, asked.today, asked.region),
        )

    def _verdict(self, candidates: Sequence[Candidate], stranger: float) -> tuple[Verdict, tuple[str, ...]]:
        tuning = self._classifier.tuning
        if stranger >= tuning.unknown:
            return "unknown", ()
        if candidates[0].probability >= tuning.sure:
            return "sure", (candidates[0].intent,)
        return "unsure", tuple(one.intent for one in candidates[:CHOICES] if one.probability >= tuning.choice)


def _digest(pairs: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()[:12]


def _mostly_leaving(leaving: Leaving, vectors: Floats, texts: Sequence[str], labels: Sequence[int], intents: Sequence[str]) -> tuple[str, ...]:
    """Intents most of whose own examples ask to be left alone."""
    asks = leaving.probability(vectors, texts) >= ASKED_BACK
    of = np.array(labels)
    return tuple(intent for place, intent in enumerate(intents) if asks[of == place].mean() > 0.5)

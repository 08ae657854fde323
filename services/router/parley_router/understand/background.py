"""Sentences that ship with Parley (`sentences.yaml`): what strangers write, how people ask to be left alone, and what only sounds like it.

Vectors of the shipped encoders ship too (`adapter-*.npz`), so that a start costs no more than the tenant's own examples; any other encoder reads the
sentences at its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from parley import yamlfile
from parley_router.understand.encoder import Encoder, Floats

FILE = Path(__file__).parent / "sentences.yaml"
LEAVING, ALIKE, STRANGER = "leaving/", "alike/", "stranger/"
"""How the names of groups begin that ask to be left alone, only sound like it, or are none of a brand's business; the others are what customers write."""


class Sentences(BaseModel):
    """The file: groups of sentences that mean the same, by language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Background:
    """The sentences, the group of each by number, and a vector for each."""

    texts: tuple[str, ...]
    groups: tuple[str, ...]
    of: NDArray[np.int64]
    vectors: Floats

    @classmethod
    def seen_by(cls, encoder: Encoder, shipped: Mapping[str, NDArray[np.generic]]) -> Background:
        """The background as `encoder` sees it: from `shipped`, where that is of the same model and the same sentences, else read now."""
        texts, groups, of = sentences()
        vectors = _shipped(encoder, shipped, texts)
        return cls(texts, groups, np.array(of, np.int64), vectors if vectors is not None else encoder.encode(texts))

    def within(self, prefix: str) -> NDArray[np.bool_]:
        """Which sentences are in groups that begin so."""
        inside = np.array([one.startswith(prefix) for one in self.groups])
        found: NDArray[np.bool_] = inside[self.of]
        return found


@lru_cache(maxsize=1)
def sentences() -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    """The texts, the names of the groups, and the group of each text."""
    rows = yamlfile.parse(FILE.read_text(encoding="utf-8"), Sentences, FILE.name).groups
    pairs = [(text, place) for place, row in enumerate(rows.values()) for texts in row.values() for text in texts]
    return tuple(text for text, _ in pairs), tuple(rows), tuple(place for _, place in pairs)


def _shipped(encoder: Encoder, shipped: Mapping[str, NDArray[np.generic]], texts: Sequence[str]) -> Floats | None:
    vectors = shipped.get("background")
    if vectors is None or str(shipped.get("name", "")) != encoder.name or len(vectors) != len(texts):
        return None
    return np.asarray(vectors, np.float32)

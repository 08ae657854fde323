"""How alike two sentences are written: shared runs of letters, weighted by how rare they are. Hangul counts by its letters (jamo), so that endings and
slips of the finger cost little. Pure; complements the encoder where a name or a word decides."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.encoder import Floats

RUNS = (2, 3, 4)
"""Lengths of runs, in letters."""
PLACES = 1 << 13
"""Runs share places by their checksum; collisions are rare enough to cost nothing."""
LONGEST = 200
"""Characters that are looked at."""
_OTHER = re.compile(r"[^\w]+")


class Words:
    """Examples by their runs; `near` says how alike a text is to each."""

    def __init__(self, examples: Sequence[str]) -> None:
        counts = [_runs(one) for one in examples]
        seen = Counter(run for row in counts for run in row)
        rare = np.zeros(PLACES, np.float32)
        rare[list(seen)] = [np.log((1 + len(examples)) / (1 + count)) + 1 for count in seen.values()]
        self._rare = np.where(rare == 0, np.log(1 + len(examples)) + 1, rare).astype(np.float32)
        self._columns = np.zeros((PLACES, len(examples)), np.float16)
        """By place of a run, what it weighs in each example: the few that a text asks for lie together."""
        for place, row in enumerate(counts):
            where, weights = self._weighed(row)
            self._columns[where, place] = weights

    def near(self, text: str) -> Floats:
        """Cosine with each example."""
        where, weights = self._weighed(_runs(text))
        found: Floats = weights @ self._columns[where].astype(np.float32)
        return found

    def _weighed(self, runs: Counter[int]) -> tuple[NDArray[np.int64], Floats]:
        where = np.fromiter(runs, np.int64, len(runs))
        weights = (1 + np.log(np.fromiter(runs.values(), np.float32, len(runs)))) * self._rare[where]
        length = float(np.sqrt(weights @ weights)) or 1.0
        return where, (weights / length).astype(np.float32)


def _runs(text: str) -> Counter[int]:
    return Counter(zlib.crc32(run.encode()) % PLACES for run in _cut(text))


def _cut(text: str) -> Iterator[str]:
    for word in _OTHER.sub(" ", unicodedata.normalize("NFKC", text[:LONGEST]).casefold()).split():
        letters = f" {unicodedata.normalize('NFD', word)} "
        for run in RUNS:
            yield from (letters[place : place + run] for place in range(max(1, len(letters) - run + 1)))

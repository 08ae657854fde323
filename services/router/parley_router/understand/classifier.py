"""Which intent a message means and whether it means any: learnt from a few examples in milliseconds, the same from the same examples. Pure.

Three looks at a message are added up for each intent: how near it lies to the middle of the examples, to the nearest ones, and how alike it is written.
How probable it is that the message means none is judged by the best of these against how near it lies to sentences of strangers (`background.py`).
The weights and limits below were set on tests/understanding/development.yaml and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.encoder import Floats, unit
from parley_router.understand.words import Words

RIDGE = 0.03
"""How little the lines trust a few examples."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the looks weigh, and from where on the three answers are given."""

    middle: float = 1.0
    nearest: float = 0.6
    written: float = 0.7
    line: float = 1.0
    sharpness: float = 3.5
    stranger: tuple[float, float, float] = (-0.6, -8.6, 8.4)
    """Of the logistic line: what it begins with, nearness to the nearest middle, nearness to strangers."""
    unknown: float = 0.7
    sure: float = 0.3
    choice: float = 0.02


class Classifier:
    """Made of the examples' vectors and of the background's; safe for several threads."""

    def __init__(self, vectors: Floats, texts: Sequence[str], labels: Sequence[int], strangers: Floats, tuning: Tuning) -> None:
        self.tuning = tuning
        self._count = max(labels) + 1
        self._labels = np.array(labels)
        self._centre = vectors.mean(0)
        self._examples = unit(vectors - self._centre)
        self._middles = unit(np.stack([self._examples[self._labels == one].mean(0) for one in range(self._count)]))
        self._strangers = unit(strangers - self._centre)
        self._line = _ridge(self._examples, self._labels, self._count, self._strangers)
        self._words = Words(texts)

    def scores(self, vectors: Floats, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """The score of each text for each intent, and the probability that it means none."""
        rows = unit(vectors - self._centre)
        near = rows @ self._examples.T
        written = np.stack([self._words.near(text) for text in texts])
        tuning, middles, line = self.tuning, rows @ self._middles.T, rows @ self._line
        score = tuning.middle * middles + tuning.nearest * self._best(near, 2) + tuning.written * self._best(written, 1) + tuning.line * line
        return score, self._stranger(rows, middles)

    def _stranger(self, rows: Floats, middles: Floats) -> Floats:
        """By the nearest middle, and the nearest three of the strangers."""
        begin, own, other = self.tuning.stranger
        near = np.sort(rows @ self._strangers.T, axis=1)[:, -3:].mean(1)
        found: Floats = (1 / (1 + np.exp(-(begin + own * middles.max(1) + other * near)))).astype(np.float32)
        return found

    def probabilities(self, score: Floats) -> Floats:
        """By intent, if it means one."""
        shares = np.exp(self.tuning.sharpness * (score - score.max(1, keepdims=True)))
        found: Floats = shares / shares.sum(1, keepdims=True)
        return found

    def _best(self, near: Floats, count: int) -> Floats:
        """By intent, the mean of the best likenesses with its examples."""
        found = [np.sort(near[:, self._labels == one], axis=1)[:, -count:].mean(1) for one in range(self._count)]
        return np.stack(found, axis=1)


def _ridge(examples: Floats, labels: NDArray[np.int64], count: int, strangers: Floats) -> Floats:
    """A line for each intent, by least squares over the examples and the strangers: every group of sentences weighs the same."""
    rows = np.vstack([examples, strangers])
    place = np.concatenate([labels, np.full(len(strangers), count)])
    weight = (1 / np.bincount(place)[place])[:, None].astype(np.float32)
    wanted = np.eye(count + 1, dtype=np.float32)[place] - 1 / (count + 1)
    left = rows.T @ (rows * weight) + RIDGE * np.eye(rows.shape[1], dtype=np.float32)
    found: Floats = np.linalg.solve(left, rows.T @ (wanted * weight))[:, :count].astype(np.float32)
    return found

"""Which intent a message means and whether it means any: learnt from a few examples in milliseconds, the same from the same examples. Pure.

Four looks at a message are added up for each intent: how near it lies to the middle of the examples, to the nearest ones, how alike it is written, and on which
side of a line it lies. Where a group of the sentences that ship clearly means the same as an intent, its sentences are kin: they count a little less than the
examples. How probable it is that a message means none is judged by the nearest middle against how near it lies to strangers.
The weights and limits below were set on tests/understanding/development.yaml and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.encoder import Floats, unit
from parley_router.understand.words import Words

KIN, CLEARLY = 0.4, 0.4
"""How near the middle of a group must lie to that of an intent, and how much more of its sentences must fall to it than to the next, to be its kin."""
KIN_SHARPNESS = 8.0
KIN_SHARE, KIN_NEAR, KIN_WRITTEN = 0.3, 0.9, 0.8
"""What kin weighs in the middle and the line, and how its nearness and its likeness of writing are discounted."""
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
    unknown: float = 0.72
    sure: float = 0.37
    choice: float = 0.02


@dataclass(frozen=True)
class Known:
    """Sentences with their vectors and, by number, the intent or the group that each is of."""

    vectors: Floats
    texts: Sequence[str]
    of: NDArray[np.int64]

    def only(self, which: NDArray[np.bool_]) -> Known:
        return Known(self.vectors[which], [self.texts[one] for one in np.flatnonzero(which).tolist()], self.of[which])


class Classifier:
    """Made of the examples, of groups that may be kin to an intent, and of strangers; safe for several threads."""

    def __init__(self, examples: Known, groups: Known, strangers: Floats, tuning: Tuning = Tuning()) -> None:
        self.tuning = tuning
        self._count = int(examples.of.max()) + 1
        self._centre = examples.vectors.mean(0)
        own = unit(examples.vectors - self._centre)
        middles = unit(_middles(own, examples.of, self._count))
        kin = groups.only(np.isin(groups.of, list(found := _kin(unit(groups.vectors - self._centre), groups.of, middles))))
        self._strangers = unit(strangers - self._centre)
        self._rows = np.vstack([own, unit(kin.vectors - self._centre)])
        self._of = np.concatenate([examples.of, np.array([found[one] for one in kin.of.tolist()], np.int64)])
        self._is_kin = np.arange(len(self._of)) >= len(own)
        share = _shares(self._of, self._is_kin, self._count)
        self._middles = unit(np.stack([share[self._of == one] @ self._rows[self._of == one] for one in range(self._count)]))
        self._line = _ridge(self._rows, self._of, share, self._count, self._strangers)
        self._words = Words([*examples.texts, *kin.texts])

    def scores(self, vectors: Floats, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """The score of each text for each intent, and the probability that it means none."""
        rows = unit(vectors - self._centre)
        near = rows @ self._rows.T * np.where(self._is_kin, np.float32(KIN_NEAR), np.float32(1))
        written = np.stack([self._words.near(text) for text in texts]) * np.where(self._is_kin, np.float32(KIN_WRITTEN), np.float32(1))
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
        """By intent, the mean of the best likenesses with its examples and their kin."""
        found = [np.sort(near[:, self._of == one], axis=1)[:, -count:].mean(1) for one in range(self._count)]
        return np.stack(found, axis=1)


def _middles(rows: Floats, of: NDArray[np.int64], count: int) -> Floats:
    return np.stack([rows[of == one].mean(0) for one in range(count)])


def _kin(rows: Floats, of: NDArray[np.int64], middles: Floats) -> dict[int, int]:
    """By group, the intent that it is kin to: it lies near its middle, and most of its sentences clearly fall to it."""
    found = dict[int, int]()
    for group in np.unique(of).tolist():
        some = rows[of == group]
        shares = np.exp(KIN_SHARPNESS * (near := some @ middles.T) - KIN_SHARPNESS * near.max(1, keepdims=True))
        falls = (shares / shares.sum(1, keepdims=True)).mean(0)
        order = np.argsort(-falls, kind="stable")
        second = falls[order[1]] if len(order) > 1 else 0.0
        if falls[order[0]] - second >= CLEARLY and float((unit(some.mean(0)[None]) @ middles[order[0]])[0]) >= KIN:
            found[group] = int(order[0])
    return found


def _shares(of: NDArray[np.int64], is_kin: NDArray[np.bool_], count: int) -> Floats:
    """What each sentence weighs within its intent; together 1."""
    share = np.zeros(len(of), np.float32)
    for one in range(count):
        own, kin = (of == one) & ~is_kin, (of == one) & is_kin
        share[own] = (1 - KIN_SHARE if kin.any() else 1) / own.sum()
        share[kin] = KIN_SHARE / max(kin.sum(), 1)
    return share


def _ridge(known: Floats, of: NDArray[np.int64], share: Floats, count: int, strangers: Floats) -> Floats:
    """A line for each intent, by least squares over what is known and the strangers: every intent weighs the same."""
    rows = np.vstack([known, strangers])
    place = np.concatenate([of, np.full(len(strangers), count)])
    weight = np.concatenate([share, np.full(len(strangers), 1 / len(strangers), np.float32)])[:, None]
    wanted = np.eye(count + 1, dtype=np.float32)[place] - np.float32(1 / (count + 1))
    left = rows.T @ (rows * weight) + RIDGE * np.eye(rows.shape[1], dtype=np.float32)
    found: Floats = np.linalg.solve(left, rows.T @ (wanted * weight))[:, :count].astype(np.float32)
    return found

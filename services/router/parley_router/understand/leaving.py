"""Whether a free phrase asks to hear no more ("please don't text me any more"), and not only sounds like it ("stop my order"). Pure.

It is learnt from the sentences that ship (`sentences.yaml`): requests to be left alone against what customers and strangers write otherwise, look-alikes foremost.
The words STOP and 수신거부 themselves never come here: they are seen before anything else (`parley.optwords`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parley_router.understand.background import ALIKE, LEAVING, Background
from parley_router.understand.encoder import Floats, unit
from parley_router.understand.words import Words

RIDGE = 0.3
LINE, ASKS, OTHERS, WRITTEN_ASKS, WRITTEN_OTHERS, BEGIN = 3.3, 8.5, -0.2, 12.4, -11.9, -8.7
"""What the looks weigh: set on tests/understanding/development.yaml."""


class Leaving:
    """Says of vectors and texts how probable it is that they ask to be left alone."""

    def __init__(self, background: Background) -> None:
        self._asks, alike = background.within(LEAVING), background.within(ALIKE)
        self._centre = background.vectors.mean(0)
        self._rows = unit(background.vectors - self._centre)
        groups = (self._asks, alike, ~self._asks & ~alike)
        weight = sum(group / group.sum() for group in groups)[:, None].astype(np.float32)
        wanted = np.where(self._asks, 1.0, -1.0).astype(np.float32)[:, None]
        left = self._rows.T @ (self._rows * weight) + RIDGE / self._rows.shape[1] * np.eye(self._rows.shape[1], dtype=np.float32)
        self._line = np.linalg.solve(left, self._rows.T @ (wanted * weight))[:, 0]
        self._words = Words(background.texts)

    def probability(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        rows = unit(vectors - self._centre)
        written = np.stack([self._words.near(text) for text in texts])
        (asks, others), (written_asks, written_others) = (self._nearest(near) for near in (rows @ self._rows.T, written))
        sums = BEGIN + LINE * (rows @ self._line) + ASKS * asks + OTHERS * others + WRITTEN_ASKS * written_asks + WRITTEN_OTHERS * written_others
        found: Floats = (1 / (1 + np.exp(-sums))).astype(np.float32)
        return found

    def _nearest(self, near: Floats) -> tuple[Floats, Floats]:
        """How near the three nearest are that ask to be left alone, and the three nearest that do not."""
        asks, others = (np.sort(near[:, which], axis=1)[:, -3:].mean(1) for which in (self._asks, ~self._asks))
        return asks, others

"""Encoders side by side under a small head, which was taught which sentences mean the same to a brand: one vector of all that they see. Pure but for the encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.encoder import Encoder, Floats, gelu, unit


class Headed:
    """An encoder made of encoders. The head turns their vectors (`turn`) and bends them (`bend`, `back`); its matrices come from `adapter.npz`."""

    def __init__(self, encoders: Sequence[Encoder], head: Mapping[str, NDArray[np.generic]], name: str) -> None:
        self.name = name
        self._encoders = tuple(encoders)
        self._turn, self._bend, self._back = (np.asarray(head[one], np.float32) for one in ("turn", "bend", "back"))

    def encode(self, texts: Sequence[str]) -> Floats:
        """A unit vector for each text."""
        if not texts:
            return np.empty((0, self._turn.shape[1]), np.float32)
        rows = np.hstack([one.encode(texts) for one in self._encoders])
        return unit(rows @ self._turn + gelu(rows @ self._bend) @ self._back)

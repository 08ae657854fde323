"""An encoder behind an OpenAI-compatible embeddings endpoint: a bigger model, on another machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import numpy as np

from parley_router.understand.asking import Endpoint, post
from parley_router.understand.encoder import Floats, unit

TOGETHER = 256
"""Texts of one request; providers refuse much more."""


class Remote:
    """Called from threads that have no event loop, as encoders are: each call makes its own connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.name = f"remote-{endpoint.model}"

    def encode(self, texts: Sequence[str]) -> Floats:
        """Raises `aiohttp.ClientError`, `TimeoutError`, or `ValueError` when the answer has no vector for each text."""
        return unit(asyncio.run(self._all(texts)))

    async def _all(self, texts: Sequence[str]) -> Floats:
        async with aiohttp.ClientSession() as session:
            rows = [await self._some(session, texts[start : start + TOGETHER]) for start in range(0, len(texts), TOGETHER)]
        return np.vstack(rows)

    async def _some(self, session: aiohttp.ClientSession, texts: Sequence[str]) -> Floats:
        body = await post(session, self.endpoint, "embeddings", {"model": self.endpoint.model, "input": list(texts), "encoding_format": "float"})
        return vectors(body, len(texts))


def vectors(body: object, count: int) -> Floats:
    """The vectors of an answer, in the order of the texts. Raises `ValueError` when it has not one for each."""
    data = body.get("data") if isinstance(body, dict) else None
    try:
        rows = {int(one["index"]): one["embedding"] for one in data or ()}
        found = np.array([rows[place] for place in range(count)], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the endpoint's answer has no vector for each of {count} texts") from error
    if found.ndim != 2 or not np.isfinite(found).all():
        raise ValueError("the endpoint's vectors are of different lengths, or hold something else than numbers")
    return found

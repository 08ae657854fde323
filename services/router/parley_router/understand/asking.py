"""Asks an OpenAI-compatible chat endpoint for an answer out of the FAQ. Whatever goes wrong, the outcome is a refusal, and a person answers."""

from __future__ import annotations

import json
from collections.abc import Sequence

import aiohttp
from pydantic import SecretStr

from parley.contracts import Frozen
from parley_router.understand.answering import Answered, Ground, Refused, judged, request

LONGEST = 16_000_000
"""Bytes of an answer: vectors of some hundred sentences are megabytes of JSON."""


class Endpoint(Frozen):
    """Where a model is asked: `url` up to and without `/chat/completions` or `/embeddings`, as `https://llm.example/v1`."""

    url: str
    model: str
    key: SecretStr | None = None
    seconds: float = 10.0


async def ask(session: aiohttp.ClientSession, endpoint: Endpoint, question: str, grounds: Sequence[Ground], language: str) -> Answered | Refused:
    """The model's answer as far as it may be said; without grounds nothing is asked."""
    if not grounds:
        return Refused(why="the FAQ has no answers in this language")
    try:
        body = await post(session, endpoint, "chat/completions", request(endpoint.model, question, grounds, language))
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        return Refused(why=f"the endpoint gave no answer: {error or type(error).__name__}")
    return judged(body, grounds)


async def post(session: aiohttp.ClientSession, endpoint: Endpoint, path: str, body: object) -> object:
    """The endpoint's answer as JSON. Raises `aiohttp.ClientError`, `TimeoutError`, or `ValueError` when it is none."""
    headers = {"authorization": f"Bearer {endpoint.key.get_secret_value()}"} if endpoint.key is not None else {}
    limit = aiohttp.ClientTimeout(total=endpoint.seconds)
    async with session.post(f"{endpoint.url.rstrip('/')}/{path}", json=body, headers=headers, timeout=limit, allow_redirects=False) as response:
        content = await _body(response.content)
        if response.status != 200:
            raise ValueError(f"status {response.status}: {content[:200].decode(errors='replace')}")
    return json.loads(content)


async def _body(stream: aiohttp.StreamReader) -> bytes:
    """All of it; a single read gives what has come so far. Raises `ValueError` beyond `LONGEST`."""
    parts, size = list[bytes](), 0
    async for part in stream.iter_any():
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise ValueError(f"the answer is longer than {LONGEST} bytes")
    return b"".join(parts)

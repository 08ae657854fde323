"""Errors of the HTTP APIs as problem documents (RFC 9457): what is wrong, where, and what to do."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from parley.config import Config, Key
from parley.wire import in_words

TITLES = {400: "Bad request", 401: "Not authenticated", 403: "Not allowed", 404: "Not found", 405: "Method not allowed", 408: "Too slow", 409: "Conflict",
          413: "Too large", 415: "Unsupported media type", 422: "Not processable", 429: "Too many requests", 500: "Internal error",
          503: "Not available now"}  # fmt: skip

BODY_WITHIN = 20.0
"""Seconds that a body may take: no caller holds a connection open for longer."""

B = TypeVar("B", bound=BaseModel)


class Problem(HTTPException):
    """An answer that is an error: a status, a sentence, and what else helps."""

    def __init__(self, status: int, detail: str = "", *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(status, detail, headers)
        self.more = more


def document(status: int, detail: str = "", headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document as a response."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, **({"detail": detail} if detail else {}), **more}
    return Response(orjson.dumps(body), status, headers, "application/problem+json")


def of(error: HTTPException) -> Response:
    """Starlette's own errors and ours, as problem documents."""
    detail = error.detail if error.detail != TITLES.get(error.status_code) else ""
    return document(error.status_code, detail, dict(error.headers or {}), **getattr(error, "more", {}))


async def on_http_exception(_: Request, error: Exception) -> Response:
    """As `of`, in the form in which Starlette asks."""
    assert isinstance(error, HTTPException)
    return of(error)


async def limited_body(request: Request, limit: int) -> bytes:
    """The body, never more than `limit` bytes of it in memory. Raises 413 above, 408 when it comes too slowly."""
    told = request.headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()):
        raise Problem(400, "Content-Length is no number.")
    if len(told) > 18 or int(told) > limit:
        raise Problem(413, f"The body is over {limit} bytes.")
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await _read(request, limit)
    except TimeoutError as error:
        raise Problem(408, f"The body did not come within {BODY_WITHIN:.0f} seconds.", headers={"Connection": "close"}) from error


async def _read(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise Problem(413, f"The body is over {limit} bytes.")
        parts.append(part)
    return b"".join(parts)


async def read(request: Request, model: type[B], limit: int) -> B:
    """The JSON body as `model`. Raises 413, 400 (not JSON) or 422 (which field, and why)."""
    body = await limited_body(request, limit)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error}") from error
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Problem(422, in_words(error)) from error


def authorise(request: Request, config: Config, scope: str) -> Key:
    """The API key of the request. Raises 401 without a valid one, 403 when it lacks `scope`."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    key = config.key(token.strip()) if kind.lower() == "bearer" else None
    if key is None:
        raise Problem(401, "Send `Authorization: Bearer <key>` with a key from accounts.yaml.", headers={"WWW-Authenticate": "Bearer"})
    if scope not in key.scopes:
        raise Problem(403, f"The key {key.name!r} lacks the scope {scope!r}.")
    return key

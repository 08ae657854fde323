"""One try to ask a service over HTTP, and what its end means: an answer, a failure in words, and whether another try may help.

Where a service stands is the operator's word; all else comes from flows and customers, so a path cannot lead elsewhere, nothing is followed, and
an answer is JSON of at most 64 KiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

import aiohttp
import orjson
from pydantic import JsonValue, TypeAdapter, ValidationError
from yarl import URL

from parley import outside
from parley_router.services import Asked
from parley_router.state import Wanted, storable

LIMIT = 65_536
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""No byte has left: another try does nothing twice."""
HARMLESS = frozenset({"GET", "PUT", "DELETE"})
"""Methods that may be repeated without doing anything twice (RFC 9110, 9.2.2)."""
NOT_DONE = frozenset({429, 503})
PASSING = frozenset({408, 425, *NOT_DONE, 500, 502, 504})
LONGEST_PAUSE = 60.0
_READABLE: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try. `error` says in words why it is no answer; `again`: another try may help, `after` so many seconds if the service said so."""

    status: int | None = None
    body: JsonValue = None
    error: str | None = None
    again: bool = False
    after: float | None = None


async def ask(http: aiohttp.ClientSession, service: Asked, wanted: Wanted, key: str) -> Answer:
    """One try. `key` is the call's own, so that a service which knows it does nothing twice. Never raises what the network or the service do."""
    target = address(service, wanted.path)
    if target is None:
        return Answer(error="the path leads elsewhere")
    repeatable = may_repeat(service, wanted)
    data = orjson.dumps(wanted.body) if wanted.body is not None else None
    timeout = aiohttp.ClientTimeout(total=service.timeout, sock_connect=service.timeout)
    try:
        async with http.request(
            wanted.method, target, data=data, headers=_headers(service, wanted, key), timeout=timeout, allow_redirects=False
        ) as answer:
            return await _read(answer, repeatable)
    except NEVER_SENT as error:
        return Answer(error="timeout" if isinstance(error, TimeoutError) else "unreachable", again=True)
    except TimeoutError:
        return Answer(error="timeout", again=repeatable)
    except (aiohttp.ClientError, OSError):
        return Answer(error="the connection broke", again=repeatable)


def may_repeat(service: Asked, wanted: Wanted) -> bool:
    """Whether a call of which nobody knows if it arrived may be made again."""
    return wanted.method in HARMLESS or service.honours_keys


def address(service: Asked, path: str) -> URL | None:
    """Where a path leads below the service's address; None for one that would leave it, or cut off what stands behind it."""
    segments = unquote(path.partition("?")[0]).replace("\\", "/").split("/")
    if segments[0] or "." in segments or ".." in segments or "#" in path or any(ord(one) < 32 for one in unquote(path)):
        return None
    try:
        return URL(service.base_url + path)
    except ValueError:
        return None


def _headers(service: Asked, wanted: Wanted, key: str) -> dict[str, str]:
    found = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "parley"}
    if wanted.method not in HARMLESS:
        found["idempotency-key"] = key
    if wanted.body is not None:
        found["content-type"] = "application/json"
    return {**found, **{name.lower(): value for name, value in service.headers.items()}}


async def _read(answer: aiohttp.ClientResponse, repeatable: bool) -> Answer:
    status = answer.status
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return Answer(status, error="the answer is compressed, which nobody asked for")
    try:
        raw = await outside.body(answer, LIMIT)
    except outside.Refused:
        return Answer(status, error=f"the answer has more than {LIMIT} bytes")
    body, readable = _json(raw)
    if not 200 <= status < 300:
        again = status in NOT_DONE or (status in PASSING and repeatable)
        return Answer(status, body, f"status {status}", again, _after(answer.headers.get("retry-after")) if again else None)
    return Answer(status, body) if readable else Answer(status, error="the answer is not JSON")


def _json(raw: bytes) -> tuple[JsonValue, bool]:
    """The value, and whether it is one that also the readers of our events can read; nothing at all is none, and readable."""
    if not raw.strip():
        return None, True
    try:
        value = storable(orjson.loads(raw))
        _READABLE.validate_json(orjson.dumps({"body": value}))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, ValidationError, RecursionError):
        return None, False
    return value, True


def _after(text: str | None) -> float | None:
    """Seconds of a Retry-After; a date, which few services send here, is none."""
    return min(float(text), LONGEST_PAUSE) if text is not None and text.isascii() and text.isdigit() else None

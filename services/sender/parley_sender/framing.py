"""How a request to a provider goes over the wire, and what of an answer is its body. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

from parley.channels.shape import HttpRequest

LIMIT = 8 * 1024 * 1024
"""Bytes of an answer at most, as they come and as they are when they are opened: no provider says so much."""
OPENED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The encodings that are understood though none is asked for, and zlib's number for their frames."""
BODIES = frozenset({"POST", "PUT", "PATCH"})
HEAD = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*\r\n)+")
"""Header lines (RFC 9110, 5.1 and 5.5): what is none would end a line, and begin one of its own."""


class NeverSent(Exception):
    """No byte of the request has left. Its words are for the story: the class of what was in the way, or a sentence."""


class CalledOff(Exception):
    """No byte of the request has left, nor shall: so said who was asked when it was about to."""


class Broken(Exception):
    """The connection ended, or what came is no HTTP, before there was a whole answer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads."""

    secure: bool
    host: str
    port: int


@lru_cache(maxsize=1024)
def place(url: str) -> tuple[Origin, str, str]:
    """Where an address leads, and what the request's line and `host` say. Raises `NeverSent` for what is no address of HTTP."""
    try:
        found = URL(url)
        host, port = found.raw_host, found.port
    except ValueError as error:
        raise NeverSent(f"no address: {error}") from error
    if found.scheme not in ("http", "https") or not host or not port:
        raise NeverSent(f"no address of HTTP: {found.scheme or 'nothing'}://{host or ''}")
    if found.raw_user or found.raw_password:
        raise NeverSent("an address with a user or a password; credentials belong into the account's `credentials`")
    return Origin(found.scheme == "https", host, port), found.raw_path_qs, found.host_port_subcomponent or host


def framed(request: HttpRequest, target: str, host: str) -> bytes:
    """The request as it goes over the wire. Raises `NeverSent` where a header would not stay one."""
    headers = {"host": host, "user-agent": "parley", "accept": "*/*", "accept-encoding": "identity"}
    headers |= {name.lower(): value for name, value in request.headers.items()}
    if request.body or request.method in BODIES:
        headers["content-length"] = str(len(request.body))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if HEAD.fullmatch(head) is None or head.count("\n") != len(headers):
        raise NeverSent("a header with a line's end or another sign that none may have")
    return f"{request.method} {target} HTTP/1.1\r\n{head}\r\n".encode() + request.body


def opened(body: bytes, headers: Mapping[str, str]) -> bytes:
    """A body as it is meant. Raises `Broken` where it is not encoded as it says, in a way that we do not know, or larger than `LIMIT`."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity" or not body:
        return body
    if coding not in OPENED:
        raise Broken(f"a body in {coding}, which was not asked for")
    try:
        reader = zlib.decompressobj(OPENED[coding])
        found = reader.decompress(body, LIMIT)
    except zlib.error as error:
        raise Broken(f"a body that is no {coding}") from error
    if not reader.eof:
        raise Broken(f"a body in {coding} that has no end within {LIMIT} bytes")
    return found

"""What a provider keeps for us at an address of its own: fetched over https from public addresses, with limits, following nothing."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

LIMIT = 65_536
"""Bytes at most. A certificate has two thousand."""
WITHIN = aiohttp.ClientTimeout(total=5)


class Public(AbstractResolver):
    """Names, resolved; an address that is not public is none. The connection goes to the very address that was looked at."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        found = await ThreadedResolver().resolve(host, port, family)
        public = [one for one in found if ip_address(one["host"].partition("%")[0]).is_global]
        if len(public) < len(found):
            raise OSError(errno.EACCES, f"{host} is no public address")
        return public

    async def close(self) -> None: ...


async def fetch(url: str) -> bytes:
    """What stands at an https address. Raises OSError or ValueError."""
    host = urlsplit(url).hostname or ""
    if not url.startswith("https://") or not any(one.isalpha() for one in host.rpartition(".")[2]) or ":" in host:
        raise ValueError("only https is fetched, and only from hosts with a name")
    try:
        connector = aiohttp.TCPConnector(resolver=Public())
        async with (
            aiohttp.ClientSession(connector=connector, timeout=WITHIN, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(url, allow_redirects=False) as answer,
        ):
            return await read(answer)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


async def read(answer: aiohttp.ClientResponse) -> bytes:
    """The body of a 200, within the limit. Raises OSError or ValueError."""
    if answer.status != 200:
        raise OSError(f"HTTP {answer.status}")
    body = b""
    async for part in answer.content.iter_any():
        body += part
        if len(body) > LIMIT:
            raise ValueError(f"more than {LIMIT} bytes")
    return body

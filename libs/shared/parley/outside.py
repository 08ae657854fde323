"""Fetching from addresses that others name: https alone, from public addresses alone, to the very address that was looked at, with limits, following nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from parley.channels.shape import Response
from parley.ranges import refused

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError where there are none."""


class Refused(ValueError):
    """It is never fetched: what it is, or where it stands, is not allowed. The sentence says why."""


@dataclass(frozen=True)
class Bounds:
    """What may be fetched. `types`: beginnings of content types, any where empty. `trusted`: scheme, host and port of servers that the configuration
    names, as the twin: they may stand anywhere."""

    limit: int = 65_536
    within: float = 5.0
    types: tuple[str, ...] = ()
    trusted: frozenset[str] = field(default_factory=frozenset)


async def lookup(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def fetch(url: str, bounds: Bounds, *, method: str = "GET", headers: Mapping[str, str] | None = None, addresses: Lookup = lookup) -> Response:
    """The answer, whatever its status, but for the body of one that is not 2xx nothing is refused by type. Raises `Refused`, or OSError where nobody
    answers in time."""
    target = read(url)
    trusted = origin(url) in bounds.trusted
    if not trusted:
        permit(target)
    try:
        async with asyncio.timeout(bounds.within):
            where = await addresses(target.raw_host or "", target.port or 443)
            if not trusted:
                check(target.raw_host or "", where)
            return await _answer(target, method, headers or {}, Fixed(where), bounds)
    except TimeoutError as error:
        raise OSError(f"no answer within {bounds.within:g} s") from error
    except aiohttp.ClientError as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def read(url: str) -> URL:
    """The address as the client reads it: what is looked at here is what it connects to. Raises `Refused`."""
    try:
        target = URL(url)
        target.origin()
    except ValueError as error:
        raise Refused("it is no address") from error
    return target


def origin(url: str) -> str:
    """Scheme, host and port of an address, as `Bounds.trusted` has them. Raises `Refused`."""
    return str(read(url).origin())


def permit(target: URL) -> None:
    """Raises `Refused` for all but https on its own port, and for names and passwords in the address."""
    if target.scheme != "https" or target.port != 443 or not target.raw_host:
        raise Refused("only https is fetched, and only from its own port")
    if target.raw_user is not None or target.raw_password is not None:
        raise Refused("an address with a name or a password in it is not fetched")


def check(host: str, addresses: Sequence[str]) -> None:
    """Raises `Refused` unless every address of a host is public: one that is not is reason enough to trust none."""
    if not addresses:
        raise Refused(f"{host} has no address")
    for one in addresses:
        if (reason := refused(one)) is not None:
            raise Refused(f"{host} is no public address ({reason})")


class Fixed(AbstractResolver):
    """Knows only the addresses that were looked at: the connection goes to one of them, for nothing is resolved a second time."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        return [
            {"hostname": host, "host": one, "port": port, "family": socket.AF_INET6 if ":" in one else socket.AF_INET, "proto": 0,
             "flags": socket.AI_NUMERICHOST}
            for one in self._addresses
        ]  # fmt: skip

    async def close(self) -> None: ...


class Guarded(AbstractResolver):
    """For a client that keeps its connections: each one is made to an address that was looked at right before, and none to one that is not public.

    `trusted`: hosts that may stand anywhere. A host that is an address already is not resolved by the client: see `literal`.
    """

    def __init__(self, addresses: Lookup = lookup, trusted: frozenset[str] = frozenset()) -> None:
        self._addresses, self._trusted = addresses, trusted

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        where = await self._addresses(host, port)
        if host not in self._trusted:
            check(host, where)
        return await Fixed(where).resolve(host, port, family)

    async def close(self) -> None: ...


def literal(target: URL) -> None:
    """Raises `Refused` where the host is itself an address, and not a public one."""
    host = target.raw_host or ""
    try:
        ip_address(host)
    except ValueError:
        return
    check(host, [host])


async def beginning(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The first bytes of what an answer holds, `limit` at most; the rest is not read."""
    found = bytearray()
    async for part in answer.content.iter_any():
        found += part
        if len(found) >= limit:
            break
    return bytes(found[:limit])


async def _answer(url: URL, method: str, headers: Mapping[str, str], resolver: Fixed, bounds: Bounds) -> Response:
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as http,
        http.request(method, url, headers={"accept-encoding": "identity", **headers}, allow_redirects=False) as answer,
    ):
        given = {name.lower(): value for name, value in answer.headers.items()}
        if 200 <= answer.status < 300:
            _fits(given, bounds)
        return Response(answer.status, given, await body(answer, bounds.limit))


def _fits(headers: Mapping[str, str], bounds: Bounds) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if bounds.types and not kind.startswith(bounds.types):
        raise Refused(f"the content type {kind[:100]!r} is not one that is fetched")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused("it is compressed, which nobody asked for")


async def body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """What an answer holds, never more than `limit` bytes of it in memory. Raises `Refused` above."""
    if (answer.content_length or 0) > limit:
        raise Refused(f"more than {limit} bytes")
    found = bytearray()
    async for part in answer.content.iter_any():
        found += part
        if len(found) > limit:
            raise Refused(f"more than {limit} bytes")
    return bytes(found)

"""Load over raw HTTP/1.1: connections that stay open, requests that are ready as bytes, answers read no further than needed. Quicker than any HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import cycle, islice
from typing import cast
from urllib.parse import urlsplit

Answered = Callable[[int], None]
"""Told the HTTP status."""


class Wire(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: Answered | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None:
            self._end(0)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            self._end(int(head[9:12]))

    def post(self, request: bytes, answered: Answered) -> None:
        assert self._transport is not None and self._answered is None
        self._answered = answered
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self, status: int) -> None:
        answered, self._answered, self._read = self._answered, None, b""
        if answered is not None:
            answered(status)


@contextlib.asynccontextmanager
async def wires(urls: Sequence[str], count: int) -> AsyncIterator[list[Wire]]:
    """Open connections to the servers of the URLs, as many to each, in turn."""
    places, loop = [urlsplit(url) for url in urls], asyncio.get_running_loop()
    hosts = [(place.hostname, place.port) for place in places if place.hostname is not None and place.port is not None]
    if len(hosts) < len(urls):
        raise ValueError(f"{', '.join(urls)}: a host and a port are needed")
    opened = [(await loop.create_connection(Wire, host, port))[1] for host, port in islice(cycle(hosts), count)]
    try:
        yield opened
    finally:
        for one in opened:
            one.close()


async def closed_loop(urls: Sequence[str], requests: Sequence[bytes], in_flight: int) -> float:
    """Requests a second with so many always under way. Raises `RuntimeError` when one is not answered 2xx."""
    waiting, done, statuses = iter(requests), asyncio.Event(), list[int]()

    def go(wire: Wire, status: int | None = None) -> None:
        if status is not None:
            statuses.append(status)
        if (request := next(waiting, None)) is not None:
            wire.post(request, lambda status: go(wire, status))
        elif len(statuses) == len(requests):
            done.set()

    async with wires(urls, in_flight) as opened:
        began = time.perf_counter()
        for wire in opened:
            go(wire)
        await asyncio.wait_for(done.wait(), 120)
        seconds = time.perf_counter() - began
    _all_taken(statuses)
    return len(requests) / seconds


async def open_loop(urls: Sequence[str], requests: Sequence[bytes], due: Iterable[float], connections: int) -> list[float]:
    """Seconds from the intended start to the answer, for each request: it begins when it is due, whatever became of those before it.

    Where no connection is free it waits for one, and that time counts. Raises `RuntimeError` when one is not answered 2xx.
    """
    times, statuses, late, done = list[float](), list[int](), deque[tuple[float, bytes]](), asyncio.Event()
    async with wires(urls, connections) as opened:
        free = list(opened)
        began = time.perf_counter()

        def go(wire: Wire, intended: float, request: bytes) -> None:
            wire.post(request, lambda status: ended(wire, intended, status))

        def ended(wire: Wire, intended: float, status: int) -> None:
            times.append(time.perf_counter() - began - intended)
            statuses.append(status)
            if late:
                go(wire, *late.popleft())
            else:
                free.append(wire)
            if len(times) == len(requests):
                done.set()

        for request, intended in zip(requests, due, strict=True):
            if (wait := intended - (time.perf_counter() - began)) > 0:
                await asyncio.sleep(wait)
            if free:
                go(free.pop(), intended, request)
            else:
                late.append((intended, request))
        await asyncio.wait_for(done.wait(), 120)
    _all_taken(statuses)
    return times


def request(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    place = urlsplit(url)
    lines = [
        f"POST {place.path} HTTP/1.1",
        f"Host: {place.netloc}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if rest else 0


def _all_taken(statuses: Sequence[int]) -> None:
    """A refused request costs less than one that is taken, so a figure with some in it would be too good."""
    if wrong := [status for status in statuses if not 200 <= status < 300]:
        raise RuntimeError(f"{len(wrong)} of {len(statuses)} requests were not taken; the first was answered {wrong[0] or 'not at all'}")

"""Keys of signatures that stand at an address of the provider: fetched once, kept for hours, and never as often as somebody who forges would like.

Which addresses are allowed is the provider module's rule: it asks only for those (`Unkeyed`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from parley.limits import Buckets

log = structlog.get_logger()

V = TypeVar("V")
Fetch = Callable[[str], Awaitable[bytes]]
"""Gets what stands at an https address: no redirect is followed, sizes and times are limited. Raises OSError or ValueError where there is nothing."""

KEPT, MISSED = 6 * 3600.0, 60.0
"""Seconds that a key is used before it is fetched again, and that an address without one is not asked again."""
KNOWN = 64
"""Keys that are kept. A provider has a handful."""
AT_ONCE = 4
PER_SECOND = 0.1
"""Fetches of addresses that nobody knows yet."""
BURST = 10
"""As many may come at once."""


class Unavailable(Exception):
    """The key is not to be had now."""


@dataclass
class Keys:
    """The keys by address, and the addresses that had none."""

    fetch: Fetch
    _known: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)
    """The key and until when it counts as fresh."""
    _missed: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _under_way: dict[str, asyncio.Task[str]] = field(default_factory=dict)
    _allowed: Buckets = field(default_factory=lambda: Buckets(PER_SECOND, size=BURST))

    async def get(self, url: str) -> str:
        """The key at `url`, as text. Raises `Unavailable`. Who asks for what is being fetched waits for that."""
        now = asyncio.get_running_loop().time()
        known = self._known.get(url)
        if known is not None and now < known[1]:
            self._known.move_to_end(url)
            return known[0]
        try:
            return await self._fetched(url, now, known is not None)
        except Unavailable:
            if known is None:
                raise
            return known[0]  # one that was right yesterday is better than none

    async def _fetched(self, url: str, now: float, trusted: bool) -> str:
        task = self._under_way.get(url)
        if task is None:
            if self._missed.get(url, 0.0) > now or len(self._under_way) >= AT_ONCE or (not trusted and self._allowed.take("", now)):
                raise Unavailable(url)
            task = asyncio.create_task(self._fetch(url))
            self._under_way[url] = task
            task.add_done_callback(lambda _: self._under_way.pop(url, None))
        return await asyncio.shield(task)

    async def _fetch(self, url: str) -> str:
        loop = asyncio.get_running_loop()
        try:
            key = (await self.fetch(url)).decode("ascii")
            if "-----BEGIN " not in key:
                raise ValueError("there is no key in PEM")
        except (OSError, ValueError) as error:
            log.warning("the key of a signature cannot be fetched", url=url, cause=f"{type(error).__name__}: {error}")
            _put(self._missed, url, loop.time() + MISSED)
            raise Unavailable(url) from error
        _put(self._known, url, (key, loop.time() + KEPT))
        return key


def _put(table: OrderedDict[str, V], url: str, value: V) -> None:
    table[url] = value
    table.move_to_end(url)
    if len(table) > KNOWN:
        table.popitem(last=False)

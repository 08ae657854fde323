"""Outgoing posts: signed, in order within a lane, tried again while the receiver is away, each with one outcome."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp
from yarl import URL

from parley.twin.behaviour import pause
from parley.twin.ledger import Outcome
from parley.twin.shape import Post

TIMEOUT = aiohttp.ClientTimeout(total=15)
"""As Twilio's; others wait longer."""
KEEP_ALIVE = 4.0
"""Seconds; shorter than the 5 s after which common servers close an idle connection."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The end of a post: how it went, after how many tries, the time of the first one and of the end, and the last HTTP status."""

    outcome: Outcome
    posts: int
    first_at: float | None
    at: float
    status: int | None


Sign: TypeAlias = Callable[[Post, float], dict[str, str]]
Done: TypeAlias = Callable[[Delivery], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    post: Post
    sign: Sign
    done: Done


class Outbox:
    """Posts of all lanes. A lane's posts go one after another: the next when the one before is settled. `done` is called once for each, unless closed before."""

    def __init__(self, deadline: float, concurrency: int) -> None:
        """Tries for `deadline` seconds a post, with at most `concurrency` under way."""
        self._deadline, self._concurrency = deadline, concurrency
        self._lanes: dict[str, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(concurrency)

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(limit=self._concurrency, keepalive_timeout=KEEP_ALIVE)
        self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())

    async def stop(self) -> None:
        """Ends at once; what is not settled has no outcome."""
        session, self._session = self._session, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lanes.clear()
        if session is not None:
            await session.close()

    @property
    def idle(self) -> bool:
        return not self._lanes

    def send(self, lane: str, post: Post, sign: Sign, done: Done) -> None:
        """Queues a post. After `stop` it does nothing: a receipt that falls due then is never sent."""
        if self._session is None:
            return
        waiting = _Waiting(post, sign, done)
        if (queue := self._lanes.get(lane)) is not None:
            queue.append(waiting)
            return
        self._lanes[lane] = deque([waiting])
        task = asyncio.create_task(self._drain(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, lane: str) -> None:
        queue = self._lanes[lane]
        try:
            while queue:
                one = queue[0]
                one.done(await self._deliver(one))
                queue.popleft()
        finally:
            self._lanes.pop(lane, None)

    async def _deliver(self, one: _Waiting) -> Delivery:
        """A 2xx settles it; other answers but 429 and 5xx are final; the rest is tried again until the deadline."""
        tries, first, status = 0, None, None
        end = time.monotonic() + self._deadline
        while True:
            tries += 1
            async with self._slots:
                first = first or time.time()
                status = await self._post(one)
            if status is not None and 200 <= status < 300:
                return Delivery("acknowledged", tries, first, time.time(), status)
            if status is not None and status != 429 and status < 500:
                return Delivery("refused", tries, first, time.time(), status)
            if time.monotonic() + pause(tries) > end:
                return Delivery("given_up", tries, first, time.time(), status)
            await asyncio.sleep(pause(tries))

    async def _post(self, one: _Waiting) -> int | None:
        """The HTTP status; None when there was no answer."""
        assert self._session is not None
        headers = {"Content-Type": one.post.content_type, **one.sign(one.post, time.time())}
        try:
            url = URL(one.post.url, encoded=True)  # letter by letter as it was signed
            async with self._session.post(url, data=one.post.body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

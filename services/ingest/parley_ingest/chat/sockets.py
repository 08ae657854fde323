"""The socket of one browser: what it says is done in its order; what is new in its conversation is pushed, from the number on that it knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import structlog
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from parley import problem
from parley.channels.shape import Account
from parley.database import OUTSIDE
from parley.limits import caller
from parley.problem import Problem
from parley.service import Context
from parley_ingest.chat import frames, history
from parley_ingest.chat.deeds import Deeds, TooFast
from parley_ingest.chat.frames import Line, Ping
from parley_ingest.chat.history import AT_ONCE, Chat
from parley_ingest.chat.live import Ear, Live

log = structlog.get_logger()

PROTOCOL = "parley.chat.1"
"""The subprotocol; the visitor's token is named behind it, for a browser can set no header of its own, and addresses end up in logs."""
PER_ADDRESS, PER_VISITOR = 100, 20
"""Sockets and long polls of one client address (an office, a carrier's gateway) and of one visitor (their tabs) that a process holds."""
AGAIN = 1.0
"""Seconds until a conversation is read again that could not be read."""
AWAY: tuple[type[BaseException], ...] = (Problem, *OUTSIDE)
RESTART, POLICY = 1012, 1008
"""Close codes: come again in a moment; do not say that again."""


@dataclass
class Sockets:
    """The sockets of this process."""

    context: Context
    live: Live
    deeds: Deeds
    admitted: Callable[[HTTPConnection], Account]
    visitor: Callable[[str, Account], UUID]
    _addresses: Counter[str] = field(default_factory=Counter)

    async def serve(self, socket: WebSocket) -> None:
        """`/chat/{account}/socket?after=N`. Refused with a problem document before it opens: 401, 403, 404, 429."""
        try:
            account = self.admitted(socket)
            chat, after = self._asked(socket, account)
            self.room(chat)
            with self._held(socket), self.live.listening(chat) as ear:
                await socket.accept(PROTOCOL)
                await self._talk(socket, account, chat, ear, after)
        except Problem as error:
            await socket.send_denial_response(await problem.on_http_exception(socket, error))  # type: ignore[arg-type]
        except WebSocketDisconnect:
            pass

    async def wait(self, chat: Chat, after: int, seconds: float) -> tuple[Sequence[Line], int, bool]:
        """What is new after a number, as soon as there is something, or nothing after so long; and whether somebody writes."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        with self.live.listening(chat) as ear:
            while True:
                ear.wake.clear()
                lines, cursor = await history.since(self.context.pool, chat, after)
                left = ends - loop.time()
                if lines or ear.typing or left <= 0 or self.live.stopping:
                    return lines, cursor, ear.typing
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ear.wake.wait(), left)

    def room(self, chat: Chat) -> None:
        """Raises 429 where the visitor has too many already."""
        if self.live.count(chat) >= PER_VISITOR:
            raise self._full("visitor")

    def _asked(self, socket: WebSocket, account: Account) -> tuple[Chat, int]:
        """Whose socket it is to be, and the number that they know."""
        offered = [*socket.scope["subprotocols"], "", ""]
        if offered[0] != PROTOCOL:
            raise Problem(400, f"Ask for the subprotocols {PROTOCOL} and the visitor's token.")
        visitor, after = self.visitor(offered[1], account), socket.query_params.get("after", "0")
        return Chat(account.name, visitor), int(after) if after.isascii() and after.isdigit() and len(after) <= 18 else 0

    @contextlib.contextmanager
    def _held(self, socket: WebSocket) -> Iterator[None]:
        """The socket counts for its address. Raises 429 where that has too many."""
        host = caller(socket.client.host if socket.client is not None else "")
        if self._addresses[host] >= PER_ADDRESS:
            raise self._full("address")
        self._addresses[host] += 1
        try:
            yield
        finally:
            self._addresses[host] -= 1
            if not self._addresses[host]:
                del self._addresses[host]

    def _full(self, limit: str) -> Problem:
        self.context.metrics.limited.labels(f"{limit}_sockets").inc()
        return Problem(429, f"Too many open chats of one {limit}.", headers={"Retry-After": "10"})

    async def _talk(self, socket: WebSocket, account: Account, chat: Chat, ear: Ear, after: int) -> None:
        """Hears and pushes until either end hangs up."""
        pushing = asyncio.create_task(self._push(socket, chat, ear, after))
        try:
            await self._hear(socket, account, chat)
        finally:
            pushing.cancel()
            (ended,) = await asyncio.gather(pushing, return_exceptions=True)
            if isinstance(ended, Exception) and not isinstance(ended, WebSocketDisconnect):
                raise ended

    async def _push(self, socket: WebSocket, chat: Chat, ear: Ear, cursor: int) -> None:
        """Sends what is new, whenever something is; the first time also that there is nothing. A stop of the service ends it with a word."""
        greeted = False
        while not self.live.stopping:
            ear.wake.clear()
            try:
                lines, cursor = await history.since(self.context.pool, chat, cursor)
            except OUTSIDE as error:
                log.warning("a conversation cannot be read now", cause=f"{type(error).__name__}: {error}")
                await asyncio.sleep(AGAIN)
                continue
            if ear.typing:
                ear.typing = False
                await _send(socket, type="typing")
            if lines or not greeted:
                await _send(socket, type="messages", messages=[one.shown() for one in lines], cursor=cursor)
                greeted = True
            if len(lines) < AT_ONCE:
                await ear.wake.wait()
        await socket.close(RESTART)

    async def _hear(self, socket: WebSocket, account: Account, chat: Chat) -> None:
        """Does what the browser says, one thing after the other, and says what became of it."""
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            body = (message.get("text") or "").encode() or message.get("bytes") or b""
            if len(body) > frames.FRAME:
                await socket.close(POLICY)
                return
            await self._answer(socket, account, chat, body)

    async def _answer(self, socket: WebSocket, account: Account, chat: Chat, body: bytes) -> None:
        try:
            frame = frames.read(body)
            line = await self.deeds.do(account, chat, frame)
        except frames.Wrong as error:
            await _send(socket, type="refused", id=error.id, code=error.code, message=error.reason)
        except TooFast as error:
            await _send(socket, type="refused", id=str(error.id), code="too_fast", message=str(error), retry_after=error.wait)
        except AWAY as error:
            log.warning("a visitor's message is not accepted now", cause=f"{type(error).__name__}: {error}")
            await _send(socket, type="refused", code="unavailable", message="Not accepted now; say it again.", retry_after=2)
        else:
            if line is not None:
                await _send(socket, type="messages", messages=[line.shown()])
            elif isinstance(frame, Ping):
                await _send(socket, type="pong")


async def _send(socket: WebSocket, **body: Any) -> None:
    await socket.send_text(orjson.dumps(body).decode())

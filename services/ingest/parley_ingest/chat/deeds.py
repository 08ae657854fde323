"""What a visitor does, done: kept in the conversation, put on the bus as the webhook of any provider would be, told to their other browsers.

The order is the promise. A message is kept as `pending`, accepted by the door, then `sent`: a crash between leaves it pending, the browser says it again
under its own id, and the normaliser knows the repeat. Marks go to the door before they are kept: a mark that is kept was told.
"""

from __future__ import annotations

import math
from asyncio import get_running_loop
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

import orjson

from parley.channels import webchat
from parley.channels.shape import Account
from parley.channels.shape import Request as Hook
from parley.limits import Buckets
from parley.service import Context
from parley_ingest.chat import history
from parley_ingest.chat.frames import Frame, Line, Marked, Ping, Said, Typing
from parley_ingest.chat.history import Chat
from parley_ingest.door import Door
from parley_ingest.taking import taken

MESSAGES, MESSAGES_AT_ONCE = 1.0, 10.0
"""Messages of a visitor a second, and in a burst."""
TYPING = 0.5
"""Of a visitor a second; what is more says nothing new."""
MARKS, MARKS_AT_ONCE = 5.0, 20.0
PARTIES = 100_000
"""Visitors whose pace is remembered."""


class TooFast(Exception):
    """Over the visitor's limit; `wait`: seconds until the next message is taken."""

    def __init__(self, wait: float, identifier: UUID | None) -> None:
        super().__init__(f"Slow down: the next message is taken in {math.ceil(wait)} s.")
        self.wait, self.id = math.ceil(wait), identifier


@dataclass
class Deeds:
    """The visitors of this process at work."""

    context: Context
    door: Door
    messages: Buckets = field(default_factory=lambda: Buckets(MESSAGES, MESSAGES_AT_ONCE, PARTIES))
    marks: Buckets = field(default_factory=lambda: Buckets(MARKS, MARKS_AT_ONCE, PARTIES))
    keys: Buckets = field(default_factory=lambda: Buckets(TYPING, 1, PARTIES))

    async def do(self, account: Account, chat: Chat, frame: Frame) -> Line | None:
        """Gives the visitor's message as it stands now, None for everything else. Raises `TooFast`, and problems when it cannot be kept now."""
        match frame:
            case Said():
                return await self._say(account, chat, frame)
            case Marked():
                await self._mark(account, chat, frame)
            case Typing():
                if not self._wait(self.keys, chat):
                    await self._tell(account, chat, f"typing:{self._now.timestamp()}", type="typing")
            case Ping():
                pass
            case _:
                assert_never(frame)
        return None

    async def identify(self, account: Account, chat: Chat, customer: str) -> None:
        """Tells who the visitor is."""
        await self._tell(account, chat, f"identified:{customer}", type="identified", customer=customer)

    async def _say(self, account: Account, chat: Chat, said: Said) -> Line:
        if wait := self._wait(self.messages, chat):
            raise TooFast(wait, said.id)
        line = await history.begin(self.context.pool, chat, said, self._now)
        if line.ours or line.status != "pending":
            return line
        more: dict[str, Any] = {"context": dict(said.context)} if said.context else {}
        if said.choice is not None:
            more["choice"] = said.choice.model_dump()
        await self._tell(account, chat, str(said.id), line.at, type="message", id=str(said.id), text=line.text, **more)
        return await history.sent(self.context.pool, chat, said.id) or replace(line, status="sent")

    async def _mark(self, account: Account, chat: Chat, marked: Marked) -> None:
        if self._wait(self.marks, chat):
            return  # a later mark says this one too
        messages = await history.unmarked(self.context.pool, chat, marked.up_to, marked.status)
        if messages:
            named = [str(one) for one in messages]
            await self._tell(account, chat, f"{marked.status}:{named[0]}", type="marks", status=marked.status, messages=named)
            await history.mark(self.context.pool, chat, messages, marked.status)

    async def _tell(self, account: Account, chat: Chat, what: str, at: datetime | None = None, **body: Any) -> None:
        """Through the same door as everything from outside, signed, so that there is one way in."""
        now = self._now
        content = orjson.dumps({**body, "from": str(chat.visitor), "at": (at or now).isoformat()})
        headers = webchat.signed(content, f"{chat.visitor}:{what}", account, now)
        record = taken(Hook("POST", account.public_url or "", headers, content), account, now).record
        await self.door.accept([record])

    @property
    def _now(self) -> datetime:
        return self.context.clock()

    def _wait(self, buckets: Buckets, chat: Chat) -> float:
        return buckets.take(chat.name, get_running_loop().time())

"""What a visitor's browser may say, read with care, and how a message looks to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from parley.channels.shape import Malformed
from parley.channels.text import document, mapping, said, string, tapped, whole
from parley.contracts import Choice

TEXT = 4_000
"""Characters of a visitor's message."""
FRAME = 32_768
"""Bytes of what a browser says at once: such a text in UTF-8, escaped, and what the page tells about itself."""
CONTEXT, CONTEXT_VALUE = 20, 500
"""Properties that a page may tell about itself, and the characters of each; the rest is left out."""
EXACT = 2**53
"""Numbers below it are the same in every reader of JSON."""
MARKED = 200
"""Messages that one mark can speak of."""

Status = Literal["delivered", "read"]


class Wrong(Exception):
    """What the browser said cannot be taken. `code` is for the widget, the sentence for people, `id` the message's where it has one."""

    def __init__(self, code: str, reason: str, id: str | None = None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.id = code, reason, id


@dataclass(frozen=True, slots=True)
class Said:
    """A message. `id` is made by the browser: to say it again after a lost connection is no second message."""

    id: UUID
    text: str
    choice: Choice | None = None
    context: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Marked:
    """Everything of ours up to a place in the conversation was delivered, or read."""

    status: Status
    up_to: int


@dataclass(frozen=True, slots=True)
class Typing:
    """The visitor is writing."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The browser wants to know whether anybody is there."""


Frame: TypeAlias = Said | Marked | Typing | Ping


@dataclass(frozen=True, slots=True)
class Line:
    """A message as it stands in the conversation. `seq` is its place, `version` the visitor's counter when it last changed."""

    id: UUID
    seq: int
    version: int
    ours: bool
    status: str
    text: str
    choice: str | None
    choices: Sequence[Any]
    media: Sequence[Any]
    at: datetime

    def shown(self) -> dict[str, Any]:
        """As the browser gets it."""
        return {
            "id": str(self.id), "seq": self.seq, "from": "brand" if self.ours else "visitor", "status": self.status, "text": self.text,
            "choice": self.choice, "choices": self.choices, "media": self.media, "at": self.at.isoformat(),
        }  # fmt: skip


def read(body: bytes) -> Frame:
    """What a browser says. Raises `Wrong`."""
    try:
        frame = document(body)
    except Malformed as error:
        raise Wrong("unreadable", str(error)) from error
    kind = frame.get("type")
    if kind == "message":
        return _message(frame)
    if kind == "marks":
        up_to, status = whole(frame.get("up_to")), frame.get("status")
        if status not in ("delivered", "read") or up_to is None or not 0 < up_to < 2**63:
            raise Wrong("unreadable", "A mark needs `status` (delivered, read) and `up_to`, a place in the conversation.")
        return Marked(status, up_to)
    if kind == "typing":
        return Typing()
    if kind == "ping":
        return Ping()
    raise Wrong("unreadable", "`type` is one of message, marks, typing, ping.")


def _message(frame: dict[str, Any]) -> Said:
    name = string(frame.get("id")) or ""
    try:
        identifier = UUID(name)
    except ValueError as error:
        raise Wrong("unreadable", "A message needs an `id`, a UUID made by the browser.") from error
    pressed = mapping(frame.get("choice"))
    choice = tapped(pressed.get("id"), pressed.get("title"))
    text = (said(frame.get("text")) or "").strip() or (choice.title or choice.id if choice else "")
    if not text:
        raise Wrong("empty", "A message needs a text or a choice.", name)
    if len(text) > TEXT:
        raise Wrong("too_long", f"A message has at most {TEXT} characters.", name)
    return Said(identifier, text, choice, context(frame.get("context")))


def context(value: object) -> dict[str, str | int | float | bool]:
    """What a page tells about itself: some named texts, numbers and truths, nothing deeper."""
    found = {name[:CONTEXT_VALUE]: one for name, one in mapping(value).items() if name and isinstance(one, str | int | float | bool)}
    kept = [(name, one[:CONTEXT_VALUE] if isinstance(one, str) else one) for name, one in found.items() if isinstance(one, str) or abs(one) < EXACT]
    return dict(kept[:CONTEXT])

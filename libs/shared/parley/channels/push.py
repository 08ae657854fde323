"""What the push providers share: a message as a notification that fits, and the half of a provider that they lack, for nobody answers a push. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from parley.channels.cards import unfolded
from parley.channels.shape import Account, Forged, Item, Outgoing, Request, Response
from parley.channels.text import shortened, written_out
from parley.contracts import Content

KEPT = 86_400
"""Seconds that a service keeps a notification for a device that is off; what comes later is no news any more."""
MAX_TITLE, MAX_BODY = 120, 1500
"""Characters; a phone shows fewer."""
MAX_LINK, MAX_IMAGE = 500, 1000
"""Bytes of an address; a longer one would leave no room for the text, and is left out, for cut it leads nowhere."""
_URL = re.compile(r"https://[^\s<>\"']+")
_HEADED = re.compile(r"\s*(\S[^\n]*)\n[^\S\n]*\n\s*(\S.*)", re.DOTALL)


def kept(message: Outgoing, most: int) -> int:
    """Seconds that the service shall keep the notification: as long as the message is of use, where that is said, within what the service allows."""
    found = message.seconds(0, most)
    return KEPT if found is None else found


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notification shows, and where a tap on it leads."""

    title: str | None
    body: str
    image: str | None = None
    url: str | None = None


def notice(content: Content, buttons: bool = False) -> Notice:
    """The message as a notification. Its choices are written out, unless they are `buttons`.

    The first line is the title where an empty line follows it, as it is the subject of an e-mail. The first link is where a tap leads.
    Raises ValueError with a sentence when there is nothing to show.
    """
    content = unfolded(content)
    text = (content.text if buttons else written_out(content)).replace("\r\n", "\n").strip()
    if not text:
        raise ValueError("a notification shows text: push knows no templates, and neither media nor choices without a word")
    headed = _HEADED.fullmatch(text)
    title, body = (shortened(headed[1].strip(), MAX_TITLE), headed[2]) if headed else (None, text)
    link = _URL.search(text)
    return Notice(title, body, _image(content), _within(link[0].rstrip(".,;:!?)]}"), MAX_LINK) if link else None)


def fitting(made: Callable[[str], bytes], body: str, limit: int) -> bytes:
    """What `made` makes of the body, or of as much of it as fits into `limit` bytes; what is cut shows. Raises ValueError where nothing would."""
    low, high = 0, min(len(body), MAX_BODY)
    if len(whole := made(shortened(body, MAX_BODY))) <= limit:
        return whole
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(made(shortened(body, middle))) <= limit else (low, middle - 1)
    if low == 0:
        raise ValueError(f"the notification does not fit into {limit} bytes, even without its text")
    return made(shortened(body, low))


def segments(content: Content) -> int:
    """A message is one notification, however long."""
    return 1


def verify(request: Request, account: Account, now: datetime) -> None:
    """Refuses everything: push services call nobody."""
    raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    return []


def answer() -> Response:
    return Response(204)


def _image(content: Content) -> str | None:
    return next((_within(one.url, MAX_IMAGE) for one in content.media if one.kind == "image" and one.url), None)


def _within(url: str, limit: int) -> str | None:
    return url if len(url.encode()) <= limit else None

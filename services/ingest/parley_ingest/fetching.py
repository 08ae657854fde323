"""What a provider keeps for us at an address of its own: the certificates that Amazon SNS signs with, the page that confirms a subscription."""

from __future__ import annotations

from parley.channels.shape import Response
from parley.outside import Bounds
from parley.outside import fetch as outside

LIMIT = 65_536
"""Bytes at most. A certificate has two thousand."""
BOUNDS = Bounds(LIMIT, within=5)


async def fetch(url: str) -> bytes:
    """What stands at an https address. Raises OSError or ValueError."""
    return body(await outside(url, BOUNDS))


def body(answer: Response) -> bytes:
    """The body of a 200. Raises OSError for anything else; a redirect is not followed."""
    if answer.status != 200:
        raise OSError(f"HTTP {answer.status}")
    return answer.body

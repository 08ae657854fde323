"""Tracked links: addresses in a text become short ones on our own domain, different for each message and impossible to guess. Pure."""

from __future__ import annotations

import hmac
import re
from typing import Literal
from uuid import UUID

from parley.contracts import Channel, Purpose

LENGTH = 12
"""Characters of a code: 71 bits."""
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ADDRESS = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""RFC 3986 in ASCII: in Korean a particle follows an address without a blank."""
_CLOSING = ".,!?;:'\")]"


def code(secret: bytes, message_id: UUID, place: int | Literal["unsubscribe"]) -> str:
    """The code of the link at `place` of a message, or of the one to unsubscribe: the same for a repeat, and of use to nobody who does not have the secret."""
    number = int.from_bytes(hmac.digest(secret, f"link:{message_id}:{place}".encode(), "sha256"), "big")
    found = ""
    for _ in range(LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        found += _ALPHABET[rest]
    return found


def tracked(text: str, message_id: UUID, secret: bytes, base: str, first: int = 0) -> tuple[str, dict[str, str]]:
    """The text with each address replaced by `{base}/l/{code}`, and the addresses by code. Links that are ours already stay.

    `first`: the place of the first one in the message, where others stand before this text.
    """
    found: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        address = match[0].rstrip(_CLOSING)
        if address.startswith(f"{base}/"):
            return match[0]
        short = code(secret, message_id, first + len(found))
        found[short] = address
        return f"{base}/l/{short}{match[0][len(address) :]}"

    return _ADDRESS.sub(replaced, text), found


def unsubscription(purpose: Purpose, channel: Channel, message_id: UUID, secret: bytes) -> str | None:
    """The code by which whoever gets the message leaves marketing with one click; None where there is none: its header is one of e-mail."""
    return code(secret, message_id, "unsubscribe") if (purpose, channel) == (Purpose.MARKETING, Channel.EMAIL) else None

"""Tracked links: addresses in a message become short ones on our own domain or the tenant's, different for each message and impossible to guess. Pure."""

from __future__ import annotations

import hmac
import re
from typing import Literal
from uuid import UUID

from parley.channels.htmltext import REST, attributes, within
from parley.channels.text import MAX_TEXT
from parley.config import Tenant
from parley.contracts import MOST_HTML, Channel, Content, Purpose

LENGTH = 12
"""Characters of a code: 71 bits."""
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ADDRESS = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""RFC 3986 in ASCII: in Korean a particle follows an address without a blank."""
_CLOSING = ".,!?;:'\")]"
PICTURE = '<img src="{}" width="1" height="1" alt="" style="border:0">'
"""Seen by nobody, and read aloud to nobody."""
_ANCHOR = re.compile(rf"<a\s{REST}", re.IGNORECASE)


def base_of(tenant: Tenant | None, ours: str) -> str:
    """Where the links of a tenant stand: on its own domain, else on `ours` (`PARLEY_LINKS`)."""
    return (tenant.links if tenant is not None and tenant.links else ours).rstrip("/")


def code(secret: bytes, message_id: UUID, place: int | Literal["unsubscribe", "open"]) -> str:
    """The code of the link at `place` of a message, of the one to unsubscribe, or of the picture that counts an open: the same for a repeat, and of use to
    nobody who does not have the secret."""
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


def tracked_html(html: str, message_id: UUID, secret: bytes, base: str, first: int = 0) -> tuple[str, dict[str, str]]:
    """As `tracked`, of what people follow in HTML: the addresses of its anchors. Pictures and styles are fetched by programs, and stay."""
    found: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        tag = match[0]
        leads = next((one for one in attributes(tag) if one.name == "href"), None)
        address = leads.value.strip() if leads else ""
        if leads is None or not address.lower().startswith(("https://", "http://")) or address.startswith(f"{base}/"):
            return tag
        short = code(secret, message_id, first + len(found))
        found[short] = address
        return f'{tag[: leads.start]}href="{base}/l/{short}"{tag[leads.end :]}'

    return _ANCHOR.sub(replaced, html), found


def tracked_content(content: Content, message_id: UUID, secret: bytes, base: str) -> tuple[Content, dict[str, str]]:
    """The message with every link tracked, of its text, its cards and its HTML, in this order; and in HTML with the picture by which an open is counted.

    Raises `ValueError` where that makes it too long.
    """
    text, links = tracked(content.text, message_id, secret, base)
    cards = []
    for card in content.cards:
        url, found = tracked(card.url or "", message_id, secret, base, len(links))
        links |= found
        cards.append(card.model_copy(update={"url": url or None}))
    html = content.html
    if html is not None:
        html, found = tracked_html(html, message_id, secret, base, len(links))
        links |= found
        html = within(html, PICTURE.format(f"{base}/o/{code(secret, message_id, 'open')}.gif"))
    for said, most in ((text, MAX_TEXT), (html or "", MOST_HTML)):
        if len(said) > most:
            raise ValueError(f"a message may have {most} characters; with its tracked links it has {len(said)}")
    return content.model_copy(update={"text": text, "cards": tuple(cards), "html": html}), links


def opening(content: Content, campaign: str | None, channel: Channel, message_id: UUID, secret: bytes) -> str | None:
    """The code of the picture by which an open of a message is counted; None where none is: it takes HTML, and opens are counted for campaigns."""
    counted = campaign is not None and channel is Channel.EMAIL and content.html is not None and content.template is None
    return code(secret, message_id, "open") if counted else None


def unsubscription(purpose: Purpose, channel: Channel, message_id: UUID, secret: bytes) -> str | None:
    """The code by which whoever gets the message leaves marketing with one click; None where there is none: its header is one of e-mail."""
    return code(secret, message_id, "unsubscribe") if (purpose, channel) == (Purpose.MARKETING, Channel.EMAIL) else None

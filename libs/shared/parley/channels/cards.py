"""Cards where a channel has none: lines of text and pictures; and what a card says in one text. Pure."""

from __future__ import annotations

from parley.channels.text import MAX_TEXT, shortened
from parley.contracts import Card, Content, Media

OPEN = "↗"
"""On a button that opens a link, the same in every language."""


def unfolded(content: Content, *, pictures: bool = True) -> Content:
    """The message without cards: each is a line below the text (title – text – link), and its picture a file where the channel shows `pictures`."""
    if not content.cards:
        return content
    lines = [" – ".join(part for part in (one.title.strip(), _line(one.text), one.url) if part) for one in content.cards]
    images = tuple(Media(kind="image", url=one.image) for one in content.cards if one.image and pictures)
    text = "\n".join([*([content.text] if content.text else []), *lines])
    return content.model_copy(update={"text": shortened(text, MAX_TEXT), "media": (*content.media, *images), "cards": ()})


def caption(card: Card, limit: int) -> str:
    """Title, text and link of a card, each on its line, within `limit` characters: the text gives way first, then the link, which is of no use in parts."""
    url = card.url if card.url and len(card.url) < limit else None
    room = limit - (len(url) + 1 if url else 0)
    said = "\n".join(part for part in (card.title.strip(), card.text.strip()) if part)
    return "\n".join(part for part in (shortened(said, room), url) if part) or OPEN


def _line(text: str) -> str:
    return " ".join(text.split())

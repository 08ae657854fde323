"""An SMS without the typography that doubles its price: quotes, dashes, blanks, letters with marks that the GSM alphabet lacks. Pure.

On request alone, and only where the whole text then is in the GSM alphabet and takes fewer segments; else it is left as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from parley.channels import gsm
from parley.channels.cards import unfolded
from parley.channels.shape import Account
from parley.channels.text import GSM, GSM_EXTENSION, segments, written_out
from parley.contracts import Channel, Choice, Content

_KINDS = {
    "'": "‘’‚‛′‵`´ʹʻʼˈ‹›", '"': "“”„‟″‶«»〝〞", "-": "‐‑‒–—―−﹘﹣•‣⁃▪●◦", "...": "…", "..": "‥", ".": "·", "/": "⁄∕", "*": "∗⁎", ":": "∶", "~": "∼˜", "^": "ˆ",
    " ": "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", "\n": "\u0085\u2028\u2029",
    "": "\u00ad\u200b\u2060\ufeff", "x": "×", "l": "ł", "L": "Ł", "d": "đð", "D": "ĐÐ", "h": "ħ", "H": "Ħ", "i": "ı", "th": "þ", "Th": "Þ",
    "oe": "œ", "OE": "Œ", "SS": "ẞ", "t": "ŧ", "T": "Ŧ", "n": "ŋ", "N": "Ŋ",
}  # fmt: skip
"""What says the same, by what it is said with. Letters that are a base and marks, and wide forms, are taken apart by Unicode."""
_SAME = {one: said for said, those in _KINDS.items() for one in those}
_LINK = re.compile(r"https?://\S*[^\s“”„‘’«»‹›…–—。，！？）.,!?;:'\")\]>]")
"""Up to the blank, without the quotes and stops that close behind it."""
_KNOWN = GSM | GSM_EXTENSION


def plainer(text: str, alphabets: Iterable[str] = ()) -> str:
    """The text in the GSM alphabet where that takes fewer segments, else as it is. `alphabets`: national tables that would be used for it as it is."""
    plain = _replaced(text)
    return plain if _saves(text, plain, alphabets) else text


def plainly(content: Content, account: Account) -> Content:
    """The message as it is said by SMS over this account, plainer where that was asked for and saves a segment of the whole: then its cards are lines of the
    text. Addresses and the ids of choices stay."""
    asked = account.plainer if content.plainer is None else content.plainer
    if not asked or account.channel is not Channel.SMS:
        return content
    flat = unfolded(content, pictures=False)
    try:
        choices = tuple(Choice(id=one.id, title=_replaced(one.title)) for one in flat.choices)
        plain = Content.model_validate({**dict(flat), "text": _replaced(flat.text), "choices": choices})
    except ValueError:  # three dots are longer than one sign: what does not fit any more stays
        return content
    return plain if _saves(written_out(flat), written_out(plain), account.alphabets) else content


def _saves(text: str, plain: str, alphabets: Iterable[str]) -> bool:
    return plain != text and set(plain) <= _KNOWN and segments(plain) < min(segments(text), gsm.segments(text, alphabets))


def _replaced(text: str) -> str:
    """The text with everything replaced that can be, but for its links."""
    found, at = "", 0
    for link in _LINK.finditer(text):
        found += _said_plainly(text[at : link.start()]) + link[0]
        at = link.end()
    return found + _said_plainly(text[at:])


def _said_plainly(text: str) -> str:
    return "".join(map(_plain, unicodedata.normalize("NFC", text)))


def _plain(one: str) -> str:
    """One character in the GSM alphabet; itself where there is none."""
    if one in _KNOWN:
        return one
    if one in _SAME:
        return _SAME[one]
    base = "".join(part for part in unicodedata.normalize("NFKD", one) if not unicodedata.combining(part))
    said = "".join(_SAME.get(part, part) for part in base)
    return said if said and set(said) <= _KNOWN else one

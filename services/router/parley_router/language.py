"""Which language a message is in, as far as its letters tell, and a text in the language of a contact. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_SIGNS = re.compile(r"\S*[\d@/_]\S*")
"""Order numbers, addresses and links: they say nothing about a language."""
_LATIN_END = "\u0250"


def recognised(text: str | None, languages: Sequence[str]) -> str | None:
    """The language of `languages` that the letters of a text speak for: Hangul is Korean, Latin letters English. None when they say nothing.

    One Hangul letter outweighs Latin ones: brands and order numbers stand in Korean sentences, hardly the other way round.
    """
    if not text:
        return None
    if not text.isascii() and _HANGUL.search(text):
        return "ko" if "ko" in languages else None
    letters = [one for one in _SIGNS.sub("", text) if one.isalpha()]
    return "en" if len(letters) >= 2 and max(letters) < _LATIN_END and "en" in languages else None


def spoken(texts: Mapping[str, str], language: str | None, languages: Sequence[str]) -> str:
    """The text in the contact's language, else in the tenant's first, else in any there is."""
    for one in (language, *languages):
        if one is not None and one in texts:
            return texts[one]
    return next(iter(texts.values()), "")


@lru_cache(maxsize=4096)  # titles and keywords are compared with every message
def plain(text: str) -> str:
    """A text as it is compared: width, case, blanks and closing punctuation do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .!?~,")

"""Which language a message is in: by its script where that tells, else by the words, with the language the contact is known to speak as a hint."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from lingua import IsoCode639_1, LanguageDetector, LanguageDetectorBuilder

SCRIPTS = (("HANGUL", "ko"), ("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("THAI", "th"), ("HEBREW", "he"), ("GREEK", "el"), ("GEORGIAN", "ka"))
"""Scripts of one language: a letter of Hangul outweighs Latin ones, as brands and order numbers stand in Korean sentences, hardly the other way round."""
HINT = 0.25
"""What the known language gains over the others: a short message does not change it, a clear one does."""
SURE = 0.55
"""Share of the probability from which on a language counts as recognised."""
LONGEST = 300
"""Characters that are looked at."""
_SIGNS = re.compile(r"\S*[\d@/_]\S*")


def recognised(text: str, languages: Sequence[str], hint: str | None = None) -> str | None:
    """The language of `languages` that a text is in; None when it does not tell. `hint`: the one that its writer is known to speak."""
    letters = "".join(one for one in _SIGNS.sub(" ", text[:LONGEST]) if one.isalpha() or one.isspace()).strip()
    if not letters:
        return None
    if (script := _script(letters)) is not None:
        return script if script in languages else None
    rivals = [one for one in languages if one not in {language for _, language in SCRIPTS}]
    if len(rivals) < 2:
        return rivals[0] if rivals and len(letters) >= 2 and _native(letters, rivals[0]) else None
    return _by_words(letters, rivals, hint)


def _script(letters: str) -> str | None:
    names = {unicodedata.name(one, "").partition(" ")[0] for one in letters if not one.isspace() and not one.isascii()}
    return next((language for script, language in SCRIPTS if script in names), None)


def _native(letters: str, language: str) -> bool:
    """Whether a text without rivals can be the language at all: English has no letters beyond Latin."""
    return language != "en" or all(one.isspace() or one < "\u0250" for one in letters)


def _by_words(letters: str, rivals: Sequence[str], hint: str | None) -> str | None:
    shares = {
        one.language.iso_code_639_1.name.lower(): one.value for one in _detector(tuple(sorted(rivals))).compute_language_confidence_values(letters)
    }
    if hint in shares:
        shares[hint] += HINT
    best, whole = max(shares, key=shares.__getitem__), sum(shares.values())
    return best if whole > 0 and shares[best] / whole >= SURE else None


@lru_cache(maxsize=8)
def _detector(languages: tuple[str, ...]) -> LanguageDetector:
    """Knows only the languages asked about; some tens of MB each, loaded at the first use. Where scripts tell, as for ko and en, it is never asked."""
    codes = [getattr(IsoCode639_1, one.upper()) for one in languages]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()

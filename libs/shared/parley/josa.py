"""Korean particles by the sound that a word ends in: `지수가`, `민준이`, `A1001로`. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

PAIRS = {
    frozenset(("이", "가")): ("이", "가"),
    frozenset(("은", "는")): ("은", "는"),
    frozenset(("을", "를")): ("을", "를"),
    frozenset(("과", "와")): ("과", "와"),
    frozenset(("으로", "로")): ("으로", "로"),
    frozenset(("아", "야")): ("아", "야"),
    frozenset(("이나", "나")): ("이나", "나"),
    frozenset(("이랑", "랑")): ("이랑", "랑"),
    frozenset(("이라", "라")): ("이라", "라"),
    frozenset(("이에요", "예요")): ("이에요", "예요"),
    frozenset(("이었어요", "였어요")): ("이었어요", "였어요"),
}
"""The particle after a consonant, and that after a vowel; a flow may name them in either order."""

Ending = Literal["vowel", "rieul", "consonant"]
_FINALS = 28
_RIEUL = 8
"""Of the 28 finals of a Hangul syllable (none among them) the place of ㄹ."""
_DIGITS: dict[str, Ending] = {
    "0": "consonant", "1": "rieul", "2": "vowel", "3": "consonant", "4": "vowel",
    "5": "vowel", "6": "consonant", "7": "rieul", "8": "rieul", "9": "vowel",
}  # fmt: skip
"""영 일 이 삼 사 오 육 칠 팔 구; what ends in zeros (십, 백, 천, 만, 억) ends in a consonant as well."""
_LETTERS: dict[str, Ending] = {"l": "rieul", "r": "rieul", "m": "consonant", "n": "consonant"}
"""The names of letters: 엘, 알, 엠, 엔; all others end in a vowel."""
_WORDS: dict[str, Ending] = {"l": "rieul", **dict.fromkeys("mnpbkc", "consonant")}
"""How English words end as Korean writes them: 팀, 존, 밥, 잭; most other consonants get a vowel there (크리스, 데이비드)."""


def ending(word: str) -> Ending | None:
    """The sound that the word ends in as it is read in Korean; None where that cannot be told."""
    letters = re.findall(r"[가-힣A-Za-z0-9]", unicodedata.normalize("NFKC", word))
    if not letters:
        return None
    last = letters[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % _FINALS
        return "vowel" if not final else "rieul" if final == _RIEUL else "consonant"
    if last.isdigit():
        return _DIGITS[last]
    latin = re.search(r"[A-Za-z]+(?=[^A-Za-z]*$)", unicodedata.normalize("NFKC", word))
    whole = latin.group() if latin else last
    if whole.isupper() or len(whole) == 1:
        return _LETTERS.get(last.lower(), "vowel")
    return "consonant" if whole.lower().endswith("ng") else _WORDS.get(last, "vowel")


def particle(word: str, pair: str) -> str:
    """The one of `pair` (`이/가`) that follows the word; both, as `이(가)`, where that cannot be told. Raises `ValueError` for no such pair."""
    found = PAIRS.get(frozenset(pair.replace(" ", "").split("/")))
    if found is None:
        known = ", ".join("/".join(one) for one in PAIRS.values())
        raise ValueError(f"josa: {pair!r} is no pair of particles; known: {known}")
    after_consonant, after_vowel = found
    sound = ending(word)
    if sound is None:
        return f"{after_consonant}({after_vowel})"
    if sound == "rieul" and after_vowel == "로":
        return after_vowel
    return after_vowel if sound == "vowel" else after_consonant

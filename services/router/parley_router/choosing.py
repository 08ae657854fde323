"""Which of the choices offered an answer means: tapped, or written as people write. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from parley_router.language import plain
from parley_router.steps import Option

KEPT = 500
"""Characters of an answer that are read and kept."""
SHORT = 40
"""Characters of a sentence in which a title is still taken for the answer: a longer one tells more than that."""
SURE = 5
"""Letters of a title from which on one wrong letter is a slip of the finger, not another word."""

_PLACES = {
    **{one: place for place, one in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), 1)},
    **{one: place for place, one in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 1)},
    **{one: place for place, one in enumerate(("첫", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열"), 1)},
}  # fmt: skip
_NUMBERED = (
    re.compile(r"(?:(?:no|nr|number|option|choice)[ .]?\s?|#)?(\d{1,2})(?:st|nd|rd|th)?[.)]?(?: (?:one|option|choice))?(?: please)?"),
    re.compile(r"(?:the )?(first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)(?: one| option| choice)?(?: please)?"),
    re.compile(r"(?:number|option|choice) (one|two|three|four|five|six|seven|eight|nine|ten)(?: please)?"),
    re.compile(r"(\d{1,2}) ?번(?:째)?(?:이?요|으로(?:요| 할게요)?|입니다|이에요| ?할게요| 주세요)?"),
    re.compile(r"(첫|두|세|네|다섯|여섯|일곱|여덟|아홉|열) ?번째(?:요| 것| 거|꺼)?(?:이?요|로요?|입니다)?"),
)
REFUSED = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|except|dont)\b|n['’]t\b"
    r"|(?<![가-힣])(?:안|못|노)(?![가-힣])|아니|아뇨|않|말고|싫|빼고|없"
)
"""Words that turn a sentence into its opposite."""


def chosen(options: Sequence[Option], text: str, tapped: str | None) -> Option | None:
    """The choice that was tapped, or meant by its number, its id, or its title in any language; by part of it, or as part of a short sentence,
    where that can mean only one."""
    if tapped is not None:
        return next((one for one in options if one.id == tapped), None)
    word = plain(text[:KEPT])
    if not word:
        return None
    for place, one in enumerate(options, 1):
        if word in (str(place), one.id, *map(plain, one.title.values())):
            return one
    for tolerant in (_by_number, _by_slip, _in_sentence, _by_beginning):
        found = {one.id: one for one in tolerant(options, word)}
        if found:
            return next(iter(found.values())) if len(found) == 1 else None
    return None


def _by_number(options: Sequence[Option], word: str) -> Iterator[Option]:
    said = next((found for pattern in _NUMBERED if (found := pattern.fullmatch(word))), None)
    if said is not None:
        place = int(said[1]) if said[1].isdigit() else _PLACES[said[1]]
        yield from options[place - 1 : place] if place else ()


def _by_slip(options: Sequence[Option], word: str) -> Iterator[Option]:
    """Written without its blanks and signs, or with one slip."""
    for one, title in _titles(options):
        if _bare(title) == _bare(word) != "" or (min(len(title), len(word)) >= SURE and slip(title, word)):
            yield one


def _in_sentence(options: Sequence[Option], word: str) -> Iterator[Option]:
    """The title stands in the sentence, and no other one's that is not a part of it; what is refused beside it says the opposite."""
    if len(word) > SHORT:
        return
    held = [(one, title) for one, title in _titles(options) if re.search(_as_word(title), word)]
    longest = [(one, title) for one, title in held if not any(title != other and title in other for _, other in held)]
    rest = word
    for _, title in sorted(longest, key=lambda pair: -len(pair[1])):
        rest = rest.replace(title, " ")
    if not REFUSED.search(rest):
        yield from (one for one, _ in longest)


def _by_beginning(options: Sequence[Option], word: str) -> Iterator[Option]:
    """The first words of a title: `yes` for `Yes, please`."""
    yield from (one for one, title in _titles(options) if len(word) < len(title) and re.match(re.escape(_spaced(word)) + r"(?!\w)", _spaced(title)))


def _titles(options: Sequence[Option]) -> Iterator[tuple[Option, str]]:
    yield from ((one, title) for one in options for title in map(plain, one.title.values()) if title)


def _as_word(title: str) -> str:
    """The title as a word of its own; in Korean a particle may follow, and a word of one letter stands alone."""
    ends = r"(?:요|이요|로|으로|로요|으로요|은|는|을|를|이|가|만|도)?(?![가-힣])" if "가" <= title[-1] <= "힣" else r"(?![a-z0-9])"
    return rf"(?<![a-z0-9가-힣]){re.escape(title)}{ends}"


def _spaced(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text).split())


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))


def slip(wanted: str, written: str) -> bool:
    """Whether the two differ in one letter: one wrong, missing, too many, or two that changed places."""
    if abs(len(wanted) - len(written)) > 1 or wanted == written:
        return False
    at = next((place for place, (one, other) in enumerate(zip(wanted, written, strict=False)) if one != other), min(len(wanted), len(written)))
    rest, other = wanted[at:], written[at:]
    swapped = len(rest) > 1 and rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return swapped or rest[1:] == other[1:] or rest == other[1:] or rest[1:] == other

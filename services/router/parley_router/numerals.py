"""Numbers as people write them, in digits and in words, Korean and English. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

LONGEST = 15
"""Digits of a number at most: a longer one is an account or a card, nothing to count with."""

_DIGITS = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,{LONGEST}}})(?:\.\d{{1,6}})?"
_ALONE = rf"(?<![A-Za-z0-9.,])(?:(?<!\S)[-−])?{_DIGITS}(?![.,]?\d)"
"""Not a part of a word, of a longer number, or of a range: the sign belongs to it only after a blank."""
_LARGE = "십백천만억"
_ONES = "일이삼사오육칠팔구"
_MIXED = re.compile(rf"{_ALONE}\s?[{_LARGE}]+(?:\s?{_DIGITS}\s?[{_LARGE}]+)*(?:\s?{_DIGITS}(?![.,]?\d))?")
_PLAIN = re.compile(rf"{_ALONE}(?!(?:st|nd|rd|th|k|\s?(?:hundred|thousand|million|dozen))\b)", re.IGNORECASE)
_PIECE = re.compile(rf"{_DIGITS}|[{_LARGE}{_ONES}영공]")

_SINO = rf"(?:[{_ONES}]?[{_LARGE}](?:[{_ONES}{_LARGE}]|\s(?=[{_ONES}]?[{_LARGE}]))*|[{_ONES}영공])"
_TENS = {"열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80, "아흔": 90}
_NATIVE = {
    "하나": 1,
    "한": 1,
    "둘": 2,
    "두": 2,
    "셋": 3,
    "세": 3,
    "석": 3,
    "넷": 4,
    "네": 4,
    "넉": 4,
    "다섯": 5,
    "여섯": 6,
    "일곱": 7,
    "여덟": 8,
    "아홉": 9,
}
_OWN = rf"(?:(?:{'|'.join(_TENS)})(?:{'|'.join(_NATIVE)})?|{'|'.join(_NATIVE)})"
_FREE = (
    rf"(?:(?:{'|'.join(one for one in _TENS if one != '스무')})?(?:하나|둘|셋|넷|다섯|여섯|일곱|여덟|아홉)|열|스물|서른|마흔|쉰|예순|일흔|여든|아흔)"
)
"""Those that stand without what is counted; `네` alone is a yes."""
_COUNTED = (
    "개월|개|명|분|사람|인분|인|잔|병|장|권|시간|살|번째|번|마리|대|켤레|박스|상자|봉지|봉|팩|세트|가지|달|주일|주|통|그릇|쌍|벌|채|송이|자루|곳|캔|모금|"
    "원|년|층|호|점|프로|퍼센트|킬로|그램|리터|세|회|건|일"
)
_PARTICLE = "(?:이서|이요|이에요|예요|입니다|이면|으로|정도|쯤|씩|요|만|로|은|는|을|를|이|가|면)?"
_COUNT = re.compile(rf"(?<![가-힣])({_OWN}|{_SINO})\s?(?:{_COUNTED}){_PARTICLE}(?![가-힣])")
_FREELY = re.compile(rf"(?<![가-힣])({_FREE}){_PARTICLE}(?![가-힣])")
_BY_ONESELF = re.compile(r"(?<![가-힣])혼자|\b(?:just|only) me\b")
_WHOLE = re.compile(rf"({_SINO}){_PARTICLE}")

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TIES = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {
    "zero": 0, "a": 1, "dozen": 12, **{one: place for place, one in enumerate(_UNITS, 1)}, **{one: place for place, one in enumerate(_TEENS, 10)},
    **{one: place * 10 for place, one in enumerate(_TIES, 2)},
}  # fmt: skip
_SMALL = rf"(?:(?:{'|'.join(_TIES)})(?:[\s-](?:{'|'.join(_UNITS)}))?|{'|'.join((*_TEENS, *_UNITS))})"
_HUNDREDS = rf"(?:(?:{_SMALL}|a) hundred(?: (?:and )?{_SMALL})?|{_SMALL})"
_ENGLISH = re.compile(
    rf"\b(?<!no )(?<!any )(?<!this )(?<!that )(?<!which )(?<!every )(?<!the )"
    rf"(?:(?:{_HUNDREDS}|a) (?:thousand|million)(?:,? (?:and )?{_HUNDREDS})?|(?:{_SMALL} |a )?dozen|{_HUNDREDS}|zero)\b"
)


def numbers(text: str) -> list[Decimal]:
    """Every number that the text writes, in no order; ordinals, parts of words and numbers that begin with a needless 0 are none."""
    text = " ".join(text.casefold().split())
    if whole := _WHOLE.fullmatch(text.strip(" .!~")):
        return [_large(whole.group(1))]
    found: list[Decimal] = []
    for pattern, read in ((_MIXED, _large), (_PLAIN, _digits), (_COUNT, _korean), (_FREELY, _korean), (_ENGLISH, _english), (_BY_ONESELF, _one)):
        for one in pattern.finditer(text):
            value = read(one.group(one.lastindex or 0))
            found += [value] if value is not None else []
        text = pattern.sub(lambda one: "#" * len(one.group()), text)
    return found


def written(value: Decimal) -> str:
    """The number without needless digits: 1200, 2.5."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _digits(text: str) -> Decimal | None:
    number = text.replace(",", "").replace("−", "-")
    return None if re.match(r"-?0\d", number) else Decimal(number)


def _korean(text: str) -> Decimal | None:
    if text not in _TENS and text not in _NATIVE and not re.fullmatch(_OWN, text):
        return _large(text)
    tens = next((one for one in _TENS if text.startswith(one)), "")
    return Decimal(_TENS.get(tens, 0) + _NATIVE.get(text.removeprefix(tens), 0))


def _large(text: str) -> Decimal:
    """Sino-Korean numerals and digits with them: 3만 5천, 이십오, 천오백. A small unit counts what stands before it, a large one the section."""
    total = section = Decimal(0)
    current: Decimal | None = None
    for piece in _PIECE.findall(text):
        if piece in ("만", "억"):
            section += current if current is not None else 0
            total, section, current = total + (section or 1) * (10_000 if piece == "만" else 100_000_000), Decimal(0), None
        elif piece in _LARGE:
            section, current = section + (current if current is not None else 1) * 10 ** (_LARGE.index(piece) + 1), None
        else:
            current = Decimal(_ONES.find(piece) + 1 if piece in _ONES + "영공" else piece.replace(",", ""))
    return (-1 if text.lstrip().startswith(("-", "−")) else 1) * (total + section + (current or 0))


def _one(_: str) -> Decimal:
    return Decimal(1)


def _english(text: str) -> Decimal:
    total = section = 0
    for word in re.findall(r"[a-z]+", text):
        if word in ("thousand", "million"):
            total, section = total + max(section, 1) * (1000 if word == "thousand" else 1_000_000), 0
        elif word in ("hundred", "dozen"):
            section = max(section, 1) * (100 if word == "hundred" else 12)
        elif word in _WORDS:
            section += _WORDS[word]
    return Decimal(total + section)

"""What a message names: an order, a phone number, an e-mail address, a day, how many, which size. Pure: the day that it is is an argument."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal

import phonenumbers

from parley_router.dates import dates
from parley_router.numerals import numbers, written

LONGEST = 1000
"""Characters that are looked at."""
MOST = 1000
"""A quantity beyond it is none: it is a price, a year or a number of something."""

_EMAIL = re.compile(r"(?<![\w.+@-])[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_+-])?@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w@-])")
_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_WORD = r"(?:주문\s?번호|주문|order(?:\s?(?:number|no\.?|id))?|(?:purchase|booking|reservation|예약\s?번호)|#)"
_ORDER_SAID = re.compile(
    rf"{_WORD}\s*(?:는|은|가|이)?\s*(?:is|:|：|=)?\s*#?\s*(?P<number>(?=[A-Z-]*\d)[A-Z0-9][A-Z0-9-]{{2,29}})(?![A-Z0-9])", re.IGNORECASE
)
_ORDER_SHAPE = re.compile(r"(?<![A-Za-z0-9])(?P<number>[A-Z]{1,5}-?\d{4,12}(?:-\d{1,8})?|\d{8}-\d{4,10})(?![A-Za-z0-9-])")
_TIMES = (
    r"(?:개|벌|켤레|장|권|병|박스|상자|세트|팩|봉지|봉|캔|잔|대|자루|송이|묶음|분|명|인분)(?![가-힣]*\s*월)",
    r"(?:pcs|pieces?|units?|items?|boxes|box|bottles?|packs?|pairs?|sets?|bags?|cans?|people|persons?|copies|copy|of (?:them|these|those))\b",
)
_KOREAN = "하나|둘|셋|넷|다섯|여섯|일곱|여덟|아홉|열|한|두|세|네|스무"
_ENGLISH = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a dozen|a couple"
_QUANTITY = re.compile(
    rf"(?<![\d.,A-Za-z-])(?P<count>\d{{1,4}}|(?<![가-힣])(?:{_KOREAN})|\b(?:{_ENGLISH}))\s?(?:more\s|extra\s)?(?:{'|'.join(_TIMES)})", re.IGNORECASE
)
_TIMES_SIGN = re.compile(r"(?:(?<![\w-])[x×]\s?(?P<after>\d{1,3})(?!\w)|(?<![\w.,-])(?P<before>\d{1,3})\s?[x×](?![\w]))", re.IGNORECASE)
_LETTERS = r"(?:[2-5]?X{0,3}[SL]|XX?[SL]|M|FREE)"
_NUMBERED = r"(?:\d{1,3}(?:[.,]5)?)"
_SIZE = re.compile(
    rf"(?:(?:size|sz|사이즈|치수)\s*(?:는|은|가|이|를)?\s*(?:is|:)?\s*(?P<one>{_LETTERS}|{_NUMBERED}|small|medium|large)(?![A-Za-z0-9]))"
    rf"|(?:(?<![A-Za-z0-9'])(?P<two>{_LETTERS}|{_NUMBERED}|small|medium|large)[\s-]*(?:size\b|사이즈|호(?![가-힣])))",
    re.IGNORECASE,
)
_ALONE = re.compile(r"(?<![A-Za-z0-9'&.-])(?P<size>XXS|XS|XL|XXL|XXXL|[2-5]XL|S|M|L)(?![A-Za-z0-9'&-])|(?<!\d)(?P<mm>(?:2[2-9]|30)[05])\s?mm")
_WORDS = {"small": "S", "medium": "M", "large": "L"}
_COUPLE = {"a couple": 2, "스무": 20}


def entities(text: str, today: date, region: str) -> dict[str, str]:
    """What the text names, each once: the first where there are several.

    `order_number` in upper case; `phone` in E.164 (without its country it is one of `region`); `email`; `date` as 2026-11-25, when it names one day;
    `quantity` in digits; `size` as S, M, XL, 95 or 250.
    """
    text = unicodedata.normalize("NFKC", text[:LONGEST])
    found = dict[str, str]()
    rest = _LINK.sub(" ", text)
    if email := _EMAIL.search(rest):
        local, _, domain = email.group().rpartition("@")
        found["email"] = f"{local}@{domain.lower()}"
        rest = _EMAIL.sub(" ", rest)
    order = _ORDER_SAID.search(rest) or _ORDER_SHAPE.search(rest)
    if order is not None:
        found["order_number"] = order["number"].upper()
        rest = f"{rest[: order.start()]} {rest[order.end() :]}"
    if phone := next(iter(phonenumbers.PhoneNumberMatcher(rest, region)), None):
        found["phone"] = phonenumbers.format_number(phone.number, phonenumbers.PhoneNumberFormat.E164)
        rest = f"{rest[: phone.start]} {rest[phone.end :]}"
    found |= {name: value for name, value in (("size", _size(rest)), ("quantity", _quantity(rest)), ("date", _date(rest, today, region))) if value}
    return found


def _size(text: str) -> str | None:
    said = _SIZE.search(text)
    if said is None:
        alone = _ALONE.search(text)
        return (alone["size"] or alone["mm"]) if alone is not None else None
    size = said["one"] or said["two"]
    return _WORDS.get(size.lower(), size.upper())


def _quantity(text: str) -> str | None:
    if (sign := _TIMES_SIGN.search(text)) is not None:
        return sign["after"] or sign["before"]
    if (counted := _QUANTITY.search(text)) is None:
        return None
    count = counted["count"].lower()
    if count in _COUPLE:
        return str(_COUPLE[count])
    value = next(iter(numbers(count if not re.fullmatch("[한두세네]", count) else f"{count} 개")), Decimal(0))
    return written(value) if 0 < value <= MOST else None


def _date(text: str, today: date, region: str) -> str | None:
    days = set(dates(text, today, region))
    return days.pop().isoformat() if len(days) == 1 else None

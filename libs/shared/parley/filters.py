"""The filters that texts have beside Liquid's own: money, days, times and names by language. Pure: none reads a clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from liquid.filter import with_context
from liquid.undefined import is_undefined

from parley.josa import particle

WHOLE = frozenset(["KRW", "JPY", "VND", "CLP", "ISK", "XAF", "XOF", "XPF", "PYG", "RWF", "UGX", "BIF", "DJF", "GNF", "KMF", "VUV"])
"""Currencies without a smaller unit (ISO 4217)."""
THOUSANDTHS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "KRW": "₩", "CNY": "CN¥", "INR": "₹", "VND": "₫", "THB": "฿", "PHP": "₱"}
OWN = {"ko": {"KRW": "원"}}
"""How a language writes its own currency, behind the amount."""
CURRENCIES = {"ko": "KRW"}
"""The currency of an amount that names none; else US dollars."""
LARGEST = Decimal(10) ** 15

WEEKDAYS = {"ko": "월화수목금토일", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def money(value: object, currency: object = None, *, language: str) -> str:
    """`12,000원`, `$12.00`: the amount in `currency` (ISO 4217), rounded to its smallest unit."""
    code = str(currency).upper() if currency else CURRENCIES.get(language, "USD")
    if not re.fullmatch("[A-Z]{3}", code):
        raise ValueError(f"money: {currency!r} is no currency; it is written as KRW or USD")
    try:
        amount = Decimal(str(value).replace(",", "").strip())
    except InvalidOperation as error:
        raise ValueError(f"money: {value!r} is no amount") from error
    if not amount.is_finite() or abs(amount) >= LARGEST:
        raise ValueError(f"money: {value!r} is no amount")
    places = 0 if code in WHOLE else 3 if code in THOUSANDTHS else 2
    amount = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    sign, figures = ("-" if amount < 0 else ""), f"{abs(amount):,.{places}f}"
    if unit := OWN.get(language, {}).get(code):
        return f"{sign}{figures}{unit}"
    return f"{sign}{SIGNS[code]}{figures}" if code in SIGNS else f"{sign}{code} {figures}"


def day(value: object, form: object = None, *, language: str, zone: tzinfo | None) -> str:
    """`11월 25일 (수)`, `Wed, Nov 25`; with `day: "long"` the year as well."""
    found = _moment(value, "day", zone)
    whole = form == "long"
    if language == "ko":
        year = f"{found.year}년 " if whole else ""
        return f"{year}{found.month}월 {found.day}일 ({WEEKDAYS['ko'][found.weekday()]})"
    year = f", {found.year}" if whole else ""
    return f"{WEEKDAYS['en'][found.weekday()]}, {MONTHS[found.month - 1]} {found.day}{year}"


def clock(value: object, *, language: str, zone: tzinfo | None) -> str:
    """`오후 3:30`, `3:30 PM`; in the contact's zone where the moment tells its own."""
    found = _moment(value, "time", zone)
    if not isinstance(found, datetime):
        raise ValueError(f"time: {value!r} is a day without a time")
    hour = found.hour % 12 or 12
    if language == "ko":
        return f"{'오전' if found.hour < 12 else '오후'} {hour}:{found.minute:02}"
    return f"{hour}:{found.minute:02} {'AM' if found.hour < 12 else 'PM'}"


def moment(value: object, *, language: str, zone: tzinfo | None) -> str:
    """Day and time: `11월 25일 (수) 오후 3:30`, `Wed, Nov 25, 3:30 PM`."""
    return f"{day(value, language=language, zone=zone)}{' ' if language == 'ko' else ', '}{clock(value, language=language, zone=zone)}"


def name(value: object, *, language: str) -> str:
    """The name as it is addressed: `지수님`, `Jisu`."""
    text = " ".join(str(value).split())
    if not text:
        raise ValueError("name: the name is empty")
    return f"{text}님" if language == "ko" and not text.endswith("님") else text


def josa(value: object, pair: object) -> str:
    """The word with the particle that follows its last sound: `{{ profile.name | josa: "이/가" }}`."""
    return f"{value}{particle(str(value), str(pair))}"


class Encoded(str):
    """A text that is safe in an address already: values come as such into paths, where encoding them again would spoil them."""

    __slots__ = ()


def url_encode(value: object) -> str:
    """Safe as one part of a path and as a value of a query: a blank is %20, a slash %2F. Dots alone would lead out of the path, so they are refused."""
    text = str(value)
    if isinstance(value, Encoded):
        return text
    if text in (".", ".."):
        raise ValueError(f"url_encode: {text!r} is no part of an address")
    return quote(text, safe="")


def _moment(value: object, what: str, zone: tzinfo | None) -> date | datetime:
    """The date or moment of an ISO 8601 text."""
    text = value.isoformat() if isinstance(value, date | datetime) else str(value).strip()
    try:
        found = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{what}: {value!r} is no date; it is written as 2026-11-25 or 2026-11-25T15:30:00+09:00") from error
    return found.astimezone(zone) if isinstance(found, datetime) and found.tzinfo is not None and zone is not None else found


def _with_language(function: Callable[..., str], *, dated: bool) -> Callable[..., str]:
    """As a filter: the language, and for moments the zone, come from what is being rendered."""

    @with_context
    def filter_(value: object, *arguments: object, context: Any) -> str:
        _known(value, arguments)
        language = str(context.resolve("language", default="en"))
        return function(value, *arguments, language=language, **({"zone": context.zone} if dated else {}))

    return filter_


def _plain(function: Callable[..., str]) -> Callable[..., str]:
    def filter_(value: object, *arguments: object) -> str:
        _known(value, arguments)
        return function(value, *arguments)

    return filter_


def _known(value: object, arguments: tuple[object, ...]) -> None:
    """Asks each name that has no value for it, which raises: half a sentence is not sent."""
    for one in (value, *arguments):
        if is_undefined(one):
            str(one)


FILTERS: dict[str, Callable[..., str]] = {
    "money": _with_language(money, dated=False),
    "day": _with_language(day, dated=True),
    "time": _with_language(clock, dated=True),
    "moment": _with_language(moment, dated=True),
    "name": _with_language(name, dated=False),
    "josa": _plain(josa),
    "url_encode": _plain(url_encode),
}
"""By the name that texts use."""

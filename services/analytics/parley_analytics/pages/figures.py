"""Numbers, moments and durations as people read them, in English and Korean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from parley_analytics.pages.words import Language
from parley_analytics.rates import Rate

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WITHOUT_CENTS = ("KRW", "JPY", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "PYG", "RWF")
"""Currencies whose smallest unit is the whole one (ISO 4217)."""
NOTHING = "–"
"""What stands where there is no figure: nothing was tried."""
SPOKEN = MappingProxyType(
    {"en": ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s")), "ko": ((86_400, "일"), (3600, "시간"), (60, "분"), (1, "초"))}
)


def number(value: int) -> str:
    return f"{value:,}"


def short(value: int, language: Language) -> str:
    """A large number in few characters: 1.23M, 123.4만."""
    if value < 100_000:
        return number(value)
    if language == "ko":
        return f"{_trimmed(value / 1e8)}억" if value >= 1e8 else f"{_trimmed(value / 1e4)}만"
    return f"{_trimmed(value / 1e6)}M" if value >= 1e6 else f"{_trimmed(value / 1e3)}K"


def _trimmed(value: float) -> str:
    text = f"{value:,.{2 if value < 10 else 1 if value < 1000 else 0}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimals(rate: Rate) -> int:
    """As many as the interval lets anybody know."""
    width = (rate.high - rate.low) * 100
    return 1 if width >= 0.2 else 2 if width >= 0.02 else 3


def percent(value: float, places: int = 1) -> str:
    return f"{value * 100:.{places}f}%"


def share(rate: Rate | None) -> str:
    return NOTHING if rate is None else percent(rate.value, decimals(rate))


def interval(rate: Rate | None) -> str:
    """The ends of an interval: `4.0–4.4`; the sign of percent stands with the value."""
    if rate is None:
        return ""
    places = decimals(rate)
    return f"{rate.low * 100:.{places}f}–{rate.high * 100:.{places}f}"


def amount(value: Decimal, currency: str) -> str:
    """`1,234,000 KRW`, `12.50 EUR`; `¤` is money whose currency nobody told."""
    return f"{value:,.{0 if currency in WITHOUT_CENTS else 2}f} {currency or '¤'}"


def amounts(values: Mapping[str, Decimal]) -> str:
    """Money of several currencies is never added."""
    return " + ".join(amount(value, currency) for currency, value in sorted(values.items()) if value) or NOTHING


def duration(seconds: float | None, language: Language) -> str:
    """`42 s`, `3.5 min`, `2.1 h`, `1.4 days`."""
    if seconds is None:
        return NOTHING
    size, unit = next((one for one in SPOKEN[language] if seconds >= one[0]), SPOKEN[language][-1])
    found = seconds / size
    text = f"{found:.1f}" if found < 10 and size > 1 else f"{found:.0f}"
    return f"{text}{'' if language == 'ko' else ' '}{unit}"


def moment(at: datetime, bucket: str, language: Language) -> str:
    """The beginning of a bucket, in the zone of `at`."""
    if language == "ko":
        days = f"{at.month}월 {at.day}일"
        return {"hour": f"{days} {at.hour}시", "month": f"{at.year}년 {at.month}월"}.get(bucket, days)
    days = f"{at.day} {MONTHS[at.month - 1]}"
    return {"hour": f"{days} {at:%H:%M}", "month": f"{MONTHS[at.month - 1]} {at.year}"}.get(bucket, days)


def day(at: datetime, language: Language) -> str:
    return f"{at.year}년 {at.month}월 {at.day}일" if language == "ko" else f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def days(since: datetime, until: datetime, language: Language) -> str:
    """From the first day to the last, both counted."""
    if language == "ko":
        return f"{day(since, language)} ~ {day(until, language)}"
    first = f"{since.day} {MONTHS[since.month - 1]}" + (f" {since.year}" if since.year != until.year else "")
    return f"{first} – {day(until, language)}"

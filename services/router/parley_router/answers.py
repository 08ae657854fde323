"""Whether an answer fits the question, and how it is kept. Pure; what is kept fits again and is kept the same."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from decimal import Decimal

import phonenumbers

from parley.contracts import Location
from parley_router.choosing import KEPT, REFUSED, chosen
from parley_router.dates import dates
from parley_router.numerals import numbers, written
from parley_router.steps import Ask

SENTENCE = 60
"""Characters in which a number, a date or a rating is looked for: a longer text tells something else, too."""
WORST, BEST = 1, 5
"""Of a rating, where the question says nothing else."""

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9_.+@-])[A-Za-z0-9](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![A-Za-z0-9@-])"
)
_COORDINATES = re.compile(r"(?<![\d.])(-?\d{1,2}(?:\.\d{1,15})?),\s?(-?\d{1,3}(?:\.\d{1,15})?)(?![\d.])")
_STARS = re.compile("[⭐★]")
_EMPTY_STARS = re.compile("[☆✩]")
_OUT_OF = re.compile(r"(?<![\d.,/])(\d{1,3})\s?(?:/|점 ?만점에 ?|out of |of )\s?(\d{1,3})(?:점|stars?|points?)?(?:이?요|입니다)?")
_JUDGED: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (points, re.compile(pattern))
    for points, pattern in (
        (1, r"\b(?:terrible|awful|horrible|worst|very (?:bad|poor|unhappy|dissatisfied))\b|최악|(?:매우|아주|정말|너무) ?(?:불만|나쁨|나빠|나빴|별로|싫)|형편없"),
        (2, r"\bnot (?:so |very |that |really )?(?:good|great|happy|satisfied|nice)\b|안 ?좋|좋지 ?않"),
        (3, r"\b(?:not bad|so[ -]so|okay|ok|average|fine|neutral)\b|나쁘지 ?않|보통|그저 ?그[래랬런]|그냥 ?그[래랬]|쏘쏘"),
        (5, r"\b(?:excellent|perfect|amazing|awesome|outstanding|loved? it|best|very (?:good|happy|satisfied))\b"
            r"|최고|완벽|훌륭|(?:매우|아주|정말|너무|완전|진짜) ?(?:좋|만족)"),
        (2, r"\b(?:bad|poor|unhappy|dissatisfied)\b|별로|나빠|나쁨|나빴|불만"),
        (4, r"\b(?:good|great|nice|happy|satisfied)\b|좋아|좋았|좋음|좋네|만족|괜찮"),
    )
)  # fmt: skip
"""What is thought of it, in points; the first that fits counts, so what contains another stands before it."""


def fitting(step: Ask, text: str, tapped: str | None, location: Location | None, now: datetime, region: str) -> str | None:
    """The answer to `step` as it is kept, None when it does not fit. `now` is in the contact's zone; `region` (`KR`) is where they are, for phone
    numbers and for the order of day and month.

    Kept is: the id of a choice; a number in digits; a date as 2026-11-25; a phone number in E.164; a rating in digits; `lat,lon`; else the text.
    """
    text = unicodedata.normalize("NFKC", text[:KEPT])[:KEPT].strip()
    match step.wants:
        case "choice":
            option = chosen(step.choices, text, tapped)
            return option.id if option is not None else None
        case "text":
            return _text(step, text)
        case "number":
            return _number(step, text)
        case "rating":
            return _rating(step, text)
        case "date":
            return _only([one.isoformat() for one in dates(text, now.date(), region)]) if len(text) <= SENTENCE else None
        case "phone":
            return _phone(text, region)
        case "email":
            return _email(text)
        case "location":
            return _location(text, location)


def _only(found: list[str]) -> str | None:
    """The one that was found; two different ones say that it is not sure which is meant."""
    return found[0] if len(set(found)) == 1 else None


def _text(step: Ask, text: str) -> str | None:
    """What the pattern finds, in upper case as numbers are written, or all of it."""
    if step.pattern is None:
        return text or None
    found = re.search(step.pattern, text, re.IGNORECASE)
    return (found.group(0).strip().upper() or None) if found else None


def _number(step: Ask, text: str) -> str | None:
    found = numbers(text) if len(text) <= SENTENCE else []
    if len(found) != 1 or not _within(found[0], step.min, step.max):
        return None
    return written(found[0])


def _within(value: Decimal, least: float | None, most: float | None) -> bool:
    return (least is None or value >= Decimal(str(least))) and (most is None or value <= Decimal(str(most)))


def scale(step: Ask) -> tuple[float, float]:
    """The least and the most points of a rating."""
    return step.min if step.min is not None else WORST, step.max if step.max is not None else BEST


def _rating(step: Ask, text: str) -> str | None:
    """Whole points between the least and the most: in digits, in words, as stars, `4/5`; from 1 to 5 also by what is thought of it."""
    least, most = scale(step)
    value = _points(text.casefold(), int(most), judged=(least, most) == (WORST, BEST)) if len(text) <= SENTENCE else None
    return written(value) if value is not None and value == value.to_integral_value() and _within(value, least, most) else None


def _points(text: str, most: int, *, judged: bool) -> Decimal | None:
    if stars := _STARS.findall(text):
        return Decimal(len(stars)) if not re.search(r"\d", text) and len(stars) + len(_EMPTY_STARS.findall(text)) <= most else None
    if of := _OUT_OF.fullmatch(text.strip(" .!")):
        first, second = (of[2], of[1]) if "만점" in of[0] else (of[1], of[2])
        return Decimal(first) if int(second) == most else None
    found = numbers(text)
    if found or not judged:
        return found[0] if len(found) == 1 else None
    return _judged(text)


def _judged(text: str) -> Decimal | None:
    """The points of what is thought of it; none where the sentence refuses it in a way that is not known."""
    for points, pattern in _JUDGED:
        if found := pattern.search(text):
            return Decimal(points) if not REFUSED.search(text[: found.start()] + " " + text[found.end() :]) else None
    return None


def _phone(text: str, region: str) -> str | None:
    """The one valid number in the text, in E.164; without its country it is one of the region."""
    found = {phonenumbers.format_number(one.number, phonenumbers.PhoneNumberFormat.E164) for one in phonenumbers.PhoneNumberMatcher(text, region)}
    return _only(sorted(found))


def _email(text: str) -> str | None:
    """The one address in the text, its domain in lower case."""
    found = [one.rpartition("@") for one in _EMAIL.findall(text) if ".." not in one and len(one) <= 254]
    return _only([f"{local}@{domain.lower()}" for local, _, domain in found])


def _location(text: str, location: Location | None) -> str | None:
    """The place that was sent, or coordinates written down, also in the link of a map."""
    if location is not None:
        return f"{_degrees(location.lat)},{_degrees(location.lon)}"
    found = [(Decimal(lat), Decimal(lon)) for lat, lon in _COORDINATES.findall(text.replace("%2C", ","))]
    if len(found) != 1 or abs(found[0][0]) > 90 or abs(found[0][1]) > 180:
        return None
    return f"{_degrees(float(found[0][0]))},{_degrees(float(found[0][1]))}"


def _degrees(value: float) -> str:
    """To six digits: a tenth of a metre."""
    return written(Decimal(f"{value:.6f}"))

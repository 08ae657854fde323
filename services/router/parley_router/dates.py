"""Dates as people write them, whole or relative to today, Korean and English. Pure: today is an argument."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial

MONTH_FIRST = frozenset({"US", "KR", "KP", "JP", "CN", "TW", "HK", "PH", "HU", "LT", "MN", "BZ", "FM", "GU", "PR", "VI", "AS", "MH", "PW"})
"""Regions that write the month before the day; all others write 3/12 for the third of December."""
YEAR_FIRST = frozenset({"KR", "KP", "JP", "CN", "TW", "HU", "LT", "MN"})
"""Regions that may write 90.3.12 and 900312 for a day of 1990."""
YEARS = range(1900, 2200)

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\d|:)"
_YEAR = r"(?:,?\s(?P<year>\d{4})(?!\d))?"
_WEEKDAY = r"(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\b"
_KOREAN_WEEKDAY = r"(?P<weekday>[월화수목금토일])(?:요일|욜)"
_COUNT = r"(?P<count>\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_KOREAN_COUNT = r"(?P<count>\d{1,3}|한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|일|이|삼|사|오|육|칠|팔|구|십)"
_COUNTS = {
    **{one: place for place, one in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1)},
    **{one: place for place, one in enumerate(("한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열"), 1)},
    **{one: place for place, one in enumerate("일이삼사오육칠팔구십", 1)},
    "a": 1, "an": 1,
}  # fmt: skip
_DAYS = {
    "today": 0, "tonight": 0, "tomorrow": 1, "tmrw": 1, "tmr": 1, "the day after tomorrow": 2, "day after tomorrow": 2, "yesterday": -1,
    "오늘": 0, "금일": 0, "내일": 1, "낼": 1, "명일": 1, "내일모레": 2, "모레": 2, "낼모레": 2, "글피": 3, "어제": -1, "그저께": -2, "그제": -2,
}  # fmt: skip
_NATIVE_DAYS = {"하루": 1, "이틀": 2, "사흘": 3, "나흘": 4, "닷새": 5, "엿새": 6, "이레": 7, "여드레": 8, "아흐레": 9, "열흘": 10, "보름": 15}
_WEEKS = {"이번": 0, "금": 0, "다음": 1, "담": 1, "다다음": 2, "지난": -1, "저번": -1, "this": 0, "next": 1, "last": -1}


class Impossible(ValueError):
    """It reads like a date, but there is no such day."""


Reading = Callable[[re.Match[str], date, str], date]


def dates(text: str, today: date, region: str) -> list[date]:
    """Every date that the text names, in no order; `[]` also where one of them cannot be, or is not on the weekday named beside it.

    A day without a year is the next one, never a past one. 3/12 is read as it is written in `region`, in March where the text is Korean. A weekday alone is
    the next one after today; "next Friday" is that of the next calendar week.
    """
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    try:
        found = list(_read(text, today, region))
    except (Impossible, OverflowError):
        return []
    text = _blanked(text, _WHOLE)
    weekdays = [_weekday(one) for pattern in _WEEKDAYS for one in pattern.finditer(text)]
    if found:
        return found if not weekdays or all(one.weekday() in weekdays for one in found) else []
    return [today + timedelta(days=(one - today.weekday() - 1) % 7 + 1) for one in weekdays]


def _read(text: str, today: date, region: str) -> Iterator[date]:
    for pattern, reading in _WHOLE:
        for one in pattern.finditer(text):
            yield reading(one, today, region)
        text = pattern.sub("#", text)


def _blanked(text: str, patterns: tuple[tuple[re.Pattern[str], Reading], ...]) -> str:
    for pattern, _ in patterns:
        text = pattern.sub("#", text)
    return text


def _named(found: re.Match[str], today: date, _: str) -> date:
    """With the parts of a date in groups; what is missing is of the next such day."""
    parts = found.groupdict()
    month = parts.get("month")
    number = MONTHS.index(month[:3]) + 1 if month and not month.isdigit() else int(month) if month else None
    return _day(_year(parts.get("year"), today), number, int(parts["day"]), today)


def _slashed(found: re.Match[str], today: date, region: str) -> date:
    """Two numbers, and maybe a year behind them: in the order of the region, unless only the other one can be."""
    first, second = int(found["first"]), int(found["second"])
    month_first = region in MONTH_FIRST or bool(re.search("[가-힣]", found.string))
    if max(first, second) > 12:
        month_first = second > 12
    month, day = (first, second) if month_first else (second, first)
    return _day(_year(found.groupdict().get("year"), today), month, day, today)


def _short_year(found: re.Match[str], today: date, region: str) -> date:
    """90.3.12: by the region the year stands first, or last."""
    one, two, three = int(found["one"]), int(found["two"]), int(found["three"])
    if region in YEAR_FIRST:
        return _day(_year(f"{one:02}", today), two, three, today)
    month_first = two > 12 or (region in MONTH_FIRST and one <= 12)
    return _day(_year(f"{three:02}", today), one if month_first else two, two if month_first else one, today)


def _run(found: re.Match[str], today: date, region: str) -> date:
    """19900312, and 900312 where the year stands first."""
    text = found.group()
    if len(text) == 6 and region not in YEAR_FIRST:
        raise Impossible(text)
    return _day(_year(text[:-4], today), int(text[-4:-2]), int(text[-2:]), today)


def _year(text: str | None, today: date) -> int | None:
    if text is None:
        return None
    if len(text) == 4:
        return int(text)
    century = today.year // 100 * 100
    year = century + int(text)
    return year if year <= today.year + 10 else year - 100


def _day(year: int | None, month: int | None, day: int, today: date) -> date:
    """The day, or where year or month are not named, the next such day from today on."""
    if year is not None:
        if year not in YEARS or month is None:
            raise Impossible(f"{year}-{month}-{day}")
        return _made(year, month, day)
    months = range(9 * 12) if month is None or (month, day) == (2, 29) else range(14)
    for ahead in months:
        there, index = divmod(today.month - 1 + ahead, 12)
        if month in (None, index + 1):
            try:
                found = date(today.year + there, index + 1, day)
            except ValueError:
                continue
            if found >= today:
                return found
    raise Impossible(f"{month}-{day}")


def _made(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise Impossible(str(error)) from error


def _near(found: re.Match[str], today: date, _: str) -> date:
    return today + timedelta(days=_DAYS[found.group()])


def _after(found: re.Match[str], today: date, _: str, *, unit: str) -> date:
    count = int(found["count"]) if found["count"].isdigit() else _COUNTS[found["count"]]
    count = -count if found.groupdict().get("ago") else count
    if unit != "months":
        return today + timedelta(days=count * (7 if unit == "weeks" else 1))
    there, index = divmod(today.month - 1 + count, 12)
    last = (date(today.year + there + (index == 11), (index + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(today.year + there, index + 1, min(today.day, last))


def _native_after(found: re.Match[str], today: date, _: str) -> date:
    days = _NATIVE_DAYS[found["days"]] if found["days"] else 7
    return today + timedelta(days=-days if found["ago"] else days)


def _christmas(_: re.Match[str], today: date, __: str) -> date:
    return _day(None, 12, 25, today)


def _of_week(found: re.Match[str], today: date, _: str) -> date:
    """A weekday of this, the next or the last calendar week, which begins on Monday."""
    return today + timedelta(days=_weekday(found) - today.weekday() + 7 * _WEEKS[found["week"]])


def _of_month(found: re.Match[str], today: date, _: str) -> date:
    """A day of this or the next month, or its last one."""
    there, index = divmod(today.month - 1 + _WEEKS[found["week"]], 12)
    if found["day"]:
        return _made(today.year + there, index + 1, int(found["day"]))
    after, following = divmod(index + 1, 12)
    return date(today.year + there + after, following + 1, 1) - timedelta(days=1)


def _weekday(found: re.Match[str]) -> int:
    name = found["weekday"]
    return "월화수목금토일".index(name) if name in "월화수목금토일" else next(place for place, one in enumerate(WEEKDAYS) if one[:3] == name[:3])


_AGO = r"(?:(?P<ago>ago|전)|후|뒤|from (?:now|today)|later)"
_READINGS: tuple[tuple[str, Reading], ...] = (
    (r"(?<!\d)(?P<year>\d{4}|\d{2})\s?년\s?(?P<month>\d{1,2})\s?월\s?(?P<day>\d{1,2})(?!\d)\s?일?", _named),
    (r"(?<![\d./-])(?P<year>\d{4})\s?[-./]\s?(?P<month>\d{1,2})\s?[-./]\s?(?P<day>\d{1,2})(?![\d/-]|\.\d)", _named),
    (r"(?<![\d./-])(?P<first>\d{1,2})\s?[-./]\s?(?P<second>\d{1,2})\s?[-./]\s?(?P<year>\d{4})(?!\d)", _slashed),
    (r"(?<![\d./-])(?P<one>\d{2})\s?[-./]\s?(?P<two>\d{1,2})\s?[-./]\s?(?P<three>\d{1,2})(?![\d/-]|\.\d)", _short_year),
    (r"(?<![\d.,/-])(?:19|20|21)\d{6}(?![\d/-])|(?<![\d.,/-])\d{6}(?![\d/-])", _run),
    (rf"\b{_MONTH}\s(?:the )?{_DAY}{_YEAR}", _named),
    (rf"(?<!\d)(?<!\d[:.]){_DAY}\s(?:of )?{_MONTH}(?![a-z]){_YEAR}", _named),
    (r"(?P<week>다다음|다음|담|이번|지난)\s?달\s?(?:(?P<day>\d{1,2})\s?일|말일)", _of_month),
    (r"\b(?:the )?(?P<day>\d{1,2})(?:st|nd|rd|th) of (?P<week>this|next) month\b", _of_month),
    (r"(?<!\d)(?P<month>\d{1,2})\s?월\s?(?P<day>\d{1,2})(?!\d)\s?일?", _named),
    (rf"(?P<week>다다음|다음|담|이번|금|지난|저번)\s?주\s?{_KOREAN_WEEKDAY}", _of_week),
    (rf"\b(?P<week>this|next|last)\s(?:week\s(?:on\s)?)?{_WEEKDAY}", _of_week),
    (rf"(?<![\d가-힣]){_KOREAN_COUNT}\s?일\s?{_AGO}", partial(_after, unit="days")),
    (rf"(?<![\d가-힣]){_KOREAN_COUNT}\s?주일?\s?{_AGO}", partial(_after, unit="weeks")),
    (rf"(?<![\d가-힣]){_KOREAN_COUNT}\s?(?:개월|달)\s?{_AGO}", partial(_after, unit="months")),
    (rf"(?:(?P<days>{'|'.join(_NATIVE_DAYS)})|일주일)\s?{_AGO}", _native_after),
    *(
        (pattern, partial(_after, unit=f"{unit}s"))
        for unit in ("day", "week", "month")
        for pattern in (rf"\bin {_COUNT} {unit}s?\b", rf"\b{_COUNT} {unit}s? {_AGO}\b")
    ),
    (r"(?:(?:the )?day after tomorrow|내일모레|낼모레)|(?<![가-힣])(?:오늘|금일|내일|낼|명일|모레|글피|어제|그저께|그제)"
     r"|\b(?:today|tonight|tomorrow|tmrw|tmr|yesterday)\b", _near),
    (r"(?:크리스마스|성탄절|\bchristmas(?: day)?\b)(?!\s?(?:이브|eve))", _christmas),
    (r"(?<![\d.,/:-])(?P<first>\d{1,2})[/.-](?P<second>\d{1,2})(?![\d/:-]|\.\d)", _slashed),
    (r"(?<![\d가-힣/.-])(?P<day>\d{1,2})\s?일(?!\s?(?:간|동안|째))(?!\d)", _named),
    (r"\b(?:the )?(?P<day>\d{1,2})(?:st|nd|rd|th)\b", _named),
)  # fmt: skip
_WHOLE = tuple((re.compile(pattern), reading) for pattern, reading in _READINGS)
_WEEKDAYS = (re.compile(_KOREAN_WEEKDAY), re.compile(rf"\b{_WEEKDAY}"), re.compile(r"[(](?P<weekday>[월화수목금토일])[)]"))

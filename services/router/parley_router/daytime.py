"""The contact's own time: the zone, when it is daytime, and the next time of day. Pure; every moment is aware, in the contact's zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from parley_router.conditions import WEEKDAYS

DAY = (time(8), time(21))
"""Between these nothing said on our own disturbs: Korea's night for advertising is from 21 to 8 (정보통신망법 제50조), the same hours as 47 CFR 64.1200(c)(1)."""


def zone(told: str | None, addresses: Iterable[str], default: tzinfo) -> tzinfo:
    """The zone that the profile tells, else that of the phone number where its region has exactly one, else the tenant's."""
    if told and (found := _named(told)) is not None:
        return found
    return next((found for one in addresses if one.startswith("+") and (found := _of_number(one)) is not None), default)


def next_daytime(now: datetime) -> datetime | None:
    """When it is daytime next; None when it is."""
    if DAY[0] <= now.time() < DAY[1]:
        return None
    return next_at(now, DAY[0], None)


def next_at(moment: datetime, clock: time | None, days: Sequence[str] | None) -> datetime:
    """The first moment from this one on that is at `clock` (default: whenever) on one of `days` (default: any). A time that a change of clocks skips is the
    one an hour later."""
    day = moment.date()
    if clock is None:
        clock = moment.time() if days is None or WEEKDAYS[day.weekday()] in days else time()
    for ahead in range(9):
        found = _real(datetime.combine(day + timedelta(days=ahead), clock, tzinfo=moment.tzinfo))
        if found >= moment and (days is None or WEEKDAYS[found.weekday()] in days):
            return found
    return moment


def _real(moment: datetime) -> datetime:
    """The same moment as a wall clock shows it: what is skipped in spring comes out an hour later."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo)


@lru_cache(maxsize=1000)
def _named(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=10_000)
def _of_number(number: str) -> tzinfo | None:
    import phonenumbers
    from phonenumbers import timezone

    try:
        names = timezone.time_zones_for_geographical_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    return _named(names[0]) if len(names) == 1 else None

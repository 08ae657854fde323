"""The contact's own time: the zone, when it is daytime, and the next time of day. Pure; every moment is aware, in the contact's zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parley_router.conditions import WEEKDAYS

DAY = (time(8), time(21))
"""Between these nothing said on our own disturbs: Korea's night for advertising is from 21 to 8 (정보통신망법 제50조), the same hours as 47 CFR 64.1200(c)(1)."""
AHEAD = 9
"""Days to look at for one: a week, and a day more where today's time has passed, or where clocks skipped it."""
SEASONS = (datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC))
"""In winter and in summer zones that are one show the same time."""


def zone(told: str | None, addresses: Iterable[str], default: tzinfo) -> tzinfo:
    """The zone that the profile tells, else that of the first phone number whose region has one time, else the tenant's."""
    if told and (found := _named(told)) is not None:
        return found
    return next((found for one in addresses if one.startswith("+") and (found := _of_number(one)) is not None), default)


def next_daytime(now: datetime, day: tuple[time, time] = DAY) -> datetime | None:
    """When it is daytime next; None when it is. A day that begins when it ends has no night."""
    begin, end = day
    if begin == end or (begin <= now.time() < end if begin < end else now.time() >= begin or now.time() < end):
        return None
    return next_at(now, begin, None)


def next_at(moment: datetime, clock: time | None, days: Sequence[str] | None) -> datetime:
    """The first moment from this one on that is at `clock` (default: whenever) on one of `days` (default: any).

    A time that a change of clocks skips is the one an hour later; of one that comes twice the first that has not passed counts.
    """
    if clock is None:
        if days is None or WEEKDAYS[moment.weekday()] in days:
            return moment
        clock = time()
    for ahead in range(AHEAD):
        for found in _shown(moment.date() + timedelta(days=ahead), clock, moment.tzinfo):
            # In UTC: two moments of one zone are compared by their wall clocks, also where these run backwards.
            if found.astimezone(UTC) >= moment.astimezone(UTC) and (days is None or WEEKDAYS[found.weekday()] in days):
                return found
    return moment  # no such day: a zone that changed its side of the date line had none


def next_within(moment: datetime, hour: int, minute: int, days: Sequence[str] | None) -> datetime:
    """This moment where it is in that hour, on one of `days` (default: any); else the next time that it is, at that minute."""
    if moment.hour == hour and (days is None or WEEKDAYS[moment.weekday()] in days):
        return moment
    return next_at(moment, time(hour, minute), days)


def _shown(day: date, clock: time, zone: tzinfo | None) -> Iterator[datetime]:
    """When a clock shows this time on that day: once, or twice where clocks go back; where they skip it, an hour later."""
    wanted = datetime.combine(day, clock, tzinfo=zone)
    first = wanted.astimezone(UTC).astimezone(zone)
    yield first
    second = wanted.replace(fold=1).astimezone(UTC).astimezone(zone)
    if second.fold and not first.fold:
        yield second


@lru_cache(maxsize=1000)
def _named(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=10_000)
def _of_number(number: str) -> tzinfo | None:
    import phonenumbers  # both read tables, which is only worth it where a profile tells no zone
    from phonenumbers import timezone

    try:
        names = timezone.time_zones_for_geographical_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    zones = [_named(one) for one in names]
    return zones[-1] if len({tuple(one and one.utcoffset(season) for season in SEASONS) for one in zones}) == 1 else None

"""When something may leave, by the recipient's clock: through nights, Sundays, holidays and changes of clocks. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from parley.policies import Quiet
from parley_sender.whereabouts import Whereabouts

AHEAD = timedelta(days=8)
"""How far is looked: a week, and a day more. Whoever has no such moment (zones that share no hour) is asked for again then."""
DAY = 24 * 60
"""Minutes."""
Spans = tuple[tuple[int, int], ...]
"""Minutes of a day, from and to (not itself), in order."""


@dataclass(frozen=True, slots=True)
class Holidays:
    """Public holidays: `fixed` ones by month and day, movable ones by days after `easter`."""

    fixed: frozenset[tuple[int, int]] = frozenset()
    easter: frozenset[int] = frozenset()

    def on(self, day: date) -> bool:
        """Whether the day is one."""
        return (day.month, day.day) in self.fixed or (bool(self.easter) and (day - easter(day.year)).days in self.easter)


@dataclass(frozen=True, slots=True)
class Hours:
    """Open hours of a week (Monday first), none on holidays. `name` says whose rule it is; with `consent` a yes to the night opens all hours."""

    name: str
    week: tuple[Spans, ...]
    holidays: Holidays = Holidays()
    consent: bool = False

    def spans(self, day: date) -> Spans:
        """What is open on this day."""
        return () if self.holidays.on(day) else self.week[day.weekday()]

    def open(self, moment: datetime) -> bool:
        """Whether the clock that the moment shows stands in open hours."""
        minute = moment.hour * 60 + moment.minute
        return any(begin <= minute < end for begin, end in self.spans(moment.date()))


def own(quiet: Quiet) -> Hours:
    """The open hours that a tenant's own quiet hours leave."""
    every: Spans = ((0, DAY),)
    if quiet.between is not None:
        begin, end = (one.hour * 60 + one.minute for one in quiet.between)
        every = ((end, begin),) if end < begin else tuple(span for span in ((0, begin), (end, DAY)) if span[0] < span[1])
    return Hours("own quiet hours", tuple(() if day in quiet.days else every for day in range(7)))


def opens(hours: tuple[Hours, ...], whereabouts: Whereabouts, now: datetime, at_night: bool) -> datetime | None:
    """None where it may leave now, else the first moment, in UTC, at which it may by all `hours` in every zone.

    `at_night`: the recipient said yes to the hours in which law wants a yes of its own. Where there is no such moment within `AHEAD`, the end of it.
    """
    moment = now
    while (closing := _closing(hours, whereabouts, moment, at_night)) is not None:
        moment = _opening(*closing, moment)
        if moment > now + AHEAD:
            return (now + AHEAD).astimezone(UTC)
    return None if moment is now else moment


def closed_by(hours: tuple[Hours, ...], whereabouts: Whereabouts, now: datetime, at_night: bool) -> str | None:
    """Whose rule keeps it now; None where it may leave."""
    closing = _closing(hours, whereabouts, now, at_night)
    return None if closing is None else closing[0].name


def _closing(hours: tuple[Hours, ...], whereabouts: Whereabouts, moment: datetime, at_night: bool) -> tuple[Hours, ZoneInfo] | None:
    """The first hours and zone that are closed then."""
    for zone in whereabouts.zones if hours else ():
        shown = moment.astimezone(zone)
        for one in hours:
            if not (at_night and one.consent) and not one.open(shown):
                return one, zone
    return None


def _opening(hours: Hours, zone: ZoneInfo, after: datetime) -> datetime:
    """The first moment after this one that is open by these hours in this zone; past `AHEAD` where there is none."""
    first = after.astimezone(zone).date()
    for ahead in range(AHEAD.days + 2):
        for moment in _beginnings(hours, zone, first + timedelta(days=ahead)):
            if moment > after and hours.open(moment.astimezone(zone)):
                return moment
    return after + 2 * AHEAD


def _beginnings(hours: Hours, zone: ZoneInfo, day: date) -> list[datetime]:
    """Moments of the day at which closed hours can become open, in order: when a clock shows the beginning of a span (twice where it goes back),
    and when clocks change."""
    shown = [datetime.combine(day, time(begin // 60, begin % 60), zone) for begin, _ in hours.spans(day)]
    found = {one.replace(fold=fold).astimezone(UTC) for one in shown for fold in (0, 1)}
    return sorted(found.union(_change(zone, day)))


@lru_cache(maxsize=10_000)
def _change(zone: ZoneInfo, day: date) -> tuple[datetime, ...]:
    """The moment after this day's midnight, up to the next, from which the zone's clocks show another time; none on most days."""
    before, after = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    offset = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == offset:
        return ()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == offset else (before, middle)
    return (after,)


@lru_cache(maxsize=100)
def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, after Meeus, Jones and Butcher."""
    century, place = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    sunday = (32 + 2 * (century % 4) + 2 * (place // 4) - moon - place % 4) % 7
    rest = moon + sunday - 7 * ((year % 19 + 11 * moon + 22 * sunday) // 451) + 114
    return date(year, rest // 31, rest % 31 + 1)


def spans(texts: tuple[tuple[str, str], ...]) -> Iterator[tuple[int, int]]:
    """Times of day as minutes; `24:00` is the end of the day. Raises `ValueError` for a span that ends before it begins."""
    for begin, end in sorted(texts):
        minutes = tuple(int(one[:2]) * 60 + int(one[3:]) for one in (begin, end))
        if not minutes[0] < minutes[1] <= DAY:
            raise ValueError(f"open hours end after they begin, within a day; not {begin} to {end}")
        yield minutes[0], minutes[1]

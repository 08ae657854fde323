"""When a flow begins that begins at a date of the profile. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from parley_router.flow import Dated


def next_time(entry: Dated, value: str | None, local: datetime) -> datetime | None:
    """The next moment after `local` (in the contact's zone) at which it begins, in UTC; None when the date is none, or has passed for good."""
    day = _date(value)
    if day is None:
        return None
    for year in (local.year - 1, local.year, local.year + 1, local.year + 2) if entry.yearly else (day.year,):
        moment = datetime.combine(_in_year(day, year) + timedelta(days=entry.days), entry.at, tzinfo=local.tzinfo)
        if moment > local:
            return moment.astimezone(UTC)
    return None


def _date(value: str | None) -> date | None:
    try:
        return date.fromisoformat((value or "").strip()[:10])
    except ValueError:
        return None


def _in_year(day: date, year: int) -> date:
    """The same day of another year; the 29th of February is the 28th where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)

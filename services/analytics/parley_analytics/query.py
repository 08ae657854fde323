"""What `GET /v1/rates` is asked: parameters to a query, or a sentence that says what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DIMENSIONS = ("campaign", "channel", "variant", "purpose")
BY = ("campaign", "channel", "variant")
SPAN = timedelta(days=30)
"""How far back a query goes that does not say."""
PERIOD = timedelta(minutes=15)
YEARS = range(2000, 2101)


class Unclear(ValueError):
    """A parameter that cannot be used; the sentence is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Query:
    """Rates by some dimensions, over what was sent from `since` until just before `until`."""

    group_by: tuple[str, ...]
    since: datetime
    until: datetime


def read(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Query:
    """The query in the parameters of a request. Raises `Unclear`."""
    if unknown := sorted(parameters.keys() - {"group_by", "from", "to"}):
        raise Unclear(f"There is no parameter `{unknown[0][:50]}`; known: group_by, from, to.")
    until = _moment("to", parameters["to"], zone) if "to" in parameters else _ceiling(now)
    since = _moment("from", parameters["from"], zone) if "from" in parameters else until - SPAN
    if since >= until:
        raise Unclear(f"`from` ({since.isoformat()}) must be before `to` ({until.isoformat()}); `to` itself is not counted.")
    return Query(_dimensions(parameters.get("group_by", ",".join(BY))), since, until)


def _dimensions(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in DIMENSIONS:
            raise Unclear(f"`group_by` cannot be by {name[:50]!r}; known: {', '.join(DIMENSIONS)}, separated by commas.")
    return names


def _moment(name: str, text: str, zone: ZoneInfo) -> datetime:
    """A date or a date and time in ISO 8601; without an offset it is in the tenant's time zone. Counters end on quarters of an hour."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        hint = " (write the `+` of an offset as %2B in an address)" if " " in text else ""
        raise Unclear(f"`{name}` must be a date or time in ISO 8601, such as 2026-11-24 or 2026-11-24T09:30, not {text[:50]!r}{hint}.") from None
    if told.year not in YEARS:
        raise Unclear(f"`{name}` must lie between the years {YEARS[0]} and {YEARS[-1]}, not {text[:50]!r}.")
    moment = (told if told.tzinfo else told.replace(tzinfo=zone)).astimezone(UTC)
    if _floor(moment) != moment:
        raise Unclear(f"`{name}` must be on a quarter of an hour, such as 09:15, not {text[:50]!r}: counts are kept by quarters.")
    return moment


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def _ceiling(moment: datetime) -> datetime:
    """The end of the period in which `moment` is."""
    return _floor(moment.astimezone(UTC)) + PERIOD

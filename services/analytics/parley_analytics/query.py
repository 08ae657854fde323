"""What `GET /v1/rates` and the dashboards ask: parameters to a query, or a sentence that says what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from parley_analytics import places
from parley_analytics.places import Lost, Place
from parley_analytics.rates import COUNTS, RATES

GREENWICH = ZoneInfo("UTC")
DIMENSIONS = ("campaign", "channel", "variant", "purpose", "language", "flow", "step")
BY = ("campaign", "channel", "variant")
MOST = 3
"""Dimensions that a query is by."""
NONE = "none"
"""As `group_by`: all in one. As a filter: what has none, such as replies, which belong to no campaign."""
BUCKETS = ("hour", "day", "week", "month")
LONGEST = {"hour": timedelta(days=7), "day": timedelta(days=371), "week": timedelta(days=1830), "month": timedelta(days=3660)}
"""How far apart `from` and `to` may be: nobody reads more points."""
BROAD = ("channel", "purpose", "language")
"""The dimensions of few values: over longer times, rates are kept by them, and by campaign."""
SHORTER = LONGEST | {"hour": timedelta(days=2), "day": timedelta(days=62), "week": timedelta(days=100)}
"""The same by, or only of, anything else, where no campaign is named: more would have to be read than an answer may take."""
LINES = 1000
"""Lines of a page at most: groups times buckets."""
LEAST = {"hour": timedelta(hours=1), "day": timedelta(hours=23), "week": timedelta(days=6), "month": timedelta(days=28)}
"""How long a bucket is at least."""
SPAN = timedelta(days=30)
"""How far back a query goes that does not say."""
PERIOD = timedelta(minutes=15)
YEARS = range(2000, 2101)
PAGE, LARGEST = 100, 1000
"""Groups of a page, and of the largest one."""
TEXT = 200
"""Characters of a name or a part of one."""
PARAMETERS = ("group_by", "bucket", "from", "to", *DIMENSIONS, "search", "order", "limit", "after")


class Unclear(ValueError):
    """A parameter that cannot be used; the sentence is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Query:
    """Counts, rates and money by some dimensions, over what was sent from `since` until just before `until`, both in UTC on a quarter of an hour.

    `bucket`: each group also by hour, day, week (from Monday) or month, as they begin in `zone`; None: as one. `where`: only what has these values; '' is
    none. `search`: only campaigns with this in their names, whatever its case; `campaigns`: only what belongs to one. `order`: one of the dimensions, a
    count or a rate, with `-` before it the largest first. `limit`: groups of a page, each with all its buckets; `after`: the last group of the page before.
    """

    group_by: tuple[str, ...]
    since: datetime
    until: datetime
    zone: ZoneInfo = GREENWICH
    bucket: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    search: str = ""
    campaigns: bool = False
    order: str = "-sent"
    limit: int = PAGE
    after: Place | None = None

    @property
    def question(self) -> tuple[object, ...]:
        """What is the same for all pages."""
        return (self.group_by, self.bucket, self.where, self.search, self.campaigns, self.order, str(self.zone), self.since, self.until)

    def mark(self, place: Place) -> str:
        """The `after` of the page behind this place. It holds the moments too: without `to` the next page would be of other ones."""
        return places.mark(self.question, (self.since.isoformat(), self.until.isoformat()), place)


def read(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime, campaigns: bool = False) -> Query:
    """The query in the parameters of a request; `campaigns`: of campaigns alone. Raises `Unclear`."""
    known(parameters, PARAMETERS)
    after = parameters.get("after")
    if after is not None:
        parameters = {**between(after), **parameters}
    group_by, bucket = _dimensions(parameters.get("group_by", ",".join(BY))), _bucket(parameters.get("bucket"))
    longest = LONGEST if "campaign" in parameters or _broad(parameters, group_by) else SHORTER
    since, until = span(parameters, zone, now, longest[bucket or "month"])
    asked = Query(
        group_by, since, until, zone, bucket,
        where=tuple((name, "" if parameters[name] == NONE else text(parameters, name)) for name in DIMENSIONS if name in parameters),
        search=text(parameters, "search"),
        campaigns=campaigns,
        order=order(parameters.get("order", "-sent"), group_by),
        limit=limit(parameters, buckets(bucket, since, until)),
    )  # fmt: skip
    return asked if after is None else behind(asked, after)


def behind(asked: Query, after: str) -> Query:
    """The same question from a place on. Raises `Unclear` where the place is none of it."""
    try:
        place = places.read(asked.question, len(asked.group_by), after)
    except Lost as error:
        raise lost() from error
    if not _fits(place.value, asked.order.removeprefix("-"), asked.group_by):
        raise lost()
    return replace(asked, after=place)


def _fits(value: object, name: str, group_by: tuple[str, ...]) -> bool:
    """Whether rows that are ordered by this may have such a value."""
    if name in group_by:
        return isinstance(value, str)
    return value is None or isinstance(value, int | float) if name in RATES else isinstance(value, int) and abs(value) < 2**63


def between(after: str) -> dict[str, str]:
    """The moments that the pages of this place are of, as parameters. Raises `Unclear`."""
    try:
        return dict(zip(("from", "to"), places.between(after), strict=True))
    except Lost as error:
        raise lost() from error


def lost() -> Unclear:
    return Unclear("`after` must be what `next` of the page before said, with all other parameters as they were.")


def known(parameters: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Raises `Unclear` for a parameter that is none of these."""
    if unknown := sorted(parameters.keys() - set(names)):
        raise Unclear(f"There is no parameter `{unknown[0][:50]}`; known: {', '.join(names)}.")


def span(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime, longest: timedelta) -> tuple[datetime, datetime]:
    """From when until when, the last 30 days where nothing is said. Raises `Unclear`."""
    until = _moment("to", parameters["to"], zone) if "to" in parameters else _ceiling(now)
    since = _moment("from", parameters["from"], zone) if "from" in parameters else until - min(SPAN, longest)
    if since >= until:
        raise Unclear(f"`from` ({since.isoformat()}) must be before `to` ({until.isoformat()}); `to` itself is not counted.")
    if until - since > longest:
        raise Unclear(f"`from` and `to` may be {longest.days} days apart at most here: take a longer `bucket`, or a later `from`.")
    return since, until


def text(parameters: Mapping[str, str], name: str) -> str:
    """A parameter that is a name; '' where it is not there. Raises `Unclear`."""
    found = parameters.get(name, "")
    if len(found) > TEXT or "\0" in found or not found.isprintable():
        raise Unclear(f"`{name}` must be a text of at most {TEXT} characters, all of them printable.")
    return found


def order(given: str, group_by: tuple[str, ...]) -> str:
    """What rows are ordered by, `-` before it for the largest first. Raises `Unclear`."""
    if given.removeprefix("-") not in (*COUNTS, *RATES, *group_by):
        raise Unclear(
            f"`order` cannot be {given[:50]!r}: it is a count, a rate, or one of `group_by`; `-` before it for the largest first, as in -sent."
        )
    return given


def limit(parameters: Mapping[str, str], lines: int = 1) -> int:
    """Groups of a page, of so many lines each. Raises `Unclear`."""
    most = max(1, min(LARGEST, LINES // lines))
    given = parameters.get("limit", str(min(PAGE, most)))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= most):
        raise Unclear(f"`limit` must be a number from 1 to {most}{' for so many buckets' if most < LARGEST else ''}, not {given[:50]!r}.")
    return int(given)


def buckets(bucket: str | None, since: datetime, until: datetime) -> int:
    """How many buckets there are at most."""
    return 1 if bucket is None else (until - since) // LEAST[bucket] + 2


def _broad(parameters: Mapping[str, str], group_by: tuple[str, ...]) -> bool:
    """Whether only dimensions of few values are asked about."""
    return {*group_by, *(name for name in (*DIMENSIONS, "search") if name in parameters)} <= set(BROAD)


def _dimensions(given: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",")))
    if names == (NONE,):
        return ()
    for name in names:
        if name not in DIMENSIONS:
            raise Unclear(f"`group_by` cannot be by {name[:50]!r}; known: {', '.join(DIMENSIONS)}, separated by commas, or {NONE}.")
    if len(names) > MOST:
        raise Unclear(f"`group_by` can be by {MOST} dimensions at most, not {len(names)}: take the rest as filters, such as channel=sms.")
    return names


def _bucket(given: str | None) -> str | None:
    if given is not None and given not in BUCKETS:
        raise Unclear(f"`bucket` cannot be {given[:50]!r}; known: {', '.join(BUCKETS)}.")
    return given


def _moment(name: str, given: str, zone: ZoneInfo) -> datetime:
    """A date or a date and time in ISO 8601; without an offset it is in the tenant's time zone. Counters end on quarters of an hour."""
    try:
        told = datetime.fromisoformat(given)
    except ValueError:
        hint = " (write the `+` of an offset as %2B in an address)" if " " in given else ""
        raise Unclear(f"`{name}` must be a date or time in ISO 8601, such as 2026-11-24 or 2026-11-24T09:30, not {given[:50]!r}{hint}.") from None
    if told.year not in YEARS:
        raise Unclear(f"`{name}` must lie between the years {YEARS[0]} and {YEARS[-1]}, not {given[:50]!r}.")
    moment = (told if told.tzinfo else told.replace(tzinfo=zone)).astimezone(UTC)
    if _floor(moment) != moment:
        raise Unclear(f"`{name}` must be on a quarter of an hour, such as 09:15, not {given[:50]!r}: counts are kept by quarters.")
    return moment


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def _ceiling(moment: datetime) -> datetime:
    """The end of the period in which `moment` is."""
    return _floor(moment.astimezone(UTC)) + PERIOD

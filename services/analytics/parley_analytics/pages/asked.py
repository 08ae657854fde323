"""What a page is asked for: the filters that stand in its address, and addresses with other filters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from parley_analytics.query import LONGEST

RANGES = MappingProxyType({"today": 1, "7d": 7, "30d": 30, "90d": 90, "365d": 365})
"""Days until today, today among them."""
USUAL = "30d"
FILTERS = ("channel", "purpose", "language")
"""Dimensions that every page with messages can be narrowed to."""
LONGEST_SPAN = timedelta(days=366 * 3)
AT_MOST = MappingProxyType({name: span + timedelta(hours=1) for name, span in LONGEST.items()})
"""How long a time may be for each bucket: as for the API, and an hour that the clock gives."""
LONGEST_TEXT = 200


class Unusable(ValueError):
    """A filter that cannot be used: which sentence (a key of the words) says so, and of what."""

    def __init__(self, sentence: str, given: str) -> None:
        super().__init__(sentence)
        self.sentence, self.given = sentence, given[:50]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked at: sent from `since` until just before `until`, in the tenant's days, narrowed to the values of `filters`."""

    since: datetime
    until: datetime
    bucket: str
    filters: Mapping[str, str]
    parameters: Mapping[str, str]
    """As they stand in the address."""

    @property
    def before(self) -> tuple[datetime, datetime]:
        """The same time once more, just before."""
        return self.since - (self.until - self.since), self.since

    def told(self, name: str, usual: str = "") -> str:
        return self.parameters.get(name, usual)

    def among(self, name: str, known: tuple[str, ...]) -> str:
        """The value of a parameter that has a few; the first where it says none. Raises `Unusable`."""
        found = self.parameters.get(name) or known[0]
        if found not in known:
            raise Unusable("unusable_choice", found)
        return found


def read(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Asked:
    """What an address asks. Raises `Unusable`."""
    told = {name: value.strip() for name, value in parameters.items() if value.strip()}
    if long := [value for value in told.values() if len(value) > LONGEST_TEXT or not value.isprintable()]:
        raise Unusable("unusable_text", long[0])
    here = now.astimezone(zone)
    since, until = _span(told, here)
    bucket = told.get("bucket") or _fitting(until - since)
    if bucket not in AT_MOST or until.astimezone(UTC) - since.astimezone(UTC) > AT_MOST[bucket]:
        raise Unusable("unusable_bucket", bucket)
    return Asked(since, until, bucket, {name: told[name] for name in FILTERS if name in told}, told)


def address(path: str, parameters: Mapping[str, str], **changed: str | None) -> str:
    """A page with some filters changed; None or an empty text takes one away. Another filter begins with the first page again."""
    merged = {name: value for name, value in ({**parameters, **changed}).items() if value}
    if "after" not in changed:
        merged.pop("after", None)
    return f"{path}?{urlencode(merged)}" if merged else path


def kept(parameters: Mapping[str, str]) -> dict[str, str]:
    """What goes along to another page: the time and the filters, not what was searched for there."""
    return {name: parameters[name] for name in ("range", "from", "through", *FILTERS) if name in parameters}


def _span(told: Mapping[str, str], here: datetime) -> tuple[datetime, datetime]:
    """Whole days of the tenant, the last one as far as it has come."""
    if "from" not in told and "through" not in told:
        name = told.get("range", USUAL)
        if name not in RANGES:
            raise Unusable("unusable_range", name)
        return _midnight(here.date() - timedelta(days=RANGES[name] - 1), here), _ceiling(here)
    through = _day(told["through"]) if "through" in told else here.date()
    begin = _day(told["from"]) if "from" in told else through - timedelta(days=RANGES[USUAL] - 1)
    if begin > through:
        raise Unusable("unusable_order", f"{begin} > {through}")
    since, until = (
        _midnight(begin, here),
        min(_midnight(through + timedelta(days=1), here), max(_ceiling(here), _midnight(begin, here) + timedelta(days=1))),
    )
    if until - since > LONGEST_SPAN:
        raise Unusable("unusable_span", f"{begin} – {through}")
    return since, until


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Unusable("unusable_day", text) from None
    if not 2000 <= found.year <= 2100:
        raise Unusable("unusable_day", text)
    return found


def _midnight(day: date, here: datetime) -> datetime:
    return datetime.combine(day, time(), here.tzinfo)


def _ceiling(here: datetime) -> datetime:
    """The end of the quarter of an hour that is running: counts are kept by quarters."""
    floor = here.replace(minute=here.minute // 15 * 15, second=0, microsecond=0)
    return floor + timedelta(minutes=15)


def _fitting(span: timedelta) -> str:
    """Ten to a hundred points are a picture."""
    if span <= timedelta(days=2):
        return "hour"
    return "day" if span <= timedelta(days=92) else "week" if span <= timedelta(days=370) else "month"

"""Where a recipient is, as far as profile, number and tenant tell: whose law counts, and by which clocks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parley.contracts import Channel

NUMBERS = frozenset({Channel.SMS, Channel.MMS, Channel.RCS, Channel.WHATSAPP, Channel.VOICE})
"""Channels whose addresses are phone numbers."""
SHORTEST = 12
"""Characters of a number, its + included, from which on the last four digits say nothing of the place: people who share the others share the answer."""
WEEKS = tuple(datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(weeks=week) for week in range(105))
"""Zones that show the same time in all these weeks are one."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A country (ISO 3166), the zones in which the recipient may be, and of a number of the North American plan its area: `+1305`."""

    country: str | None
    zones: tuple[ZoneInfo, ...]
    area: str | None = None


def of(address: str, channel: Channel, profile_zone: str | None, tenant_zone: ZoneInfo, country: str | None) -> Whereabouts:
    """Where who has this address is. The zone of the profile counts, else all in which the number may be, else the tenant's; the country of the
    number, else `country`."""
    number = address if channel in NUMBERS and address.startswith("+") else ""
    if len(number) >= SHORTEST:
        number = f"{number[:-4]}0000"
    return _of(number, profile_zone, tenant_zone, country)


@lru_cache(maxsize=100_000)
def _of(number: str, profile_zone: str | None, tenant_zone: ZoneInfo, country: str | None) -> Whereabouts:
    region, names, area = _told(number) if number else (None, (), None)
    own = _named(profile_zone) if profile_zone else None
    return Whereabouts(region or country, (own,) if own is not None else _zones(names) or (tenant_zone,), area)


def _told(number: str) -> tuple[str | None, tuple[str, ...], str | None]:
    """Country, names of zones and area that a number tells."""
    import phonenumbers  # both read tables, which is only worth it where there are numbers
    from phonenumbers import timezone

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None, (), None
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    area = number[:5] if parsed.country_code == 1 else None
    return region if len(region) == 2 and region.isalpha() and region != "ZZ" else None, timezone.time_zones_for_number(parsed), area


@lru_cache(maxsize=1000)
def _zones(names: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    """The zones of these names, one of each that show the same time."""
    found = [zone for one in names if (zone := _named(one)) is not None]
    return tuple({tuple(week.astimezone(zone).utcoffset() for week in WEEKS): zone for zone in reversed(found)}.values())[::-1]


@lru_cache(maxsize=1000)
def _named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None

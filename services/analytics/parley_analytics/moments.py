"""Times that a database can hold. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def representable(at: datetime) -> datetime:
    """The time in UTC; what lies beyond the first or the last year, as the least time of some systems does in their own zone, is its end."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if at.year == 1 else datetime.max.replace(tzinfo=UTC)

"""Reports as the API answers them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from parley_analytics.query import Query
from parley_analytics.rates import Rate
from parley_analytics.reasons import Reason, Unowed
from parley_analytics.reports import Line, Money, Report


def report(found: Report) -> dict[str, Any]:
    """A page of a report, with what was asked as it was understood."""
    return {
        **asked(found.query),
        "group_by": list(found.query.group_by),
        "bucket": found.query.bucket,
        "rows": [line(one) for one in found.lines],
        "totals": figures(found.totals),
        "next": found.next,
    }


def asked(query: Query) -> dict[str, Any]:
    """Which time an answer is about."""
    return {
        "from": query.since.astimezone(query.zone).isoformat(),
        "to": query.until.astimezone(query.zone).isoformat(),
        "timezone": str(query.zone),
    }


def line(one: Line) -> dict[str, Any]:
    """A line with its dimensions, null for none, and when its bucket begins, where there are buckets."""
    return {**one.names, **({"bucket": one.bucket.isoformat()} if one.bucket else {}), **figures(one)}


def figures(one: Line) -> dict[str, Any]:
    """Counts, rates and money of a line; a rate of nothing is null."""
    return {
        **one.counts,
        "rates": {name: rate(found) for name, found in one.rates.items()},
        "money": {currency: money(found, one.counts) for currency, found in sorted(one.money.items())},
    }


def rate(found: Rate | None) -> dict[str, float] | None:
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}


def money(found: Money, counts: Mapping[str, int]) -> dict[str, Any]:
    """Amounts as exact decimals in texts, and revenue over messages and people that were sent something."""
    return {
        "orders": found.orders,
        "revenue": amount(found.revenue),
        "cost": amount(found.cost),
        "revenue_per_message": over(found.revenue, counts["sent"]),
        "revenue_per_person": over(found.revenue, counts["people_sent"]),
    }


def amount(value: Decimal) -> str:
    """A decimal without an exponent and without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def over(value: Decimal, number: int) -> float | None:
    return round(float(value / number), 6) if number else None


def reason(one: Reason) -> dict[str, Any]:
    """A reason; null where none was told."""
    begin = {"bucket": one.bucket.isoformat()} if one.bucket else {}
    return {**one.names, **begin, "status": one.status, "reason": one.reason or None, "messages": one.messages}


def unowed(one: Unowed) -> dict[str, Any]:
    begin = {"bucket": one.bucket.isoformat()} if one.bucket else {}
    return {**begin, "goal": one.goal, "currency": one.currency or None, "happened": one.happened, "value": amount(one.value)}

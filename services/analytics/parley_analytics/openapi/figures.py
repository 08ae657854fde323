"""Rates, campaigns, what did not arrive, and what is owed to no message. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import in_path, reference
from parley_analytics.exports import MEDIA
from parley_analytics.openapi.words import (
    BUCKET,
    BUCKETED,
    COUNT,
    DECIMAL,
    MAYBE,
    NUMBER,
    PERHAPS_NUMBER,
    SPAN,
    STRING,
    TIME,
    WHEN,
    by_name,
    get,
    listing,
    only,
    perhaps,
    query,
    thing,
)  # fmt: skip
from parley_analytics.query import BROAD, BUCKETS, DIMENSIONS, LARGEST, LONGEST, MOST, NONE, PAGE, SHORTER, TEXT
from parley_analytics.rates import COUNTS, RATES, RAW

NAMES: dict[str, Any] = dict.fromkeys(DIMENSIONS, MAYBE)
EXAMPLE_RATE = {"value": 0.25, "low": 0.11, "high": 0.47}
EXAMPLE_MONEY = {"KRW": {"orders": 2, "revenue": "53000", "cost": "184.5", "revenue_per_message": 2650.0, "revenue_per_person": 2650.0}}
EXAMPLE_FIGURES = {
    **dict.fromkeys(COUNTS, 0), "sent": 20, "delivered": 20, "people_sent": 20, "people_delivered": 20, "clicked": 5, "people_clicked": 5, "segments": 20,
    "rates": {**dict.fromkeys((*RATES, *RAW)), "click": EXAMPLE_RATE}, "money": EXAMPLE_MONEY,
}  # fmt: skip
EXAMPLE_WHEN = {"from": "2026-11-01T00:00:00+09:00", "to": "2026-11-26T00:00:00+09:00", "timezone": "Asia/Seoul"}
EXAMPLE_REASON = {"status": "failed", "reason": "unreachable", "messages": 12}
AFTER = query("after", STRING, "What `next` of the page before said, with all other parameters as they were.")
LIMIT = query("limit", {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": PAGE}, "Groups of a page; fewer where each has many buckets.")
SEARCH = query("search", {"type": "string", "maxLength": TEXT}, "Only campaigns with this in their names, whatever its case.")
ORDER = query("order", {"enum": [sign + name for name in (*COUNTS, *RATES, *DIMENSIONS) for sign in ("", "-")], "default": "-sent"},
              "A count, a rate, or one of `group_by`; with `-` before it the largest first.")  # fmt: skip
BY = query(
    "group_by", {"type": "string", "default": "campaign,channel,variant"}, f"Up to {MOST} of {', '.join(DIMENSIONS)}, with commas; or `{NONE}`."
)
LESS = query("group_by", {"enum": [*BROAD, NONE], "default": NONE}, "By one of these as well.")


def paths() -> dict[str, Any]:
    """The questions about messages."""
    filters, less = [only(name) for name in DIMENSIONS], [only(name) for name in ("campaign", *BROAD)]
    exported = query("format", {"enum": ["json", *MEDIA]}, "CSV or Parquet instead of JSON; the header `Accept` says the same.")
    rates = get(
        "rates",
        f"Counts, rates with 95 % intervals, and money (scope `rates:read`). {spans()}",
        "Report",
        [BY, BUCKET, *SPAN, *filters, SEARCH, ORDER, LIMIT, AFTER, exported],
    )
    rates["responses"]["200"]["content"] |= {
        media: {"schema": STRING if name == "csv" else {"type": "string", "format": "binary"}} for name, media in MEDIA.items()
    }
    rates["responses"]["200"]["headers"] = {"Link": {"description": "Of a file: where its next page is.", "schema": STRING}}
    order = query(
        "order", {"enum": [sign + name for name in (*COUNTS, *RATES, "campaign") for sign in ("", "-")], "default": "-sent"}, ORDER["description"]
    )
    return {
        "/v1/rates": {"get": rates},
        "/v1/campaigns": {"get": get("campaigns", "Campaigns with their figures (scope `rates:read`).", "Campaigns", [*SPAN, SEARCH, order, LIMIT, AFTER])},
        "/v1/campaigns/{campaign}": {
            "parameters": [in_path("campaign", "The campaign's name.")],
            "get": get("campaign", "All that is known of a campaign, of its whole life where no times are given (scope `rates:read`).", "Campaign", [BUCKET, *SPAN], 404),
        },
        "/v1/deliverability": {
            "get": get("deliverability", "What did not arrive or is held, and why (scope `rates:read`).", "Lost", [LESS, BUCKET, *SPAN, *less])
        },
        "/v1/unattributed": {"get": get("unattributed", "Conversions that are owed to no message (scope `rates:read`).", "Unowed", [BUCKET, *SPAN])},
    }  # fmt: skip


def spans() -> str:
    """How long times may be, in a sentence."""
    told = ", ".join(f"{LONGEST[name].days} days by {name}" for name in BUCKETS)
    less = ", ".join(f"{SHORTER[name].days} by {name}" for name in BUCKETS if SHORTER[name] != LONGEST[name])
    return f"`from` and `to` may be apart: {told}; without a campaign's name, and by other dimensions than {', '.join(BROAD)}, {less}."


def schemas() -> dict[str, Any]:
    """What is answered."""
    figures = figures_of()
    line = thing(None, list(figures), **NAMES, bucket=TIME, **figures)
    reason = thing({**EXAMPLE_REASON, "channel": "sms"}, ["status", "reason", "messages"], bucket=TIME, status=STRING, reason=MAYBE, messages=COUNT,
                   **dict.fromkeys(BROAD, MAYBE))  # fmt: skip
    unowed = thing(None, ["goal", "currency", "happened", "value"], bucket=TIME, goal=STRING, currency=MAYBE, happened=COUNT, value=DECIMAL)
    lines = listing(reference("Line"))
    page = {"rows": lines, "totals": reference("Figures"), "next": {**MAYBE, "description": "The `after` of the next page; null: this is the last."}}
    asked = {"group_by": listing(STRING), "bucket": BUCKETED}
    example_page = {"rows": [{"campaign": "spring", **EXAMPLE_FIGURES}], "totals": EXAMPLE_FIGURES, "next": None}
    parts = {"over_time": lines, "channels": lines, "variants": lines, "steps": lines, "reasons": listing(reference("Reason"))}
    return {
        "Rate": thing(EXAMPLE_RATE, value=NUMBER, low=NUMBER, high=NUMBER),
        "Money": thing(EXAMPLE_MONEY["KRW"], orders=COUNT, revenue=DECIMAL, cost=DECIMAL, revenue_per_message=PERHAPS_NUMBER, revenue_per_person=PERHAPS_NUMBER),
        "Figures": thing(EXAMPLE_FIGURES, **figures),
        "Line": {**line, "examples": [{"campaign": "spring", "channel": "sms", **EXAMPLE_FIGURES}]},
        "Reason": reason,
        "Report": thing({**EXAMPLE_WHEN, "group_by": ["campaign"], "bucket": None, **example_page}, **WHEN, **asked, **page),
        "Campaigns": thing({**EXAMPLE_WHEN, **example_page}, **WHEN, **page),
        "Campaign": thing(
            {"campaign": "spring", **EXAMPLE_WHEN, "bucket": "day", "totals": EXAMPLE_FIGURES, **{name: [] for name in parts}},
            campaign=STRING, **WHEN, bucket={"enum": list(BUCKETS)}, totals=reference("Figures"), **parts,
        ),
        "Lost": thing({**EXAMPLE_WHEN, "group_by": [], "bucket": None, "rows": [EXAMPLE_REASON], "totals": EXAMPLE_FIGURES},
                      **WHEN, **asked, rows=listing(reference("Reason")), totals=reference("Figures")),
        "Unowed": thing({**EXAMPLE_WHEN, "bucket": None, "rows": [{"goal": "order.placed", "currency": "KRW", "happened": 3, "value": "81000"}]},
                        **WHEN, bucket=BUCKETED, rows=listing(unowed)),
    }  # fmt: skip


def figures_of() -> dict[str, Any]:
    """Counts, rates and money."""
    rates = {name: perhaps(reference("Rate")) for name in (*RATES, *RAW)}
    return {**dict.fromkeys(COUNTS, COUNT), "rates": thing(None, **rates), "money": by_name(reference("Money"), "By currency; \"\": none was told.")}  # fmt: skip

"""Conversations and experiments. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import in_path, reference
from parley_analytics.experiments_query import MANY, METRICS, PEOPLE, REVENUE
from parley_analytics.openapi.words import (
    BUCKET,
    BUCKETED,
    COUNT,
    FLAG,
    MAYBE,
    NUMBER,
    PERHAPS_COUNT,
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
from parley_analytics.talks import DIMENSIONS
from parley_analytics.talks_kpis import COUNTS, RATES, TIMES

POSITIVE = {"type": "number", "exclusiveMinimum": 0}
DIFFERENCE = {"variant": STRING, "against": STRING, "difference": PERHAPS_NUMBER, "low": PERHAPS_NUMBER, "high": PERHAPS_NUMBER}


def paths() -> dict[str, Any]:
    """The questions about conversations and experiments."""
    by = query("group_by", {"enum": list(DIMENSIONS)}, "By one of these.")
    asked = [
        query("metric", {"enum": [*METRICS, REVENUE], "default": "conversion"}, "What variants are compared by."),
        query("currency", STRING, "Of which revenue, where there is more than one."),
        query("difference", POSITIVE, "The smallest difference that matters: one point of shares where it is not there; of revenue it must be."),
        query("weights", STRING, "The shares of the variants, such as A:2,B:1; those that people were drawn by where it is not there."),
        query("control", STRING, "The variant that others are set against."),
        query("holdout", STRING, "The variant that gets nothing."),
        query("split", STRING, "Which split of the campaign, where it has several."),
        query("people", {"enum": list(PEOPLE)}, "People as they were drawn, or as they were sent something."),
    ]
    planned = [
        query("rate", {**POSITIVE, "maximum": 0.999999}, "About which share of the people does it.", required=True),
        query("difference", {**POSITIVE, "maximum": 0.5, "default": 0.01}, "The smallest difference to be found."),
        query("variants", {"type": "integer", "minimum": 2, "maximum": MANY, "default": 2}, "How many variants."),
        query("per_day", {**POSITIVE, "maximum": 1e9}, "How many people come a day."),
    ]
    summary = "How much the bot does alone, how long customers wait, how content they are (scope `rates:read`)."
    return {
        "/v1/conversations/summary": {"get": get("conversations", summary, "Conversations", [by, BUCKET, *SPAN, *(only(one) for one in DIMENSIONS)])},
        "/v1/experiments": {"get": get("plan", "How many people and days an experiment will need (scope `rates:read`).", "Plan", planned)},
        "/v1/experiments/{campaign}": {
            "parameters": [in_path("campaign", "The campaign whose variants are compared.")],
            "get": get("experiment", "Variants, their differences, and what to make of them (scope `rates:read`).", "Experiment", asked, 404),
        },
    }


def schemas() -> dict[str, Any]:
    """What is answered."""
    kpis = kpis_of()
    asked = {**WHEN, "group_by": MAYBE, "bucket": BUCKETED}
    line = thing(None, list(kpis), bucket=TIME, **dict.fromkeys(DIMENSIONS, MAYBE), **kpis)
    return {
        "Conversations": thing(None, **asked, rows=listing(line), totals=thing(None, **kpis), truncated=FLAG),
        "Plan": thing(
            {"people": 8000, "people_per_variant": 4000, "days": 8, "power": 0.8, "alpha": 0.05},
            people=COUNT, people_per_variant=COUNT, days=PERHAPS_COUNT, power=NUMBER, alpha=NUMBER,
        ),
        "Variant": thing(
            {"variant": "a", "people": 1000, "converted": 40, "rate": {"value": 0.04, "low": 0.03, "high": 0.05}}, ["variant", "people"],
            variant=STRING, people=COUNT, **dict.fromkeys(METRICS.values(), COUNT), rate=perhaps(reference("Rate")),
            revenue=NUMBER, mean=perhaps(reference("Rate")),
        ),
        "Experiment": experiment(),
    }  # fmt: skip


def kpis_of() -> dict[str, Any]:
    """The figures of conversations."""
    return {
        **dict.fromkeys(COUNTS, COUNT),
        "rates": thing(None, **{name: perhaps(reference("Rate")) for name in RATES}),
        "seconds": thing(None, **{name: perhaps(thing(None, median=NUMBER, p90=NUMBER)) for name in TIMES}),
        "rating": perhaps(thing(None, people=COUNT, mean=NUMBER)),
    }


def experiment() -> dict[str, Any]:
    """A campaign's variants, read."""
    split = thing(None, expected=by_name(NUMBER, "The shares that the variants should have."), assumed=FLAG, p_value=NUMBER, trusted=FLAG)
    lift = thing(None, **DIFFERENCE, incremental=thing(None, difference=PERHAPS_NUMBER, low=PERHAPS_NUMBER, high=PERHAPS_NUMBER))
    verdict = thing(
        None, kind={"enum": ["untrusted", "alone", "better", "alike", "early"]}, safe_to_stop=FLAG, winner=MAYBE, beaten=listing(STRING),
        people_missing=PERHAPS_COUNT, days=PERHAPS_COUNT, en=STRING, ko=STRING,
    )  # fmt: skip
    known = {
        "campaign": STRING,
        "metric": STRING,
        "currency": MAYBE,
        "counted": {"enum": list(PEOPLE)},
        "split_name": MAYBE,
        "earlier": COUNT,
        "holdout": MAYBE,
    }
    return thing(
        None, **known, variants=listing(reference("Variant")), alpha=NUMBER, difference=NUMBER, comparisons=listing(thing(None, **DIFFERENCE)),
        lift=perhaps(lift), split=split, verdict=verdict, people_per_day=NUMBER,
    )  # fmt: skip

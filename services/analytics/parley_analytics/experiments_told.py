"""A reading of an experiment as it is answered: in figures and in words. Pure."""

from __future__ import annotations

from datetime import datetime
from math import sqrt
from typing import Any

from parley_analytics.experiments import Arm, Pair, Reading, Verdict, read
from parley_analytics.experiments_query import METRICS, Asked
from parley_analytics.rates import Z95, wilson
from parley_analytics.samples import UNNAMED, Sample
from parley_analytics.sequences import ALPHA, Moments
from parley_analytics.verdicts import english, korean


def told(sample: Sample, asked: Asked, now: datetime) -> dict[str, Any]:
    """What these people say. Raises `Unfit` or `Unclear`."""
    design, currency = sample.design(asked), sample.currency(asked)
    arms, daily = sample.arms(asked), sample.per_day(now)
    found = read(arms, design, daily)
    return {
        "metric": asked.metric,
        "currency": None if currency is None else currency or UNNAMED,
        "counted": sample.counted,
        "split_name": sample.experiment,
        "earlier": sample.earlier,
        "holdout": design.holdout,
        "variants": [variant(one, asked, currency) for one in arms],
        "alpha": ALPHA,
        "difference": asked.smallest,
        "comparisons": [compared(one) for one in found.pairs],
        "lift": lifted(found, arms, design.holdout),
        "split": {
            "expected": found.split.expected,
            "assumed": design.weights is None,
            "p_value": found.split.p_value,
            "trusted": found.split.trusted,
        },
        "verdict": worded(found.verdict, asked.smallest, currency),
        "people_per_day": round(daily, 1),
    }


def variant(arm: Arm, asked: Asked, currency: str | None) -> dict[str, Any]:
    """A variant by itself; the interval of its rate or mean is one for one look."""
    figure = arm.figure
    if currency is not None:
        return {"variant": arm.name, "people": figure.people, "revenue": figure.total, "mean": mean(figure)}
    hits = int(figure.total)
    rate = wilson(hits, figure.people)
    return {"variant": arm.name, "people": figure.people, METRICS[asked.metric]: hits, "rate": rate and rate._asdict()}


def mean(figure: Moments) -> dict[str, float] | None:
    """Money per person; None of nobody."""
    if not figure.people:
        return None
    reach = Z95 * sqrt(figure.variance / figure.people)
    return {"value": figure.mean, "low": figure.mean - reach, "high": figure.mean + reach}


def lifted(found: Reading, arms: list[Arm], holdout: str | None) -> dict[str, Any] | None:
    """What messages add to no message, and how much more that is of all who may get some: null as long as it is too early for an interval."""
    if found.lift is None:
        return None
    people = sum(one.figure.people for one in arms if one.name != holdout)
    shown = compared(found.lift)
    more = {name: None if shown[name] is None else round(shown[name] * people, 1) for name in ("difference", "low", "high")}
    return {**shown, "incremental": more}


def worded(verdict: Verdict, smallest: float, currency: str | None) -> dict[str, Any]:
    """The verdict, in both languages."""
    money = None if currency is None else currency or UNNAMED
    return {
        "kind": verdict.kind,
        "safe_to_stop": verdict.stop,
        "winner": verdict.winner or None,
        "beaten": list(verdict.beaten),
        "people_missing": verdict.people,
        "days": verdict.days,
        "en": english(verdict, smallest, money),
        "ko": korean(verdict, smallest, money),
    }


def compared(pair: Pair) -> dict[str, Any]:
    """A difference and its interval; null as long as it is too early for one."""
    found = pair.interval
    ends = {"difference": None, "low": None, "high": None} if found is None else found._asdict()
    return {"variant": pair.ours, "against": pair.theirs, **ends}

"""What is asked of an experiment: parameters of a request to a design, or a sentence that says what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from parley_analytics.experiments import plan
from parley_analytics.power import POWER, days
from parley_analytics.query import Unclear
from parley_analytics.sequences import ALPHA

METRICS = {"conversion": "converted", "click": "clicked", "open": "opened", "reply": "replied"}
"""The shares by which variants can be compared, and what is counted for each: people of whom it is so."""
REVENUE = "revenue"
"""The other figure: what a person spent, of whom most spend nothing."""
PARAMETERS = ("metric", "currency", "difference", "weights", "control", "holdout", "split", "people")
PLANNED = ("rate", "difference", "variants", "per_day")
PEOPLE = ("drawn", "sent")
SMALLEST = 0.01
"""The smallest difference of shares that matters where nobody says: one point."""
MANY = 10
"""Variants of an experiment at most, as in a flow's split."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a campaign. None is what the campaign itself tells: its only split, the weights by which people were drawn, and who was left alone."""

    metric: str = "conversion"
    smallest: float = SMALLEST
    currency: str | None = None
    weights: Mapping[str, float] | None = None
    control: str | None = None
    holdout: str | None = None
    split: str | None = None
    people: str | None = None


def understood(parameters: Mapping[str, str]) -> Asked:
    """What the parameters of a request ask. Raises `Unclear`."""
    _known(parameters, PARAMETERS)
    metric = parameters.get("metric", "conversion")
    if metric not in (*METRICS, REVENUE):
        raise Unclear(f"`metric` cannot be {metric[:50]!r}; known: {', '.join((*METRICS, REVENUE))}.")
    people = parameters.get("people")
    if people not in (None, *PEOPLE):
        raise Unclear(f"`people` cannot be {people[:50]!r}; known: {', '.join(PEOPLE)}.")
    if "currency" in parameters and metric != REVENUE:
        raise Unclear(f"`currency` means something for `metric=revenue` alone; here it is {metric}.")
    weights = _weights(parameters["weights"]) if "weights" in parameters else None
    return Asked(
        metric, _smallest(parameters, metric), parameters.get("currency"), weights,
        parameters.get("control"), parameters.get("holdout"), parameters.get("split"), people,
    )  # fmt: skip


def _smallest(parameters: Mapping[str, str], metric: str) -> float:
    """The smallest difference that matters. Of money nobody knows it but who asks."""
    if "difference" in parameters:
        return number("difference", parameters["difference"], 1e12 if metric == REVENUE else 1.0)
    if metric == REVENUE:
        raise Unclear("`difference` is missing: which difference of revenue per person matters to you, in its currency?")
    return SMALLEST


def foreseen(parameters: Mapping[str, str]) -> dict[str, Any]:
    """People and days for the rate, the difference, the variants and the people a day in the parameters. Raises `Unclear`."""
    _known(parameters, PLANNED)
    if "rate" not in parameters:
        raise Unclear("`rate` is missing: about which share of the people will do it, such as 0.04?")
    rate = number("rate", parameters["rate"], 0.999999)
    smallest = number("difference", parameters.get("difference", str(SMALLEST)), 0.5)
    if parameters.get("variants", "2") not in map(str, range(2, MANY + 1)):
        raise Unclear(f"`variants` must be a whole number from 2 to {MANY}, not {parameters['variants'][:50]!r}.")
    variants = int(parameters.get("variants", "2"))
    daily = number("per_day", parameters["per_day"], 1e9) if "per_day" in parameters else 0.0
    people = plan(rate, smallest, variants)
    return {"people": people, "people_per_variant": -(-people // variants), "days": days(people, daily), "power": POWER, "alpha": ALPHA}


def _known(parameters: Mapping[str, str], names: Sequence[str]) -> None:
    if unknown := sorted(parameters.keys() - set(names)):
        raise Unclear(f"There is no parameter `{unknown[0][:50]}`; known: {', '.join(names)}.")


def _weights(text: str) -> dict[str, float]:
    """`A:2,B:1` as weights."""
    parts = [one.strip().rpartition(":") for one in text.split(",")]
    weights = {name: number("weights", weight, 1000.0) for name, _, weight in parts}
    if "" in weights or not 2 <= len(weights) == len(parts) <= MANY:
        raise Unclear(f"`weights` must name two to {MANY} variants, each once, such as A:2,B:1, not {text[:50]!r}.")
    return weights


def number(name: str, text: str, most: float) -> float:
    """A parameter that is a number above nothing. Raises `Unclear`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (isfinite(value) and 1e-6 <= value <= most):
        raise Unclear(f"`{name}` must be a number from 0.000001 to {most:g}, not {text[:50]!r}.")
    return value

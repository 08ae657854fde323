"""`GET /v1/experiments/{campaign}`: the variants of a campaign, their differences with intervals that hold at every look, and what to make of them.

`GET /v1/experiments` tells before an experiment begins how many people and days it will need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.database import Pool
from parley.problem import Problem, authorise
from parley.service import Context
from parley_analytics.experiments import Arm, Design, Pair, Reading, Unfit, plan, read
from parley_analytics.power import POWER, days
from parley_analytics.query import Unclear
from parley_analytics.rates import wilson
from parley_analytics.sequences import ALPHA, Moments, share
from parley_analytics.verdicts import english, korean

METRICS = {"conversion": "converted", "click": "clicked", "open": "opened"}
"""The figures by which variants can be compared, and what is counted for each: people of whom it is so of at least one message."""
PARAMETERS = ("metric", "difference", "weights", "control", "holdout")
PLANNED = ("rate", "difference", "variants", "per_day")
SMALLEST = 0.01
"""The smallest difference that matters where nobody says: one point."""
LATELY = timedelta(days=7)
"""From which the traffic is told."""
MANY = 10
"""Variants of an experiment at most, as in a flow's split."""

COUNTED = """
SELECT variant, count(DISTINCT cell_id) AS cells, sum(people_sent)::bigint AS people, sum(people_opened)::bigint AS opened,
    sum(people_clicked)::bigint AS clicked, sum(people_converted)::bigint AS converted,
    COALESCE(sum(people_sent) FILTER (WHERE period >= $3), 0)::bigint AS lately, min(period) AS since
FROM counters JOIN cells USING (cell_id)
WHERE tenant = $1 AND campaign = $2 AND variant <> '' AND people_sent > 0
GROUP BY variant ORDER BY variant LIMIT 11
"""
"""The variants of a campaign from the counters, which count a person once for each channel and purpose."""
ONE_BY_ONE = """
SELECT variant, 1 AS cells, count(*) AS people, sum(opened) AS opened, sum(clicked) AS clicked, sum(converted) AS converted,
    count(*) FILTER (WHERE since >= $3) AS lately, min(since) AS since
FROM (
    SELECT variant, contact_id, max(opened) AS opened, max(clicked) AS clicked, max((orders > 0)::integer) AS converted, min(first_sent_at) AS since
    FROM people JOIN cells USING (cell_id)
    WHERE tenant = $1 AND campaign = $2 AND variant <> '' GROUP BY variant, contact_id
) AS each
GROUP BY variant ORDER BY variant LIMIT 11
"""
"""The same from people, for a variant that speaks over several channels or for several purposes: twice the same person would look like two that agree."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a campaign."""

    metric: str
    design: Design


def routes(context: Context) -> list[BaseRoute]:
    """The routes of experiments."""

    async def get_experiment(request: Request) -> Response:
        return await answer(request, context)

    async def get_plan(request: Request) -> Response:
        return planned(request, context)

    return [
        Route("/v1/experiments", get_plan, methods=["GET"]),
        Route("/v1/experiments/{campaign}", get_experiment, methods=["GET"]),
    ]


def planned(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`. 400 says which parameter is wrong, and why."""
    authorise(request, context.config, "rates:read")
    try:
        body = foreseen(request.query_params)
    except Unclear as error:
        raise Problem(400, str(error)) from error
    return Response(orjson.dumps(body), media_type="application/json")


def foreseen(parameters: Mapping[str, str]) -> dict[str, Any]:
    """People and days for the rate, the difference, the variants and the people a day in the parameters. Raises `Unclear`."""
    _known(parameters, PLANNED)
    if "rate" not in parameters:
        raise Unclear("`rate` is missing: about which share of the people will do it, such as 0.04?")
    rate = _number("rate", parameters["rate"], 0.999999)
    smallest = _number("difference", parameters.get("difference", str(SMALLEST)), 0.5)
    if parameters.get("variants", "2") not in map(str, range(2, MANY + 1)):
        raise Unclear(f"`variants` must be a whole number from 2 to {MANY}, not {parameters['variants'][:50]!r}.")
    variants = int(parameters.get("variants", "2"))
    daily = _number("per_day", parameters["per_day"], 1e9) if "per_day" in parameters else 0.0
    people = plan(rate, smallest, variants)
    return {"people": people, "people_per_variant": -(-people // variants), "days": days(people, daily), "power": POWER, "alpha": ALPHA}


async def answer(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`; its tenant is the one that is answered for. 400 says which parameter is wrong, 404 that there are no variants."""
    key = authorise(request, context.config, "rates:read")
    campaign, now = request.path_params["campaign"], context.clock()
    try:
        asked = understood(request.query_params)
        rows = await counted(context.pool, key.tenant, campaign, now)
        if not rows:
            raise Problem(404, f"Campaign {campaign[:100]!r} has no variant that was sent to anybody yet.")
        found = read(arms(rows, asked), asked.design, per_day(rows, now))
    except (Unclear, Unfit) as error:
        raise Problem(400, str(error)) from error
    body = {
        "campaign": campaign,
        "metric": asked.metric,
        "variants": [variant(row, asked) for row in rows],
        **told(found, asked, lifted(found, rows, asked)),
    }
    return Response(orjson.dumps(body | {"people_per_day": round(per_day(rows, now), 1)}), media_type="application/json")


async def counted(pool: Pool, tenant: str, campaign: str, now: datetime) -> Sequence[Mapping[str, Any]]:
    """A row a variant: from the counters where that is exact, else person by person."""
    rows = await pool.fetch(COUNTED, tenant, campaign, now - LATELY)
    if any(row["cells"] > 1 for row in rows):
        rows = await pool.fetch(ONE_BY_ONE, tenant, campaign, now - LATELY)
    if len(rows) > MANY:
        raise Problem(400, f"Campaign {campaign[:100]!r} has more than {MANY} variants; an experiment has at most so many.")
    return [dict(row) for row in rows]


def understood(parameters: Mapping[str, str]) -> Asked:
    """What the parameters of a request ask. Raises `Unclear`."""
    _known(parameters, PARAMETERS)
    metric = parameters.get("metric", "conversion")
    if metric not in METRICS:
        raise Unclear(f"`metric` cannot be {metric[:50]!r}; known: {', '.join(METRICS)}.")
    smallest = _number("difference", parameters["difference"], 1.0) if "difference" in parameters else SMALLEST
    weights = _weights(parameters["weights"]) if "weights" in parameters else None
    return Asked(metric, Design(smallest, weights, parameters.get("control"), parameters.get("holdout")))


def _known(parameters: Mapping[str, str], names: Sequence[str]) -> None:
    if unknown := sorted(parameters.keys() - set(names)):
        raise Unclear(f"There is no parameter `{unknown[0][:50]}`; known: {', '.join(names)}.")


def _weights(text: str) -> dict[str, float]:
    """`A:2,B:1` as weights."""
    parts = [one.strip().rpartition(":") for one in text.split(",")]
    weights = {name: _number("weights", weight, 1000.0) for name, _, weight in parts}
    if "" in weights or not 2 <= len(weights) == len(parts) <= MANY:
        raise Unclear(f"`weights` must name two to {MANY} variants, each once, such as A:2,B:1, not {text[:50]!r}.")
    return weights


def _number(name: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (isfinite(value) and 1e-6 <= value <= most):
        raise Unclear(f"`{name}` must be a number from 0.000001 to {most:g}, not {text[:50]!r}.")
    return value


def arms(rows: Sequence[Mapping[str, Any]], asked: Asked) -> list[Arm]:
    """The variants with the figure that is asked for."""
    return [Arm(row["variant"], figure(row, asked)) for row in rows]


def figure(row: Mapping[str, Any], asked: Asked) -> Moments:
    return share(row["people"], row[METRICS[asked.metric]])


def per_day(rows: Sequence[Mapping[str, Any]], now: datetime) -> float:
    """New people a day in the last seven, or since the campaign began where that was later; of less than an hour nobody tells a day."""
    began: datetime = min(row["since"] for row in rows)
    span = max(min(now - began, LATELY), timedelta(hours=1))
    people: int = sum(row["lately"] for row in rows)
    return people / (span / timedelta(days=1))


def variant(row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """A variant by itself; the interval of its rate is Wilson's, for one look."""
    hits = row[METRICS[asked.metric]]
    rate = wilson(hits, row["people"])
    return {"variant": row["variant"], "people": row["people"], METRICS[asked.metric]: hits, "rate": rate and rate._asdict()}


def lifted(found: Reading, rows: Sequence[Mapping[str, Any]], asked: Asked) -> dict[str, Any] | None:
    """What messages add to no message, and how many more people did so than would have without: null as long as it is too early for an interval."""
    if found.lift is None:
        return None
    people = sum(row["people"] for row in rows if row["variant"] != asked.design.holdout)
    shown = compared(found.lift)
    more = {name: None if shown[name] is None else round(shown[name] * people, 1) for name in ("difference", "low", "high")}
    return {**shown, "incremental": more}


def told(found: Reading, asked: Asked, lift: dict[str, Any] | None) -> dict[str, Any]:
    """The reading as it is answered."""
    verdict, smallest = found.verdict, asked.design.smallest
    return {
        "alpha": ALPHA,
        "difference": smallest,
        "comparisons": [compared(one) for one in found.pairs],
        "lift": lift,
        "split": {
            "expected": found.split.expected,
            "assumed": asked.design.weights is None,
            "p_value": found.split.p_value,
            "trusted": found.split.trusted,
        },
        "verdict": {
            "kind": verdict.kind,
            "safe_to_stop": verdict.stop,
            "winner": verdict.winner or None,
            "beaten": list(verdict.beaten),
            "people_missing": verdict.people,
            "days": verdict.days,
            "en": english(verdict, smallest),
            "ko": korean(verdict, smallest),
        },
    }


def compared(pair: Pair) -> dict[str, Any]:
    """A difference and its interval; null as long as it is too early for one."""
    found = pair.interval
    ends = {"difference": None, "low": None, "high": None} if found is None else found._asdict()
    return {"variant": pair.ours, "against": pair.theirs, **ends}

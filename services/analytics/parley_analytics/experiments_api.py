"""`GET /v1/experiments/{campaign}`: the variants of a campaign, their differences with intervals that hold at every look, and what to make of them.

`GET /v1/experiments` tells before an experiment begins how many people and days it will need.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.database import Pool
from parley.problem import Problem, authorise
from parley.service import Context
from parley_analytics.experiments import Unfit
from parley_analytics.experiments_counts import sample
from parley_analytics.experiments_query import Asked, foreseen, understood
from parley_analytics.experiments_told import told
from parley_analytics.query import Unclear


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


async def answer(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`; its tenant is the one that is answered for. 400 says which parameter is wrong, 404 that there are no variants."""
    key = authorise(request, context.config, "rates:read")
    campaign = request.path_params["campaign"]
    try:
        found = await experiment(context.pool, key.tenant, campaign, understood(request.query_params), context.clock())
    except (Unclear, Unfit) as error:
        raise Problem(400, str(error)) from error
    if found is None:
        raise Problem(404, f"Campaign {campaign[:100]!r} has no variant that anybody was given yet.")
    return Response(orjson.dumps(found), media_type="application/json")


async def experiment(pool: Pool, tenant: str, campaign: str, asked: Asked, now: datetime) -> dict[str, Any] | None:
    """What a campaign's experiment says by now, as the API answers it; None where nobody was given a variant. Raises `Unclear` or `Unfit`."""
    people = await sample(pool, tenant, campaign, asked, now)
    return None if people is None else {"campaign": campaign, **told(people, asked, now)}

"""`GET /v1/rates`: counts, rates and money by any dimensions of a message, and over time, answered from the counters."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.problem import Problem, authorise
from parley.service import Context
from parley_analytics import query
from parley_analytics.query import Unclear
from parley_analytics.reports import Line, Report, report


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1`."""

    async def get_rates(request: Request) -> Response:
        return await answer(request, context)

    return [Route("/v1/rates", get_rates, methods=["GET"])]


async def answer(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`; its tenant is the one that is answered for. 400 says which parameter is wrong, and why."""
    key = authorise(request, context.config, "rates:read")
    tenant = context.config.tenants[key.tenant]
    try:
        asked = query.read(request.query_params, tenant.timezone, context.clock())
    except Unclear as error:
        raise Problem(400, str(error)) from error
    found = await report(context.pool, tenant.name, asked)
    return Response(orjson.dumps(told(found)), media_type="application/json")


def told(found: Report) -> dict[str, Any]:
    """A report as it is answered."""
    asked = found.query
    return {
        "from": asked.since.astimezone(asked.zone).isoformat(),
        "to": asked.until.astimezone(asked.zone).isoformat(),
        "timezone": str(asked.zone),
        "group_by": asked.group_by,
        "bucket": asked.bucket,
        "rows": [row(one) for one in found.lines],
        "totals": figures(found.totals),
        "next": found.next,
    }


def row(line: Line) -> dict[str, Any]:
    """A line with its dimensions, null for none, and when its bucket begins, where there are buckets."""
    return {**line.names, **({"bucket": line.bucket.isoformat()} if line.bucket else {}), **figures(line)}


def figures(line: Line) -> dict[str, Any]:
    """Counts, rates and money of a line; a rate of nothing is null."""
    return {**line.counts, "rates": {name: rate and rate._asdict() for name, rate in line.rates.items()}}

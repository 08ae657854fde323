"""`GET /v1/rates`: delivery, open, click and conversion rates by campaign, channel, variant and purpose, answered from the counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.problem import Problem, authorise
from parley.service import Context
from parley_analytics import query
from parley_analytics.query import Query, Unclear
from parley_analytics.rates import COUNTS, rates
from parley_analytics.stage import statement

ROWS = 1000
"""Rows of one answer at most, those with the most messages; the totals are of all."""


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1`."""
    template = statement("rates")

    async def get_rates(request: Request) -> Response:
        return await answer(request, context, template)

    return [Route("/v1/rates", get_rates, methods=["GET"])]


async def answer(request: Request, context: Context, template: str) -> Response:
    """Needs a key with the scope `rates:read`; its tenant is the one that is answered for. 400 says which parameter is wrong, and why."""
    key = authorise(request, context.config, "rates:read")
    tenant = context.config.tenants[key.tenant]
    try:
        asked = query.read(request.query_params, tenant.timezone, context.clock())
    except Unclear as error:
        raise Problem(400, str(error)) from error
    rows = await context.pool.fetch(selecting(template, asked.group_by), tenant.name, asked.since, asked.until, ROWS + 2)
    found = [dict(row) for row in rows]
    body = {
        "from": asked.since.astimezone(tenant.timezone).isoformat(),
        "to": asked.until.astimezone(tenant.timezone).isoformat(),
        "timezone": str(tenant.timezone),
        "group_by": asked.group_by,
        "rows": [{**named(asked, row), **figures(row)} for row in found[1 : ROWS + 1]],
        "totals": figures(found[0]),
        "truncated": len(found) > ROWS + 1,
    }
    return Response(orjson.dumps(body), media_type="application/json")


def selecting(template: str, dimensions: tuple[str, ...]) -> str:
    """The statement for these dimensions, which must be of `query.DIMENSIONS`: they become part of the SQL."""
    return template.format(dimensions=", ".join(dimensions), counts=summed())


def summed() -> str:
    return ", ".join(f"COALESCE(sum({name}), 0)::bigint AS {name}" for name in COUNTS)


def named(asked: Query, row: Mapping[str, Any]) -> dict[str, str | None]:
    """The dimensions of a row; none is null."""
    return {name: row[name] or None for name in asked.group_by}


def figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Counts and rates of a row; a rate of nothing is null."""
    return {
        **{name: row[name] for name in COUNTS},
        "rates": {name: rate and rate._asdict() for name, rate in rates(row).items()},
    }

"""`GET /v1/deliverability`: what did not arrive, and why; `GET /v1/unattributed`: conversions that are owed to no message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.problem import Problem
from parley.service import Context
from parley_analytics import query, told
from parley_analytics.answering import answered, whose
from parley_analytics.query import BROAD, NONE, Query, Unclear
from parley_analytics.reasons import reasons, unowed
from parley_analytics.reports import report

LOST = ("group_by", "bucket", "from", "to", "campaign", *BROAD)
OWED_TO_NONE = ("bucket", "from", "to")


def routes(context: Context) -> list[BaseRoute]:
    """Both routes."""

    async def get_deliverability(request: Request) -> Response:
        return await deliverability(request, context)

    async def get_unattributed(request: Request) -> Response:
        return await unattributed(request, context)

    return [Route("/v1/deliverability", get_deliverability, methods=["GET"]), Route("/v1/unattributed", get_unattributed, methods=["GET"])]


async def deliverability(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`. 400 says which parameter is wrong, and why."""
    tenant = whose(request, context)
    try:
        asked = lost(request.query_params, tenant.timezone, context.clock())
    except Unclear as error:
        raise Problem(400, str(error)) from error
    found = await reasons(context.pool, tenant.name, asked)
    totals = (await report(context.pool, tenant.name, replace(asked, group_by=(), bucket=None))).totals
    return answered(
        {
            **told.asked(asked), "group_by": list(asked.group_by), "bucket": asked.bucket,
            "rows": [told.reason(one) for one in found], "totals": told.figures(totals),
        }
    )  # fmt: skip


def lost(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Query:
    """What is asked of what did not arrive. Raises `Unclear`."""
    query.known(parameters, LOST)
    group_by = parameters.get("group_by", NONE)
    if group_by not in (*BROAD, NONE):
        raise Unclear(f"`group_by` cannot be {group_by[:50]!r}; known: {', '.join(BROAD)}, one of them, or {NONE}.")
    return query.read({**parameters, "group_by": group_by}, zone, now)


async def unattributed(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`. 400 says which parameter is wrong, and why."""
    tenant = whose(request, context)
    try:
        query.known(request.query_params, OWED_TO_NONE)
        asked = query.read({**request.query_params, "group_by": NONE}, tenant.timezone, context.clock())
    except Unclear as error:
        raise Problem(400, str(error)) from error
    rows = [told.unowed(one) for one in await unowed(context.pool, tenant.name, asked)]
    return answered({**told.asked(asked), "bucket": asked.bucket, "rows": rows})

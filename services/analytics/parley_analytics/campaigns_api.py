"""`GET /v1/campaigns`: campaigns with their figures, page by page; `GET /v1/campaigns/{campaign}`: all that is known of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.database import Pool
from parley.problem import Problem
from parley.service import Context
from parley_analytics import query, told
from parley_analytics.answering import answered, whose
from parley_analytics.query import LONGEST, PERIOD, Query, Unclear
from parley_analytics.reasons import reasons
from parley_analytics.reports import report

LISTED = ("from", "to", "search", "order", "limit", "after")
ONE = ("from", "to", "bucket")
VARIANTS = 100
"""Channels, variants and steps of a campaign that are told."""


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1/campaigns`."""

    async def get_campaigns(request: Request) -> Response:
        return await campaigns(request, context)

    async def get_campaign(request: Request) -> Response:
        return await campaign(request, context)

    return [Route("/v1/campaigns", get_campaigns, methods=["GET"]), Route("/v1/campaigns/{campaign}", get_campaign, methods=["GET"])]


async def campaigns(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`. 400 says which parameter is wrong, and why."""
    tenant = whose(request, context)
    try:
        asked = listed(request.query_params, tenant.timezone, context.clock())
    except Unclear as error:
        raise Problem(400, str(error)) from error
    found = told.report(await report(context.pool, tenant.name, asked))
    return answered({name: found[name] for name in ("from", "to", "timezone", "rows", "totals", "next")})


def listed(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Query:
    """What is asked of all campaigns. Raises `Unclear`."""
    query.known(parameters, LISTED)
    return query.read({**parameters, "group_by": "campaign"}, zone, now, campaigns=True)


async def campaign(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`. 400 says which parameter is wrong, 404 that nothing is known of such a campaign."""
    tenant, name = whose(request, context), request.path_params["campaign"]
    lived = await life(context.pool, tenant.name, name)
    if lived is None:
        raise Problem(404, f"Campaign {name[:100]!r} has sent nothing yet.")
    try:
        asked = read(request.query_params, tenant.timezone, name, lived)
    except Unclear as error:
        raise Problem(400, str(error)) from error
    return answered({"campaign": name, **told.asked(asked), "bucket": asked.bucket, **await parts(context.pool, tenant.name, asked)})


async def life(pool: Pool, tenant: str, name: str) -> tuple[datetime, datetime] | None:
    """From when until when a campaign's messages left; None where there were none."""
    if "\0" in name or not name:
        return None
    row = await pool.fetchrow(
        "SELECT min(first) AS first, max(last) AS last FROM cells, LATERAL (SELECT min(period) AS first, max(period) AS last FROM counters"
        " WHERE counters.cell_id = cells.cell_id) AS counted WHERE tenant = $1 AND campaign = $2",
        tenant,
        name,
    )
    return None if row is None or row["first"] is None else (row["first"].astimezone(UTC), row["last"].astimezone(UTC) + PERIOD)


def read(parameters: Mapping[str, str], zone: ZoneInfo, name: str, lived: tuple[datetime, datetime]) -> Query:
    """What is asked of one campaign: its whole life where no moments are given, in buckets that make no more points than one can see. Raises `Unclear`."""
    query.known(parameters, ONE)
    whole = {"from": lived[0].isoformat(), "to": lived[1].isoformat()}
    since, until = query.span({**whole, **parameters}, zone, lived[1], LONGEST["month"])
    bucket = parameters["bucket"] if "bucket" in parameters else fitting(until - since)
    if bucket not in query.BUCKETS:
        raise Unclear(f"`bucket` cannot be {bucket[:50]!r}; known: {', '.join(query.BUCKETS)}.")
    if until - since > LONGEST[bucket]:
        raise Unclear(f"`from` and `to` may be {LONGEST[bucket].days} days apart at most by {bucket}: take a longer `bucket`, or a later `from`.")
    return Query((), since, until, zone, bucket, (("campaign", name),))


def fitting(span: timedelta) -> str:
    """A bucket that makes no more than about a hundred points of this time."""
    return next((bucket for bucket, length in (("hour", 4), ("day", 100), ("week", 700)) if span <= timedelta(days=length)), "month")


async def parts(pool: Pool, tenant: str, asked: Query) -> dict[str, Any]:
    """The funnel and the money in all and over time, by channel, variant and step, and why messages did not arrive."""
    over_time = await report(pool, tenant, asked)
    by = {name: await report(pool, tenant, replace(asked, group_by=(name,), bucket=None, limit=VARIANTS)) for name in ("channel", "variant", "step")}
    why = await reasons(pool, tenant, replace(asked, bucket=None))
    return {
        "totals": told.figures(over_time.totals),
        "over_time": [told.line(one) for one in over_time.lines],
        **{f"{name}s": [told.line(one) for one in found.lines] for name, found in by.items()},
        "reasons": [told.reason(one) for one in why],
    }

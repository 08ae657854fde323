"""`GET /v1/conversations/summary`: how much the bot does alone, how long customers wait, and how content they are, answered from the counters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.problem import Problem, authorise
from parley.service import Context
from parley_analytics import query
from parley_analytics.query import BUCKETS, LONGEST, NONE, Unclear
from parley_analytics.talks import DIMENSIONS
from parley_analytics.talks_kpis import Kpis
from parley_analytics.talks_report import Asked, Summary, conversations
from parley_analytics.told import rate

PATH = "/v1/conversations/summary"
PARAMETERS = ("group_by", "bucket", "from", "to", *DIMENSIONS)
SHORTER = {None: 400, "hour": 1, "day": 31, "week": 186, "month": 1100}
"""Days from `from` to `to` at most where every team, or whatever else, is told: then an answer takes no longer than any other."""


def routes(context: Context) -> list[BaseRoute]:
    """The route of conversations."""

    async def get_summary(request: Request) -> Response:
        return await answer(request, context)

    return [Route(PATH, get_summary, methods=["GET"])]


async def answer(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`; its tenant is the one that is answered for. 400 says which parameter is wrong, and why."""
    key = authorise(request, context.config, "rates:read")
    try:
        asked = understood(request.query_params, context.config.tenants[key.tenant].timezone, context.clock())
    except Unclear as error:
        raise Problem(400, str(error)) from error
    found = await conversations(context.pool, key.tenant, asked)
    return Response(orjson.dumps(told(asked, found)), media_type="application/json")


def understood(parameters: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Asked:
    """What the parameters of a request ask. Raises `Unclear`."""
    query.known(parameters, PARAMETERS)
    group_by, bucket = parameters.get("group_by"), parameters.get("bucket")
    if group_by is not None and group_by not in DIMENSIONS:
        raise Unclear(f"`group_by` cannot be {group_by[:50]!r}; known: {', '.join(DIMENSIONS)}, one of them.")
    if bucket is not None and bucket not in BUCKETS:
        raise Unclear(f"`bucket` cannot be {bucket[:50]!r}; known: {', '.join(BUCKETS)}.")
    named = [name for name in DIMENSIONS if name in parameters]
    if named and {*named, group_by or named[0]} != {named[0]}:
        raise Unclear(f"Conversations are counted by one dimension at a time: ask for {named[0]} alone, without another filter or `group_by`.")
    longest = LONGEST[bucket or "month"] if group_by is None else timedelta(days=SHORTER[bucket])
    since, until = query.span(parameters, zone, now, longest)
    only = (named[0], "" if parameters[named[0]] == NONE else query.text(parameters, named[0])) if named else None
    return Asked(since, until, zone, group_by, bucket, only)


def told(asked: Asked, found: Summary) -> dict[str, Any]:
    """The answer as JSON has it."""
    return {
        "from": asked.since.astimezone(asked.zone).isoformat(),
        "to": asked.until.astimezone(asked.zone).isoformat(),
        "timezone": str(asked.zone),
        "group_by": asked.group_by,
        "bucket": asked.bucket,
        "rows": [
            {
                **({asked.group_by: row.value or None} if asked.group_by else {}),
                **({"bucket": row.at.astimezone(asked.zone).isoformat()} if row.at is not None else {}),
                **figures(row.kpis),
            }
            for row in found.rows
        ],
        "totals": figures(found.totals),
        "truncated": found.truncated,
    }


def figures(kpis: Kpis) -> dict[str, Any]:
    """Counts, rates with their intervals, times in seconds, ratings; null where there is nothing to tell."""
    return {
        **kpis.counts,
        "rates": {name: rate(found) for name, found in kpis.rates.items()},
        "seconds": {name: lasting and lasting._asdict() for name, lasting in kpis.times.items()},
        "rating": kpis.rating and kpis.rating._asdict(),
    }

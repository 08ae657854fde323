"""`GET /v1/rates`: counts, rates and money by any dimensions of a message, and over time, as JSON, CSV or Parquet. Answered from the counters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.config import Tenant
from parley.problem import Problem
from parley.service import Context
from parley_analytics import campaigns_api, exports, hits_api, losses_api, openapi, query, told
from parley_analytics.answering import VARY, answered, whose
from parley_analytics.query import Query, Unclear
from parley_analytics.reports import Report, report

EXPORTED = 10_000
"""Lines of a file at most, where no limit is asked for."""


def routes(context: Context) -> list[BaseRoute]:
    """The routes of figures, and the one of the document of all routes."""

    async def get_rates(request: Request) -> Response:
        return await rates(request, context)

    async def get_document(_: Request) -> Response:
        return answered(openapi.document())

    own = [Route("/v1/rates", get_rates, methods=["GET"]), Route("/openapi.json", get_document, methods=["GET"])]
    return [*own, *campaigns_api.routes(context), *losses_api.routes(context), *hits_api.routes(context)]


async def rates(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`; its tenant is the one that is answered for. 400 says which parameter is wrong, and why."""
    tenant = whose(request, context)
    try:
        form = format_of(request)
        asked = read(request.query_params, tenant, context, form)
    except Unclear as error:
        raise Problem(400, str(error)) from error
    found = await report(context.pool, tenant.name, asked)
    return answered(told.report(found)) if form is None else await exported(request, found, form)


def read(parameters: Mapping[str, str], tenant: Tenant, context: Context, form: str | None) -> Query:
    """What is asked; a file has all groups where no limit is given. Raises `Unclear`."""
    given = {name: value for name, value in parameters.items() if name != "format"}
    asked = query.read(given, tenant.timezone, context.clock())
    most = max(1, EXPORTED // query.buckets(asked.bucket, asked.since, asked.until))
    return replace(asked, limit=most) if form and "limit" not in given else asked


def format_of(request: Request) -> str | None:
    """The format of the answer; None: JSON. Raises `Unclear`."""
    given = request.query_params.get("format")
    try:
        return exports.wanted(given, request.headers.get("accept", ""))
    except KeyError as error:
        raise Unclear(f"`format` cannot be {str(given)[:50]!r}; known: json, {', '.join(exports.WRITERS)}.") from error


async def exported(request: Request, found: Report, form: str) -> Response:
    """A file, made beside what else is answered; where it is not all, the header `Link` says where the rest is."""
    content = await asyncio.to_thread(exports.WRITERS[form], found)
    name = f"parley-{'-'.join(found.query.group_by) or 'all'}-{found.query.since.astimezone(found.query.zone):%Y%m%d}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **VARY}
    if found.next:
        rest = request.url.include_query_params(after=found.next)
        headers["Link"] = f'<{rest.path}?{rest.query}>; rel="next"'
    return Response(content, media_type=exports.MEDIA[form], headers=headers)

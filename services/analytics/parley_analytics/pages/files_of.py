"""The files that pages offer: asked for with the parameters of the API, by who is signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from parley.config import Tenant
from parley.service import Context
from parley_analytics import api, exports, talks_api
from parley_analytics.pages import talk_files
from parley_analytics.reports import report
from parley_analytics.talks_report import conversations as summary

File = Callable[[Request, Context, Tenant], Awaitable[Response]]
"""Makes the file that a request asks for. Raises `Unclear`."""


async def messages(request: Request, context: Context, tenant: Tenant) -> Response:
    """As `GET /v1/rates` with a format; CSV where none is named."""
    form = api.format_of(request) or "csv"
    found = await report(context.pool, tenant.name, api.read(request.query_params, tenant, context, form))
    return await api.exported(request, found, form)


async def conversations(request: Request, context: Context, tenant: Tenant) -> Response:
    """As `GET /v1/conversations/summary`, in a format; CSV where none is named."""
    form = api.format_of(request) or "csv"
    given = {name: value for name, value in request.query_params.items() if name != "format"}
    asked = talks_api.understood(given, tenant.timezone, context.clock())
    found = await summary(context.pool, tenant.name, asked)
    content = await asyncio.to_thread(talk_files.WRITERS[form], asked, found)
    name = f"parley-conversations-{asked.group_by or 'all'}-{asked.since.astimezone(asked.zone):%Y%m%d}.{form}"
    return Response(content, media_type=exports.MEDIA[form], headers={"Content-Disposition": f'attachment; filename="{name}"'})

"""What the routes of figures share: whose figures, in which form. Errors are problem documents."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from parley.config import Tenant
from parley.problem import authorise
from parley.service import Context

SCOPE = "rates:read"
VARY = {"Vary": "Accept, Authorization"}


def whose(request: Request, context: Context) -> Tenant:
    """The tenant of the request's key, which must have the scope. Raises 401 and 403."""
    return context.config.tenants[authorise(request, context.config, SCOPE).tenant]


def answered(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json", headers=VARY)

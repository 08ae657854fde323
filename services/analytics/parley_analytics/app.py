"""analytics: what came of it. The stage that counts, the rates over HTTP, the rates as gauges."""

from __future__ import annotations

from parley.service import Context, Parts, Service
from parley_analytics.api import routes
from parley_analytics.gauges import Gauges
from parley_analytics.stage import Count


async def build(context: Context) -> Parts:
    """The routes, the stage and the worker of analytics."""
    return Parts(routes=routes(context), stages=[Count.prepared()], workers=[Gauges(context)])


SERVICE = Service("analytics", ("parley", "parley_analytics"), build)

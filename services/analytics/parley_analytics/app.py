"""analytics: what came of it. The stage that counts, the rates over HTTP, the rates as gauges."""

from __future__ import annotations

from parley.service import Context, Parts, Service
from parley.settings import SettingsError
from parley.stream import Stage
from parley_analytics import experiments_api, talks_api
from parley_analytics.api import routes
from parley_analytics.drawn import Drawn
from parley_analytics.erasing import Forget
from parley_analytics.gauges import Gauges
from parley_analytics.keeping import keeping
from parley_analytics.pages import routes as pages
from parley_analytics.retention import Retention
from parley_analytics.rolling import Rolling
from parley_analytics.scoring import Scoring
from parley_analytics.stage import Count
from parley_analytics.talks_stage import Rezone, Talks, zones_of
from parley_analytics.timely import Timely


async def build(context: Context) -> Parts:
    """The routes, the stage and the workers of analytics. Raises `SettingsError` without the key under which it is known who was erased."""
    secret = context.settings.secret.get_secret_value()
    if not secret:
        raise SettingsError(
            "PARLEY_SECRET must be set to a long random text, the same for all replicas: whoever is erased is known by a hash with it"
        )
    rules = {name: one.attribution for name, one in context.config.tenants.items()}
    kept = keeping(context.config.tenants)
    stages: list[Stage] = [Count.prepared(secret.encode(), rules), Drawn.prepared(secret.encode(), rules), Talks.prepared(zones_of(context))]
    return Parts(
        routes=[*routes(context), *experiments_api.routes(context), *talks_api.routes(context), *pages.routes(context)],
        stages=[Timely(one, kept, context.metrics.late) for one in stages],
        workers=[Gauges(context), Forget(context), Rezone(context), Rolling(context), Retention(context), Scoring(context)],
    )


SERVICE = Service("analytics", ("parley", "parley_analytics"), build)

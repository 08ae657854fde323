"""sender: what leaves. The stage that queues (`intake`), the lanes that call, the story of each message."""

from __future__ import annotations

from parley.service import Context, Parts, Service
from parley.settings import SettingsError
from parley_sender import api
from parley_sender.depth import Depth
from parley_sender.intake import Intake
from parley_sender.lanes import Lanes
from parley_sender.notify import api as webhooks
from parley_sender.notify import history
from parley_sender.notify.noting import Noting
from parley_sender.notify.worker import Posting


async def build(context: Context) -> Parts:
    """The routes, the stage and the workers of sender. Raises `SettingsError` without the key that links are made from."""
    secret = context.settings.secret.get_secret_value()
    if not secret:
        raise SettingsError("PARLEY_SECRET must be set to a long random text, the same for all replicas: codes of tracked links are made from it")
    stage = Intake(context.config, secret.encode(), context.settings.links.rstrip("/"))
    return Parts(
        routes=[*api.routes(context), *webhooks.routes(context), *history.routes(context)],
        stages=[stage, Noting()],
        workers=[Lanes(context), Depth(context), Posting(context)],
    )


SERVICE = Service("sender", ("parley", "parley_sender"), build)

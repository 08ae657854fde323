"""sender: what leaves. The stage that queues (`intake`), the lanes that call, the story of each message."""

from __future__ import annotations

from parley.service import Context, Parts, Service
from parley.settings import SettingsError
from parley_sender import api, lanes_api, screens, settling_api, suppressions_api
from parley_sender.clock import Clock
from parley_sender.depth import Depth
from parley_sender.engaged import Engaged
from parley_sender.fallbacks import Fallbacks
from parley_sender.idempotency import Forget
from parley_sender.inquiring import Inquiring
from parley_sender.intake import Intake
from parley_sender.janitor import Janitor
from parley_sender.lanes import Lanes
from parley_sender.law import Law
from parley_sender.messages_api import Messages
from parley_sender.notify import api as webhooks
from parley_sender.notify import history
from parley_sender.notify.noting import Noting
from parley_sender.notify.worker import Posting
from parley_sender.outbox import Outbox
from parley_sender.strays import Strays


async def build(context: Context) -> Parts:
    """The routes, the stage and the workers of sender. Raises `SettingsError` without the key that links are made from."""
    secret = context.settings.secret.get_secret_value()
    if not secret:
        raise SettingsError("PARLEY_SECRET must be set to a long random text, the same for all replicas: codes of tracked links are made from it")
    law = Law.load(context.config, context.settings)
    stage = Intake(law, secret.encode(), context.settings.links.rstrip("/"))
    outbox = Outbox(context)
    return Parts(
        routes=[
            *api.routes(context),
            *lanes_api.routes(context),
            *settling_api.routes(context, outbox),
            *suppressions_api.routes(context),
            *screens.routes(),
            *Messages(context, law, outbox).routes,
            *webhooks.routes(context),
            *history.routes(context),
        ],
        stages=[stage, Noting(), Engaged()],
        workers=[
            Lanes(context, law),
            Clock(context),
            Depth(context),
            Posting(context),
            outbox,
            Forget(context),
            Janitor(context),
            Inquiring(context, law, outbox),
            Fallbacks(context, law, outbox),
            Strays(context, law, outbox),
        ],
    )


SERVICE = Service("sender", ("parley", "parley_sender"), build, by_keys=True)

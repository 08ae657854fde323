"""router: bot answers, consent, people. One keyed stage over `parley.inbound`, and the API for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from parley.contracts import Data, Envelope, MessageReceived
from parley.keyed import Keyed
from parley.service import Context, Parts, Service
from parley_router import api, catalogue
from parley_router.decide import decide
from parley_router.state import ContactState, labels


async def build(context: Context) -> Parts:
    """The stage and the routes of the router. Raises `ConfigError` when a flow file cannot be used."""
    languages = {name: tenant.languages for name, tenant in context.config.tenants.items()}
    book = catalogue.load(context.settings.config / "flows", languages)

    def bound(state: ContactState | None, event: Envelope, now: datetime) -> tuple[ContactState, Sequence[Data]]:
        return decide(state, event, now, book)

    repeats = context.metrics.repeats.labels("router")
    stage = Keyed("router", (MessageReceived.topic,), "contacts", ContactState, bound, labels, repeats.inc)
    return Parts(routes=api.routes(context), stages=[stage])


SERVICE = Service("router", ("parley", "parley_router"), build)

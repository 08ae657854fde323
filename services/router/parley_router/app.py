"""router: bot answers, consent, people. One keyed stage over `parley.inbound`, and the API for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from parley.contracts import Data, Envelope, MessageReceived
from parley.keyed import Keyed
from parley.service import Context, Parts, Service
from parley_router import api, catalogue
from parley_router.decide import decided
from parley_router.state import ContactState, labels

log = structlog.get_logger()


async def build(context: Context) -> Parts:
    """The stage and the routes of the router. Raises `ConfigError` when a flow file cannot be used."""
    languages = {name: tenant.languages for name, tenant in context.config.tenants.items()}
    zones = {name: tenant.timezone for name, tenant in context.config.tenants.items()}
    book = catalogue.load(
        context.settings.config / "flows", languages, zones, days={name: tenant.daytime for name, tenant in context.config.tenants.items()}
    )

    def bound(state: ContactState | None, event: Envelope, now: datetime) -> tuple[ContactState, Sequence[Data]]:
        found = decided(state, event, now, book)
        for trouble in found.troubles:
            log.warning("could not be done", trouble=trouble, event_id=event.id, contact_id=event.subject, tenant=event.tenant)
        return found.state, found.results

    repeats = context.metrics.repeats.labels("router")
    stage = Keyed("router", (MessageReceived.topic,), "contacts", ContactState, bound, labels, repeats.inc)
    return Parts(routes=api.routes(context), stages=[stage])


SERVICE = Service("router", ("parley", "parley_router"), build)

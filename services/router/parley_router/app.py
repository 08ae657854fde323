"""router: bot answers, consent, people. One keyed stage over `parley.inbound`, and the API for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from parley.config import Tenant
from parley.contracts import Data, Envelope, MessageReceived
from parley.keyed import Keyed
from parley.service import Context, Parts, Service
from parley.templates import Texts
from parley_router import api, catalogue, flowapi, services, waiting
from parley_router.alarm import Alarm
from parley_router.caller import Caller
from parley_router.catalogue import Book, Read, Refused
from parley_router.checks import complaints
from parley_router.decide import decided
from parley_router.flow import Flow
from parley_router.meaning import Meanings
from parley_router.publishing import Making, Publishing
from parley_router.services import Services
from parley_router.state import ContactState, labels
from parley_router.versions import Resolved

log = structlog.get_logger()


async def build(context: Context) -> Parts:
    """The stage, the routes and the workers of the router. Flows that cannot be used stop nothing; raises `ConfigError` for services.yaml."""
    asked = services.load(context.settings.config, context.config.tenants)
    understood = Meanings(context)
    understood.look()
    publishing = Publishing(context, context.settings.config / "flows", making(context.config.tenants, asked, understood))
    understood.changed = publishing.renew
    await publishing.look()

    def bound(state: ContactState | None, event: Envelope, now: datetime) -> tuple[ContactState, Sequence[Data]]:
        if state is not None:
            publishing.known(event.tenant, state)
        found = decided(state, event, now, publishing.book)
        for trouble in found.troubles:
            log.warning("could not be done", trouble=trouble, event_id=event.id, contact_id=event.subject, tenant=event.tenant)
        return found.state, found.results

    repeats = context.metrics.repeats.labels("router")
    stage = Keyed("router", (MessageReceived.topic,), "contacts", ContactState, bound, labels, repeats.inc, waiting.follow)
    return Parts(
        routes=[*api.routes(context), *flowapi.routes(context, publishing)],
        stages=[stage],
        workers=[publishing, Alarm(context), Caller(context, asked, {"read": understood.read, "answer": understood.answer}), understood],
    )


def making(tenants: Mapping[str, Tenant], asked: Services, understood: Meanings) -> Making:
    """How the flows of these tenants are checked and bound, with the services that they may ask and what messages may mean now. Texts are parsed once."""
    languages = {name: tenant.languages for name, tenant in tenants.items()}
    zones, days = {name: one.timezone for name, one in tenants.items()}, {name: one.daytime for name, one in tenants.items()}
    teams = {name: one.teams for name, one in tenants.items()}
    known = {name: {one.name for one in asked.values() if one.tenant == name} for name in tenants}
    texts = Texts()

    def check(reads: Sequence[Read], beside: Sequence[Flow]) -> Sequence[Refused]:
        return catalogue.refusals(reads, languages, texts, beside, known, understood.names)

    def book(resolved: Resolved, older: Sequence[Flow]) -> Book:
        for flow in (*resolved.stood_in, *older):  # were right when they were published: asked for their texts alone
            list(complaints(flow, [flow], languages, texts))
        return catalogue.bound(resolved.live, languages, zones, understood.meanings, texts, older, resolved.retired, days, teams)

    return Making(check, book)


SERVICE = Service("router", ("parley", "parley_router"), build)

"""What is wrong with a flow that its model alone does not see: how it begins, where it leads, what it says, what it names. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from parley_router.checks import law, names, paths, starts, texts
from parley_router.checks.complaint import Around, Complaint, Level, Place, listed, near
from parley_router.flow import Flow
from parley_router.templates import Texts

__all__ = ["Complaint", "Level", "Place", "complaints"]


def complaints(
    flow: Flow,
    beside: Sequence[Flow],
    tenants: Mapping[str, Sequence[str]],
    parsed: Texts,
    services: Mapping[str, Collection[str]] | None = None,
    intents: Mapping[str, Collection[str]] | None = None,
) -> Iterator[Complaint]:
    """Everything wrong with `flow`; `beside` are all flows of its tenant, itself among them. Parses its texts into `parsed` on the way.

    `services` and `intents` by tenant: what flows may ask and mean; nothing is said of either where nobody knows them.
    """
    languages = tenants.get(flow.tenant)
    if languages is None:
        yield Complaint(("tenant",), f"there is no tenant {flow.tenant!r}; known: {listed(tenants)}{near(flow.tenant, tenants)}")
        return
    of_tenant = None if services is None else services.get(flow.tenant, ())
    meant = None if intents is None else intents.get(flow.tenant, ())
    around = Around(beside, languages, parsed, of_tenant, meant)
    for rules in (starts, paths, texts, law, names):
        yield from rules.complaints(flow, around)

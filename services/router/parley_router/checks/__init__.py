"""What is wrong with a flow that its model alone does not see: how it begins, where it leads, what it says, what it names. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from parley.templates import Texts
from parley_router.checks import law, names, paths, starts, texts
from parley_router.checks.around import Around
from parley_router.checks.complaint import Complaint, Level, Place, listed, near
from parley_router.flow import Flow

__all__ = ["Complaint", "Level", "Place", "complaints", "every"]

Known = Mapping[str, Collection[str]] | None
"""Names by tenant; None where nobody said which there are."""


def complaints(
    flow: Flow, beside: Sequence[Flow], tenants: Mapping[str, Sequence[str]], parsed: Texts, services: Known = None, intents: Known = None
) -> Iterator[Complaint]:
    """Everything wrong with `flow`; `beside` are all flows of its tenant, itself among them. Parses its texts into `parsed` on the way.

    `services` and `intents` by tenant: what flows may ask and mean; nothing is said of either where nobody knows them.
    """
    yield from _complaints(flow, _around(flow.tenant, beside, tenants, parsed, services, intents), tenants)


def every(
    flows: Sequence[Flow],
    tenants: Mapping[str, Sequence[str]],
    parsed: Texts,
    services: Known = None,
    intents: Known = None,
    beside: Sequence[Flow] = (),
) -> Iterator[tuple[int, Complaint]]:
    """Everything wrong with any of `flows`, by its place among them; `beside` are others that stand with them, of which nothing is said.

    What stands around is found once for each tenant: a thousand flows take no longer each than ten.
    """
    known = {name: [one for one in (*flows, *beside) if one.tenant == name] for name in {one.tenant for one in flows}}
    around = {name: _around(name, kin, tenants, parsed, services, intents) for name, kin in known.items()}
    for place, flow in enumerate(flows):
        yield from ((place, wrong) for wrong in _complaints(flow, around[flow.tenant], tenants))


def _around(tenant: str, beside: Sequence[Flow], tenants: Mapping[str, Sequence[str]], parsed: Texts, services: Known, intents: Known) -> Around:
    of_tenant = None if services is None else services.get(tenant, ())
    meant = None if intents is None else intents.get(tenant, ())
    return Around(beside, tenants.get(tenant, ()), parsed, of_tenant, meant)


def _complaints(flow: Flow, around: Around, tenants: Mapping[str, Sequence[str]]) -> Iterator[Complaint]:
    if flow.tenant not in tenants:
        yield Complaint(("tenant",), f"there is no tenant {flow.tenant!r}; known: {listed(tenants)}{near(flow.tenant, tenants)}")
        return
    for rules in (starts, paths, texts, law, names):
        yield from rules.complaints(flow, around)

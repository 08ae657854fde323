"""From a batch of events to facts: what each event is evidence of. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from uuid import UUID

from parley import deadends
from parley.attribution import Attribution
from parley.contracts import (
    ConsentChanged,
    ConsentState,
    ContactErased,
    CustomerActed,
    DeliveryChanged,
    DeliveryStatus,
    EngagementRecorded,
    Envelope,
    MessageReceived,
    OptedOut,
)  # fmt: skip
from parley.optwords import wish
from parley.wire import natural_id
from parley_analytics.facts import (
    BOUNCED,
    COMPLAINED,
    DELIVERED,
    EXPIRED,
    FAILED,
    HELD,
    READ,
    REASONS,
    SENT,
    SUPPRESSED,
    UNKNOWN,
    UNSUBSCRIBED,
    Cell,
    Facts,
    Hit,
    Judgement,
    OptOut,
    Reply,
)
from parley_analytics.goals import conversion

ROUTER = "parley/router"
"""Who passes on what came for a contact that is part of another by now: it was told before."""
STATUSES: dict[DeliveryStatus, str | None] = {
    DeliveryStatus.QUEUED: None,
    DeliveryStatus.HELD: HELD,
    DeliveryStatus.SENT: SENT,
    DeliveryStatus.DELIVERED: DELIVERED,
    DeliveryStatus.READ: READ,
    DeliveryStatus.FAILED: FAILED,
    DeliveryStatus.UNKNOWN: UNKNOWN,
    DeliveryStatus.SUPPRESSED: SUPPRESSED,
    DeliveryStatus.EXPIRED: EXPIRED,
}
"""Which time a status is evidence of."""
REFUSALS = {"unsubscribed": UNSUBSCRIBED, "complained": COMPLAINED}
TOLD_AGAIN = frozenset({"merge", "erased"})
"""Sources of consents that say nothing new: what a contact said before, under another id or without its address."""
CODE = re.compile(r"[A-Za-z0-9._-]{1,40}")
OTHER = "other"

USUAL = Attribution()


def gather(events: Iterable[Envelope], rules: Mapping[str, Attribution] = MappingProxyType({})) -> Facts:
    """The facts of a batch. Events that mean nothing here leave no trace. `rules`: by tenant; of others the usual one holds."""
    facts = Facts()
    for event in events:
        data = event.data
        if isinstance(data, DeliveryChanged):
            delivery(facts, event.tenant, data)
        elif isinstance(data, EngagementRecorded):
            engagement(facts, data)
        elif isinstance(data, ConsentChanged):
            if data.state is ConsentState.REVOKED and data.source not in TOLD_AGAIN:
                facts.refused(OptOut(data.contact_id, data.at, data.channel), None)
        elif isinstance(data, ContactErased):
            facts.erased.add(data.contact_id)
        elif event.source != ROUTER:
            told(facts, event, rules.get(event.tenant, USUAL))
    return facts


def told(facts: Facts, event: Envelope, rule: Attribution) -> None:
    """What a contact wrote, refused or did. A refusal is told on the topic of consents too, at the same time; that one forgets what was said before."""
    data = event.data
    if isinstance(data, MessageReceived):
        if wish(data.text) == "opt_out":
            facts.refused(OptOut(data.contact_id, data.received_at, data.channel), None)
        elif data.kind != "system":
            facts.replies.add(Reply(data.contact_id, data.received_at, data.message_id, data.channel))
    elif isinstance(data, OptedOut):
        if data.state is ConsentState.REVOKED:
            facts.refused(OptOut(data.contact_id, data.at, data.channel), None)
    elif isinstance(data, CustomerActed) and data.name in rule.goals:
        facts.converted(*conversion(event, data, rule))


def delivery(facts: Facts, tenant: str, data: DeliveryChanged) -> None:
    """A message keeps its dimensions for life: sender decides them when it takes the message."""
    what = STATUSES[data.status]
    if what is None:
        return
    message = facts.message(data.message_id, data.contact_id)
    if message.cell is None:
        message.cell = cell_of(tenant, data)
    message.segments = max(message.segments, data.segments)
    if data.price is not None:
        price = (data.at, data.price, data.currency or "")
        message.priced = price if message.priced is None else max(price, message.priced)
    if what not in REASONS:
        message.happened(what, data.at)
        return
    message.ended(what, data.at, short(data.reason))
    if what == FAILED and deadends.bounced(data.channel, (data.reason or "").removeprefix("provider:")):
        message.happened(BOUNCED, data.at)


def cell_of(tenant: str, data: DeliveryChanged) -> Cell:
    """A flow counts under its name, whichever version said it."""
    flow = (data.flow or "").partition("@")[0]
    return Cell(tenant, data.campaign or "", data.channel, data.variant or "", data.purpose, data.language or "", flow, data.step or "")


def short(reason: str | None) -> str:
    """A reason without what is particular to one message, so that there are some hundred of them: `provider:30003`, `capped`, `unbuildable`; '' is none."""
    head, _, tail = (reason or "").partition(":")
    if not head:
        return ""
    word = head.split()[0] if head.split() else OTHER
    if not CODE.fullmatch(word):
        return OTHER
    return f"{word}:{tail}" if CODE.fullmatch(tail) else word


def engagement(facts: Facts, data: EngagementRecorded) -> None:
    """What is not known to be a person counts as a machine. A refusal by a link or a mailbox is of that message, and stands for the consent told with it."""
    what = REFUSALS.get(data.kind)
    if what is None:
        hit = data.hit or unnamed(data)
        facts.judged(Hit(data.contact_id, data.at, hit, data.message_id, data.kind), Judgement(data.rules or 0, data.revision, data.by == "human"))
        return
    facts.message(data.message_id, data.contact_id).happened(what, data.at)
    facts.refused(OptOut(data.contact_id, data.at, ""), data.message_id)


def unnamed(data: EngagementRecorded) -> UUID:
    """The id of a hit that has none: what was followed in which message. At one time it is one hit, told twice."""
    return natural_id("hit", str(data.message_id), data.kind, data.link or "")

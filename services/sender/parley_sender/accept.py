"""From a request to a delivery: the way it takes, the words that law wants in it, its links, its price; or why it cannot leave. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from parley.channels import COUNTING, PROVIDERS, units
from parley.channels.plainer import plainly
from parley.channels.shape import Account, Outgoing
from parley.contracts import Channel, Content, DeliveryChanged, DeliveryStatus, Envelope, LinkMinted, MessageRequested
from parley_sender import wording
from parley_sender.law import Law
from parley_sender.links import base_of, opening, tracked_content, unsubscription
from parley_sender.route import way

NOWHERE = "none"
"""The account of a delivery for which there is none."""
SHORT = 500
"""Characters that every provider takes in one message (the least is Instagram's 1,000)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it stands in the queue: its request, the account it leaves through and why, the content with its links."""

    request: MessageRequested
    tenant: str
    content: Content
    due_at: datetime
    requested_at: datetime
    started_at: datetime | None
    lane: str
    channel: Channel
    address: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    unsubscribe: str | None = None
    units: int = 1
    parts: int = 1
    status: DeliveryStatus = DeliveryStatus.QUEUED
    reason: str | None = None
    route: Mapping[str, Any] | None = None


def accepted(event: Envelope, request: MessageRequested, law: Law, secret: bytes, base: str, broken: Collection[str] = ()) -> Delivery:
    """The delivery that a request becomes: queued, or suppressed where the contact cannot be reached or the message cannot be built.

    `broken`: accounts whose circuit is open; others are chosen before them.
    """
    due = max(event.time, request.not_before) if request.not_before else event.time
    found = way(request, event.tenant, law, broken)
    if found is None:
        channel = next(iter(request.channels or request.addresses), Channel.SMS)
        nowhere = Delivery(request, event.tenant, request.content, due, event.time, event.started_at, request.account or NOWHERE, channel)
        return replace(nowhere, status=DeliveryStatus.SUPPRESSED, reason="no_route")
    choice, address = found
    account = choice.account
    unsubscribe = unsubscription(request.purpose, account.channel, request.message_id, secret)
    delivery = Delivery(
        request, event.tenant, request.content, due, event.time, event.started_at, account.name, account.channel, address,
        unsubscribe=unsubscribe, route=choice.told,
    )  # fmt: skip
    if (fault := law.fault(request.content.template, account)) is not None:
        return replace(delivery, status=DeliveryStatus.SUPPRESSED, reason=f"template: {fault}")
    try:
        return _written(delivery, account, law, secret, base_of(law.config.tenants.get(event.tenant), base))
    except (ValueError, KeyError) as error:
        return replace(delivery, status=DeliveryStatus.SUPPRESSED, reason=f"unbuildable: {error.args[0]}")


def _written(delivery: Delivery, account: Account, law: Law, secret: bytes, base: str) -> Delivery:
    """With its content as it leaves: the words of law, then links, then without typography where that is asked for; and with what that comes to.

    Raises ValueError or KeyError where it cannot be said so.
    """
    request = delivery.request
    content, links = _linked(_worded(delivery, law, base), request, account.channel, secret, base)
    content = plainly(content, account)
    message = Outgoing(request.message_id, delivery.address, content, delivery.requested_at)
    return replace(delivery, content=content, links=links, units=units(content, account), parts=parts(message, account))


def _worded(delivery: Delivery, law: Law, base: str) -> Content:
    """With the words that law wants where the recipient is, in the tenant's first language. Raises `wording.Unmarked`."""
    request, tenant = delivery.request, law.config.tenants.get(delivery.tenant)
    where = law.where(delivery.tenant, delivery.channel, delivery.address, request.timezone)
    ruling = law.ruling(delivery.tenant, request.purpose, delivery.channel, where)
    link = f"{base}/u/{delivery.unsubscribe}" if delivery.unsubscribe else None
    return wording.marked(delivery.content, ruling, delivery.channel, tenant.languages[0] if tenant else None, link)


def parts(message: Outgoing, account: Account) -> int:
    """Requests that a message takes over an account. A short text alone is one, but for operators, to whom each segment is one; for all else the provider is asked."""
    content = message.content
    more = content.media or content.choices or content.template or content.cards
    if account.provider not in COUNTING and len(content.text) <= SHORT and not more:
        return 1
    return len(PROVIDERS[account.provider].build(message, account))


def changed(delivery: Delivery, at: datetime) -> DeliveryChanged:
    """The event that tells of a new delivery."""
    request = delivery.request
    return DeliveryChanged(
        contact_id=request.contact_id, message_id=request.message_id, channel=delivery.channel, account=delivery.lane, purpose=request.purpose,
        campaign=request.campaign, variant=request.variant, status=delivery.status, reason=delivery.reason, segments=delivery.units,
        instead_of=request.instead_of, flow=request.flow, step=request.step, language=request.language, at=at,
    )  # fmt: skip


def minted(delivery: Delivery, at: datetime) -> list[LinkMinted]:
    """The links that the message carries."""
    request = delivery.request
    if delivery.status != DeliveryStatus.QUEUED:
        return []
    links = [
        LinkMinted(
            contact_id=request.contact_id,
            code=code,
            url=url,
            message_id=request.message_id,
            at=at,
            account=delivery.lane,
            channel=delivery.channel,
            campaign=request.campaign,
        )
        for code, url in delivery.links.items()
    ]
    if delivery.unsubscribe is None:
        return links
    return [
        *links,
        LinkMinted(
            contact_id=request.contact_id, code=delivery.unsubscribe, url="", message_id=request.message_id, kind="unsubscribe",
            account=delivery.lane, channel=delivery.channel, address=delivery.address, at=at,
        ),
    ]  # fmt: skip


def _linked(content: Content, request: MessageRequested, channel: Channel, secret: bytes, base: str) -> tuple[Content, dict[str, str]]:
    """Links are tracked, and opens counted, for campaigns: what is said in a conversation is nobody's experiment. An open has a code and no address."""
    if request.campaign is None or not ("http" in content.text or content.cards or content.html):
        return content, {}
    content, links = tracked_content(content, request.message_id, secret, base)
    picture = opening(content, request.campaign, channel, request.message_id, secret)
    return content, links if picture is None else {**links, picture: ""}

"""What a caller of `POST /v1/messages` asks for: one message, read strictly, and the request for the bus that it becomes. Pure.

A message that could not be sent as things stand (no account, no address, a text that its provider does not take) is refused here, where the caller still
listens; whether it may be sent is asked at the gate, at the last moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from parley.addresses import founded, normal, of_customer
from parley.config import Config
from parley.contracts import Channel, Content, Customer, DeliveryStatus, Envelope, MessageRequested, Name, Purpose
from parley.templates import Texts
from parley_sender.accept import accepted
from parley_sender.complaints import Complaint, Wrong, of_model, pointer
from parley_sender.filling import filled
from parley_sender.law import Law

LATEST = timedelta(days=366)
"""How far ahead a message may be scheduled, or expire."""

Addresses = dict[Channel, Name]


class _Body(BaseModel):
    """What others write: a field that nobody knows is a slip of theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class To(_Body):
    """Who gets it: a contact, or a customer by the id that the sending system has for them, or whoever has these addresses."""

    contact_id: UUID | None = None
    customer: Name | None = None
    addresses: Addresses = {}


class Asked(_Body):
    """One message. `data`: fills the texts in, which are Liquid then; without it they are sent as they are."""

    to: To
    purpose: Purpose
    channels: Annotated[tuple[Channel, ...], Field(max_length=len(Channel))] = ()
    account: Name | None = None
    content: Content
    data: dict[str, Any] | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None = None
    timezone: Name | None = None
    campaign: Name | None = None
    variant: Name | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    send_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    fallback_after: Annotated[int, Field(ge=1, le=604_800)] | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """Through which installation it goes: whose key asks, what is configured, how its links are made."""

    tenant: str
    law: Law
    secret: bytes
    links: str

    @property
    def config(self) -> Config:
        return self.law.config


def read(value: Any) -> Asked:
    """The body of one message. Raises `Wrong` with everything that can be seen in it alone."""
    try:
        asked = Asked.model_validate(value, extra="forbid")
    except ValidationError as error:
        raise Wrong(of_model(error)) from error
    if found := list(_alone(asked)):
        raise Wrong(found)
    return asked


def _alone(asked: Asked) -> Iterator[Complaint]:
    """What is wrong with a message, whoever asks and whenever."""
    content = asked.content
    if asked.to.contact_id is None and asked.to.customer is None and not asked.to.addresses:
        yield Complaint("/to", "Say who gets it: `contact_id`, `customer` or `addresses`.")
    if not asked.channels and asked.account is None:
        yield Complaint("", "Say how it goes: `channels` in order of preference, or an `account`.")
    if not (content.text or content.html or content.media or content.template or content.cards):
        yield Complaint("/content", "It says nothing: give `text`, `html`, `media`, `cards` or a `template`.")
    if asked.timezone is not None and asked.timezone not in available_timezones():
        yield Complaint("/timezone", "This is no time zone of the IANA list, such as Asia/Seoul.")
    if asked.fallback_after is not None and len(asked.channels) < 2:
        yield Complaint("/fallback_after", "There is nothing to fall back to: name at least two `channels`.")


def reached(asked: Asked, tenant: str) -> tuple[UUID, Addresses]:
    """The contact, and the addresses that the body names, in normal form. Raises `Wrong`.

    The id of a contact whom Parley does not know yet is what ingest would make of them: that of the customer's id, else of the first address.
    """
    found: list[Complaint] = []
    addresses: Addresses = {}
    for channel, address in asked.to.addresses.items():
        try:
            addresses[channel] = normal(channel, address)
        except ValueError as error:
            found.append(Complaint(pointer("to", "addresses", channel), f"{error}."))
    if found:
        raise Wrong(found)
    if asked.to.contact_id is not None:
        return asked.to.contact_id, addresses
    return founded(of_customer(tenant, Customer(id=asked.to.customer, addresses=addresses))), addresses


def requested(asked: Asked, message_id: UUID, known: Mapping[Channel, str], way: Way, texts: Texts, now: datetime) -> Envelope:
    """The event that asks for the message. `known`: addresses of the contact that sender has used before; those of the body go before. Raises `Wrong`."""
    contact, addresses = reached(asked, way.tenant)
    tenant = way.config.tenants[way.tenant]
    zone = ZoneInfo(asked.timezone) if asked.timezone else tenant.timezone
    content = asked.content
    if asked.data is not None:
        try:
            content = filled(content, asked.data, asked.language or tenant.languages[0], zone, texts)
        except Wrong as wrong:
            raise Wrong(one.below("/content") for one in wrong.complaints) from wrong
    later = asked.send_at if asked.send_at is not None and asked.send_at > now else None
    request = MessageRequested(
        contact_id=contact, message_id=message_id, purpose=asked.purpose, channels=asked.channels, account=asked.account,
        addresses={**known, **addresses}, content=content, campaign=asked.campaign, variant=asked.variant, not_before=later,
        expires_at=asked.expires_at, timezone=asked.timezone, priority=asked.priority, fallback_after=asked.fallback_after, language=asked.language,
    )  # fmt: skip
    if found := [*_times(asked, now), *_accounts(asked, way)]:
        raise Wrong(found)
    event = Envelope(
        id=str(message_id), source="parley/sender/api", time=now, tenant=way.tenant, subject=str(contact),
        started_at=None if later else now, data=request,
    )  # fmt: skip
    delivery = accepted(event, request, way.law, way.secret, way.links)
    if delivery.status is DeliveryStatus.SUPPRESSED:
        raise Wrong([_no_way(request, way) if delivery.reason == "no_route" else Complaint("/content", f"{delivery.channel}: {delivery.reason}.")])
    return event


def _times(asked: Asked, now: datetime) -> Iterator[Complaint]:
    for name, moment in (("send_at", asked.send_at), ("expires_at", asked.expires_at)):
        if moment is not None and moment > now + LATEST:
            yield Complaint(f"/{name}", f"This is more than {LATEST.days} days ahead.")
    if asked.expires_at is not None and asked.expires_at <= max(now, asked.send_at or now):
        yield Complaint("/expires_at", "It would expire before it is sent: give a later time, or none.")


def _accounts(asked: Asked, way: Way) -> Iterator[Complaint]:
    if asked.account is not None and not way.config.named(way.tenant, asked.account):
        yield Complaint("/account", "There is no such account of yours in accounts.yaml.")


def _no_way(request: MessageRequested, way: Way) -> Complaint:
    """Why there is no account that reaches the contact."""
    wanted = [one for one in request.channels if way.config.of_tenant(way.tenant, one) is not None]
    if request.account is not None:
        wanted += [one.channel for one in way.config.named(way.tenant, request.account)]
    if not wanted:
        return Complaint("/channels", "None of these channels has an account of yours in accounts.yaml.")
    return Complaint("/to", f"No address for {' or '.join(wanted)} is known of this contact: give one in `addresses`.")

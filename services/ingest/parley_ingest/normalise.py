"""From providers' requests and other services' events to Parley's: parsed, without repeats, with the contact known. The stage `normalise`."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog

from parley import clicktochat, customerevents
from parley.addresses import Address, by_channel, normalised, of_customer, scheme
from parley.channels import PROVIDERS
from parley.channels.shape import Account, Engaged, Happened, Item, Opted, Receipt, Received, Request
from parley.config import Config
from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    CustomerActed,
    CustomerEvent,
    Data,
    EngagementRecorded,
    MessageReceived,
    OptedOut,
    Purpose,
    RawReceived,
    ReceiptReceived,
)  # fmt: skip
from parley.database import Connection
from parley.optwords import wish
from parley.step import Arrived, Caused
from parley.wire import caused_id, made, natural_id
from parley_ingest import erasing, judge, merging, people, pieces, repeats
from parley_ingest.clicks import Click, acted
from parley_ingest.happened import customer_event
from parley_ingest.identity import identify

log = structlog.get_logger()

Kind = Literal["text", "choice", "media", "location", "reaction", "system"]
TAKEN = (Received, Receipt, Opted)
KNOWN = 10_000
"""Recipients that are remembered."""
KINDS: Mapping[str, Kind] = {
    "text": "text",
    "button": "choice",
    "location": "location",
    "reaction": "reaction",
    "contacts": "system",
    "unsupported": "system",
}
"""The provider's kinds in the words of the contract; every other kind is media."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that an event says, with the natural id by which a repeat is known."""

    cause: Arrived
    id: UUID
    tenant: str
    account: Account | None
    item: Item | CustomerEvent
    at: datetime

    def id_of(self, place: int) -> str:
        """The id of the event at `place` of what this means: from the natural id alone, the same whatever request it came with."""
        return str(self.id if place == 0 else caused_id(str(self.id), place))


@dataclass(frozen=True)
class Normalise:
    """The stage. Each natural id passes once, whatever order and however many normalisers."""

    config: Config
    name: str = "normalise"
    topics: tuple[str, ...] = (RawReceived.topic, CustomerEvent.topic)
    _own: dict[tuple[str, str | None], Account] = field(default_factory=dict, repr=False, compare=False)
    """Which account a request's item is for, by the account of the hook and the recipient: of each asked for once."""

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        found = [one for arrived in batch for one in self.read(arrived)]
        new = await repeats.unseen(connection, (one.id for one in found))
        fresh = await pieces.joined(connection, list({one.id: one for one in reversed(found) if one.id in new}.values())[::-1])
        persons = [one for one in fresh if not isinstance(one.item, Receipt) and not erasing.asks(one.item)]
        await erasing.hold(connection, fresh)
        contacts, moves = await identify(connection, [(one, _addresses(one)) for one in persons], now)
        reachable = await people.reachable(connection, [contacts[one.id] for one in persons if isinstance(one.item, CustomerEvent)])
        chats = [one.name for one in self.config.accounts.values() if one.channel is Channel.WEBCHAT]
        erased = await erasing.erased(connection, [one for one in fresh if erasing.asks(one.item)], chats, now)
        return [
            Caused(one.cause, data, tenant=one.tenant, id=one.id_of(place), started_at=one.cause.event.started_at or one.at)
            for one in fresh
            for place, data in enumerate(
                erased[one.id] if one.id in erased else (*meaning(one, contacts.get(one.id), reachable), *moves.get(one.id, ()))
            )
        ]

    def read(self, arrived: Arrived) -> Iterator[Found]:
        """What one event says. Raises when the event cannot be read: it then goes to the dead letters."""
        data, event = arrived.event.data, arrived.event
        if isinstance(data, CustomerEvent):
            if event.tenant not in self.config.tenants:
                raise LookupError(f"the CloudEvents extension `tenant` is {event.tenant!r}; known: {', '.join(self.config.tenants)}")
            customer = data.model_copy(update={"customer": normalised(data.customer)})
            merging.said(event.tenant, customer, data.occurred_at)  # raises now what nobody could understand later
            if (wrong := customerevents.complaint(data.name, data.properties)) is not None:
                log.warning("an event of another service is not as the contract says", trouble=wrong, event_id=event.id, tenant=event.tenant)
            yield Found(arrived, natural_id("event", event.tenant, event.source, event.id), event.tenant, None, customer, data.occurred_at)
            return
        assert isinstance(data, RawReceived)
        account = self.config.accounts.get(data.account)
        if account is None:
            raise LookupError(f"there is no account {data.account!r} in accounts.yaml any more")
        url = f"{account.public_url or ''}?{data.query}" if data.query else account.public_url or ""
        request = Request(data.method, url, data.headers, binascii.a2b_base64(data.body))
        for item in PROVIDERS[account.provider].parse(request, account):
            own = self._of(account, getattr(item, "recipient", None))
            if isinstance(item, Happened):
                if (read := customer_event(item, data.received_at)) is not None:
                    yield Found(arrived, _natural(item, own), own.tenant, own, read, read.occurred_at)
            elif isinstance(item, TAKEN) or (isinstance(item, Engaged) and item.message_id and item.address):
                yield Found(arrived, _natural(item, own), own.tenant, own, item, data.received_at)

    def _of(self, account: Account, recipient: str | None) -> Account:
        found = self._own.get((account.name, recipient))
        if found is None:
            if len(self._own) >= KNOWN:
                self._own.clear()
            found = self._own[account.name, recipient] = self.config.by_sender(account, recipient)
        return found


def meaning(found: Found, contact: UUID | None, reachable: Mapping[UUID, Mapping[str, str]]) -> Iterator[Data]:
    """The contract's events for one thing found. Pure."""
    item, account = found.item, found.account
    if isinstance(item, Receipt):
        assert account is not None
        yield ReceiptReceived(
            account=account.name, provider_id=item.provider_id, message_id=item.message_id, status=item.status, code=item.code,
            failure=item.failure, recipient=item.conversation or item.address, watermark=item.watermark,
            price=item.price, currency=item.currency, segments=item.segments, at=item.at or found.at,
        )  # fmt: skip
        return
    assert contact is not None
    if isinstance(item, CustomerEvent):
        yield CustomerActed(
            contact_id=contact, customer=item.customer, name=item.name, properties=item.properties, occurred_at=item.occurred_at,
            addresses=by_channel(reachable.get(contact, {}), item.customer.addresses),
        )  # fmt: skip
        return
    assert account is not None
    if isinstance(item, Engaged):
        assert item.message_id is not None and item.address
        verdict = judge.of_provider(item.machine, item.agent)
        yield EngagementRecorded(
            contact_id=contact, message_id=item.message_id, kind=item.kind, link=item.url, by=verdict.by, reason=verdict.reason, rules=judge.RULES,
            at=item.at or found.at,
        )  # fmt: skip
        if item.kind == "clicked" and verdict.by == "human":
            yield acted(
                Click(contact, item.message_id, item.url, None, item.at or found.at), contact, {scheme(item.channel, item.address): item.address}
            )
    elif isinstance(item, Opted):
        yield OptedOut(
            contact_id=contact, account=account.name, channel=item.channel, address=item.address, state=item.state,
            purposes=item.purposes, at=item.at or found.at,
        )  # fmt: skip
        yield from _consents(contact, item.channel, item.address, item.state, item.purposes, "provider", item.at or found.at)
        if item.reason and item.message_id:
            said: Literal["complained", "unsubscribed"] = "complained" if item.reason == "spam_complaint" else "unsubscribed"
            yield EngagementRecorded(contact_id=contact, message_id=item.message_id, kind=said, by="human", at=item.at or found.at)
    elif isinstance(item, Received):
        text, reference, started = clicktochat.read(item)
        if not item.standby:  # else whoever holds the conversation answers; a STOP counts nevertheless
            yield made(
                MessageReceived, contact_id=contact, message_id=found.id, account=account.name, channel=item.channel, address=item.address,
                reply_to=item.conversation if item.conversation != item.address else None,
                kind="text" if started else KINDS.get(item.kind, "media"), text=text, choice=None if started else item.choice,
                media=item.media, location=item.location, reference=reference, provider_id=item.provider_id, sent_at=item.sent_at, received_at=found.at,
            )  # fmt: skip
        if wish(text) == "opt_out":
            # Told to sender here already: a STOP must not wait behind any flow. The router says the same a moment later.
            yield from _consents(contact, item.channel, item.address, ConsentState.REVOKED, tuple(Purpose), "keyword", found.at)


def _consents(
    contact: UUID, channel: Channel, address: str, state: ConsentState, purposes: tuple[Purpose, ...], source: str, at: datetime
) -> Iterator[ConsentChanged]:
    for purpose in purposes:
        yield ConsentChanged(contact_id=contact, channel=channel, address=address, purpose=purpose, state=state, source=source, at=at)


def _natural(item: Item, account: Account) -> UUID:
    """The id by which a repeat is known: the provider's own, and for receipts also what they say (Twilio repeats a sid with each status)."""
    if isinstance(item, Received):
        # Telegram counts the messages of each chat on its own: the chat belongs to the id.
        return natural_id("message", account.name, item.provider_id, *([item.conversation] if item.conversation else []))
    if isinstance(item, Receipt):
        marks = (item.provider_id or str(item.message_id), item.status.value, item.code or "", str(item.watermark or ""), item.address or "")
        return natural_id("receipt", account.name, *marks)
    if isinstance(item, Opted):
        return natural_id("opted", account.name, item.address, item.state.value, ",".join(item.purposes), item.provider_id or "", str(item.at))
    if isinstance(item, Engaged):
        which = item.event_id or f"{item.provider_id}:{item.at}"
        return natural_id("engaged", account.name, which, item.kind, item.url or "", item.address or "")
    return natural_id("happened", account.name, item.event_id if isinstance(item, Happened) else item.url)


def _addresses(one: Found) -> tuple[Address, ...]:
    item = one.item
    if isinstance(item, CustomerEvent):
        return of_customer(one.tenant, item.customer)
    assert isinstance(item, Received | Opted | Engaged) and item.address
    return (Address(one.tenant, scheme(item.channel, item.address), item.address),)

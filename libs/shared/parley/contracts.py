"""Every event on Parley's bus: its data, its topic, its key. What other systems build against.

Events are CloudEvents 1.0 in Kafka's binary mode: attributes are record headers (`ce_id`, `ce_type`, ...), the value is the data as JSON.
A model here is frozen; a reader ignores fields it does not know, so a field may be added but never removed, narrowed or made required where
others publish it (`tests/test_contract.py` holds that against the checked-in schemas in `docs/contract/`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=65_536)]
MOST_HTML = 262_144
"""Characters of an e-mail's HTML."""


class Channel(StrEnum):
    """A way to reach a person. `sms` and `whatsapp` share one address: the phone number in E.164."""

    SMS = "sms"
    MMS = "mms"
    RCS = "rcs"
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"
    TELEGRAM = "telegram"
    LINE = "line"
    EMAIL = "email"
    PUSH = "push"
    WEBCHAT = "webchat"
    INAPP = "inapp"
    VOICE = "voice"


class Purpose(StrEnum):
    """Why a message is sent; consent, caps and priority hang on it. Members stand in order of priority."""

    REPLY = "reply"
    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class DeliveryStatus(StrEnum):
    """What is known of a message on its way out."""

    QUEUED = "queued"
    HELD = "held"
    SUPPRESSED = "suppressed"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


class ReceiptStatus(StrEnum):
    """What a provider says of a message it took. `unknown`: a word that Parley does not know yet."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ConsentState(StrEnum):
    GRANTED = "granted"
    PENDING = "pending"
    REVOKED = "revoked"


class Frozen(BaseModel):
    """A value: equal by content, never changed, tolerant of fields added later."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Media(Frozen):
    """A picture, sound, film or file, by address (`url`) or by the provider's own id."""

    kind: Literal["image", "audio", "video", "document", "sticker"]
    url: str | None = None
    provider_id: str | None = None
    content_type: str | None = None


class Choice(Frozen):
    """An answer that a person can tap. `id` is what the machine gets back, `title` what the person reads."""

    id: Name
    title: Annotated[str, StringConstraints(max_length=500)] = ""


class Location(Frozen):
    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)
    name: str | None = None


class Template(Frozen):
    """A message form approved by the provider beforehand, with its parameters in order: those of the body, and of the header.

    `media`: the file of a header that is one. `buttons`: for each button the part of its address that is filled in, empty where it has none.
    """

    name: Name
    language: str
    parameters: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    media: Media | None = None
    buttons: tuple[str, ...] = ()


class Card(Frozen):
    """A thing with its picture and link, shown as a card where the channel has them, else as lines of text and a picture."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    image: str | None = None
    url: str | None = None


class Content(Frozen):
    """What a message says. Links in it are tracked when the message has a campaign.

    `subject` and `html` are read by e-mail alone; where `text` is empty, it is made from `html`. `plainer`: whether an SMS may be said without typographic
    characters where that saves a segment; None: as its account says.
    """

    text: Text = ""
    subject: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    html: Annotated[str, StringConstraints(min_length=1, max_length=MOST_HTML)] | None = None
    media: tuple[Media, ...] = ()
    choices: tuple[Choice, ...] = ()
    template: Template | None = None
    cards: tuple[Card, ...] = ()
    plainer: bool | None = None


class Data(Frozen):
    """The data of one event. `topic` and `type` are fixed by class; `key` decides order: one key, one order."""

    topic: ClassVar[str]
    type: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} says no key")  # pragma: no cover


class OfContact(Data):
    """Data about one contact: keyed by contact, so that everything of one person stays in order."""

    contact_id: UUID

    @property
    def key(self) -> str:
        return str(self.contact_id)


class RawReceived(Data):
    """A provider's request as it came, verified, not yet understood. `body` is base64 of the exact bytes."""

    topic = "parley.raw"
    type = "parley.raw.received"

    account: Name
    sender: str = ""
    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = {}
    body: str
    received_at: AwareDatetime

    @property
    def key(self) -> str:
        return f"{self.account}:{self.sender}"


class Customer(Frozen):
    """Who an event is about: the sending system's customer id, or addresses by channel, or both."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    addresses: dict[Channel, Annotated[str, StringConstraints(min_length=1, max_length=4096)]] = {}

    @model_validator(mode="after")
    def _somebody(self) -> Customer:
        if self.id is None and not self.addresses:
            raise ValueError("customer needs an `id` or at least one of `addresses`")
        return self

    @property
    def key(self) -> str:
        return self.id if self.id is not None else next(iter(sorted(self.addresses.values())))


class CustomerEvent(Data):
    """Something a customer did elsewhere, published by another service: `cart.abandoned`, `order.placed`, ..."""

    topic = "parley.customers"
    type = "parley.customer.event"

    customer: Customer
    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
    properties: dict[str, JsonValue] = {}
    occurred_at: AwareDatetime

    @property
    def key(self) -> str:
        return self.customer.key


class MessageReceived(OfContact):
    """A customer's message, understood. `message_id` is made from account and provider id: a repeat has the same.

    `reply_to`: where an answer goes when that is not `address`: a group's chat, a channel. `reference`: the campaign whose link or advertisement brought
    the customer here; of ours it is taken out of the text.
    """

    topic = "parley.inbound"
    type = "parley.message.received"

    message_id: UUID
    account: Name
    channel: Channel
    address: Name
    reply_to: Name | None = None
    kind: Literal["text", "choice", "media", "location", "reaction", "system"]
    text: Text | None = None
    choice: Choice | None = None
    media: tuple[Media, ...] = ()
    location: Location | None = None
    reference: Name | None = None
    provider_id: str | None = None
    sent_at: AwareDatetime | None = None
    received_at: AwareDatetime


class CustomerActed(OfContact):
    """A `CustomerEvent`, resolved to a contact. `addresses` are all that are known of the contact, by channel."""

    topic = "parley.inbound"
    type = "parley.customer.event"

    customer: Customer
    name: Name
    properties: dict[str, JsonValue] = {}
    occurred_at: AwareDatetime
    addresses: dict[Channel, str] = {}


class TimerFired(OfContact):
    """A wait is over. A timer whose `token` the state no longer holds is stale and means nothing."""

    topic = "parley.inbound"
    type = "parley.timer.fired"

    timer: Name
    token: Name
    due_at: AwareDatetime


class CallReturned(OfContact):
    """The answer of a service that a flow asked over HTTP."""

    topic = "parley.inbound"
    type = "parley.call.returned"

    call: Name
    token: Name
    status: int | None = None
    body: JsonValue = None
    error: str | None = None


class AgentActed(OfContact):
    """A person of the brand took part: replied to the customer, or ended the conversation with people."""

    topic = "parley.inbound"
    type = "parley.agent.acted"

    conversation_id: UUID
    action: Literal["reply", "resolve"]
    agent: Name
    text: Text = ""
    at: AwareDatetime


class OptedOut(OfContact):
    """The provider itself says that this address wants no more (or wants again): its flag, not a word of the customer."""

    topic = "parley.inbound"
    type = "parley.address.opted"

    account: Name
    channel: Channel
    address: Name
    state: ConsentState
    purposes: tuple[Purpose, ...]
    at: AwareDatetime


class ContactMerged(OfContact):
    """This contact is part of `into` from now on, or, without it, stands on its own again. Of several the greatest `version` counts."""

    topic = "parley.inbound"
    type = "parley.contact.merged"

    into: UUID | None = None
    version: int
    at: AwareDatetime


class ContactParted(OfContact):
    """Addresses and former contacts leave this contact for `other`. What was only theirs is forgotten here."""

    topic = "parley.inbound"
    type = "parley.contact.parted"

    other: UUID
    contacts: tuple[UUID, ...] = ()
    addresses: dict[Channel, tuple[str, ...]] = {}
    version: int
    at: AwareDatetime


class ContactAbsorbed(OfContact):
    """What the router knows of `source`, in its own form, for the contact that it is part of. `lasting`: no parting takes it back."""

    topic = "parley.inbound"
    type = "parley.contact.absorbed"

    source: UUID
    version: int
    known: dict[str, JsonValue] = {}
    lasting: bool = False
    at: AwareDatetime


class ContactErased(OfContact):
    """Everything about this contact is to be forgotten. What was refused stays refused."""

    topic = "parley.inbound"
    type = "parley.contact.erased"

    at: AwareDatetime


class ContactScored(OfContact):
    """What the figures tell of a contact by now, told where it moved by enough to matter. Of several the latest `at` counts (docs/people.md).

    `fan` and `silent`: 0 to 100. `best_hour`: the hour of the tenant's clock, within its daytime, in which this contact (or those like it: `best_hour_of`)
    reacts most. Of who has bought: `order_again` is the probability that they order in the next 365 days, `lifetime_value` what they are expected to spend
    in these, `next_order_days` the time in which half of such people order again, of those who have not stopped.
    """

    topic = "parley.inbound"
    type = "parley.contact.scored"

    fan: int = Field(ge=0, le=100)
    silent: int = Field(ge=0, le=100)
    best_hour: int | None = Field(default=None, ge=0, le=23)
    best_hour_of: Literal["contact", "segment", "tenant"] | None = None
    order_again: float | None = Field(default=None, ge=0, le=1)
    next_order_days: float | None = Field(default=None, ge=0)
    lifetime_value: Decimal | None = None
    currency: str | None = None
    at: AwareDatetime


class MessageRequested(OfContact):
    """Please deliver this. It goes over `account`, or the first of `channels` that has an address and an account of the tenant.

    `notice` marks the one answer that the law asks for after an opt-out, an opt-in or a call for help: only it passes a revoked consent. `timezone`: the
    contact's, where the profile tells it. `priority`: of two messages for which a frequency cap has one slot, the higher gets it. `fallback_after`:
    seconds after which, not delivered, it is told over the next of `channels`; `instead_of`: the message that it is told in place of. `language`: the
    contact's, in which it is said.
    """

    topic = "parley.outbound"
    type = "parley.message.requested"

    message_id: UUID
    purpose: Purpose
    channels: tuple[Channel, ...] = ()
    account: Name | None = None
    addresses: dict[Channel, str] = {}
    content: Content
    notice: Literal["opted_out", "opted_in", "help"] | None = None
    campaign: str | None = None
    variant: str | None = None
    flow: str | None = None
    step: str | None = None
    conversation_id: UUID | None = None
    not_before: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    timezone: Name | None = None
    priority: int = Field(default=0, ge=-100, le=100)
    fallback_after: int | None = Field(default=None, ge=1, le=604_800)
    instead_of: UUID | None = None
    language: Name | None = None


class ErasureRequested(OfContact):
    """Please forget what this contact was sent, and to where. What it refused holds for whoever comes with one of its addresses later."""

    topic = "parley.outbound"
    type = "parley.contact.erased"

    addresses: dict[Channel, str] = {}
    at: AwareDatetime


class ReceiptReceived(Data):
    """A provider tells what became of a message, by its own id or by our echoed `message_id`. Early, late, twice and in any order.

    With a `watermark` it speaks of all messages to `recipient` up to that time. `price` is what the provider says it takes, for the whole message.
    """

    topic = "parley.receipts"
    type = "parley.receipt.received"

    account: Name
    provider_id: str | None = None
    message_id: UUID | None = None
    status: ReceiptStatus
    code: str | None = None
    failure: str | None = None
    recipient: str | None = None
    watermark: AwareDatetime | None = None
    price: Decimal | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    segments: int | None = None
    at: AwareDatetime

    @property
    def key(self) -> str:
        return f"{self.account}:{self.provider_id or self.message_id or self.recipient}"


class DeliveryChanged(OfContact):
    """A message's delivery came one step further. `segments` in the provider's unit; `price` as the provider told it, once it did.

    `flow`, `step` and `language` are those of its request.
    """

    topic = "parley.deliveries"
    type = "parley.delivery.changed"

    message_id: UUID
    channel: Channel
    account: Name
    purpose: Purpose
    campaign: str | None = None
    variant: str | None = None
    flow: str | None = None
    step: str | None = None
    language: str | None = None
    status: DeliveryStatus
    reason: str | None = None
    attempt: int = 0
    segments: int = 0
    provider_id: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    instead_of: UUID | None = None
    at: AwareDatetime


class LinkMinted(OfContact):
    """A tracked link: who follows `/l/{code}` is sent to `url` and counted; `/o/{code}.gif` counts an open (`url` empty).

    Of `kind` unsubscribe: one POST to `/u/{code}` takes `address` off marketing on `channel` (RFC 8058).
    """

    topic = "parley.links"
    type = "parley.link.minted"

    code: Name
    url: str
    message_id: UUID
    kind: Literal["link", "unsubscribe"] = "link"
    account: Name | None = None
    channel: Channel | None = None
    address: Name | None = None
    campaign: str | None = None
    at: AwareDatetime

    @property
    def key(self) -> str:
        return self.code


class OfMessage(OfContact):
    """What happens around one message before it is known what it was: keyed by message."""

    message_id: UUID

    @property
    def key(self) -> str:
        return str(self.message_id)


class LinkHit(OfMessage):
    """A request for a link, a pixel or an unsubscription, as it came. Who it was is judged a little later, with what came around it.

    `ahead`: the browser says that it fetches before anybody asked. `language`: the request names one, as every browser's does. `client` tells
    requests of one address and agent from others, for about an hour; none where the address is not a public one.
    """

    topic = "parley.hits"
    type = "parley.link.hit"

    code: Name
    kind: Literal["opened", "clicked", "unsubscribed"]
    method: Annotated[str, StringConstraints(max_length=20)] = "GET"
    agent: Annotated[str, StringConstraints(max_length=500)] = ""
    ahead: bool = False
    language: bool = False
    client: str | None = None
    at: AwareDatetime


class HitsDue(OfMessage):
    """It is time to judge the hits of this message up to `until`. It stands behind all of them in the log, so none can be missing."""

    topic = "parley.hits"
    type = "parley.hits.due"

    until: AwareDatetime


class EngagementRecorded(OfContact):
    """Somebody, or something, opened a message or followed a link in it. `reason`: why it counts as `by`; `rules`: the version that says so.

    `hit`: what was judged. Of several judgements of one hit that with the greatest `rules`, and of these with the greatest `revision`, counts: so a click
    that turns out to be a scanner's after all is told again, with the same `hit`, `kind` and `at`.
    """

    topic = "parley.engagement"
    type = "parley.engagement.recorded"

    message_id: UUID
    kind: Literal["opened", "clicked", "complained", "unsubscribed"]
    link: str | None = None
    by: Literal["human", "prefetch", "scanner", "unknown"] = "unknown"
    reason: Name | None = None
    rules: int | None = None
    hit: UUID | None = None
    revision: int = Field(default=0, ge=0)
    at: AwareDatetime


class ConversationChanged(OfContact):
    """A conversation between a contact and the brand (bot or people) came one step further.

    `channel`: the one that the contact wrote on last. `by`: who of the brand made the step; what the `system` resolves ended without a solution, because
    the contact became part of another, or was erased. `score`: of a rating, from 1 to 5. `overdue`: nobody answered until `at`, which the team had promised.
    """

    topic = "parley.conversations"
    type = "parley.conversation.changed"

    conversation_id: UUID
    change: Literal["opened", "answered", "escalated", "assigned", "replied", "resolved", "rated", "overdue"]
    team: str | None = None
    agent: str | None = None
    flow: str | None = None
    channel: Channel | None = None
    by: Literal["bot", "person", "system"] | None = None
    score: int | None = None
    at: AwareDatetime


class GoalChanged(OfContact):
    """A flow watches for a conversion (the event `goal`, before `until`), or it happened: then with the event's properties. Counted under flow and variant."""

    topic = "parley.conversations"
    type = "parley.goal.changed"

    change: Literal["watched", "reached"]
    goal: Name
    flow: Name
    step: Name
    campaign: str | None = None
    variant: str | None = None
    until: AwareDatetime
    properties: dict[str, JsonValue] = {}
    at: AwareDatetime


class ContactDrawn(OfContact):
    """A contact came to an experiment of a flow and was given a variant, whether or not anything is ever said to it. Of several the earliest counts.

    `experiment`: the name of the `split`, or the campaign where the whole flow is one. `weights` of all its variants, by which it is drawn; `holdout`: the one
    of them that is left alone.
    """

    topic = "parley.conversations"
    type = "parley.contact.drawn"

    experiment: Name
    campaign: Name
    variant: Name
    weights: dict[Name, Annotated[int, Field(ge=1)]]
    holdout: Name | None = None
    flow: Name
    step: Name | None = None
    at: AwareDatetime


class MessageMisunderstood(OfContact):
    """A message whose meaning was not sure, with what it could mean, the likeliest first, and what the customer chose of that: material for examples."""

    topic = "parley.misunderstood"
    type = "parley.message.misunderstood"

    text: Text
    language: str
    suggestions: tuple[Name, ...] = ()
    chosen: Name | None = None
    at: AwareDatetime


class Proof(Frozen):
    """How a consent came about: what the person was shown, what they said to it, and by which flow and step."""

    shown: Text | None = None
    said: Text | None = None
    flow: str | None = None
    step: str | None = None


class ConsentChanged(OfContact):
    """A contact allowed or forbade one purpose on one channel. The latest `at` counts. `at_night`: the yes covers the hours in which law wants one of its own."""

    topic = "parley.consent"
    type = "parley.consent.changed"

    channel: Channel
    address: str | None = None
    purpose: Purpose
    state: ConsentState
    source: str
    proof: Proof | None = None
    at_night: bool = False
    at: AwareDatetime

    @property
    def key(self) -> str:
        return f"{self.contact_id}:{self.channel}:{self.purpose}"


EVENTS: tuple[type[Data], ...] = (
    RawReceived, CustomerEvent, MessageReceived, CustomerActed, TimerFired, CallReturned, AgentActed, OptedOut, ContactMerged, ContactParted,
    ContactAbsorbed, ContactErased, ContactScored, MessageRequested, ErasureRequested, ReceiptReceived, DeliveryChanged, LinkMinted, LinkHit, HitsDue,
    EngagementRecorded, ConversationChanged, GoalChanged, ContactDrawn, MessageMisunderstood, ConsentChanged,
)  # fmt: skip
"""The whole catalogue; documentation, topics and decoding are made from it."""

PUBLISHED_BY_OTHERS: frozenset[type[Data]] = frozenset({CustomerEvent})
"""What systems outside Parley publish: here a new required field breaks them."""

DEAD_TOPIC = "parley.dead"
COMPACTED: frozenset[str] = frozenset({ConsentChanged.topic, LinkMinted.topic})
TOPICS: tuple[str, ...] = (*dict.fromkeys(event.topic for event in EVENTS), DEAD_TOPIC)

BY_TOPIC_AND_TYPE: dict[tuple[str, str], type[Data]] = {(event.topic, event.type): event for event in EVENTS}


class Envelope(Frozen):
    """An event as it travels: the CloudEvents attributes around the data.

    `started_at` is when the outermost cause reached Parley (for end-to-end latency); `origin` is the place in the bus that caused the event
    (see `parley.positions`), by which a keyed state knows a repeat.
    """

    id: Name
    source: Name
    time: AwareDatetime
    tenant: Name
    subject: str | None = None
    traceparent: str | None = None
    started_at: AwareDatetime | None = None
    origin: str | None = None
    data: Data


Record = tuple[str, bytes, list[tuple[str, bytes]], bytes]
"""A record ready for Kafka: topic, key, headers, value."""


def utc(moment: datetime) -> str:
    """RFC 3339 with microseconds and offset, as CloudEvents `time` wants it."""
    return moment.isoformat()


def jsonable(data: Data) -> Any:
    """The data as JSON types, without what is not set."""
    return data.model_dump(mode="json", exclude_none=True)

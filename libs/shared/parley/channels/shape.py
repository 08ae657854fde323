"""What a channel file takes and gives: values only, and the Protocol that every provider module satisfies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from pydantic import JsonValue

from parley.contracts import Channel, Choice, ConsentState, Content, Location, Media, Purpose, ReceiptStatus
from parley.failures import Class, Outcome


class Forged(Exception):
    """The signature is missing, wrong or too old. Answered 401 without a detail: whoever forges learns nothing."""


class Malformed(Exception):
    """The signature is right and the body is not what the provider sends. Answered 400 with the sentence."""


class Unkeyed(Exception):
    """The signature is made with a key that stands at `url`, an address which the provider's own rules allow. Whoever can, fetches it, puts it into
    `Request.keys`, and asks again."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class Unreachable(ValueError):
    """Raised by `build`: the address is none that the provider could ever deliver to. What was kept under it can be dropped."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account at a provider, as configured. `credentials` are resolved; several values of one name: a secret being rotated, newest first."""

    name: str
    tenant: str
    provider: str
    channel: Channel
    sender: str
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    public_url: str | None = None
    base_url: str | None = None
    rate: float = 10.0
    """Sends a second, in the provider's own unit (see `Provider.UNIT`)."""
    burst: int = 1
    per: float = 1.0
    """The seconds over which the rate is seen: as it is written, a second, a minute or an hour."""
    limits: tuple[str, ...] = ()
    """Names of the limits that it shares with other accounts."""
    pair: tuple[float, int] | None = None
    """Messages a second to one recipient, and at once."""
    shares: int = 1
    """Lanes in which it is driven, each with its share of the rate; a contact keeps to one."""
    window: timedelta | None = None
    """How long after the customer's last word the provider takes free text; None: always."""
    honours_keys: bool = False
    """The provider knows a repeated idempotency key and does not send again: then a doubtful call may be repeated."""
    origins: tuple[str, ...] = ()
    """Pages that may use the account from a browser (web chat); `*` for every one."""
    requests: float | None = None
    """Requests a second that its webhook takes; None: as many as any account's."""
    known_as: str | None = None
    """What customers know it by, where that is not `sender`: a phone number, a bot's or a page's name, the page with the web chat."""
    alphabets: tuple[str, ...] = ()
    """Languages whose national tables of GSM 03.38 the operator takes (see `channels.nationals`)."""
    plainer: bool = False
    """A text that a few typographic characters put beyond the GSM alphabet is sent without them (see `channels.plainer`)."""
    weight: float = 1.0
    """Its share of the contacts beside other accounts that could serve them; 0: only where no other can."""
    price: Decimal | None = None
    """What a segment or message costs over it, in `currency`; None: not known."""
    currency: str | None = None
    only: frozenset[str] | None = None
    """The countries (ISO 3166) that it serves; None: all but those in `never`."""
    never: frozenset[str] = frozenset()
    pool: str | None = None
    """The name under which a request may ask for it and others together."""
    also: frozenset[str] = frozenset()
    """Tenants that send through it beside its own. What comes in is its own tenant's."""

    def secret(self, name: str) -> str:
        """The newest value of a credential. Raises KeyError with a sentence when it is not configured."""
        values = self.credentials.get(name)
        if not values:
            raise KeyError(f"account {self.name}: credential `{name}` is not set")
        return values[0]

    def sends_for(self, tenant: str) -> bool:
        """Whether the tenant may send through it."""
        return tenant == self.tenant or tenant in self.also

    def serves(self, country: str | None) -> bool:
        """Whether it may serve people in a country; where that is not known, an account that names its countries may not."""
        return country in self.only if self.only is not None else country not in self.never


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that came in. `url` is the public one where configured; header names are lower case; `body` is exact."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys that were fetched because `verify` asked for them, as PEM by address."""

    @property
    def query(self) -> str:
        return self.url.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer, ours to a provider (handshake) or a provider's to us."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Piece:
    """A message that the provider gives no id to, or a part of a longer one (SMS straight from an operator). What was not answered comes again."""

    words: str
    """A digest of who says what to whom: the same words that come by another connection within minutes are a repeat, by the same one a second message."""
    connection: str
    whole: str = ""
    """The message that it is a part of: sender, recipient and reference; of parts, the same words are always a repeat."""
    total: int = 1
    number: int = 1
    body: bytes = b""
    coding: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A customer's message. `kind` names what it carries in the provider's richer words (`type` of the samples)."""

    channel: Channel
    address: str
    provider_id: str
    kind: Literal["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "unsupported", "reaction"]
    text: str | None = None
    choice: Choice | None = None
    media: tuple[Media, ...] = ()
    location: Location | None = None
    sent_at: datetime | None = None
    recipient: str | None = None
    """The receiving business number or page, where one request carries several."""
    conversation: str | None = None
    """Where an answer goes, when that is not `address`: a group's chat, a channel."""
    standby: bool = False
    """Somebody else holds the conversation for now (LINE's module channels): this is to be known, and not to be answered."""
    reference: str | None = None
    """What brought the customer here, where the provider tells: the payload of a link, an advertisement."""
    piece: Piece | None = None
    """Only where the provider gives messages no id. A part of several says nothing yet: the provider's `join` reads them together."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message of ours. `message_id` is our own id where the provider echoes it."""

    channel: Channel
    status: ReceiptStatus
    provider_id: str | None = None
    message_id: UUID | None = None
    address: str | None = None
    code: str | None = None
    failure: Class | None = None
    at: datetime | None = None
    recipient: str | None = None
    watermark: datetime | None = None
    """All messages to `address` up to this time (Messenger's reads)."""
    event_id: str | None = None
    """The provider's id of this very telling, where it has one."""
    conversation: str | None = None
    """The chat that a `watermark` speaks of, where that is not `address`: messages went there."""
    price: Decimal | None = None
    """What the provider takes for the message, with its `currency` (ISO 4217): both or neither."""
    currency: str | None = None
    segments: int | None = None
    """How many segments the provider counts, which may be other than we counted."""


@dataclass(frozen=True, slots=True)
class Opted:
    """The provider's own word that an address wants no more, or wants again; `purposes` it covers."""

    channel: Channel
    address: str
    state: ConsentState
    purposes: tuple[Purpose, ...] = tuple(Purpose)
    at: datetime | None = None
    provider_id: str | None = None
    """The message or event that said so: by it a second STOP is told from a repeat of the first, where no time is given."""
    reason: Literal["spam_complaint", "unsubscribe"] | None = None
    """Of e-mail: reported as spam, or unsubscribed by a link."""
    message_id: UUID | None = None
    """Our message that it answers, where the provider echoes it."""


@dataclass(frozen=True, slots=True)
class Engaged:
    """A message was opened, or a link in it followed, as the provider saw it. `machine`: the provider's own word on who it was, None for none."""

    kind: Literal["opened", "clicked"]
    channel: Channel
    provider_id: str | None = None
    message_id: UUID | None = None
    address: str | None = None
    url: str | None = None
    machine: bool | None = None
    agent: str | None = None
    event_id: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """The provider asks for something of the connection itself: `url` must be fetched once to confirm a subscription (Amazon SNS)."""

    type: Literal["subscription_confirmation"]
    url: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a generic source, by its own id. It concerns a customer only where its data name one."""

    type: str
    event_id: str
    data: JsonValue = None
    at: datetime | None = None


Item: TypeAlias = Received | Receipt | Opted | Engaged | Happened | Control


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready for a provider: rendered, with the address it goes to."""

    message_id: UUID
    address: str
    content: Content
    at: datetime
    """When this attempt is made: providers check the age of a signature."""
    receipts_url: str | None = None
    """Where the provider shall call back, where it is told so with each message."""
    token: str | None = None
    """The access token of the account, where the provider wants one that is fetched first (see `TokenProvider`)."""
    unsubscribe_url: str | None = None
    """Where one POST unsubscribes without a question (RFC 8058). E-mail carries it in its headers."""
    valid_for: timedelta | None = None
    """How long from `at` the message is of use: a provider that can be told so gives up then. None: as long as the provider tries."""

    def seconds(self, least: int, most: int) -> int | None:
        """`valid_for` in whole seconds, within what a provider allows; None where nothing is said. Longer than asked only where `least` is."""
        return None if self.valid_for is None else max(least, min(most, int(self.valid_for.total_seconds())))


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to make, by whoever holds the HTTP client."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    http2: bool = False
    """The server speaks HTTP/2 and nothing older."""


class Provider(Protocol):
    """What a provider module offers. Every function is pure; the time comes in as `now`."""

    @property
    def UNIT(self) -> str:
        """What the provider counts when it limits the rate: "segments" or "messages"."""
        ...

    @property
    def HONOURS_KEYS(self) -> bool:
        """Whether a repeated idempotency key is known not to send twice, unless the account says otherwise."""
        ...

    @property
    def CREDENTIALS(self) -> tuple[str, ...]:
        """Names of the credentials that sending needs, for the check of accounts.yaml."""
        ...

    def verify(self, request: Request, account: Account, now: datetime) -> None:
        """Raises `Forged` unless the request comes from the provider, `Unkeyed` where a key must be fetched first. In constant time, raw bytes."""
        ...

    def handshake(self, request: Request, account: Account) -> Response | None:
        """The answer to a request, a GET or a POST, with which the provider checks our endpoint; None for every other one. Asked before `verify`."""
        ...

    def parse(self, request: Request, account: Account) -> Sequence[Item]:
        """What the request says, in payload order; a bad item never loses its neighbours. Raises `Malformed` when nothing can be read."""
        ...

    def answer(self) -> Response:
        """What the provider wants to hear when its request was taken."""
        ...

    def build(self, message: Outgoing, account: Account) -> Sequence[HttpRequest]:
        """The requests that deliver the message, in order. Raises ValueError or KeyError with a sentence where none could, `Unreachable` for the address."""
        ...

    def interpret(self, response: Response) -> Outcome:
        """What the provider's answer means. Never `unknown`: an answer is an answer."""
        ...

    def segments(self, content: Content) -> int:
        """What the message costs of the rate, in `UNIT`; at least 1. Of an account, `channels.units` tells."""
        ...


@runtime_checkable
class Counting(Protocol):
    """What a provider module offers beside that, where what a message costs hangs on the account too: on the national tables that its operator takes."""

    def counted(self, content: Content, account: Account) -> int:
        """As `segments`, over this account."""
        ...


@runtime_checkable
class TokenProvider(Protocol):
    """What a provider module offers beside that, where calls carry an access token that is fetched first and lives for a while (OAuth 2)."""

    def token_request(self, account: Account, now: datetime) -> HttpRequest:
        """The request that fetches a token."""
        ...

    def token_answer(self, response: Response) -> tuple[str, timedelta] | Outcome:
        """The token and how long it may be used; or why there is none."""
        ...


@runtime_checkable
class Source(Protocol):
    """What a provider module offers beside that, where events come from and nothing can be sent to: no message goes its way by its channel alone."""

    @property
    def ONLY_A_SOURCE(self) -> Literal[True]: ...


@runtime_checkable
class QueryReader(Protocol):
    """What a provider module offers beside that, where `parse` reads parameters of the query: only these stay with a request that was taken."""

    @property
    def QUERY(self) -> tuple[str, ...]: ...


@runtime_checkable
class Joining(Protocol):
    """What a provider module offers beside that, where a long message comes in parts."""

    def join(self, parts: Sequence[Received]) -> Received:
        """The message that the parts make, given in their order."""
        ...


@runtime_checkable
class Connected(Protocol):
    """What a provider module offers beside that, where nothing goes over HTTP: a connection that is held as long as the lane is driven. `build` makes
    what is written to it, `interpret` reads what is answered, `parse` reads what comes by it."""

    def address_fault(self, base_url: str | None) -> str | None:
        """What is wrong with the `base_url` of an account; None when a connection can go there."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """What a provider module offers beside that, where files of customers stand with the provider and are fetched by their id, or with our credentials."""

    def media_request(self, media: Media, account: Account) -> HttpRequest | None:
        """The first request for the file; None where its address is fetched as it is, or there is none. Credentials go to the provider's hosts alone."""
        ...

    def media_next(self, response: Response, account: Account) -> HttpRequest | None:
        """Where the answer says that the file stands; None: the answer is the file, or the end. Raises ValueError where that is none of the provider's."""
        ...


@runtime_checkable
class Queryable(Protocol):
    """What a provider module offers beside that, where it can be asked what it knows of a message whose call ended without an answer.

    `message.at` is when that call was made, `part` which of the message's requests it was, from 0. Who asks waits until the call can no longer
    be under way, a minute or more: no provider promises to know at once what it has just taken.
    """

    def query(self, message: Outgoing, part: int, account: Account, now: datetime) -> HttpRequest | None:
        """The question; None where this message cannot be asked for. Raises as `build`."""
        ...

    def query_answer(self, response: Response, message: Outgoing, part: int, account: Account) -> Receipt | Literal["never"] | None:
        """What became of the message, "never" only where the answer proves that it was not taken; None: no answer, or one that says nothing."""
        ...

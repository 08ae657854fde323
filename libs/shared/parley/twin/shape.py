"""What the twin's parts hand to one another: accounts, calls that come in, messages found in them, answers and posts that go out. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from parley.twin import signing

Word: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Status: TypeAlias = Literal["sent", "delivered", "read", "failed"]
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"twilio": ("account_sid", "auth_token"), "meta": ("access_token", "app_secret"), "plain": ("symmetric",)}
)
"""Credentials of an account, by provider: what we prove ourselves with, and what the provider signs with."""


class TwinError(Exception):
    """The twin cannot run or cannot do what was asked: one sentence with the way out."""


class Account(BaseModel):
    """A business's account at the provider, as the provider knows it. `hook_url` is the webhook that customers' messages are posted to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Word
    provider: Literal["twilio", "meta", "plain"]
    channel: Word = "sms"
    sender: Word
    credentials: dict[str, Word] = Field(repr=False)
    hook_url: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Account:
        if missing := [name for name in NEEDED[self.provider] if name not in self.credentials]:
            raise ValueError(f"an account of {self.provider} needs the credentials {', '.join(missing)}")
        if self.provider == "plain":
            signing.key(self.credentials["symmetric"])
        if self.hook_url is not None and not self.hook_url.startswith(("http://", "https://")):
            raise ValueError("hook_url must begin with http:// or https://")
        return self


class Option(BaseModel):
    """A button or row as a customer taps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Word
    title: Word


class Say(BaseModel):
    """What a customer shall write or tap. With an `id`, the provider's message id follows from it, and saying it again is no second message."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    account: Word
    sender: Word = Field(alias="from")
    text: str | None = None
    choice: Option | None = None
    id: Word | None = None

    @model_validator(mode="after")
    def _something(self) -> Say:
        if self.text is None and self.choice is None:
            raise ValueError("`text` or `choice` is needed")
        return self


@dataclass(frozen=True, slots=True)
class Call:
    """A request of ours at the provider's door. Header names are looked up whatever their case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider says to a call. `reason` is for the ledger: why it was refused."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message found in a call that passed every check. `recipient` as a customer's address: E.164 with its + where it is a phone number."""

    recipient: str
    text: str | None = None
    reference: str | None = None
    """Our own message id, as it comes back with receipts."""
    choices: tuple[dict[str, str], ...] = ()
    layout: str | None = None
    """How the choices are shown: button or list."""
    media: tuple[str, ...] = ()
    segments: int = 1
    callback: str | None = None
    """Where receipts go, when the call says so itself."""


@dataclass(frozen=True, slots=True)
class Post:
    """A webhook to send; `identifier` stays the same in every repeat. `form` holds the parameters that a signature covers, where it covers those."""

    url: str
    body: bytes
    content_type: str
    identifier: str
    form: Mapping[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """What the twin knows of one provider. Every function is pure; the time comes in as `now`, in epoch seconds."""

    def read(self, call: Call, accounts: Sequence[Account], now: float) -> tuple[Account | None, Message | Answer]:
        """The account that calls and the message, or the answer of a provider that refuses."""
        ...

    def message_id(self, raw: bytes) -> str:
        """The provider's id for 16 bytes."""
        ...

    def accepted(self, account: Account, message: Message, provider_id: str) -> Answer: ...

    def throttled(self, wait: float, draw: float) -> Answer:
        """Too many calls: `wait` is how many seconds to stay away; `draw` picks among the ways in which the provider says it."""
        ...

    def failed(self) -> Answer: ...

    def reused(self) -> Answer:
        """An idempotency key came back with another message."""
        ...

    def receipt(self, account: Account, message: Message, provider_id: str, status: Status, now: float) -> Post | None:
        """The webhook that tells of a status; None where the account named no place for it."""
        ...

    def incoming(self, account: Account, say: Say, provider_id: str, layout: str, now: float) -> Post | None:
        """The webhook that brings a customer's message; None where the account has no hook."""
        ...

    def sign(self, account: Account, post: Post, now: float) -> dict[str, str]:
        """The headers that prove that a post comes from the provider."""
        ...

    def reads(self, account: Account) -> bool:
        """Whether the channel knows read receipts."""
        ...


def as_json(status: int, body: Any, reason: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, orjson.dumps(body), headers or {}, reason=reason)

"""`accounts.yaml`: tenants, their channel accounts and API keys, with secrets by reference only."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from parley import yamlfile
from parley.attribution import Attribution, AttributionEntry
from parley.channels import PROVIDERS, SOURCES
from parley.channels.nationals import NUMBERS
from parley.channels.shape import Account, Connected, Counting
from parley.contracts import Channel
from parley.teams import Promise, TeamEntry
from parley.yamlfile import ConfigError

PER = {"s": 1.0, "min": 60.0, "h": 3600.0}
"""Seconds of the units that rates are written in."""
WINDOWS = {channel: timedelta(hours=24) for channel in (Channel.WHATSAPP, Channel.MESSENGER, Channel.INSTAGRAM)}
"""How long after a customer's last word their providers take free text (Meta: customer service window)."""
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Strategy = Literal["weight", "price"]
Scope = Literal[
    "events:write", "conversations:read", "conversations:write", "rates:read", "messages:read", "messages:write", "flows:read", "flows:write",
    "webhooks:read", "webhooks:write", "messages:settle", "lanes:write", "suppressions:read", "suppressions:write", "suppressions:global",
    "engagement:write",
]  # fmt: skip


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone of the IANA list, such as Asia/Seoul")
    return name


def _rate(text: str) -> str:
    """Of seven digits before the point and three behind it at most: what is beyond that leads a lane's sums out of the calendar."""
    number, _, unit = text.partition("/")
    if unit not in PER or not re.fullmatch(r"(?=\.?[0-9])[0-9]{0,7}(\.[0-9]{0,3})?", number) or float(number) <= 0:
        raise ValueError(f"a rate is a number from 0.001 to 9999999 and a time, as in 10/s, 20/min or 500/h; not {text[:50]!r}")
    return text


def _reference(text: str) -> str:
    if not text.startswith(("env:", "file:")):
        raise ValueError("a credential is a reference, env:NAME or file:PATH, never the value itself")
    return text


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", text):
        raise ValueError(f"an origin is a scheme and a host, as in https://shop.example, or *; not {text!r}")
    return text.lower()


def _base(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?", text):
        raise ValueError(f"links stand below an address as https://go.shop.example, without a query; not {text!r}")
    return text.rstrip("/")


def _kept(text: object) -> timedelta | None:
    if text is None or isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"([0-9]{1,4})d", str(text))
    if not found or not 60 <= int(found[1]) <= 3660:
        raise ValueError(f"facts are kept for a number of days, of 60 to 3660, as in 400d; not {str(text)[:50]!r}")
    return timedelta(days=int(found[1]))


def _alphabet(text: str) -> str:
    if text not in NUMBERS:
        raise ValueError(f"there is no national table of {text!r}; there are {', '.join(NUMBERS)}")
    return text


Reference = Annotated[str, AfterValidator(_reference)]
Rate = Annotated[str, AfterValidator(_rate)]
"""A rate as it is written: 10/s, 20/min, 500/h."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TenantEntry(_Entry):
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    daytime: tuple[Annotated[str, StringConstraints(pattern=CLOCK)], Annotated[str, StringConstraints(pattern=CLOCK)]] = ("08:00", "21:00")
    languages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")], ...] = Field(default=("en",), min_length=1)
    links: Annotated[str, AfterValidator(_base)] | None = None
    routing: dict[Channel, Strategy] = {}
    attribution: AttributionEntry = AttributionEntry()
    facts: Annotated[timedelta | None, BeforeValidator(_kept)] = None
    scores: bool = True
    teams: dict[Slug, TeamEntry] = {}


class CountriesEntry(_Entry):
    """Where an account may send to: `only` there, or anywhere but there (`except`)."""

    only: frozenset[Country] | None = None
    never: frozenset[Country] | None = Field(default=None, alias="except")

    @model_validator(mode="after")
    def _one(self) -> CountriesEntry:
        if self.only is not None and self.never is not None:
            raise ValueError("countries are named under `only` or under `except`: one of them")
        return self


class PairEntry(_Entry):
    """How often the account may write to one recipient."""

    rate: Annotated[str, AfterValidator(_rate)]
    burst: int = Field(default=1, ge=1)


class LimitEntry(_Entry):
    """What several accounts share at their provider: a rate, or how many different recipients may be written to first in any 24 hours."""

    rate: Annotated[str, AfterValidator(_rate)] | None = None
    burst: int = Field(default=1, ge=1)
    recipients: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one(self) -> LimitEntry:
        if (self.rate is None) == (self.recipients is None):
            raise ValueError("a limit has a `rate`, or a number of `recipients` a day: one of them")
        return self


class AccountEntry(_Entry):
    tenant: str
    provider: str
    channel: Channel
    sender: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    rate: Annotated[str, AfterValidator(_rate)] = "10/s"
    burst: int = Field(default=1, ge=1)
    limits: tuple[Slug, ...] = ()
    pair: PairEntry | None = None
    shares: int = Field(default=1, ge=1, le=64)
    window: Literal["24h", "none"] | None = None
    requests: Annotated[str, AfterValidator(_rate)] | None = None
    origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    credentials: dict[str, Reference | tuple[Reference, ...]] = {}
    public_url: str | None = None
    base_url: str | None = None
    known_as: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    honours_keys: bool | None = None
    alphabets: tuple[Annotated[str, AfterValidator(_alphabet)], ...] = ()
    plainer: bool = False
    weight: float = Field(default=1.0, ge=0, le=1000)
    price: Annotated[Decimal, Field(ge=0, lt=1000)] | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    countries: CountriesEntry = CountriesEntry()
    pool: Slug | None = None
    also: tuple[str, ...] = ()


class KeyEntry(_Entry):
    tenant: str
    scopes: tuple[Scope, ...]
    token: Reference


class AccountsFile(_Entry):
    """The file as it stands."""

    tenants: dict[Slug, TenantEntry]
    accounts: dict[Slug, AccountEntry] = {}
    limits: dict[Slug, LimitEntry] = {}
    keys: dict[Slug, KeyEntry] = {}


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    timezone: ZoneInfo
    languages: tuple[str, ...]
    daytime: tuple[time, time] = (time(8), time(21))
    """Between these, by the clock of each contact, we may speak on our own; the same time twice: always."""
    links: str | None = None
    """The tenant's own address for tracked links, which leads to ingest; None: the one of `PARLEY_LINKS`."""
    routing: Mapping[Channel, Strategy] = field(default_factory=dict)
    """How an account is chosen of several for a channel: by their weights, which is the usual, or the cheapest."""
    attribution: Attribution = field(default_factory=Attribution)
    scores: bool = True
    """Whether its people are scored (docs/people.md)."""
    facts: timedelta | None = None
    """How long analytics keeps a row of each message, order and conversation; then only counts. None: for ever."""
    teams: Mapping[str, Promise] = field(default_factory=dict)
    """What teams promise to customers who wait for a person; one that is not named promises nothing."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: whose it is and what it may do. Only a digest of the token is kept."""

    name: str
    tenant: str
    scopes: frozenset[str]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Limit:
    """What several accounts share: `rate` units a second, seen over `per` seconds, or `recipients` in any 24 hours."""

    rate: float = 0.0
    per: float = 1.0
    burst: int = 1
    recipients: int | None = None


@dataclass(frozen=True)
class Config:
    """Tenants, accounts and keys, checked against each other, credentials resolved."""

    tenants: Mapping[str, Tenant]
    accounts: Mapping[str, Account]
    keys: tuple[Key, ...] = ()
    limits: Mapping[str, Limit] = field(default_factory=dict)

    def key(self, token: str) -> Key | None:
        """The key that this bearer token is, compared in constant time."""
        digest = hashlib.sha256(token.encode()).digest()
        return next((key for key in self.keys if hmac.compare_digest(key.digest, digest)), None)

    def of_tenant(self, tenant: str, channel: Channel) -> Account | None:
        """The tenant's first account for a channel, in the order of the file, of those that can send."""
        return next(iter(self.sending(tenant, channel)), None)

    def sending(self, tenant: str, channel: Channel, pool: str | None = None) -> list[Account]:
        """The accounts through which the tenant may send on a channel, in the order of the file; those of a pool only, where one is named."""
        own = (one for one in self.accounts.values() if one.channel is channel and one.sends_for(tenant) and pool in (None, one.pool))
        return [one for one in own if one.provider not in SOURCES]

    def named(self, tenant: str, name: str) -> list[Account]:
        """The account of this name, or those of the pool of this name, as far as the tenant may send through them."""
        return [one for one in self.accounts.values() if name in (one.name, one.pool) and one.sends_for(tenant)]

    def by_sender(self, account: Account, sender: str | None) -> Account:
        """The account of the same tenant and provider with this sender (one hook may serve several numbers), else the account itself."""
        if sender is None or sender == account.sender:
            return account
        same = (one for one in self.accounts.values() if (one.tenant, one.provider, one.sender) == (account.tenant, account.provider, sender))
        return next(same, account)


def load(directory: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in `directory`. Raises `ConfigError`: every complaint with file, line and reason."""
    path = directory / "accounts.yaml"
    entries = yamlfile.read(path, AccountsFile)
    text, env = path.read_text(encoding="utf-8"), os.environ if environment is None else environment
    _check(entries, str(path), text)

    def resolve(place: tuple[str, ...], reference: str | tuple[str, ...]) -> tuple[str, ...]:
        references = (reference,) if isinstance(reference, str) else reference
        try:
            return tuple(secret(one, directory, env) for one in references)
        except LookupError as error:
            raise yamlfile.complain(str(path), text, place, str(error.args[0])) from error

    return Config(
        tenants={name: _tenant(name, one) for name, one in entries.tenants.items()},
        accounts={name: _account(name, one, resolve) for name, one in entries.accounts.items()},
        keys=tuple(
            Key(name, one.tenant, frozenset(one.scopes), hashlib.sha256(resolve(("keys", name, "token"), one.token)[0].encode()).digest())
            for name, one in entries.keys.items()
        ),
        limits={name: _limit(one) for name, one in entries.limits.items()},
    )


def _tenant(name: str, entry: TenantEntry) -> Tenant:
    begin, end = (time.fromisoformat(one) for one in entry.daytime)
    return Tenant(
        name, ZoneInfo(entry.timezone), entry.languages, (begin, end), entry.links, entry.routing, entry.attribution.told(), entry.scores, entry.facts,
        {team: one.told() for team, one in entry.teams.items()},
    )  # fmt: skip


def public(directory: Path) -> Mapping[str, Account]:
    """The accounts without their credentials, for what needs none. Raises `ConfigError` as `load` does."""
    path = directory / "accounts.yaml"
    entries = yamlfile.read(path, AccountsFile)
    _check(entries, str(path), path.read_text(encoding="utf-8"))
    return {name: _account(name, one, lambda _, __: ()) for name, one in entries.accounts.items()}


def _account(name: str, entry: AccountEntry, resolve: Callable[[tuple[str, ...], str | tuple[str, ...]], tuple[str, ...]]) -> Account:
    return Account(
        name=name,
        tenant=entry.tenant,
        provider=entry.provider,
        channel=entry.channel,
        sender=entry.sender,
        credentials={key: resolve(("accounts", name, "credentials", key), reference) for key, reference in entry.credentials.items()},
        public_url=entry.public_url,
        base_url=entry.base_url.rstrip("/") if entry.base_url else None,
        rate=per_second(entry.rate),
        per=per(entry.rate),
        burst=entry.burst,
        limits=entry.limits,
        pair=(per_second(entry.pair.rate), entry.pair.burst) if entry.pair else None,
        shares=entry.shares,
        window=WINDOWS.get(entry.channel) if entry.window is None else timedelta(hours=24) if entry.window == "24h" else None,
        origins=entry.origins,
        known_as=entry.known_as,
        requests=per_second(entry.requests) if entry.requests else None,
        honours_keys=PROVIDERS[entry.provider].HONOURS_KEYS if entry.honours_keys is None else entry.honours_keys,
        alphabets=entry.alphabets,
        plainer=entry.plainer,
        weight=entry.weight,
        price=entry.price,
        currency=entry.currency,
        only=entry.countries.only,
        never=entry.countries.never or frozenset(),
        pool=entry.pool,
        also=frozenset(entry.also),
    )


def per_second(rate: str) -> float:
    """Units a second of a rate as it is written: 10/s, 20/min, 500/h."""
    number, _, unit = rate.partition("/")
    return float(number) / PER[unit]


def per(rate: str) -> float:
    """The seconds that a rate is of."""
    return PER[rate.partition("/")[2]]


def _limit(entry: LimitEntry) -> Limit:
    if entry.rate is None:
        return Limit(recipients=entry.recipients)
    return Limit(per_second(entry.rate), per(entry.rate), entry.burst)


def _check(entries: AccountsFile, name: str, text: str) -> None:
    """Rules across entries: tenants and providers exist, credentials are complete."""
    found: list[ConfigError] = []

    def complain(place: tuple[str, ...], reason: str) -> None:
        found.append(yamlfile.complain(name, text, place, reason))

    for key, account in entries.accounts.items():
        if account.tenant not in entries.tenants:
            complain(("accounts", key, "tenant"), f"there is no tenant {account.tenant!r}; known: {', '.join(entries.tenants)}")
        provider = PROVIDERS.get(account.provider)
        if provider is None:
            complain(("accounts", key, "provider"), f"there is no provider {account.provider!r}; known: {', '.join(PROVIDERS)}")
        elif missing := [one for one in provider.CREDENTIALS if one not in account.credentials]:
            complain(("accounts", key, "credentials"), f"{account.provider} also needs {', '.join(missing)}")
        elif isinstance(provider, Connected) and (fault := provider.address_fault(account.base_url)) is not None:
            complain(("accounts", key, "base_url"), fault)
        elif account.alphabets and not isinstance(provider, Counting):
            complain(("accounts", key, "alphabets"), f"{account.provider} chooses the alphabet itself: national tables are for smpp")
        for place, limit in enumerate(account.limits):
            if limit not in entries.limits:
                complain(("accounts", key, "limits", str(place)), f"there is no limit {limit!r}; known: {', '.join(entries.limits) or 'none'}")
        if account.shares > 1 and account.limits:
            complain(
                ("accounts", key, "shares"), "an account in shares has no `limits` in common with others: each share is driven by another process"
            )
    for where, reason in _misrouted(entries):
        complain(where, reason)
    for key, entry in entries.keys.items():
        if entry.tenant not in entries.tenants:
            complain(("keys", key, "tenant"), f"there is no tenant {entry.tenant!r}; known: {', '.join(entries.tenants)}")
    if found:
        raise ConfigError("\n".join(str(one) for one in found))


def _misrouted(entries: AccountsFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where accounts could not be chosen from: who shares them is there, names mean one thing, and prices can be compared."""
    currencies: dict[tuple[str, Channel], str] = {}
    for key, account in entries.accounts.items():
        for place, name in enumerate(account.also):
            if name not in entries.tenants:
                yield ("accounts", key, "also", str(place)), f"there is no tenant {name!r}; known: {', '.join(entries.tenants)}"
        if account.pool is not None and account.pool in entries.accounts:
            yield ("accounts", key, "pool"), f"{account.pool!r} is an account already: give the pool another name"
        if (account.price is None) != (account.currency is None):
            yield ("accounts", key), "a `price` is told with its `currency`: both or neither"
        for tenant in (account.tenant, *account.also) if account.currency is not None else ():
            first = currencies.setdefault((tenant, account.channel), account.currency or "")
            if first != account.currency:
                yield (
                    ("accounts", key, "currency"),
                    f"{tenant} has prices in {first} for {account.channel}: those of one channel are compared, so they have one",
                )


def secret(reference: str, directory: Path, environment: Mapping[str, str]) -> str:
    """What a reference, `env:NAME` or `file:PATH` (from `directory` on), stands for. Raises `LookupError` with a sentence."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        if not environment.get(name):
            raise LookupError(f"the environment variable {name} is not set")
        return environment[name]
    try:
        return (directory / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise LookupError(f"the file {name} cannot be read: {error.strerror}") from error

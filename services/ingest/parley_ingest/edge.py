"""The webhooks' door: limits first, then verify over the raw bytes, then the request as it came onto the bus; answered once it is kept for good."""

from __future__ import annotations

import base64
import math
import re
from asyncio import get_running_loop
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from parley import wire
from parley.channels import PROVIDERS
from parley.channels.shape import Account, Control, Forged, Item, Malformed, QueryReader, Receipt, Received, Unkeyed
from parley.channels.shape import Request as Hook
from parley.channels.shape import Response as Answer
from parley.contracts import Envelope, RawReceived, Record
from parley.problem import Problem, limited_body
from parley.service import Context
from parley_ingest.door import Door
from parley_ingest.keys import Keys, Unavailable
from parley_ingest.limits import Buckets, caller
from parley_ingest.normalise import customer_event

log = structlog.get_logger()

ITEMS = 10_000
"""Items of one request at most: SendGrid's largest batches have some thousands."""
NEEDED = frozenset({
    "content-type", "user-agent", "webhook-id", "webhook-timestamp", "i-twilio-idempotency-token",
    *(f"{family}shopify-{name}" for family in ("x-", "") for name in ("topic", "event-id", "webhook-id", "triggered-at")),
})  # fmt: skip
"""Headers that travel on: what the adapter reads. Signatures and credentials stay here."""
PARAMETERS: Mapping[str, frozenset[str]] = MappingProxyType({
    name: frozenset(provider.QUERY) if isinstance(provider, QueryReader) else frozenset() for name, provider in PROVIDERS.items()
})  # fmt: skip
"""Parameters of the query that travel on, by provider; tokens that some put there stay here."""
TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass
class Limits:
    """The buckets of the doors, by client address and by account (or key of an API)."""

    context: Context
    addresses: Buckets = field(init=False)
    accounts: Buckets = field(init=False)

    def __post_init__(self) -> None:
        self.addresses = Buckets(self.context.settings.address_requests)
        self.accounts = Buckets(self.context.settings.account_requests)

    def address(self, request: Request) -> None:
        """Raises 429 where the caller's address has no token left."""
        host = request.client.host if request.client is not None else ""
        self._refuse("address", self.addresses.take(caller(host), get_running_loop().time()))

    def account(self, name: str, rate: float | None = None) -> None:
        """Raises 429 where the account has none left."""
        self._refuse("account", self.accounts.take(name, get_running_loop().time(), rate))

    def _refuse(self, limit: str, wait: float) -> None:
        if wait:
            self.context.metrics.limited.labels(limit).inc()
            raise Problem(429, f"Too many requests for one {limit}.", headers={"Retry-After": str(math.ceil(wait))})


@dataclass
class Hooks:
    """`GET/POST /hooks/{account}`."""

    context: Context
    door: Door
    limits: Limits
    keys: Keys

    async def hook(self, request: Request) -> Response:
        """429 over a limit, 401 without a detail when the signature is wrong, 400 unreadable, 404 no such account, 413 too large, 503 when it cannot
        be kept now (the provider comes again)."""
        self.limits.address(request)
        account = self.context.config.accounts.get(request.path_params["account"])
        if account is None:
            raise Problem(404, "There is no such account.")
        self.limits.account(account.name, account.requests)
        now = self.context.clock()
        arrived = received(request, account, await limited_body(request, self.context.settings.body_limit))
        if (greeting := handshake(arrived, account)) is not None:
            return greeting
        try:
            taking = taken(arrived, account, now)
        except Unkeyed as asked:
            taking = taken(replace(arrived, keys={asked.url: await self._key(asked.url)}), account, now)
        if taking.controls:
            await self._confirm(account, taking.controls)
        await self.door.accept([taking.record])
        return Response(taking.answer.body, taking.answer.status, dict(taking.answer.headers))

    async def _key(self, url: str) -> str:
        try:
            return await self.keys.get(url)
        except Unavailable as error:
            raise Problem(503, "The key of the signature is not at hand.", headers={"Retry-After": "5"}) from error

    async def _confirm(self, account: Account, controls: Sequence[Control]) -> None:
        """Fetches what confirms a subscription, before the answer: who hears no 2xx asks again. To confirm twice does nothing."""
        for control in controls:
            try:
                await self.keys.fetch(control.url)
            except (OSError, ValueError) as error:
                log.warning("a subscription cannot be confirmed", account=account.name, cause=f"{type(error).__name__}: {error}")
                raise Problem(503, "The subscription cannot be confirmed now.", headers={"Retry-After": "5"}) from error
            log.info("subscription confirmed", account=account.name, tenant=account.tenant)


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that is the provider's: the record for the bus, the answer, and what the provider asks of the connection itself."""

    record: Record
    answer: Answer
    controls: Sequence[Control] = ()


def received(request: Request, account: Account, body: bytes) -> Hook:
    """The request as the provider meant it: under the address that it was told, which its signature may cover."""
    base = account.public_url or str(request.url).partition("?")[0]
    query = request.scope["query_string"].decode("latin-1")
    url = f"{base}{'&' if '?' in base else '?'}{query}" if query else base
    return Hook(request.method, url, {name.lower(): value for name, value in request.headers.items()}, body)


def handshake(arrived: Hook, account: Account) -> Response | None:
    """The answer to a provider that checks our endpoint, None for every other POST. Raises 404 where there is nothing to get."""
    answer = PROVIDERS[account.provider].handshake(arrived, account)
    if answer is not None:
        return Response(answer.body, answer.status, dict(answer.headers))
    if arrived.method in ("GET", "HEAD"):
        raise Problem(404, "This provider posts; there is nothing to get here.")
    return None


def taken(arrived: Hook, account: Account, now: datetime) -> Taken:
    """What becomes of the request. Raises 401, 400 and 413 as problems, and `Unkeyed`. Pure."""
    provider = PROVIDERS[account.provider]
    try:
        provider.verify(arrived, account, now)
        items = provider.parse(arrived, account)
    except Forged as error:
        raise Problem(401) from error
    except Malformed as error:
        raise Problem(400, str(error)) from error
    if len(items) > ITEMS:
        raise Problem(413, f"The request holds {len(items)} items, and at most {ITEMS} are taken.")
    controls = [item for item in items if isinstance(item, Control)]
    return Taken(wire.encode(_event(arrived, account, items, now)), provider.answer(), controls)


def kept(query: str, provider: str) -> str:
    """Of a query, what the adapter reads."""
    names = PARAMETERS[provider]
    return urlencode([(name, value) for name, value in parse_qsl(query) if name in names]) if query and names else ""


def _event(arrived: Hook, account: Account, items: Sequence[Item], now: datetime) -> Envelope:
    data = RawReceived.model_construct(
        account=account.name,
        sender=sender(items, now),
        method=arrived.method,
        query=kept(arrived.query, account.provider),
        headers={name: value for name, value in arrived.headers.items() if name in NEEDED},
        body=base64.b64encode(arrived.body).decode(),
        received_at=now,
    )
    return Envelope.model_construct(
        id=str(wire.natural_id("raw", account.name, data.query, data.headers.get("webhook-id", ""), data.body)),
        source=f"parley/hooks/{account.name}",
        time=now,
        tenant=account.tenant,
        subject=None,
        traceparent=trace if TRACE.fullmatch(trace := arrived.headers.get("traceparent", "")) else None,
        started_at=now,
        origin=None,
        data=data,
    )


def sender(items: Sequence[Item], now: datetime) -> str:
    """Whose request it is, for the key: what one customer says stays in order, and receipts (in any order right) spread over all partitions.

    A request with several customers goes by the first who writes; providers make such batches of what came at about the same time.
    """
    written = next((item.address for item in items if isinstance(item, Received)), None)
    return written or next((mark for item in items if (mark := _mark(item, now))), "")


def _mark(item: Item, now: datetime) -> str:
    if (event := customer_event(item, now)) is not None:
        return event.key
    address: str | None = getattr(item, "address", None)
    return address or (item.provider_id or "" if isinstance(item, Receipt) else "")

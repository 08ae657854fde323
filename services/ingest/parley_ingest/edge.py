"""The webhooks' door: limits first, then verify over the raw bytes, then the request as it came onto the bus; answered once it is kept for good."""

from __future__ import annotations

import math
from asyncio import Task, create_task, get_running_loop
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import NoReturn

import structlog
from starlette.requests import Request
from starlette.responses import Response

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Control, Unkeyed
from parley.channels.shape import Request as Hook
from parley.channels.shape import Response as Answered
from parley.express import Answer, Reply, Way, Whole
from parley.limits import Buckets, caller
from parley.problem import Problem, limited_body
from parley.service import Context
from parley_ingest.door import Door
from parley_ingest.keys import Keys, Unavailable
from parley_ingest.taking import Taken, taken
from parley_ingest.together import Together

log = structlog.get_logger()

ROUTE = "/hooks/{account}"


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
        self.host(request.client.host if request.client is not None else "")

    def host(self, host: str) -> None:
        """As `address`, for whom the address is known of already."""
        if wait := self.addresses.take(caller(host), get_running_loop().time()):
            self._refuse("address", wait)

    def account(self, name: str, rate: float | None = None) -> None:
        """Raises 429 where the account has none left."""
        if wait := self.accounts.take(name, get_running_loop().time(), rate):
            self._refuse("account", wait)

    def _refuse(self, limit: str, wait: float) -> NoReturn:
        self.context.metrics.limited.labels(limit).inc()
        raise Problem(429, f"Too many requests for one {limit}.", headers={"Retry-After": str(math.ceil(wait))})


@dataclass
class Hooks:
    """`GET/POST /hooks/{account}`: the route, and the short way of a POST that comes whole. Both refuse and answer the same."""

    context: Context
    door: Door
    limits: Limits
    keys: Keys
    together: Together = field(init=False)
    _under_way: set[Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.together = Together(self.door.accept)

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
            taking = await self._keyed(arrived, account, now, asked)
        await self._keep(taking, account)
        return response(taking.answer)

    def ways(self) -> dict[str, Way]:
        """The short ways: one for every account that is told its public address, under which its signature counts."""
        named = ((one, one.public_url) for one in self.context.config.accounts.values())
        return {
            f"/hooks/{one.name}": Way(ROUTE, partial(self._take, one, url, Reply.of(response(PROVIDERS[one.provider].answer()))))
            for one, url in named
            if url
        }

    def _take(self, account: Account, url: str, welcome: Reply, request: Whole, answer: Answer) -> None:
        """As `hook`, at once; what has to wait for more than the bus goes on as a task."""
        self.limits.host(request.client)
        self.limits.account(account.name, account.requests)
        now, limit = self.context.clock(), self.context.settings.body_limit
        if len(request.body) > limit:
            raise Problem(413, f"The body is over {limit} bytes.")
        arrived = Hook("POST", addressed(url, request.query), request.headers, request.body)
        if (greeting := handshake(arrived, account)) is not None:
            return answer(Reply.of(greeting))
        try:
            taking: Taken | Unkeyed = taken(arrived, account, now)
        except Unkeyed as asked:
            taking = asked
        if isinstance(taking, Taken) and not taking.controls:
            return self.together.add(taking.record, lambda error: answer(error or welcome))
        task = create_task(self._slowly(arrived, account, now, taking, answer))
        self._under_way.add(task)
        return task.add_done_callback(self._under_way.discard)

    async def _slowly(self, arrived: Hook, account: Account, now: datetime, found: Taken | Unkeyed, answer: Answer) -> None:
        try:
            taking = found if isinstance(found, Taken) else await self._keyed(arrived, account, now, found)
            await self._keep(taking, account)
        except Exception as error:
            answer(error)
        else:
            answer(Reply.of(response(taking.answer)))

    async def _keyed(self, arrived: Hook, account: Account, now: datetime, asked: Unkeyed) -> Taken:
        return taken(replace(arrived, keys={asked.url: await self._key(asked.url)}), account, now)

    async def _keep(self, taking: Taken, account: Account) -> None:
        if taking.controls:
            await self._confirm(account, taking.controls)
        await self.door.accept([taking.record])

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


def received(request: Request, account: Account, body: bytes) -> Hook:
    """The request as the provider meant it: under the address that it was told, which its signature may cover."""
    base = account.public_url or str(request.url).partition("?")[0]
    url = addressed(base, request.scope["query_string"].decode("latin-1"))
    return Hook(request.method, url, {name.lower(): value for name, value in request.headers.items()}, body)


def addressed(base: str, query: str) -> str:
    """The address with what stood behind it."""
    return f"{base}{'&' if '?' in base else '?'}{query}" if query else base


def response(answer: Answered) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))


def handshake(arrived: Hook, account: Account) -> Response | None:
    """The answer to a provider that checks our endpoint, None for every other POST. Raises 404 where there is nothing to get."""
    answer = PROVIDERS[account.provider].handshake(arrived, account)
    if answer is not None:
        return response(answer)
    if arrived.method in ("GET", "HEAD"):
        raise Problem(404, "This provider posts; there is nothing to get here.")
    return None

"""A call to a provider, and what its end means when there is no answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import httpx
import structlog

from parley.channels import PROVIDERS, smpp
from parley.channels.shape import Account, HttpRequest, Outgoing, Response, TokenProvider, Unreachable
from parley.failures import Outcome
from parley.service import Context
from parley_sender.framing import CalledOff, NeverSent
from parley_sender.http1 import Client, Doubtful
from parley_sender.outcome import FAULT
from parley_sender.smpp import Binds

log = structlog.get_logger()

IDLE = 15.0
"""Seconds that a connection is kept unused: below what providers keep, else a call meets a connection that is just being closed."""
CONNECT = 10.0
LEAVES: ContextVar[Callable[[bool], None]] = ContextVar("LEAVES")
"""Asked, in the task of a call, when the bytes of a request are about to leave, with nothing to wait for any more; given whether a connection had to be made for
them. It may raise `CalledOff`: then they do not."""
CALLED_OFF = Outcome("throttled", None, "asked at the gate again before the rest left", retry_after=timedelta(seconds=1), scope="recipient")
"""Of a message of several requests, of which some had left: it costs no attempt, and the rest is asked about again."""
NEVER_SENT = (NeverSent, httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol)
"""No byte has left: the message can be tried again without doubt."""


@dataclass
class Calls:
    """The HTTP clients of a process: our own, and httpx for the providers that speak HTTP/2 alone; binds at operators; and access tokens while they live."""

    http1: Client
    http2: httpx.AsyncClient
    binds: Binds
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _fetching: dict[str, asyncio.Lock] = field(default_factory=dict)
    _bearers: dict[str, TokenProvider | None] = field(default_factory=dict)
    """The providers by account, where their calls carry a token."""

    async def deliver(self, message: Outgoing, account: Account, done: int) -> tuple[int, list[Outcome]]:
        """Makes the message's requests from the `done`-th on, each after the one before was taken. Gives how many the provider has, and the outcomes."""
        outcomes: list[Outcome] = []
        requests = _built(message, account, done)
        if isinstance(requests, Outcome):
            return done, [requests]
        for request in requests:
            if outcomes:
                await _heard()
            outcomes.append(await self.answer(request, account, message.message_id))
            if outcomes[-1].kind != "accepted":
                break
            done += 1
        return done, outcomes

    async def answer(self, request: HttpRequest, account: Account, message_id: UUID) -> Outcome:
        """What one request comes to: the provider's answer, or `unknown` when the bytes may have left and none came, or none that we could read."""
        leaves = LEAVES.get(None)
        try:
            if request.method == smpp.METHOD:
                return await self.binds.submit(request, account, leaves)
            response = await self._send(request, leaves)
            return response if isinstance(response, Outcome) else PROVIDERS[account.provider].interpret(response)
        except CalledOff:
            return CALLED_OFF
        except Exception as error:
            return fault("unknown", account, message_id, error)

    async def fetch(self, request: HttpRequest) -> Response | Outcome:
        """The answer to a request that delivers nothing; an `Outcome` where there is none."""
        return await self._send(request)

    async def token(self, account: Account, now: datetime, message_id: UUID) -> str | Outcome | None:
        """The account's access token: the one that still lives, else a new one; None where the provider wants none, an `Outcome` when there is none."""
        known = self._tokens.get(account.name)
        if known is not None and now < known[1]:
            return known[0]
        if account.name not in self._bearers:  # asked of a protocol once: that takes as long as to build a request
            found = PROVIDERS[account.provider]
            self._bearers[account.name] = found if isinstance(found, TokenProvider) else None
        provider = self._bearers[account.name]
        if provider is None:
            return None
        async with self._fetching.setdefault(account.name, asyncio.Lock()):
            known = self._tokens.get(account.name)
            if known is not None and now < known[1]:
                return known[0]
            try:
                return await self._fetch(provider, account, now)
            except Exception as error:
                return fault("transient", account, message_id, error)

    def forget(self, account: Account) -> None:
        """The account's token is refused: the next message fetches another."""
        self._tokens.pop(account.name, None)

    async def _fetch(self, provider: TokenProvider, account: Account, now: datetime) -> str | Outcome:
        """A fresh token. That no token came says nothing of the message: it has not left, and may later."""
        try:
            request = provider.token_request(account, now)
        except (ValueError, KeyError) as error:
            return Outcome("permanent", "credentials", _sentence(error), scope="account")
        response = await self._send(request)
        await _heard()
        if isinstance(response, Outcome):
            return Outcome("transient", "no_token", response.reason)
        found = provider.token_answer(response)
        if isinstance(found, Outcome):
            return found
        self._tokens[account.name] = (found[0], now + found[1])
        return found[0]

    async def _send(self, request: HttpRequest, leaves: Callable[[bool], None] | None = None) -> Response | Outcome:
        try:
            return await (self._over_2(request, leaves) if request.http2 else self.http1.answer(request, leaves))
        except NEVER_SENT as error:
            return Outcome("transient", "unreachable", _cause(error))
        except (Doubtful, TimeoutError, httpx.HTTPError, OSError) as error:
            return Outcome("unknown", None, _cause(error))

    async def _over_2(self, request: HttpRequest, leaves: Callable[[bool], None] | None) -> Response:
        made = False

        async def trace(event: str, _: object) -> None:
            nonlocal made
            made |= event.endswith("connect_tcp.complete")
            if leaves is not None and event.endswith("send_request_headers.started"):
                leaves(made)

        answer = await self.http2.request(
            request.method, request.url, content=request.body, headers=dict(request.headers), follow_redirects=False, extensions={"trace": trace}
        )
        return Response(answer.status_code, dict(answer.headers), answer.content)


async def _heard() -> None:
    """Lets the loop go round once behind an answer: a STOP that came with it, while the process stood still, may be read after it, and nothing is written before."""
    await asyncio.sleep(0)


def fault(kind: Literal["transient", "unknown"], account: Account, message_id: UUID, error: Exception) -> Outcome:
    """The outcome of a call that an exception ended which nobody foresaw: a mistake of ours, so the log has its trace and the story its name."""
    log.error("a call failed by a fault of ours", lane=account.name, provider=account.provider, message_id=str(message_id), exc_info=error)
    return Outcome(kind, FAULT, type(error).__name__)


def _built(message: Outgoing, account: Account, done: int) -> Sequence[HttpRequest] | Outcome:
    """The requests from the `done`-th on, at least one; or why there are none. Nothing has left then: after a fault it may be tried again."""
    try:
        requests = PROVIDERS[account.provider].build(message, account)
    except Unreachable as error:
        return Outcome("permanent", "unreachable", str(error), drop_address=True)
    except (ValueError, KeyError) as error:
        return Outcome("permanent", "unbuildable", _sentence(error))
    except Exception as error:
        return fault("transient", account, message.message_id, error)
    return requests[done:] or Outcome("permanent", "unbuildable", f"nothing to send: {len(requests)} requests, of which {done} are made")


def _cause(error: Exception) -> str:
    """What the story says of a call without an answer."""
    return str(error) if isinstance(error, (NeverSent, Doubtful)) else type(error).__name__


def _sentence(error: Exception) -> str:
    return str(next(iter(error.args), type(error).__name__))


@contextlib.asynccontextmanager
async def calls(context: Context) -> AsyncIterator[Calls]:
    """The clients, closed at the end."""
    within = context.settings.call_timeout
    connect = min(within / 2, CONNECT)  # over before the call is: else nobody could say that nothing had left
    limits = httpx.Limits(max_connections=8, keepalive_expiry=60)
    http1 = Client(within, connect, IDLE)
    async with httpx.AsyncClient(http2=True, limits=limits, timeout=httpx.Timeout(within, connect=connect)) as http2:
        binds = Binds(context, within)
        try:
            yield Calls(http1, http2, binds)
        finally:
            await binds.end()
            http1.close()

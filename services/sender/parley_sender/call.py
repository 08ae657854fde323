"""A call to a provider, and what its end means when there is no answer."""

from __future__ import annotations

import aiohttp

from parley.channels import PROVIDERS
from parley.channels.shape import Account, HttpRequest, Outgoing, Response
from parley.failures import Outcome

IDLE = 15.0
"""Seconds that a connection is kept unused: below what providers keep, else a call meets a connection that is just being closed."""
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""No byte has left: the message can be tried again without doubt."""


def session(within: float) -> aiohttp.ClientSession:
    """The one HTTP client of a process. `within`: seconds until a call without an answer is given up."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE)
    timeout = aiohttp.ClientTimeout(total=within, sock_connect=min(within, 10.0))
    return aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar())


async def deliver(http: aiohttp.ClientSession, message: Outgoing, account: Account, done: int) -> tuple[int, list[Outcome]]:
    """Makes the message's requests from the `done`-th on, each after the one before was taken. Gives how many the provider has, and the outcomes."""
    outcomes: list[Outcome] = []
    try:
        requests = PROVIDERS[account.provider].build(message, account)
    except (ValueError, KeyError) as error:
        return done, [Outcome("permanent", "unbuildable", str(error.args[0]))]
    for request in requests[done:]:
        outcomes.append(await _request(http, request, account))
        if outcomes[-1].kind != "accepted":
            break
        done += 1
    return done, outcomes


async def _request(http: aiohttp.ClientSession, request: HttpRequest, account: Account) -> Outcome:
    try:
        async with http.request(request.method, request.url, data=request.body, headers=request.headers, allow_redirects=False) as answer:
            return PROVIDERS[account.provider].interpret(Response(answer.status, dict(answer.headers), await answer.read()))
    except NEVER_SENT as error:
        return Outcome("transient", "unreachable", type(error).__name__)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return Outcome("unknown", None, type(error).__name__)

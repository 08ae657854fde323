"""One call to a webhook: where it may go, and what comes back of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

import aiohttp
import structlog
from yarl import URL

from parley import outside
from parley.outside import Guarded, Lookup, Refused
from parley_sender.notify.schedule import Answer, retry_after

log = structlog.get_logger()

WITHIN = 15.0
"""Seconds of a call at most, whatever trickles in."""
CONNECT = 5.0
IDLE = 15.0
"""Seconds that a connection is kept unused: below what servers keep."""
KEPT = 500
"""Bytes of an answer that are kept, for whoever looks for the reason."""
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts on this machine, where `PARLEY_WEBHOOKS_LOCAL` is on."""


def target(url: str, local: bool) -> URL:
    """The address, if it may be posted to. What its host's name stands for is looked at when a connection is made. Raises `Refused`."""
    found = outside.read(url)
    if local and found.scheme == "http" and found.raw_host in LOCAL:
        return found
    outside.permit(found)
    outside.literal(found)
    return found


@contextlib.asynccontextmanager
async def client(local: bool, addresses: Lookup = outside.lookup) -> AsyncIterator[aiohttp.ClientSession]:
    """The client: it keeps connections, resolves for each anew, knows no cookies, and opens no compressed answer."""
    resolver = Guarded(addresses, LOCAL if local else frozenset())
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=0, keepalive_timeout=IDLE)
    timeout = aiohttp.ClientTimeout(total=WITHIN, sock_connect=CONNECT)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as http:
        yield http


async def post(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: bytes, local: bool, now: datetime) -> Answer:
    """What the call came to; `now` is for a Retry-After that is a date. Never raises but when it is cancelled."""
    began = time.perf_counter()
    try:
        status, said, pause = await _asked(http, target(url, local), headers, body)
        return Answer(status, None, said, retry_after(pause, now), time.perf_counter() - began)
    except Exception as error:
        return Answer(error=_words(error), seconds=time.perf_counter() - began)


async def _asked(http: aiohttp.ClientSession, where: URL, headers: Mapping[str, str], body: bytes) -> tuple[int, str, str | None]:
    """Status, the beginning of the body, Retry-After. A redirect is an answer like others: nothing is followed."""
    sent = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "parley-webhooks", **headers}
    async with http.post(where, data=body, headers=sent, allow_redirects=False) as answer:
        found = b""
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):  # the status is said: what is wrong with the rest changes nothing
            found = await outside.beginning(answer, KEPT)
        return answer.status, found.decode(errors="replace").replace("\0", ""), answer.headers.get("retry-after")


def _words(error: Exception) -> str:
    """Why there is no answer, for the tenant: nothing of what stands on this side."""
    match error:
        case Refused():
            return f"refused: {error}"
        case aiohttp.InvalidURL():
            return "refused: it is no address that can be asked"
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {CONNECT:g} s"
        case TimeoutError():
            return f"no answer within {WITHIN:g} s"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "no valid TLS certificate, or no TLS at all"
        case aiohttp.ClientConnectorDNSError():
            return "the host has no address"
        case aiohttp.ClientConnectorError():
            return "nobody listens there"
        case aiohttp.ClientError() | OSError():
            return "the connection broke"
        case _:
            log.error("a call to a webhook failed by a fault of ours", exc_info=error)
            return "a fault of ours"

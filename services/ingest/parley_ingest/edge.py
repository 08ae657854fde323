"""The webhooks' door: verify over the raw bytes, put the request on the bus as it came, answer once all replicas have it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from parley import wire
from parley.bus import BusUnavailable, TooLarge
from parley.channels import PROVIDERS
from parley.channels.shape import Account, Forged, Item, Malformed, Receipt, Received, Unkeyed
from parley.channels.shape import Request as Hook
from parley.channels.shape import Response as Answer
from parley.contracts import Envelope, RawReceived, Record
from parley.problem import Problem, limited_body
from parley.service import Context
from parley_ingest.normalise import customer_event

PUBLISH_WITHIN = 8.0
"""Seconds; below the shortest time-out of a provider that retries (Twilio 15 s, Meta about 20 s)."""
NEEDED = frozenset({
    "content-type", "user-agent", "webhook-id", "webhook-timestamp", "i-twilio-idempotency-token",
    *(f"{family}shopify-{name}" for family in ("x-", "") for name in ("topic", "event-id", "webhook-id", "triggered-at")),
})  # fmt: skip
"""Headers that travel on: what the adapter reads. Signatures and credentials stay here."""
TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


async def hook(request: Request, context: Context) -> Response:
    """`GET/POST /hooks/{account}`. 401 without a detail when the signature is wrong, 400 unreadable, 404 no such account, 413 too large,
    503 when the bus does not answer in time (the provider comes again)."""
    account = context.config.accounts.get(request.path_params["account"])
    if account is None:
        raise Problem(404, "There is no such account.")
    now = context.clock()
    arrived = received(request, account, await limited_body(request, context.settings.body_limit))
    if (greeting := handshake(arrived, account)) is not None:
        return greeting
    record, answer = taken(arrived, account, now)
    try:
        await context.bus.publish([record], timeout=PUBLISH_WITHIN)
    except TooLarge as error:
        raise Problem(413, "The body is larger than the bus takes.") from error
    except BusUnavailable as error:
        raise Problem(503, "Not accepted now; send it again.", headers={"Retry-After": "2"}) from error
    return Response(answer.body, answer.status, dict(answer.headers))


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


def taken(arrived: Hook, account: Account, now: datetime) -> tuple[Record, Answer]:
    """The record for the bus and the answer for the provider. Raises 401 and 400 as problems. Pure."""
    provider = PROVIDERS[account.provider]
    try:
        provider.verify(arrived, account, now)
    except Forged as error:
        raise Problem(401) from error
    except Unkeyed as error:
        raise Problem(503, "The key of the signature is not at hand.") from error
    try:
        items = provider.parse(arrived, account)
    except Malformed as error:
        raise Problem(400, str(error)) from error
    data = RawReceived.model_construct(
        account=account.name,
        sender=sender(items, now),
        method=arrived.method,
        query=arrived.query,
        headers={name: value for name, value in arrived.headers.items() if name in NEEDED},
        body=base64.b64encode(arrived.body).decode(),
        received_at=now,
    )
    event = Envelope.model_construct(
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
    return wire.encode(event), provider.answer()


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

"""The webhooks' door: verify over the raw bytes, put the request on the bus as it came, answer once all replicas have it."""

from __future__ import annotations

import base64
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from parley import wire
from parley.bus import BusUnavailable
from parley.channels import PROVIDERS
from parley.channels.shape import Account, Forged, Malformed, Received
from parley.channels.shape import Request as Hook
from parley.channels.shape import Response as Answer
from parley.contracts import Envelope, RawReceived, Record
from parley.problem import Problem, limited_body
from parley.service import Context

PUBLISH_WITHIN = 8.0
"""Seconds; below the shortest time-out of a provider that retries (Twilio 15 s, Meta about 20 s)."""
NEEDED = frozenset({"content-type", "user-agent", "webhook-id", "webhook-timestamp", "i-twilio-idempotency-token"})
"""Headers that travel on: what the adapter reads. Signatures and credentials stay here."""


async def hook(request: Request, context: Context) -> Response:
    """`GET/POST /hooks/{account}`. 401 without a detail when the signature is wrong, 400 unreadable, 404 no such account, 413 too large,
    503 when the bus does not answer in time (the provider comes again)."""
    account = context.config.accounts.get(request.path_params["account"])
    if account is None:
        raise Problem(404, "There is no such account.")
    now = context.clock()
    arrived = received(request, account, await limited_body(request, context.settings.body_limit))
    if request.method == "GET":
        return handshake(arrived, account)
    record, answer = taken(arrived, account, now)
    try:
        await context.bus.publish([record], timeout=PUBLISH_WITHIN)
    except BusUnavailable as error:
        raise Problem(503, "Not accepted now; send it again.", headers={"Retry-After": "2"}) from error
    return Response(answer.body, answer.status, dict(answer.headers))


def received(request: Request, account: Account, body: bytes) -> Hook:
    """The request as the provider meant it: under the address that it was told, which its signature may cover."""
    base = account.public_url or str(request.url).partition("?")[0]
    query = request.scope["query_string"].decode("latin-1")
    url = f"{base}{'&' if '?' in base else '?'}{query}" if query else base
    return Hook(request.method, url, {name.lower(): value for name, value in request.headers.items()}, body)


def handshake(arrived: Hook, account: Account) -> Response:
    """The answer to a provider that checks our endpoint. Raises 404 where the provider does no such thing."""
    answer = PROVIDERS[account.provider].handshake(arrived, account)
    if answer is None:
        raise Problem(404, "This provider posts; there is nothing to get here.")
    return Response(answer.body, answer.status, dict(answer.headers))


def taken(arrived: Hook, account: Account, now: datetime) -> tuple[Record, Answer]:
    """The record for the bus and the answer for the provider. Raises 401 and 400 as problems. Pure."""
    provider = PROVIDERS[account.provider]
    try:
        provider.verify(arrived, account, now)
    except Forged as error:
        raise Problem(401) from error
    try:
        items = provider.parse(arrived, account)
    except Malformed as error:
        raise Problem(400, str(error)) from error
    sender = next((item.address for item in items if isinstance(item, Received)), None)
    data = RawReceived.model_construct(
        account=account.name,
        sender=sender or "",
        method=arrived.method,
        query=arrived.query,
        headers={name: value for name, value in arrived.headers.items() if name in NEEDED},
        body=base64.b64encode(arrived.body).decode(),
        received_at=now,
    )
    event = Envelope.model_construct(
        id=str(wire.natural_id(account.name, now.isoformat(), data.body)),
        source=f"parley/hooks/{account.name}",
        time=now,
        tenant=account.tenant,
        subject=None,
        traceparent=arrived.headers.get("traceparent"),
        started_at=now,
        origin=None,
        data=data,
    )
    return wire.encode(event), provider.answer()

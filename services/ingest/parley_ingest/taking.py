"""What becomes of a provider's request at the door: verified, read as far as needed to know whose it is, and made a record of `parley.raw`. Pure."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode

import orjson

from parley import wire
from parley.channels import PROVIDERS
from parley.channels.shape import Account, Control, Forged, Item, Malformed, QueryReader, Receipt, Received, Request, Response
from parley.contracts import RawReceived, Record
from parley.problem import Problem
from parley_ingest.happened import customer_event

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


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that is the provider's: the record for the bus, the answer, and what the provider asks of the connection itself."""

    record: Record
    answer: Response
    controls: Sequence[Control] = ()


def taken(arrived: Request, account: Account, now: datetime) -> Taken:
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
    return Taken(_record(arrived, account, items, now), provider.answer(), controls)


def kept(query: str, provider: str) -> str:
    """Of a query, what the adapter reads."""
    names = PARAMETERS[provider]
    return urlencode([(name, value) for name, value in parse_qsl(query) if name in names]) if query and names else ""


def _record(arrived: Request, account: Account, items: Sequence[Item], now: datetime) -> Record:
    """What `wire.encode` makes of the event's model, made without one: here every request passes, and a model costs as much as its signature."""
    whose, query, headers = sender(items, now), kept(arrived.query, account.provider), arrived.headers
    body = binascii.b2a_base64(arrived.body, newline=False).decode("ascii")
    data = {
        "account": account.name,
        "sender": whose,
        "method": arrived.method,
        "query": query,
        "headers": {name: value for name, value in headers.items() if name in NEEDED},
        "body": body,
        "received_at": now,
    }
    at = now.isoformat().encode()
    attributes = [
        *_fixed(account.name, account.tenant),
        ("ce_id", wire.natural_text("raw", account.name, query, headers.get("webhook-id", ""), body).encode()),
        ("ce_time", at),
        ("ce_startedat", at),
    ]
    if "traceparent" in headers and TRACE.fullmatch(headers["traceparent"]):
        attributes.append(("traceparent", headers["traceparent"].encode()))
    return RawReceived.topic, f"{account.name}:{whose}".encode(), attributes, orjson.dumps(data, option=orjson.OPT_UTC_Z)


@lru_cache(maxsize=10_000)
def _fixed(account: str, tenant: str) -> tuple[tuple[str, bytes], ...]:
    """The attributes that all events of an account have."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", RawReceived.type.encode()),
        ("ce_source", f"parley/hooks/{account}".encode()),
        ("ce_tenant", tenant.encode()),
        ("content-type", b"application/json"),
    )


def sender(items: Sequence[Item], now: datetime) -> str:
    """Whose request it is, for the key: what one customer says stays in order, and receipts (in any order right) spread over all partitions.

    A request with several customers goes by the first who writes; providers make such batches of what came at about the same time.
    """
    for item in items:
        if isinstance(item, Received):
            return item.address
    return next((mark for item in items if (mark := _mark(item, now))), "")


def _mark(item: Item, now: datetime) -> str:
    if (event := customer_event(item, now)) is not None:
        return event.key
    address: str | None = getattr(item, "address", None)
    return address or (item.provider_id or "" if isinstance(item, Receipt) else "")

"""Everything that an audit looks at, read once: the twin's ledger, the services' tables, and what was asked for on the bus.

No service reads another's schema; the audit stands outside all of them and reads every one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer

from parley import connecting, wire
from parley.config import Config
from parley.contracts import Envelope, MessageRequested
from parley.demo.witness import Tail
from parley.settings import Settings
from parley.twin.ledger import Heard, Receipt, Request, Said

READ_WITHIN_MS = 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of sender.deliveries, as far as an audit asks."""

    message_id: UUID
    contact_id: UUID
    account: str
    channel: str
    address: str
    purpose: str
    status: str
    notice: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A row of sender.consents: the last word, and when sender knew it."""

    contact_id: UUID
    channel: str
    purpose: str
    state: str
    recorded_at: datetime


@dataclass(frozen=True)
class Evidence:
    """The twin's side and ours. `accounts`: tenant and channel by account; `contacts`: whose a phone number is; `received`: messages applied by contact."""

    said: Sequence[Said] = ()
    heard: Sequence[Heard] = ()
    requests: Sequence[Request] = ()
    receipts: Sequence[Receipt] = ()
    accounts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    seen: frozenset[UUID] = frozenset()
    contacts: Mapping[tuple[str, str], UUID] = field(default_factory=dict)
    received: Mapping[UUID, int] = field(default_factory=dict)
    requested: frozenset[UUID] = frozenset()
    deliveries: Mapping[UUID, Delivery] = field(default_factory=dict)
    consents: Sequence[Consent] = ()


async def gather(settings: Settings, config: Config, ledger: Path) -> Evidence:
    """Reads all of it. To be called when everything has come to rest: what moves meanwhile is seen on one side and not on the other."""
    entries = Tail(ledger).news()
    requested = [one.data for one in await whole_topic(settings, MessageRequested.topic)]
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        return Evidence(
            said=[one for one in entries if isinstance(one, Said)],
            heard=[one for one in entries if isinstance(one, Heard)],
            requests=[one for one in entries if isinstance(one, Request)],
            receipts=[one for one in entries if isinstance(one, Receipt)],
            accounts={name: (one.tenant, str(one.channel)) for name, one in config.accounts.items()},
            requested=frozenset(one.message_id for one in requested if isinstance(one, MessageRequested)),
            seen=frozenset(row["id"] for row in await connection.fetch("SELECT id FROM ingest.seen")),
            contacts=await _contacts(connection),
            received={key: one["state"].get("received", 0) for key, one in (await _states(connection)).items()},
            deliveries=await _deliveries(connection),
            consents=await _consents(connection),
        )
    finally:
        await connection.close()


async def states(settings: Settings) -> dict[UUID, dict[str, Any]]:
    """The router's contacts by id: `status` and `state`, for `audit.state_differences`."""
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        return await _states(connection)
    finally:
        await connection.close()


async def whole_topic(settings: Settings, topic: str) -> list[Envelope]:
    """Every event of a topic, from its beginning to the end that it has now. A record that is no event is left out: the stages told of it."""
    consumer = AIOKafkaConsumer(settings.prefix + topic, enable_auto_commit=False, auto_offset_reset="earliest", **connecting.options(settings))
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        found: list[Envelope] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=READ_WITHIN_MS)).values():
                found += [event for one in records if (event := _event(topic, one)) is not None]
        return found
    finally:
        await consumer.stop()


def _event(topic: str, record: Any) -> Envelope | None:
    try:
        return wire.decode(topic, record.headers, record.value or b"")
    except wire.Unreadable:
        return None


async def _contacts(connection: asyncpg.Connection) -> dict[tuple[str, str], UUID]:
    rows = await connection.fetch("SELECT tenant, address, contact_id FROM ingest.addresses WHERE scheme <> 'customer'")
    return {(row["tenant"], row["address"]): row["contact_id"] for row in rows}


async def _states(connection: asyncpg.Connection) -> dict[UUID, dict[str, Any]]:
    rows = await connection.fetch("SELECT key, status, state FROM router.contacts")
    return {row["key"]: {"status": row["status"], "state": orjson.loads(row["state"])} for row in rows}


async def _deliveries(connection: asyncpg.Connection) -> dict[UUID, Delivery]:
    rows = await connection.fetch(
        "SELECT message_id, contact_id, lane AS account, channel, address, purpose, status, notice, reason FROM sender.deliveries"
    )
    return {row["message_id"]: Delivery(**row) for row in rows}


async def _consents(connection: asyncpg.Connection) -> list[Consent]:
    return [Consent(**row) for row in await connection.fetch("SELECT contact_id, channel, purpose, state, recorded_at FROM sender.consents")]

"""The stage of sender: requests become deliveries, consents are noted, receipts move deliveries forward. A statement each for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from parley.config import Config
from parley.contracts import ConsentChanged, ConsentState, MessageRequested, Purpose, ReceiptReceived
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_sender import erasing, receipts
from parley_sender.accept import Delivery, accepted, changed, minted

NOTICES = {"opted_out": ConsentState.REVOKED, "opted_in": ConsentState.GRANTED}
"""What an answer to STOP or START says of the consent: it is recorded with the answer, so nothing that follows it leaves against the wish."""
CHANNEL = "parley_lanes"
"""PostgreSQL's notification channel by which lanes learn that there is something to send."""

Agreement = tuple[UUID, str, str, str, datetime]
"""Contact, channel, purpose, state, when it was said."""


@dataclass(frozen=True)
class Intake:
    """The stage. Whatever comes twice has its effect once: a message is known by its id, a consent by its time, a status by its rank."""

    config: Config
    secret: bytes
    links: str
    name: str = "sender"
    topics: tuple[str, ...] = (MessageRequested.topic, ConsentChanged.topic, ReceiptReceived.topic)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        asked = [(one, self._accept(one, data)) for one in batch if isinstance(data := one.event.data, MessageRequested)]
        refused = await erasing.inherited(connection, [delivery for _, delivery in asked], self.secret)
        await agree(connection, [*agreements(batch), *refused], now)
        results = await self._queue(connection, asked, now)
        results += await erasing.erase(connection, batch, self.secret, now)
        told = [(one, data) for one in batch if isinstance(data := one.event.data, ReceiptReceived)]
        return [*results, *(await receipts.apply(connection, told) if told else ())]

    def _accept(self, one: Arrived, data: MessageRequested) -> Delivery:
        return accepted(one.event, data, self.config, self.secret, self.links)

    async def _queue(self, connection: Connection, asked: Sequence[tuple[Arrived, Delivery]], now: datetime) -> list[Caused]:
        """Queues what is new and tells of it; lanes hear of it when the step is committed."""
        if not asked:
            return []
        new = await insert(connection, [delivery for _, delivery in asked])
        results: list[Caused] = []
        for one, delivery in asked:
            if delivery.request.message_id in new:
                new.discard(delivery.request.message_id)
                results.append(Caused(one, changed(delivery, now)))
                results += [Caused(one, link) for link in minted(delivery, now)]
        for lane in sorted({delivery.lane for _, delivery in asked}):
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, lane)
        return results


def agreements(batch: Sequence[Arrived]) -> list[Agreement]:
    """What a batch says of consents: in so many words, or by the answer to a STOP or a START."""
    found: list[Agreement] = []
    for one in batch:
        data = one.event.data
        if isinstance(data, ConsentChanged):
            found.append((data.contact_id, data.channel, data.purpose, data.state, data.at))
        elif isinstance(data, MessageRequested) and data.notice in NOTICES:
            said_at = one.event.started_at or one.event.time
            found += [(data.contact_id, channel, purpose, NOTICES[data.notice], said_at) for channel in data.addresses for purpose in Purpose]
    return found


def latest(found: Sequence[Agreement]) -> list[Agreement]:
    """Of each contact, channel and purpose the latest word; of two at the same time, the refusal."""
    best: dict[tuple[UUID, str, str], Agreement] = {}
    for one in found:
        known = best.get(one[:3])
        if known is None or _weight(one) > _weight(known):
            best[one[:3]] = one
    return [best[key] for key in sorted(best)]


def _weight(one: Agreement) -> tuple[datetime, bool]:
    return one[4], one[3] == ConsentState.REVOKED


async def agree(connection: Connection, found: Sequence[Agreement], now: datetime) -> None:
    """Notes consents; what was said later already stays."""
    if not found:
        return
    contacts, channels, purposes, states, times = zip(*latest(found), strict=True)
    await connection.execute(
        """INSERT INTO consents AS c (contact_id, channel, purpose, state, at, recorded_at)
           SELECT *, $6::timestamptz FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
           ON CONFLICT (contact_id, channel, purpose) DO UPDATE SET state = excluded.state, at = excluded.at, recorded_at = excluded.recorded_at
           WHERE (excluded.at, excluded.state = 'revoked') > (c.at, c.state = 'revoked')""",
        contacts, channels, purposes, states, times, now,
    )  # fmt: skip


async def insert(connection: Connection, deliveries: Sequence[Delivery]) -> set[UUID]:
    """Queues deliveries, in order, those that are not there yet. Gives the ids of the new ones."""
    columns = zip(*(_row(one) for one in deliveries), strict=True)
    rows = await connection.fetch(
        """INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, notice, campaign, variant, flow, step,
               conversation_id, content, segments, parts, status, reason, due_at, expires_at, requested_at, started_at)
           SELECT message_id, tenant, contact_id, lane, channel, address, purpose, notice, campaign, variant, flow, step,
               conversation_id, content, segments, parts, status, reason, due_at, expires_at, requested_at, started_at
           FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
               $11::text[], $12::text[], $13::uuid[], $14::jsonb[], $15::int[], $16::int[], $17::text[], $18::text[], $19::timestamptz[],
               $20::timestamptz[], $21::timestamptz[], $22::timestamptz[]) WITH ORDINALITY AS given (message_id, tenant, contact_id, lane, channel, address, purpose,
               notice, campaign, variant, flow, step, conversation_id, content, segments, parts, status, reason, due_at, expires_at, requested_at,
               started_at, place)
           ORDER BY place
           ON CONFLICT (message_id) DO NOTHING RETURNING message_id""",
        *columns,
    )
    return {row["message_id"] for row in rows}


def _row(one: Delivery) -> tuple[object, ...]:
    request = one.request
    return (
        request.message_id, one.tenant, request.contact_id, one.lane, one.channel, one.address, request.purpose, request.notice, request.campaign,
        request.variant, request.flow, request.step, request.conversation_id, one.content.model_dump_json(exclude_defaults=True), one.units,
        one.parts, one.status, one.reason, one.due_at, request.expires_at, one.requested_at, one.started_at,
    )  # fmt: skip

"""The stage of sender: requests become deliveries, consents are noted, receipts move deliveries forward. A statement each for a batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from parley.contracts import ConsentChanged, DeliveryStatus, MessageReceived, MessageRequested, ReceiptReceived
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_sender import erasing, receipts, remaining, rerouting, standing
from parley_sender.accept import Delivery, accepted, changed, minted
from parley_sender.consents import agree, agreements, wrote
from parley_sender.law import Law
from parley_sender.limits import part_of


@dataclass(frozen=True)
class Intake:
    """The stage. Whatever comes twice has its effect once: a message is known by its id, a consent by its time, a status by its rank."""

    law: Law
    secret: bytes
    links: str
    name: str = "sender"
    topics: tuple[str, ...] = (MessageRequested.topic, ConsentChanged.topic, ReceiptReceived.topic, MessageReceived.topic)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        wanted = [(one, data) for one in batch if isinstance(data := one.event.data, MessageRequested)]
        broken = await rerouting.broken(connection, now) if wanted else frozenset()
        asked = [(one, self._accept(one, data, broken)) for one, data in wanted]
        refused = await erasing.inherited(connection, [delivery for _, delivery in asked], self.secret)
        await agree(connection, [*agreements(batch), *refused], now)
        await wrote(connection, batch, now)
        results = await self._queue(connection, asked, now)
        results += await erasing.erase(connection, batch, self.secret, now)
        told = [(one, data) for one in batch if isinstance(data := one.event.data, ReceiptReceived)]
        return [*results, *(await receipts.apply(connection, told, now) if told else ())]

    def _accept(self, one: Arrived, data: MessageRequested, broken: Collection[str]) -> Delivery:
        return accepted(one.event, data, self.law, self.secret, self.links, broken)

    async def _queue(self, connection: Connection, asked: Sequence[tuple[Arrived, Delivery]], now: datetime) -> list[Caused]:
        """Queues what is new and tells of it; lanes hear of it when the step is committed."""
        if not asked:
            return []
        new = await insert(connection, [delivery for _, delivery in asked])
        await remaining.remember(connection, [delivery for _, delivery in asked if delivery.request.message_id in new])
        results: list[Caused] = []
        parts: dict[UUID, str] = {}
        for one, delivery in asked:
            number = delivery.request.message_id
            if number not in new:
                continue
            new.discard(number)
            results.append(Caused(one, changed(delivery, now)))
            results += [Caused(one, link) for link in minted(delivery, now)]
            if delivery.status is DeliveryStatus.QUEUED:
                parts[number] = part_of(self.law.config.accounts[delivery.lane], delivery.request.contact_id.int)
        if parts:
            await standing.tell(connection, await standing.enter(connection, parts, now))
        return results


async def insert(connection: Connection, deliveries: Sequence[Delivery]) -> set[UUID]:
    """Notes deliveries, in order, those that are not there yet. Gives the ids of the new ones."""
    columns = zip(*(_row(one) for one in deliveries), strict=True)
    rows = await connection.fetch(
        """INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, notice, campaign, variant, flow, step,
               conversation_id, content, segments, parts, status, reason, due_at, expires_at, requested_at, started_at, timezone, priority, fallback_after, instead_of,
               route, language)
           SELECT message_id, tenant, contact_id, lane, channel, address, purpose, notice, campaign, variant, flow, step,
               conversation_id, content, segments, parts, status, reason, due_at, expires_at, requested_at, started_at, timezone, priority, fallback_after, instead_of,
               route, language
           FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
               $11::text[], $12::text[], $13::uuid[], $14::jsonb[], $15::int[], $16::int[], $17::text[], $18::text[], $19::timestamptz[],
               $20::timestamptz[], $21::timestamptz[], $22::timestamptz[], $23::text[], $24::int[], $25::int[], $26::uuid[], $27::jsonb[],
               $28::text[]) WITH ORDINALITY AS given (
               message_id, tenant, contact_id, lane, channel, address, purpose, notice, campaign, variant, flow, step, conversation_id, content, segments, parts,
               status, reason, due_at, expires_at, requested_at, started_at, timezone, priority, fallback_after, instead_of, route, language, place)
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
        one.parts, one.status, one.reason, one.due_at, request.expires_at, one.requested_at, one.started_at, request.timezone, request.priority,
        request.fallback_after, request.instead_of, orjson.dumps(one.route).decode() if one.route is not None else None,
        request.language,
    )  # fmt: skip

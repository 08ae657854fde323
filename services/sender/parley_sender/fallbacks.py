"""Tells messages over the next of their channels that did not arrive over the first: one worker in each replica, none in another's way.

Everything happens in one transaction: the message's own rows are locked, so a receipt that it was delivered comes before and prevents it, or after; the new
delivery, whose id follows from the first one's, stands in the queue; what the bus is to hear stands in the outbox; the message is not looked at any more. A
kill before the commit leaves nothing, one after it leaves all of it. To publish the new request instead, before the commit, would do with less, and was not
taken: a kill between the two tells a message elsewhere that a receipt then says has arrived, and one that is erased meanwhile comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import orjson
import structlog

from parley.contracts import Channel, DeliveryStatus, Envelope, MessageRequested, Purpose, Record
from parley.database import OUTSIDE, Connection
from parley.service import Context
from parley.wire import caused_id, encode
from parley_sender import dropping, erasing, intake, outbox, remaining, rerouting, standing
from parley_sender.accept import Delivery, accepted, changed, minted
from parley_sender.consents import agree
from parley_sender.gate import Drop
from parley_sender.instead import Fate, Later, Stand, Tell, fate, instead
from parley_sender.law import Law
from parley_sender.limits import part_of
from parley_sender.outbox import Outbox
from parley_sender.tell import records

log = structlog.get_logger()

EVERY = 0.5
"""Seconds between two looks, where the last one found less than it might have."""
MOST = 200
"""Messages looked at in one transaction."""
AWAY: tuple[type[BaseException], ...] = (*OUTSIDE, asyncpg.PostgresError)


@dataclass
class Fallbacks:
    """The worker."""

    context: Context
    law: Law
    box: Outbox

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; waits while the database is away."""
        while not stopping.is_set():
            count = 0
            try:
                count = await self.turn()
            except AWAY as error:
                log.warning("messages to tell elsewhere wait for PostgreSQL", cause=f"{type(error).__name__}: {error}")
            if count < MOST:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), EVERY)

    async def turn(self) -> int:
        """Decides about those that are due. Gives how many."""
        now = self.context.clock()
        async with self.context.pool.acquire() as connection, connection.transaction():
            rows = [*await remaining.due(connection, now, MOST), *await remaining.waiting(connection, now, MOST)]
            fates = {row["message_id"]: self._fate(row, now) for row in rows}
            await remaining.later(connection, [(number, one.at) for number, one in fates.items() if isinstance(one, Later)])
            told = [(row, one.why) for row in rows if isinstance(one := fates[row["message_id"]], Tell)]
            said = await self._tell(connection, told, now) if told else []
            await remaining.over(connection, [number for number, one in fates.items() if not isinstance(one, Later)])
            entry = await outbox.put(connection, said) if said else None
        if entry is not None:
            await self.box.say(entry, said)
        return len(rows)

    def _fate(self, row: asyncpg.Record, now: datetime) -> Fate:
        resend = self.law.policy(row["tenant"]).unknown[Purpose(row["purpose"])] == "resend"
        return fate(_stand(row), resend, now)

    async def _tell(self, connection: Connection, told: Sequence[tuple[asyncpg.Record, str]], now: datetime) -> list[Record]:
        """Tells messages elsewhere, those for which there is a way. Gives what the bus is to hear."""
        broken = await rerouting.broken(connection, now)
        ways = [(row, why, new) for row, why in told if (new := self._elsewhere(row, broken, now)) is not None]
        if not ways:
            return []
        said = await _stopped(connection, [row for row, _, _ in ways if row["status"] == DeliveryStatus.QUEUED], now)
        entered = await self._enter(connection, [new for _, _, new in ways], now)
        await remaining.take_slots(connection, [(one.request.message_id, slot) for row, _, one in ways if (slot := _slot(row)) is not None])
        await _note(connection, ways, now)
        return [*said, *(record for one in entered for record in _said(one, now))]

    async def _enter(self, connection: Connection, deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Queues deliveries, as intake does with those that are requested. Gives those that are new."""
        await agree(connection, await erasing.inherited(connection, deliveries, self._secret), now)
        fresh = await intake.insert(connection, deliveries)
        entered = [one for one in deliveries if one.request.message_id in fresh]
        await remaining.remember(connection, entered)
        queued = [one for one in entered if one.status is DeliveryStatus.QUEUED]
        parts = {one.request.message_id: part_of(self.law.config.accounts[one.lane], one.request.contact_id.int) for one in queued}
        if parts:
            await standing.tell(connection, await standing.enter(connection, parts, now))
        return entered

    @property
    def _secret(self) -> bytes:
        return self.context.settings.secret.get_secret_value().encode()

    def _elsewhere(self, row: asyncpg.Record, broken: frozenset[str], now: datetime) -> Delivery | None:
        """The delivery over the next channel; None where there is no way."""
        first, tenant = MessageRequested.model_validate_json(row["request"]), row["tenant"]
        request = instead(first, Channel(row["channel"]), lambda channel: bool(self.law.config.sending(tenant, channel)), now)
        if request is None:
            return None
        event = Envelope(id=str(request.message_id), source="parley/sender", time=now, tenant=tenant, data=request)
        delivery = accepted(event, request, self.law, self._secret, self.context.settings.links.rstrip("/"), broken)
        return delivery if delivery.reason != "no_route" else None


def _stand(row: asyncpg.Record) -> Stand:
    since = row["changed_at"] if row["status"] == DeliveryStatus.QUEUED else row["called_at"] or row["changed_at"]
    return Stand(DeliveryStatus(row["status"]), row["reason"], since, timedelta(seconds=row["fallback_after"]), row["parts"], row["parts_done"])


def _slot(row: asyncpg.Record) -> datetime | None:
    """When a message took its slot under the frequency caps; None where it has given that back, or never had one."""
    found: datetime | None = row["called_at"] if row["status"] in (DeliveryStatus.SENT, DeliveryStatus.UNKNOWN) else None
    return found


async def _stopped(connection: Connection, rows: Sequence[asyncpg.Record], now: datetime) -> list[Record]:
    """Ends messages that wait for their customer to write: from now on they are told elsewhere."""
    said: list[Record] = []
    for lane in {row["lane"] for row in rows}:
        dropped = [(row["message_id"], Drop(DeliveryStatus.EXPIRED, "window_closed")) for row in rows if row["lane"] == lane]
        changes, chains = await dropping.drop(connection, lane, dropped, now)
        await standing.tell(connection, await standing.promote(connection, chains, now))
        said += records(changes, now)
    return said


async def _note(connection: Connection, ways: Sequence[tuple[asyncpg.Record, str, Delivery]], now: datetime) -> None:
    """Notes with each message as what it is told, and why."""
    rows: list[tuple[UUID, str]] = [
        (row["message_id"], orjson.dumps({"why": why, "channel": one.channel, "message_id": str(one.request.message_id)}).decode())
        for row, why, one in ways
    ]
    if rows:
        await connection.execute(
            "INSERT INTO notes (message_id, at, what, detail) SELECT id, $3, 'fallback', detail FROM unnest($1::uuid[], $2::jsonb[]) AS new (id, detail)",
            *zip(*rows, strict=True), now,
        )  # fmt: skip


def _said(one: Delivery, now: datetime) -> list[Record]:
    """What the bus is to hear of a new delivery, with ids that a repeat has too."""
    subject = str(one.request.contact_id)
    return [
        encode(
            Envelope(
                id=str(caused_id(str(one.request.message_id), place)), source="parley/sender", time=now, tenant=one.tenant, subject=subject, data=data
            )
        )
        for place, data in enumerate((changed(one, now), *minted(one, now)))
    ]

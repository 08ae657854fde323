"""The stage of webhooks: what happens is noted for every webhook that wants to hear of it, once an event, in the transaction of the batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from parley.contracts import ConsentChanged, ConversationChanged, DeliveryChanged
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_sender.notify.kinds import Told, family_of, told, type_of

HELD = timedelta(days=7)
"""How long events are noted for a webhook that is disabled: enabled within it, nothing is missing."""


@dataclass(frozen=True)
class Noting:
    """The stage. It has a group and cursors of its own: webhooks that nobody answers hold up nothing of what is sent to customers."""

    name: str = "webhooks"
    topics: tuple[str, ...] = (DeliveryChanged.topic, ConversationChanged.topic, ConsentChanged.topic)

    async def wanted(self, connection: Connection, tenants: Collection[str]) -> Collection[str]:
        """Tenants with webhooks: one that is made after its tenant was asked about wants nothing of what had come before (`note`)."""
        rows = await connection.fetch("SELECT DISTINCT tenant FROM webhooks WHERE tenant = ANY($1::text[])", sorted(tenants))
        return {row["tenant"] for row in rows}

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        wanted = await _wanted(connection, {one.event.tenant for one in batch})
        typed = [(one.event, kind) for one in batch if (kind := type_of(one.event.data)) is not None]
        found = [told(event, kind) for event, kind in typed if {(event.tenant, kind), (event.tenant, family_of(kind))} & wanted]
        if found:
            await note(connection, found, now)
        return ()


async def _wanted(connection: Connection, tenants: set[str]) -> set[tuple[str, str]]:
    """Tenants with a type, or a family of them, that one of their webhooks wants: what nobody wants is not written down."""
    rows = await connection.fetch("SELECT DISTINCT tenant, unnest(types) AS type FROM webhooks WHERE tenant = ANY($1::text[])", sorted(tenants))
    return {(row["tenant"], row["type"]) for row in rows}


async def note(connection: Connection, found: Sequence[Told], now: datetime) -> None:
    """Notes events for those webhooks of their tenants that want them and were there when they happened. What is noted already stays as it is."""
    rows = ((one.id, one.tenant, one.type, family_of(one.type), one.body, one.personal, one.at) for one in found)
    await connection.execute(
        """INSERT INTO webhook_posts (webhook_id, event_id, type, body, personal, due_at, noted_at)
           SELECT w.id, e.id, e.type, e.body, e.personal, $8, $8
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[])
               AS e (id, tenant, type, family, body, personal, at)
           JOIN webhooks AS w ON w.tenant = e.tenant AND w.types && ARRAY[e.type, e.family] AND w.created_at <= e.at
           WHERE w.disabled_at IS NULL OR (w.disabled_reason <> 'gone' AND e.at < w.disabled_at + $9::interval)
           ON CONFLICT DO NOTHING""",
        *zip(*rows, strict=True), now, HELD,
    )  # fmt: skip


async def forget_of_contact(connection: Connection, contact: UUID) -> None:
    """Drops what says more of somebody who is erased than their id: addresses, words, properties. What became of messages stays, as elsewhere."""
    await connection.execute("DELETE FROM webhook_posts WHERE personal = $1", contact)

"""The stage of what people do with messages: their first open and click stand in the message's story, and who calls mail spam gets none any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from parley.contracts import EngagementRecorded
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_sender import suppressions
from parley_sender.bounces import COMPLAINED
from parley_sender.suppressions import EVERYBODY, Entry

HUMAN, MACHINE = "human", "machine"


@dataclass(frozen=True)
class Engaged:
    """The stage. Of each message and kind the first by a person and the first by a machine are noted, so a story has a few lines however often it is opened."""

    name: str = "engaged"
    topics: tuple[str, ...] = (EngagementRecorded.topic,)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        told = [(one.event.tenant, data) for one in batch if isinstance(data := one.event.data, EngagementRecorded)]
        await _note(connection, first(told))
        await _complained(connection, {data.message_id for _, data in told if data.kind == "complained"}, now)
        return ()


def first(told: Sequence[tuple[str, EngagementRecorded]]) -> list[tuple[UUID, str, str, str, datetime]]:
    """Of each message, kind and by whom (a person, a machine) the earliest, with its tenant."""
    found: dict[tuple[UUID, str, str, str], datetime] = {}
    for tenant, data in told:
        key = data.message_id, tenant, data.kind, HUMAN if data.by == "human" else MACHINE
        found[key] = min(found.get(key, data.at), data.at)
    return [(*key, at) for key, at in sorted(found.items())]


async def _note(connection: Connection, some: Sequence[tuple[UUID, str, str, str, datetime]]) -> None:
    """Notes what is not noted yet, of messages that the tenant sent."""
    if some:
        ids, tenants, kinds, whose, times = zip(*some, strict=True)
        await connection.execute(
            """INSERT INTO notes (message_id, at, what, detail)
               SELECT id, new.at, kind, new.detail
               FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::timestamptz[]) AS new (id, tenant, kind, detail, at)
               JOIN deliveries d ON d.message_id = id AND d.tenant = new.tenant
               WHERE NOT EXISTS (SELECT FROM notes n WHERE n.message_id = id AND n.what = kind AND n.detail = new.detail)""",
            ids, tenants, kinds, [orjson.dumps({"by": one}).decode() for one in whose], times,
        )  # fmt: skip


async def _complained(connection: Connection, messages: set[UUID], now: datetime) -> None:
    """Puts the addresses on the tenants' lists to which these messages went."""
    if messages:
        rows = await connection.fetch("SELECT tenant, channel, address FROM deliveries WHERE message_id = ANY($1::uuid[])", list(messages))
        await suppressions.note(connection, [Entry(row["tenant"], EVERYBODY, row["channel"], row["address"], COMPLAINED) for row in rows], now)

"""What contacts allowed and forbade, as far as the gate asks: the latest word on each channel and purpose, by contact and by address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from parley.contracts import ConsentChanged, ConsentState, MessageReceived, MessageRequested, Purpose
from parley.database import Connection
from parley.step import Arrived
from parley_sender import standing

NOTICES = {"opted_out": ConsentState.REVOKED, "opted_in": ConsentState.GRANTED}
"""What an answer to STOP or START says of the consent: it is recorded with the answer, so nothing that follows it leaves against the wish."""


class Agreement(NamedTuple):
    """What a contact said of one purpose on one channel, and when; with the address, where it is known, and whether a yes covers the night."""

    contact: UUID
    channel: str
    purpose: str
    state: str
    at: datetime
    tenant: str | None = None
    address: str | None = None
    at_night: bool = False


def agreements(batch: Sequence[Arrived]) -> list[Agreement]:
    """What a batch says of consents: in so many words, or by the answer to a STOP or a START."""
    found: list[Agreement] = []
    for one in batch:
        data, tenant = one.event.data, one.event.tenant
        if isinstance(data, ConsentChanged):
            found.append(Agreement(data.contact_id, data.channel, data.purpose, data.state, data.at, tenant, data.address, data.at_night))
        elif isinstance(data, MessageRequested) and data.notice in NOTICES:
            said_at, state = one.event.started_at or one.event.time, NOTICES[data.notice]
            found += [
                Agreement(data.contact_id, channel, purpose, state, said_at, tenant, address)
                for channel, address in data.addresses.items() for purpose in Purpose
            ]  # fmt: skip
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
    return one.at, one.state == ConsentState.REVOKED


async def agree(connection: Connection, found: Sequence[Agreement], now: datetime) -> None:
    """Notes consents; what was said later already stays. Lanes hear who refuses something, by contact and address."""
    if not found:
        return
    columns = zip(*latest(found), strict=True)
    rows = await connection.fetch(
        """INSERT INTO consents AS c (contact_id, channel, purpose, state, at, tenant, address, at_night, recorded_at)
           SELECT *, $9::timestamptz FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::bool[])
           ON CONFLICT (contact_id, channel, purpose) DO UPDATE SET state = excluded.state, at = excluded.at, recorded_at = excluded.recorded_at,
               tenant = excluded.tenant, address = coalesce(excluded.address, c.address), at_night = excluded.at_night
           WHERE (excluded.at, excluded.state = 'revoked') > (c.at, c.state = 'revoked') RETURNING contact_id, state, channel, address""",
        *columns, now,
    )  # fmt: skip
    refused = [row for row in rows if row["state"] == ConsentState.REVOKED]
    addresses = [standing.of_address(row["channel"], row["address"]) for row in refused if row["address"]]
    await standing.tell_stops(connection, [*(row["contact_id"] for row in refused), *addresses])


async def wrote(connection: Connection, batch: Sequence[Arrived], now: datetime) -> None:
    """Notes when customers wrote, by account and address: from then on providers take free text. What waited for that waits no longer."""
    seen: dict[tuple[str, str], datetime] = {}
    contacts = set()
    for one in batch:
        if isinstance(data := one.event.data, MessageReceived):
            contacts.add(data.contact_id)
            for address in {data.address, data.reply_to or data.address}:
                key = data.account, address
                seen[key] = max(seen.get(key, data.received_at), data.received_at)
    if not seen:
        return
    await connection.execute(
        """INSERT INTO windows AS w (lane, address, at) SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
           ON CONFLICT (lane, address) DO UPDATE SET at = excluded.at WHERE excluded.at > w.at""",
        [lane for lane, _ in sorted(seen)], [address for _, address in sorted(seen)], [seen[key] for key in sorted(seen)],
    )  # fmt: skip
    await connection.execute(
        """UPDATE queue SET due_at = $2 FROM deliveries d WHERE queue.contact_id = ANY($1::uuid[]) AND state = 'timed' AND d.message_id = queue.message_id
               AND d.reason = 'window_closed'""",
        list(contacts), now,
    )  # fmt: skip

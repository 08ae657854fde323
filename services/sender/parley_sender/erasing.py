"""Forgetting what a contact was sent: texts and addresses go, counts and refusals stay. A refusal outlives its contact under a keyed hash of the address."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from parley.contracts import ConsentState, DeliveryChanged, DeliveryStatus, ErasureRequested, MessageRequested, Purpose
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_sender import remaining, standing
from parley_sender.accept import Delivery
from parley_sender.consents import Agreement
from parley_sender.dropping import stop_reason, stop_status
from parley_sender.notify.noting import forget_of_contact
from parley_sender.receipts import COLUMNS
from parley_sender.suppressions import OF_THE_ADDRESS

ERASED = "erased"
"""What stands where an address stood, and why a message never left."""


def digest(key: bytes, tenant: str, channel: str, address: str) -> bytes:
    """The hash under which a refusal is kept. Without `key`, the secret of the installation, nobody finds a number by trying all of them. Pure."""
    return hmac.digest(key, "\x1f".join(("refusal", tenant, channel, address)).encode(errors="replace"), "sha256")


async def erase(connection: Connection, batch: Sequence[Arrived], key: bytes, now: datetime) -> list[Caused]:
    """Forgets, contact by contact (it is rare), and tells of the messages that never leave now. A call whose bytes have left is not stopped, and not repeated;
    one that waits for anything goes back to the gate, which finds it expired.

    The messages of the batch are queued already; what was requested after the erasure is another conversation and stays.
    """
    results: list[Caused] = []
    for place, one in enumerate(batch):
        data = one.event.data
        if not isinstance(data, ErasureRequested):
            continue
        later = [said.message_id for other in batch[place:] if isinstance(said := other.event.data, MessageRequested)]
        await remaining.forget(connection, data.contact_id, later)
        await connection.execute(
            "SELECT FROM queue WHERE contact_id = $1 ORDER BY chain, seq FOR UPDATE", data.contact_id
        )  # as lanes do, before deliveries
        rows = await connection.fetch(
            f"SELECT {COLUMNS} FROM deliveries WHERE contact_id = $1 AND message_id <> ALL($2::uuid[]) ORDER BY message_id FOR UPDATE",
            data.contact_id,
            later,
        )
        places = {(str(channel), address) for channel, address in data.addresses.items()}
        places |= {(row["channel"], row["address"]) for row in rows if row["address"] not in ("", ERASED)}
        await _refused(connection, one, data, places, key)
        await standing.tell_stops(connection, [data.contact_id, *(standing.of_address(*place) for place in places)])
        await forget_of_contact(connection, data.contact_id)
        stopped = await _blanked(connection, [row["message_id"] for row in rows], now)
        results += [Caused(one, _changed(row, stopped[row["message_id"]], now)) for row in rows if row["message_id"] in stopped]
    return results


async def inherited(connection: Connection, deliveries: Sequence[Delivery], key: bytes) -> list[Agreement]:
    """The refusals of those who had these addresses before and were erased: as if the contact had refused then."""
    asked: dict[bytes, dict[UUID, str]] = {}
    for one in deliveries:
        if one.address:
            asked.setdefault(digest(key, one.tenant, one.channel, one.address), {})[one.request.contact_id] = one.channel
    rows = await connection.fetch("SELECT digest, purpose, at FROM refusals WHERE digest = ANY($1::bytea[])", list(asked)) if asked else []
    return [
        Agreement(contact, channel, row["purpose"], ConsentState.REVOKED.value, row["at"])
        for row in rows
        for contact, channel in asked[row["digest"]].items()
    ]


async def _refused(connection: Connection, one: Arrived, data: ErasureRequested, places: Collection[tuple[str, str]], key: bytes) -> None:
    """Keeps what the contact refused by each of its addresses, or whoever put one on the list for it, and drops what it granted."""
    refusals = await connection.fetch("SELECT channel, purpose, at FROM consents WHERE contact_id = $1 AND state = 'revoked'", data.contact_id)
    refused = [
        (row["channel"], address, row["purpose"], row["at"]) for row in refusals for channel, address in sorted(places) if row["channel"] == channel
    ]
    refused += await _unlisted(connection, one.event.tenant, places)
    kept = [(digest(key, one.event.tenant, channel, address), purpose, at) for channel, address, purpose, at in refused]
    await connection.executemany(
        "INSERT INTO refusals AS r VALUES ($1, $2, $3) ON CONFLICT (digest, purpose) DO UPDATE SET at = GREATEST(r.at, excluded.at)", kept
    )
    await connection.execute("DELETE FROM consents WHERE contact_id = $1 AND state <> 'revoked'", data.contact_id)
    await connection.execute("UPDATE consents SET address = NULL WHERE contact_id = $1", data.contact_id)
    await connection.execute("DELETE FROM touches WHERE contact_id = $1", data.contact_id)
    await connection.execute("DELETE FROM windows WHERE address = ANY($1::text[])", [address for _, address in places])


async def _unlisted(connection: Connection, tenant: str, places: Collection[tuple[str, str]]) -> list[tuple[str, str, str, datetime]]:
    """Takes addresses off the tenant's list. Gives what that refused: all purposes, unless the entry tells of the address alone; who has that next is somebody else."""
    rows = await connection.fetch(
        "DELETE FROM suppressions USING unnest($2::text[], $3::text[]) AS gone (channel, address)"
        " WHERE tenant = $1 AND (suppressions.channel, suppressions.address) = (gone.channel, gone.address)"
        " RETURNING suppressions.channel, suppressions.address, reason, since",
        tenant, [channel for channel, _ in places], [address for _, address in places],
    )  # fmt: skip
    meant = sorted((row["channel"], row["address"], row["since"]) for row in rows if row["reason"] not in OF_THE_ADDRESS)
    return [(channel, address, purpose.value, since) for channel, address, since in meant for purpose in Purpose]


async def _blanked(connection: Connection, messages: Sequence[UUID], now: datetime) -> dict[UUID, asyncpg.Record]:
    """Takes texts and addresses out of deliveries, and what providers said of them; what is queued ends. What is being called for expires, unless the call settles it.

    Of a message that was called for without an answer, or left in part, nobody can say that it never left: it ends as at the gate (`dropping.drop`).
    """
    held = await connection.fetch(
        "SELECT message_id, state, doubt, parts_done, attempt FROM queue WHERE message_id = ANY($1::uuid[]) ORDER BY contact_id, chain, seq FOR UPDATE",
        messages,
    )
    rows = await connection.fetch(
        f"""UPDATE deliveries SET address = $2, content = '{{}}', changed_at = now(),
               reason = CASE WHEN state <> 'calling' THEN {stop_reason("$2::text")} WHEN reason LIKE 'unbuildable:%' THEN 'unbuildable' ELSE reason END,
               expires_at = CASE WHEN state = 'calling' THEN $3 ELSE expires_at END,
               attempt = coalesce(tries, attempt),
               status = CASE WHEN state <> 'calling' AND status = 'queued' THEN {stop_status("'suppressed'")} ELSE status END
           FROM unnest($1::uuid[]) AS known (id) LEFT JOIN unnest($4::uuid[], $5::text[], $6::bool[], $7::int[], $8::int[]) AS held (held_id, state, doubt, done, tries)
               ON held_id = id
           WHERE message_id = id RETURNING old.status AS before, new.status, new.reason, message_id""",
        messages, ERASED, now, *(list(column) for column in zip(*(tuple(row) for row in held), strict=True)) if held else ([], [], [], [], []),
    )  # fmt: skip
    await connection.execute("UPDATE attempts SET reason = NULL WHERE message_id = ANY($1::uuid[])", messages)
    await connection.execute("UPDATE notes SET detail = detail - 'note' WHERE message_id = ANY($1::uuid[]) AND detail ? 'note'", messages)
    await standing.tell(connection, await standing.leave(connection, messages, now))
    return {row["message_id"]: row for row in rows if row["before"] == DeliveryStatus.QUEUED and row["status"] != DeliveryStatus.QUEUED}


def _changed(row: asyncpg.Record, after: asyncpg.Record, now: datetime) -> DeliveryChanged:
    return DeliveryChanged(
        contact_id=row["contact_id"], message_id=row["message_id"], channel=row["channel"], account=row["lane"], purpose=row["purpose"],
        campaign=row["campaign"], variant=row["variant"], status=DeliveryStatus(after["status"]), reason=after["reason"], attempt=row["attempt"],
        segments=row["segments"], provider_id=row["provider_id"], instead_of=row["instead_of"], flow=row["flow"], step=row["step"],
        language=row["language"], at=now,
    )  # fmt: skip

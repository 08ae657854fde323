"""Receipts: matched by our echoed id or the provider's own, moved only forward, parked when they come before their message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from parley.contracts import DeliveryChanged, DeliveryStatus, ReceiptReceived
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_sender import hearing, standing
from parley_sender.hearing import Heard
from parley_sender.status import OPEN, TOLD, Told, moved

COLUMNS = (
    "message_id, tenant, contact_id, lane, channel, address, purpose, campaign, variant, status, reason, parts, parts_done, attempt, segments,"
    " provider_id, started_at, instead_of, flow, step, language"
)
"""What is read of a delivery to tell of a change."""
QUALIFIED = ", ".join(f"deliveries.{name.strip()}" for name in COLUMNS.split(","))
"""The same, where other tables have such columns."""


@dataclass(frozen=True, slots=True)
class Change:
    """A delivery's new status and why, with the receipt that says so."""

    cause: Arrived
    row: asyncpg.Record
    told: Told
    data: ReceiptReceived

    @property
    def reason(self) -> str | None:
        return reason(self.told.code, self.row["reason"], self.row["parts_done"], self.row["parts"])


async def apply(connection: Connection, told: Sequence[tuple[Arrived, ReceiptReceived]], now: datetime) -> list[Caused]:
    """Moves deliveries by a batch of receipts; gives what changed, in order. Receipts that mean nothing to a status stand in the story alone."""
    told = [(one, data) for one, data in told if data.status in TOLD]
    index = Index.of(await _matching(connection, [data for _, data in told]))
    changes: dict[UUID, Change] = {}
    early: list[ReceiptReceived] = []
    heard: list[Heard] = []
    for one, data in told:
        rows = index.meant(data)
        if not rows or (rows[0]["parts"] > 1 and rows[0]["status"] in OPEN):
            early.append(data)  # of a message in parts the first may be delivered while the last is not sent
            continue
        for row in rows:
            known = changes.get(row["message_id"])
            step = moved(known.told.status if known else row["status"], [Told(TOLD[data.status], data.code)])
            heard.append(Heard(row, data, step is not None))
            if step is not None:
                changes[row["message_id"]] = Change(one, row, step, data)
    await _park(connection, early)
    await _move(connection, changes.values(), now)
    await hearing.keep(connection, heard, now)
    return [Caused(change.cause, _changed(change)) for change in changes.values()]


@dataclass(frozen=True, slots=True)
class Index:
    """Deliveries by what receipts call them."""

    by_id: Mapping[UUID | None, asyncpg.Record]
    by_provider: Mapping[tuple[str, str | None], asyncpg.Record]
    by_address: Mapping[tuple[str, str | None], Sequence[asyncpg.Record]]

    @classmethod
    def of(cls, rows: Sequence[asyncpg.Record]) -> Index:
        by_address: dict[tuple[str, str | None], list[asyncpg.Record]] = {}
        for row in rows:
            by_address.setdefault((row["lane"], row["address"]), []).append(row)
        return cls({row["message_id"]: row for row in rows}, {(row["lane"], row["provider_id"]): row for row in rows}, by_address)

    def meant(self, data: ReceiptReceived) -> Sequence[asyncpg.Record]:
        """The deliveries that a receipt speaks of: one, or with a watermark all to its recipient that left by then."""
        row = self.by_id.get(data.message_id) or (self.by_provider.get((data.account, data.provider_id)) if data.provider_id else None)
        if row is not None or data.watermark is None:
            return [row] if row is not None else []
        return [one for one in self.by_address.get((data.account, data.recipient), ()) if one["called_at"] and one["called_at"] <= data.watermark]


async def _matching(connection: Connection, told: Sequence[ReceiptReceived]) -> list[asyncpg.Record]:
    """The deliveries that receipts speak of, locked in the order of their ids.

    Where only the provider's id is told, its lane is waited for: a turn that is noting that id is seen whole or not at all, so no receipt falls
    between the one that parks it and the one that joins it.
    """
    unechoed = [data for data in told if data.message_id is None]
    if unechoed:
        await connection.execute("SELECT FROM lanes WHERE lane = ANY($1::text[]) ORDER BY lane FOR SHARE", list({one.account for one in unechoed}))
    named = [data for data in told if data.provider_id is not None]
    read = [data for data in unechoed if data.watermark is not None and data.provider_id is None]
    return await connection.fetch(
        f"""SELECT {COLUMNS}, called_at FROM deliveries WHERE message_id IN (
                SELECT unnest($1::uuid[])
                UNION
                SELECT message_id FROM deliveries JOIN unnest($2::text[], $3::text[]) AS told (lane, provider_id) USING (lane, provider_id)
                UNION
                SELECT message_id FROM deliveries JOIN unnest($4::text[], $5::text[]) AS told (lane, address) USING (lane, address)
                WHERE status IN ('sent', 'delivered') AND channel IN ('messenger', 'instagram', 'inapp')
            ) ORDER BY message_id FOR UPDATE""",
        [data.message_id for data in told if data.message_id is not None],
        [data.account for data in named], [data.provider_id for data in named],
        [data.account for data in read], [data.recipient for data in read],
    )  # fmt: skip


async def _park(connection: Connection, early: Iterable[ReceiptReceived]) -> None:
    """Keeps receipts until the answer to our call brings the provider's id; each status once."""
    rows = [(data.account, data.provider_id, TOLD[data.status], data.code, data.at) for data in early if data.provider_id is not None]
    if rows:
        await connection.execute(
            "INSERT INTO parked (lane, provider_id, status, code, at)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) ON CONFLICT DO NOTHING",
            *zip(*rows, strict=True),
        )


async def unparked(connection: Connection, lane: str, named: Mapping[str, UUID]) -> dict[str, list[Told]]:
    """Takes the receipts of a lane that came before their message's id was known; `named`: the message of each id."""
    if not named:
        return {}
    rows = await connection.fetch(
        "DELETE FROM parked WHERE lane = $1 AND provider_id = ANY($2::text[]) RETURNING provider_id, status, code, at", lane, list(named)
    )
    await hearing.joined(connection, rows, named)
    found: dict[str, list[Told]] = {}
    for row in rows:
        found.setdefault(row["provider_id"], []).append(Told(DeliveryStatus(row["status"]), row["code"]))
    return found


async def _move(connection: Connection, changes: Iterable[Change], now: datetime) -> None:
    """Moves the deliveries. What waited to be called for again, because nobody knew whether it had left, waits no longer."""
    changes = list(changes)
    rows = [(change.row["message_id"], change.told.status, change.reason) for change in changes]
    if rows:
        await connection.execute(
            "UPDATE deliveries SET status = new.status, reason = new.reason, changed_at = now()"
            " FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (message_id, status, reason) WHERE deliveries.message_id = new.message_id",
            *zip(*rows, strict=True),
        )
    doubtful = [change.row["message_id"] for change in changes if change.row["status"] in OPEN]
    if doubtful:
        await standing.tell(connection, await standing.leave(connection, doubtful, now))


def reason(code: str | None, before: str | None, done: int, parts: int) -> str | None:
    """The reason of a status that a receipt says: the provider's code. Of a message that left in part it stays to be read why the rest did not."""
    return f"provider:{code}" if code else before if 0 < done < parts else None


def _changed(change: Change) -> DeliveryChanged:
    row = change.row
    return DeliveryChanged(
        contact_id=row["contact_id"], message_id=row["message_id"], channel=row["channel"], account=row["lane"], purpose=row["purpose"],
        campaign=row["campaign"], variant=row["variant"], status=change.told.status, reason=change.reason, attempt=row["attempt"],
        segments=row["segments"], provider_id=row["provider_id"], price=change.data.price, currency=change.data.currency,
        instead_of=row["instead_of"], flow=row["flow"], step=row["step"], language=row["language"], at=change.data.at,
    )  # fmt: skip

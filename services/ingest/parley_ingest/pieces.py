"""Messages that come without an id, and in parts (SMPP): what the operator repeats is dropped, what belongs together is joined.

One customer's requests stand in one partition in their order, so nobody else works on the same message. Everything happens in the stage's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from parley.channels import PROVIDERS
from parley.channels.shape import Joining, Piece, Received
from parley.database import Connection, Pool

if TYPE_CHECKING:
    from parley_ingest.normalise import Found

AGAIN = timedelta(minutes=10)
"""Within this time the same words by another connection are the operator's repeat of what it had no answer for."""
TOGETHER = timedelta(hours=24)
"""Parts of one message come within this time; a later one with the same reference belongs to another."""
KEPT = timedelta(days=30)
AT_ONCE = 5_000

Heard: TypeAlias = "dict[tuple[str, str], list[tuple[str, datetime]]]"
"""Connection and time of each hearing, by account and words."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message without an id, or a part of one."""

    found: Found
    account: str
    item: Received
    piece: Piece

    @property
    def key(self) -> tuple[str, str]:
        return self.account, self.piece.words

    @property
    def whole(self) -> tuple[str, str]:
        return self.account, self.piece.whole


async def joined(connection: Connection, fresh: Sequence[Found]) -> list[Found]:
    """The same without repeats of messages that have no id, and each message that came in parts in the place of the part that completes it."""
    told = list(_told(fresh))
    if not told:
        return list(fresh)
    new = unheard(told, await _heard(connection, told))
    await _remember(connection, told)
    whole = await _whole(connection, [one for one in new if one.piece.total > 1])
    ready = {one.found.id: one.found for one in new if one.piece.total == 1} | {one.id: one for one in whole}
    pending = {one.found.id for one in told} - ready.keys()
    return [ready.get(one.id, one) for one in fresh if one.id not in pending]


def unheard(told: Iterable[Told], heard: Heard) -> list[Told]:
    """Those that are no repeat, in order; `heard` learns all of them. Pure.

    By another connection the same words are a repeat, once: a second time the customer said them again. By the same connection they are a second message,
    for the operator repeats only what was not answered, and the bind knows that itself. The same part of the same long message is always a repeat.
    """
    new = []
    for one in told:
        before = [name for name, at in heard.setdefault(one.key, []) if abs(one.found.at - at) <= AGAIN]
        repeated = bool(before) and (one.piece.total > 1 or one.piece.connection not in before)
        heard[one.key].append((one.piece.connection, one.found.at))
        if not repeated:
            new.append(one)
    return new


async def forget(pool: Pool, now: datetime) -> None:
    """Drops what no repeat and no other part can belong to any more."""
    for table, before in (("heard", now - TOGETHER), ("parts", now - KEPT)):
        await pool.execute(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE heard_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
            before,
            AT_ONCE,
        )


def _told(fresh: Iterable[Found]) -> Iterable[Told]:
    for one in fresh:
        if isinstance(one.item, Received) and one.item.piece is not None and one.account is not None:
            yield Told(one, one.account.name, one.item, one.item.piece)


async def _heard(connection: Connection, told: Sequence[Told]) -> Heard:
    since = min(one.found.at for one in told) - AGAIN
    rows = await connection.fetch(
        "SELECT account, words, connection, heard_at FROM heard JOIN unnest($1::text[], $2::text[]) AS asked (account, words) USING (account, words)"
        " WHERE heard_at >= $3 ORDER BY heard_at",
        *zip(*{one.key for one in told}, strict=True), since,
    )  # fmt: skip
    found: Heard = {}
    for row in rows:
        found.setdefault((row["account"], row["words"]), []).append((row["connection"], row["heard_at"]))
    return found


async def _remember(connection: Connection, told: Sequence[Told]) -> None:
    await connection.execute(
        "INSERT INTO heard (account, words, connection, heard_at) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])"
        " ON CONFLICT DO NOTHING",
        *zip(*((*one.key, one.piece.connection, one.found.at) for one in told), strict=True),
    )


async def _whole(connection: Connection, parts: Sequence[Told]) -> list[Found]:
    """Keeps the parts, and takes out the messages that they complete, each as the last of its parts."""
    if not parts:
        return []
    await _keep(connection, parts)
    last = {one.whole: one for one in parts}
    rows: dict[tuple[str, str], list[asyncpg.Record]] = {key: [] for key in last}
    for row in await _kept(connection, list(last)):
        key = row["account"], row["whole"]
        if abs(last[key].found.at - row["heard_at"]) <= TOGETHER:
            rows[key].append(row)
    complete = [one for key, one in last.items() if [row["number"] for row in rows[key]] == list(range(1, one.piece.total + 1))]
    await _drop(connection, [one.whole for one in complete])
    return [replace(one.found, item=_read(one, rows[one.whole])) for one in complete]


def _read(one: Told, rows: Sequence[asyncpg.Record]) -> Received:
    """The message of all its parts."""
    assert one.found.account is not None
    provider = PROVIDERS[one.found.account.provider]
    assert isinstance(provider, Joining), f"{one.found.account.provider} gives parts and cannot join them"
    parts = (replace(one.piece, number=row["number"], body=row["body"], coding=row["coding"]) for row in rows)
    return provider.join([replace(one.item, piece=part) for part in parts])


async def _keep(connection: Connection, parts: Sequence[Told]) -> None:
    """A part whose reference is used again takes the place of the one that never found its others."""
    await connection.executemany(
        "INSERT INTO parts (account, whole, number, body, coding, heard_at) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (account, whole, number) DO UPDATE SET body = excluded.body, coding = excluded.coding, heard_at = excluded.heard_at",
        [(*one.whole, one.piece.number, one.piece.body, one.piece.coding, one.found.at) for one in parts],
    )


async def _kept(connection: Connection, wholes: Sequence[tuple[str, str]]) -> list[asyncpg.Record]:
    return await connection.fetch(
        "SELECT p.* FROM parts p JOIN unnest($1::text[], $2::text[]) AS asked (account, whole) USING (account, whole) ORDER BY account, whole, number",
        *zip(*wholes, strict=True),
    )


async def _drop(connection: Connection, wholes: Sequence[tuple[str, str]]) -> None:
    if wholes:
        await connection.execute(
            "DELETE FROM parts WHERE (account, whole) IN (SELECT * FROM unnest($1::text[], $2::text[]))", *zip(*wholes, strict=True)
        )

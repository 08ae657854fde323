"""Messages that wait behind an open circuit move to another account: those that no provider may have, replies first. In the lane's transaction.

Of one contact, channel and purpose only the first stands in a line, wherever the others wait: what moves keeps its chain, and with it the order.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from parley.channels import units
from parley.channels.shape import Account, Outgoing
from parley.contracts import Channel, Content, Purpose
from parley.database import Connection
from parley_sender import standing
from parley_sender.accept import parts
from parley_sender.law import Law
from parley_sender.limits import part_of
from parley_sender.route import EVERYWHERE, Choice, choose, strategy
from parley_sender.standing import Stirred

WHY = "circuit open"


@dataclass(frozen=True, slots=True)
class Move:
    """A message, and the account it moves to with what it counts there."""

    row: asyncpg.Record
    choice: Choice
    units: int
    parts: int


async def broken(connection: Connection, now: datetime) -> frozenset[str]:
    """Accounts whose circuit is open."""
    rows = await connection.fetch("SELECT DISTINCT split_part(lane, '#', 1) AS account FROM lanes WHERE broken_until > $1", now)
    return frozenset(row["account"] for row in rows)


async def move(connection: Connection, part: str, law: Law, now: datetime, most: int, after: MutableMapping[int, int]) -> Stirred:
    """Moves what may stand behind an open circuit, at most so much; gives where it came to stand, to be told when the transaction is committed.

    `after`: where the last call came to in each line, kept by whoever calls, so that what cannot move keeps nobody from it; at the end it begins anew. What
    the lane has read of its lines is to be read again, where something moved.
    """
    source = law.config.accounts[part.partition("#")[0]]
    if source.channel not in EVERYWHERE:
        return {}
    ill = {row["account"] for row in await connection.fetch(
        "SELECT DISTINCT split_part(lane, '#', 1) AS account FROM lanes WHERE broken_until > $1 OR paused_by IS NOT NULL", now)}  # fmt: skip
    moves: list[Move] = []
    for purpose in Purpose:
        rows = await _waiting(connection, part, purpose, after, most - len(moves))
        moves += [one for row in rows if (one := elsewhere(row, source, law, ill)) is not None]
    return await _moved(connection, source, moves, now) if moves else {}


def elsewhere(row: asyncpg.Record, source: Account, law: Law, ill: Collection[str]) -> Move | None:
    """Where a message may move to: a healthy account for the same channel, of the same pool where there is one; None where there is none.

    A template is known to one account, or to those of a pool. Where a provider takes free text only while the customer writes to an account, that stays.
    """
    tenant, channel, content = row["tenant"], Channel(row["channel"]), Content.model_validate_json(row["content"])
    if (content.template is not None and source.pool is None) or (content.template is None and source.window is not None):
        return None
    others = [one for one in law.config.sending(tenant, channel, source.pool) if one.name != source.name and one.name not in ill]
    country = law.where(tenant, channel, row["address"], row["timezone"]).country
    choice = choose(others, row["contact_id"], country, strategy(law.config, tenant, channel))
    if choice is None or law.fault(content.template, choice.account) is not None:
        return None
    try:
        message = Outgoing(row["message_id"], row["address"], content, row["requested_at"])
        return Move(row, choice, units(content, choice.account), parts(message, choice.account))
    except (ValueError, KeyError):  # that provider does not take it
        return None


async def _waiting(connection: Connection, part: str, purpose: Purpose, after: MutableMapping[int, int], most: int) -> Sequence[asyncpg.Record]:
    """What waits and was surely not taken: no part of it, no call without an answer. Locked; what somebody else works on is passed over."""
    lines = [row["line"] for row in await connection.fetch("SELECT line FROM lines WHERE part = $1 AND purpose = $2", part, purpose)]
    if not lines or most <= 0:
        return []
    found = await connection.fetch(
        """SELECT front.* FROM unnest($1::int[], $2::bigint[]) AS wanted (line, after), LATERAL (
               (SELECT message_id, line, place FROM queue q WHERE q.line = wanted.line AND state = 'ready' AND place > wanted.after ORDER BY place LIMIT $3)
               UNION ALL
               (SELECT message_id, line, place FROM queue q
                WHERE q.line = wanted.line AND state = 'timed' AND failures > 0 AND place > wanted.after ORDER BY place LIMIT $3)) AS front
           ORDER BY place LIMIT $3""",
        lines, [after.get(line, 0) for line in lines], most,
    )  # fmt: skip
    if len(found) < most:  # the end of all lines: the next call begins anew
        after.update(dict.fromkeys(lines, 0))
    else:
        after.update({row["line"]: row["place"] for row in found})
    return await connection.fetch(
        """SELECT q.message_id, q.contact_id, q.place, d.tenant, d.purpose, d.campaign, d.channel, d.address, d.content, d.timezone, d.requested_at
           FROM queue q JOIN deliveries d USING (message_id)
           WHERE message_id = ANY($1::uuid[]) AND q.state IN ('ready', 'timed') AND NOT q.doubt AND q.parts_done = 0 AND d.status = 'queued'
               AND NOT (q.attempt > 0 AND EXISTS (SELECT FROM attempts a WHERE a.message_id = q.message_id AND a.outcome NOT IN ('transient', 'throttled', 'permanent')))
           ORDER BY q.contact_id, q.chain FOR UPDATE OF q SKIP LOCKED""",
        [row["message_id"] for row in found],
    )  # fmt: skip


async def _moved(connection: Connection, source: Account, moves: Sequence[Move], now: datetime) -> Stirred:
    """Writes where messages stand from now on, in the order in which they stood."""
    moves = sorted(moves, key=lambda one: one.row["place"])
    ids = [one.row["message_id"] for one in moves]
    names = [one.choice.account.name for one in moves]
    where = [part_of(one.choice.account, one.row["contact_id"].int) for one in moves]
    await standing.lines(connection, ids, where)
    rows = await connection.fetch(
        """UPDATE queue SET line = new.line, units = new.units, state = 'ready', due_at = LEAST(due_at, $4), place = new.place
           FROM (SELECT given.message_id AS id, l.line, given.units, nextval('places') AS place
                 FROM unnest($1::uuid[], $2::text[], $3::int[]) WITH ORDINALITY AS given (message_id, part, units, nth) JOIN deliveries d USING (message_id)
                 JOIN lines l ON (l.part, l.purpose, l.tenant, l.campaign) = (given.part, d.purpose, d.tenant, coalesce(d.campaign, ''))
                 ORDER BY nth) AS new
           WHERE message_id = new.id RETURNING message_id, queue.line""",
        ids, where, [one.units for one in moves], now,
    )  # fmt: skip
    await connection.execute(
        """UPDATE deliveries SET lane = new.lane, segments = new.units, parts = new.parts, route = new.route, due_at = LEAST(due_at, $6), changed_at = now()
           FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::jsonb[]) AS new (id, lane, units, parts, route) WHERE message_id = id""",
        ids, names, [one.units for one in moves], [one.parts for one in moves], [orjson.dumps(one.choice.told).decode() for one in moves], now,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO notes (message_id, at, what, detail) SELECT id, $3, 'moved', detail FROM unnest($1::uuid[], $2::jsonb[]) AS new (id, detail)",
        ids, [orjson.dumps({"from": source.name, "to": name, "why": WHY}).decode() for name in names], now,
    )  # fmt: skip
    found: Stirred = {}
    for row in rows:
        found.setdefault(where[ids.index(row["message_id"])], set()).add(row["line"])
    return found

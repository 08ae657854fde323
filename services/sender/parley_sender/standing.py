"""How open messages come to stand in their lines, and leave them: the rows of `queue`. Each function is a statement or two inside the caller's transaction.

A message is `ready` in its line, `timed` until it is due, or `behind` an earlier one of its chain (one contact, channel and purpose, of marketing one
campaign: these keep their order, and one is called for at a time). Whoever ends a message puts the next of its chain into line; whoever adds one locks the
last of the chain first, so neither misses the other. `sweep` finds what a race left behind all the same.

Whoever locks rows of several tables does it in this order: `lanes` by name; `fallbacks`, where a person is erased or a message told elsewhere; `queue` by
contact and chain; `deliveries`; `touches` by contact and purpose; then what is only written. Three do otherwise and may meet a deadlock, which PostgreSQL
ends and the loser repeats whole: a receipt of a message that is open has its delivery before its place in the queue; a lane's turn locks what ended and then
what it takes, each in order; a status that moves has its delivery before its row of `fallbacks` (the trigger).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg

from parley.database import Connection

CHANNEL = "parley_lanes"
"""PostgreSQL's notification channel by which lanes learn that there is something to send: the lane's part, and the lines."""
STOPS = "parley_stops"
"""And the one by which they learn to whom nothing more shall leave: contacts, addresses (`of_address`), messages, all of a tenant's (`of_tenant`)."""
READY = "state NOT IN ('timed', 'behind', 'calling')"
CALLING = "state NOT IN ('ready', 'timed', 'behind')"
"""In SQL, the state of rows that are named by their keys. Told by what it is not, for the index of a state holds, until it is vacuumed, every row that ever
passed it: where the planner took that one to find a hundred rows it read thousands, and compared each with each."""
LINES = 500
"""Lines named in one notification (8,000 octets at most); of more, the lane looks at all."""
NAMED, MOST_NAMED = 200, 2_000
"""What one notification names; and one transaction. Of more it says that it may be anybody: then all that is claimed is asked again. A batch of the intake has
500 events (`PARLEY_BATCH`) with two names each, and does not come to that."""

Chain = tuple[UUID, int]
"""Contact, and the hash of what keeps its order (`chain_of`)."""
Stirred = dict[str, set[int]]
"""By part, the lines in which something came to stand."""


async def enter(connection: Connection, parts: Mapping[UUID, str], now: datetime) -> Stirred:
    """Puts new deliveries into their lines, in the order in which they were asked for. `parts`: the part of the lane that each belongs to."""
    ids, names = list(parts), list(parts.values())
    known = await lines(connection, ids, names)
    await connection.execute(
        """SELECT FROM (SELECT DISTINCT contact_id, chain_of(channel, purpose, campaign) AS chain FROM deliveries
                        WHERE message_id = ANY($1::uuid[]) ORDER BY 1, 2) AS new,
               LATERAL (SELECT FROM queue q WHERE q.contact_id = new.contact_id AND q.chain = new.chain ORDER BY seq DESC LIMIT 1 FOR SHARE) AS last""",
        ids,
    )  # fmt: skip
    rows = await connection.fetch(
        """INSERT INTO queue (message_id, line, state, place, contact_id, chain, seq, units, due_at)
           SELECT message_id, line, CASE WHEN NOT first OR EXISTS (SELECT FROM queue q WHERE q.contact_id = new.contact_id AND q.chain = new.chain) THEN 'behind'
                   WHEN due_at > $3 THEN 'timed' ELSE 'ready' END, nextval('places'), contact_id, chain, seq, segments, due_at
           FROM (SELECT d.*, given.part, chain_of(channel, purpose, campaign) AS chain,
                        row_number() OVER (PARTITION BY contact_id, chain_of(channel, purpose, campaign) ORDER BY seq) = 1 AS first
                 FROM unnest($1::uuid[], $2::text[]) AS given (message_id, part) JOIN deliveries d USING (message_id)) AS new
           JOIN lines l ON (l.part, l.purpose, l.tenant, l.campaign) = (new.part, new.purpose, new.tenant, coalesce(new.campaign, ''))
           ORDER BY seq RETURNING line, state""",
        ids, names, now,
    )  # fmt: skip
    return _by_part(known, {row["line"] for row in rows if row["state"] == "ready"})


async def lines(connection: Connection, ids: Sequence[UUID], names: Sequence[str]) -> dict[int, str]:
    """The lines of these parts in which deliveries are to stand, made where they are not there yet, with their parts; locked, so that `forget` leaves them
    until the commit."""
    while True:
        rows = await connection.fetch(
            """WITH wanted AS (SELECT DISTINCT part, purpose, tenant, coalesce(campaign, '') AS campaign
                               FROM unnest($1::uuid[], $2::text[]) AS new (message_id, part) JOIN deliveries d USING (message_id)),
                    locked AS (SELECT line, part FROM lines JOIN wanted USING (part, purpose, tenant, campaign) ORDER BY line FOR KEY SHARE OF lines)
               SELECT line, part, wanted FROM (SELECT count(*) AS wanted FROM wanted) AS counted LEFT JOIN locked ON true""",
            ids, names,
        )  # fmt: skip
        known = {row["line"]: row["part"] for row in rows if row["line"] is not None}
        if len(known) == rows[0]["wanted"]:
            return known
        await connection.execute(
            """INSERT INTO lines (part, purpose, tenant, campaign)
               SELECT DISTINCT part, purpose, tenant, coalesce(campaign, '') AS name
               FROM unnest($1::uuid[], $2::text[]) AS new (message_id, part) JOIN deliveries d USING (message_id)
               WHERE NOT EXISTS (SELECT FROM lines l WHERE (l.part, l.purpose, l.tenant, l.campaign) = (new.part, d.purpose, d.tenant, coalesce(d.campaign, '')))
               ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING""",
            ids, names,
        )  # fmt: skip


async def change(connection: Connection, ids: Sequence[UUID], names: Sequence[str]) -> Stirred:
    """Puts messages into the lines of other parts of their account; what stands in line stands there in this order."""
    known = await lines(connection, ids, names)
    rows = await connection.fetch(
        """UPDATE queue SET line = new.line, place = new.place
           FROM (SELECT given.message_id AS id, l.line, nextval('places') AS place
                 FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS given (message_id, part, nth) JOIN deliveries d USING (message_id)
                 JOIN lines l ON (l.part, l.purpose, l.tenant, l.campaign) = (given.part, d.purpose, d.tenant, coalesce(d.campaign, '')) ORDER BY nth) AS new
           WHERE message_id = new.id RETURNING queue.line, state""",
        ids, names,
    )  # fmt: skip
    return _by_part(known, {row["line"] for row in rows if row["state"] == "ready"})


async def forget(connection: Connection, most: int, part: str | None = None) -> int:
    """Forgets lines in which nothing stands, at most so many: those of campaigns, or all of a part. Gives how many."""
    empty = await connection.fetch(
        """SELECT line FROM lines WHERE line IN (
               SELECT line FROM lines WHERE part = $2 OR ($2::text IS NULL AND campaign <> '') EXCEPT SELECT line FROM queue) LIMIT $1 FOR UPDATE SKIP LOCKED""",
        most, part,
    )  # fmt: skip
    done = await connection.fetch(  # asked once more: what came to stand there before the lock is seen now
        "DELETE FROM lines WHERE line = ANY($1::int[]) AND NOT EXISTS (SELECT FROM queue WHERE queue.line = lines.line) RETURNING line",
        [row["line"] for row in empty],
    )  # fmt: skip
    return len(done)


async def leave(connection: Connection, messages: Iterable[UUID], now: datetime) -> Stirred:
    """Takes messages out whose delivery is not queued any more, but for those that are being called for, and lets the next of their chains in."""
    rows = await connection.fetch(
        """DELETE FROM queue WHERE message_id IN (
               SELECT message_id FROM queue JOIN deliveries USING (message_id) WHERE message_id = ANY($1::uuid[]) AND state <> 'calling' AND status <> 'queued'
               ORDER BY queue.contact_id, chain, queue.seq FOR UPDATE OF queue) RETURNING contact_id, chain""",
        list(messages),
    )  # fmt: skip
    return await promote(connection, [(row["contact_id"], row["chain"]) for row in rows], now)


async def promote(connection: Connection, chains: Sequence[Chain], now: datetime) -> Stirred:
    """Lets the first of each chain come to stand in its line, or wait for its time; where another of the chain does already, it stays behind that.

    What was asked for first may be behind: it was unknown for a while, and is called for again.
    """
    if not chains:
        return {}
    rows = await connection.fetch(
        """UPDATE queue SET state = CASE WHEN due_at > $3 THEN 'timed' ELSE 'ready' END, place = nextval('places')
           FROM (SELECT first.message_id AS id FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::int[]) AS gone (contact_id, chain) ORDER BY 1, 2) AS gone,
                 LATERAL (SELECT message_id, state FROM queue q WHERE q.contact_id = gone.contact_id AND q.chain = gone.chain ORDER BY seq LIMIT 1) AS first
                 WHERE first.state = 'behind' AND NOT EXISTS (
                     SELECT FROM queue q WHERE q.contact_id = gone.contact_id AND q.chain = gone.chain AND q.state <> 'behind')) AS next
           WHERE message_id = next.id AND state = 'behind' RETURNING line, state""",
        [contact for contact, _ in chains], [chain for _, chain in chains], now,
    )  # fmt: skip
    return await _stirred(connection, {row["line"] for row in rows if row["state"] == "ready"})


async def release(connection: Connection, now: datetime, most: int) -> tuple[int, Stirred]:
    """Lets messages that have become due into their lines, the longest due first. Gives how many."""
    rows = await connection.fetch(
        """UPDATE queue SET state = 'ready', place = nextval('places') FROM (
               SELECT message_id AS id FROM queue WHERE state = 'timed' AND due_at <= $1 ORDER BY due_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED) AS due
           WHERE message_id = due.id RETURNING line""",
        now, most,
    )  # fmt: skip
    return len(rows), await _stirred(connection, {row["line"] for row in rows})


async def sweep(connection: Connection, now: datetime) -> Stirred:
    """Finds messages that wait behind nobody."""
    rows = await connection.fetch(
        """SELECT DISTINCT contact_id, chain FROM queue b WHERE state = 'behind' AND NOT EXISTS (
               SELECT FROM queue q WHERE q.contact_id = b.contact_id AND q.chain = b.chain AND q.state <> 'behind')"""
    )
    return await promote(connection, [(row["contact_id"], row["chain"]) for row in rows], now)


async def tell(connection: Connection, stirred: Stirred) -> None:
    """Lanes hear of what came to stand in their lines, when the transaction is committed."""
    for part, lines in sorted(stirred.items()):
        named = ",".join(map(str, sorted(lines))) if len(lines) <= LINES else ""
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{part} {named}")


def of_address(channel: str, address: str) -> UUID:
    """By what a stop names an address: whichever contact has it, and of whichever tenant, what is claimed for it is asked again."""
    return uuid5(NAMESPACE_URL, f"{channel}:{address}")


def of_tenant(tenant: str) -> UUID:
    """By what a stop names all that a tenant sends."""
    return uuid5(NAMESPACE_URL, f"tenant:{tenant}")


async def tell_stops(connection: Connection, whom: Iterable[UUID]) -> None:
    """Lanes hear to whom nothing more shall leave, when the transaction is committed: what is about to be called for is asked again at the gate."""
    names = sorted({str(one) for one in whom})
    named = [" ".join(names[first : first + NAMED]) for first in range(0, len(names), NAMED)] if len(names) <= MOST_NAMED else [""]
    if named:
        await connection.execute("SELECT pg_notify($1, told) FROM unnest($2::text[]) AS told", STOPS, named)


def merged(*some: Stirred) -> Stirred:
    """All of them together."""
    found: Stirred = {}
    for one in some:
        for part, lines in one.items():
            found.setdefault(part, set()).update(lines)
    return found


async def _stirred(connection: Connection, lines: set[int]) -> Stirred:
    if not lines:
        return {}
    rows: Sequence[asyncpg.Record] = await connection.fetch("SELECT part, line FROM lines WHERE line = ANY($1::int[])", list(lines))
    return _by_part({row["line"]: row["part"] for row in rows}, lines)


def _by_part(known: Mapping[int, str], lines: Iterable[int]) -> Stirred:
    found: Stirred = {}
    for line in lines:
        found.setdefault(known[line], set()).add(line)
    return found

"""What the worker of webhooks reads and writes: takes what is due for a while, writes down what came of it, and forgets what is old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import orjson

from parley.contracts import utc
from parley.database import Connection, Pool
from parley.wire import natural_id
from parley_sender.notify import noting
from parley_sender.notify.kinds import DISABLED, Told, body
from parley_sender.notify.schedule import GIVEN_UP, Answer, Health, Verdict

EACH, FAILING, ALL = 16, 1, 512
"""Calls under way at one webhook, at one that fails, and at all of them, in one process: who is slow or gone costs the others nothing."""
LEASE = timedelta(seconds=60)
"""After it a post whose process has not said what came of it is taken by the next one: well beyond the longest call."""
KEPT = timedelta(days=14)
"""How long posts are kept, done or not; within it they can be sent again."""
AT_ONCE = 5_000
TAKE = """WITH room AS (
    SELECT id, coalesce(n, 0) AS busy, greatest(0, CASE WHEN failing_since IS NULL THEN $1::integer ELSE $2::integer END - coalesce(n, 0)) AS free
    FROM webhooks LEFT JOIN unnest($3::uuid[], $4::integer[]) AS b (id, n) USING (id)
    WHERE disabled_at IS NULL AND (paused_until IS NULL OR paused_until <= $6)
), due AS (
    SELECT p.* FROM room CROSS JOIN LATERAL (
        SELECT webhook_id, event_id FROM webhook_posts WHERE webhook_id = room.id AND state = 'due' AND due_at <= $6
        ORDER BY due_at LIMIT room.free FOR UPDATE SKIP LOCKED
    ) AS p ORDER BY room.busy LIMIT $5
)
UPDATE webhook_posts AS p SET attempt = attempt + 1, tries = tries + 1, due_at = $6 + $7::interval, leased_until = $6 + $7::interval
FROM due JOIN webhooks AS w ON w.id = due.webhook_id WHERE (p.webhook_id, p.event_id) = (due.webhook_id, due.event_id)
RETURNING p.webhook_id, p.event_id, p.body, p.attempt, p.tries, p.noted_at, w.url, w.generation, w.previous_until, w.failing_since IS NOT NULL"""
SETTLE = """UPDATE webhook_posts AS p SET state = e.state, due_at = e.due_at, leased_until = NULL,
    answers = jsonb_path_query_array(p.answers || e.answer, '$[last - 11 to last]')
FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::timestamptz[], $6::jsonb[]) AS e (webhook_id, event_id, attempt, state, due_at, answer)
WHERE (p.webhook_id, p.event_id, p.attempt) = (e.webhook_id, e.event_id, e.attempt) AND p.leased_until IS NOT NULL"""
HEALTH = """UPDATE webhooks AS w SET
    failing_since = CASE WHEN e.good THEN NULL ELSE coalesce(w.failing_since, $7) END,
    paused_until = greatest(w.paused_until, e.paused_until),
    disabled_at = CASE WHEN e.gone OR (e.lasting AND w.failing_since <= $8) THEN $7 END,
    disabled_reason = CASE WHEN e.gone THEN 'gone' WHEN e.lasting AND w.failing_since <= $8 THEN 'failing' END
FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::boolean[], $5::boolean[], $6::timestamptz[]) AS e (id, url, good, gone, lasting, paused_until)
WHERE w.id = e.id AND w.url = e.url AND w.disabled_at IS NULL AND NOT (e.good AND NOT e.gone AND e.paused_until IS NULL AND w.failing_since IS NULL)
RETURNING w.id, w.tenant, w.url, w.disabled_at, w.disabled_reason"""
"""What was found out about an address counts only while it still is the webhook's."""
GAUGES = """SELECT count(*) FILTER (WHERE disabled_at IS NOT NULL) AS disabled,
    count(*) FILTER (WHERE disabled_at IS NULL AND failing_since IS NOT NULL) AS failing,
    count(*) FILTER (WHERE disabled_at IS NULL AND failing_since IS NULL) AS working,
    min(oldest) FILTER (WHERE disabled_at IS NULL AND failing_since IS NULL AND (paused_until IS NULL OR paused_until <= $1)) AS oldest
FROM webhooks LEFT JOIN LATERAL (SELECT min(due_at) AS oldest FROM webhook_posts WHERE webhook_id = webhooks.id AND state = 'due') AS p ON true"""


@dataclass(frozen=True, slots=True)
class Post:
    """A post that was taken: what to send, and by what to sign it. `failing`: its webhook was, when it was taken."""

    webhook_id: UUID
    event_id: str
    body: str
    attempt: int
    tries: int
    noted_at: datetime
    url: str
    generation: int
    previous_until: datetime | None
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that ended, when it had begun, and what follows from it."""

    post: Post
    called_at: datetime
    answer: Answer
    verdict: Verdict


async def take(pool: Pool, busy: Mapping[UUID, int], now: datetime) -> list[Post]:
    """Takes what is due and has room, for the time of a lease; committed when this returns, so that nobody else makes these calls meanwhile."""
    free = ALL - sum(busy.values())
    rows = await pool.fetch(TAKE, EACH, FAILING, list(busy), list(busy.values()), free, now, LEASE) if free > 0 else []
    return [Post(*row) for row in rows]


async def settle(pool: Pool, ended: Sequence[Ended], healths: Mapping[tuple[UUID, str], Health], now: datetime) -> list[asyncpg.Record]:
    """Writes down what came of calls, and what that says of their webhooks (by id and address; of most there is nothing to say). Gives those that are
    disabled by it.

    A post that somebody else has taken since (its lease was over) stays theirs.
    """
    posts = ((one.post.webhook_id, one.post.event_id, one.post.attempt, one.verdict.state, one.verdict.due_at, _told(one)) for one in ended)
    if not healths:
        await pool.execute(SETTLE, *zip(*posts, strict=True))
        return []
    known = ((*place, one.good, one.gone, one.lasting, one.paused_until) for place, one in sorted(healths.items()))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SETTLE, *zip(*posts, strict=True))
        rows = await connection.fetch(HEALTH, *zip(*known, strict=True), now, now - GIVEN_UP)
        disabled = [row for row in rows if row["disabled_at"] is not None]
        if disabled:
            await _say(connection, disabled, now)
    return disabled


async def _say(connection: Connection, disabled: Sequence[asyncpg.Record], now: datetime) -> None:
    """Tells the tenants' other webhooks."""
    found = []
    for row in disabled:
        data = {"webhook_id": str(row["id"]), "url": row["url"], "reason": row["disabled_reason"]}
        number = str(natural_id(DISABLED, str(row["id"]), utc(now)))
        found.append(Told(number, row["tenant"], DISABLED, body(DISABLED, now, data), now))
    await noting.note(connection, found, now)


def _told(one: Ended) -> str:
    """A call as the list of posts shows it."""
    answer = one.answer
    said = {"at": utc(one.called_at), "attempt": one.post.attempt, "status": answer.status, "error": answer.error, "body": answer.body or None}
    kept = {name: value for name, value in said.items() if value is not None}
    return orjson.dumps([{**kept, "seconds": round(answer.seconds, 3)}]).decode()


async def forget(pool: Pool, before: datetime, limit: int = AT_ONCE) -> int:
    """Drops posts noted before that time and gives how many. A few at a time: no lock is held long, whoever else does the same."""
    done: str = await pool.execute(
        "DELETE FROM webhook_posts WHERE ctid IN (SELECT ctid FROM webhook_posts WHERE noted_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)", before, limit
    )
    return int(done.removeprefix("DELETE "))

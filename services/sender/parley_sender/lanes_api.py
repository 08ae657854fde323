"""`/v1/lanes`: what waits in each, and how people set them while they run: paused, going on, another rate. No restart; the next turn of a lane heeds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley import database
from parley.channels.shape import Account
from parley.config import Rate, per_second
from parley.database import Pool
from parley.problem import Problem, authorise, read
from parley.service import Context
from parley_sender import standing
from parley_sender.api import answered
from parley_sender.limits import parts

READ, WRITE = "messages:read", "lanes:write"
SET = """INSERT INTO lanes AS l (lane, paused_by, paused_at, rate)
         SELECT part, CASE WHEN $2 THEN $3 END, CASE WHEN $2 THEN $4::timestamptz END, $6
         FROM (SELECT unnest($1::text[]) UNION SELECT lane FROM lanes WHERE split_part(lane, '#', 1) = ANY(SELECT split_part(unnest($1::text[]), '#', 1)))
              AS every (part) ORDER BY part
         ON CONFLICT (lane) DO UPDATE SET
             paused_by = CASE WHEN $2 IS NULL THEN l.paused_by WHEN $2 THEN coalesce(l.paused_by, $3) END,
             paused_at = CASE WHEN $2 IS NULL THEN l.paused_at WHEN $2 THEN coalesce(l.paused_at, $4) END,
             rate = CASE WHEN $5 THEN $6 ELSE l.rate END"""
"""For every part of a lane, those of earlier shares too: $2 paused or not, NULL for as it is; $5 whether the rate is given. Who paused first stays known."""


class Wishes(BaseModel):
    """Body of `PATCH /v1/lanes/{lane}`: what is not given stays. `rate` null: that of accounts.yaml."""

    model_config = ConfigDict(extra="forbid")

    paused: bool | None = None
    rate: Rate | None = None


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1/lanes`."""

    async def listed(request: Request) -> Response:
        return await every(request, context)

    async def patched(request: Request) -> Response:
        return await change(request, context)

    return [Route("/v1/lanes", listed, methods=["GET"]), Route("/v1/lanes/{lane}", patched, methods=["PATCH"])]


async def every(request: Request, context: Context) -> Response:
    """`GET /v1/lanes`: the tenant's lanes with their rate, how they are set, what waits in them by purpose, and of how much nobody knows whether it left."""
    key = authorise(request, context.config, READ)
    own = {name: one for name, one in context.config.accounts.items() if one.tenant == key.tenant}
    return answered({"lanes": await shown(context.pool, own)})


async def change(request: Request, context: Context) -> Response:
    """`PATCH /v1/lanes/{lane}`: pauses a lane, lets it go on, or gives it another rate; 200 with the lane. What is set outlives restarts. Messages that are
    being called for at this moment end their calls."""
    key = authorise(request, context.config, WRITE)
    account = context.config.accounts.get(request.path_params["lane"])
    if account is None or account.tenant != key.tenant:
        raise Problem(404, "There is no lane with this name: lanes are the accounts of accounts.yaml.")
    wishes = await read(request, Wishes, context.settings.body_limit)
    given = wishes.model_fields_set
    if not given or (wishes.paused is None and "paused" in given):
        raise Problem(422, "Say what is to change: `paused` (true or false), `rate` (as in 10/s, or null for that of accounts.yaml), or both.")
    async with context.pool.acquire() as connection, connection.transaction():
        await connection.execute(SET, parts(account), wishes.paused, key.name, context.clock(), "rate" in given, wishes.rate)
        await standing.tell(connection, {part: set() for part in parts(account)})
    (lane,) = await shown(context.pool, {account.name: account})
    return answered(lane)


async def shown(pool: Pool, own: Mapping[str, Account]) -> list[dict[str, Any]]:
    """Lanes as they are answered, by name."""
    names = [part for one in own.values() for part in parts(one)]
    open_ = await _open(pool, names)
    set_ = await pool.fetch("SELECT lane, paused_by, paused_at, rate, broken_until FROM lanes WHERE lane = ANY($1::text[])", names)
    unknown = await pool.fetch(
        "SELECT lane, count(*) AS count FROM deliveries WHERE status = 'unknown' AND tenant = ANY($1::text[]) GROUP BY lane",
        list({one.tenant for one in own.values()}),
    )
    counts = {row["lane"]: row["count"] for row in unknown}
    by_part = {row["lane"]: row for row in set_}
    return [
        _shown(own[name], [row for row in open_ if row["lane"] == name], by_part.get(parts(own[name])[0]), counts.get(name, 0))
        for name in sorted(own)
    ]


async def _open(pool: Pool, parts: Sequence[str]) -> list[asyncpg.Record]:
    """What is open in these parts, by lane and purpose, what is being called for apart."""
    async with pool.acquire() as connection, connection.transaction():
        await database.whole(connection)
        return await connection.fetch(
            "SELECT split_part(part, '#', 1) AS lane, purpose, state = 'calling' AS calling, sum(count)::bigint AS count, min(since) AS since FROM ("
            "  SELECT line, state, count(*) AS count, min(due_at) AS since FROM queue GROUP BY line, state) AS open"
            " JOIN lines USING (line) WHERE part = ANY($1::text[]) GROUP BY 1, 2, 3",
            parts,
        )


def _shown(account: Account, rows: Sequence[asyncpg.Record], set_: asyncpg.Record | None, unknown: int) -> dict[str, Any]:
    own = set_["rate"] if set_ is not None else None
    paused = set_ is not None and set_["paused_by"] is not None
    return {
        "lane": account.name,
        "channel": account.channel,
        "rate_per_second": per_second(own) if own else account.rate,
        "rate": own,
        "configured_rate_per_second": account.rate,
        "paused": {"by": set_["paused_by"], "at": set_["paused_at"]} if paused and set_ is not None else None,
        "broken_until": set_["broken_until"] if set_ is not None else None,
        "waiting": {row["purpose"]: {"messages": row["count"], "oldest_due_at": row["since"]} for row in _waiting(rows)},
        "calling": sum(row["count"] for row in rows if row["calling"]),
        "unknown": unknown,
    }


def _waiting(rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    return [row for row in rows if not row["calling"]]

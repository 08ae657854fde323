"""sender's HTTP API: a message's story (why it was sent, held, suppressed), and the lanes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.problem import Problem, authorise
from parley.service import Context

STORY = (
    "message_id", "contact_id", "conversation_id", "lane", "channel", "purpose", "notice", "campaign", "variant", "flow", "step", "segments", "parts",
    "parts_done", "status", "reason", "requested_at", "due_at", "expires_at", "attempt", "failures", "provider_id", "changed_at",
)  # fmt: skip
"""What is told of a delivery; address and text are not: whoever asks why does not need them."""


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1`."""

    async def one_message(request: Request) -> Response:
        return await message(request, context)

    async def all_lanes(request: Request) -> Response:
        return await lanes(request, context)

    return [Route("/v1/messages/{id}", one_message, methods=["GET"]), Route("/v1/lanes", all_lanes, methods=["GET"])]


async def message(request: Request, context: Context) -> Response:
    """`GET /v1/messages/{id}`: the delivery, each attempt with the provider's answer, and the consent that counts now. 404 for another tenant's."""
    key = authorise(request, context.config, "messages:read")
    try:
        number = UUID(request.path_params["id"])
    except ValueError as error:
        raise Problem(400, "The id of a message is a UUID.") from error
    row = await context.pool.fetchrow("SELECT * FROM deliveries WHERE message_id = $1 AND tenant = $2", number, key.tenant)
    if row is None:
        raise Problem(404, "There is no message with this id.")
    attempts = await context.pool.fetch(
        "SELECT attempt, called_at, ended_at, outcome, code, reason, provider_id FROM attempts WHERE message_id = $1 ORDER BY attempt", number
    )
    consent = await context.pool.fetchrow(
        "SELECT state, at, recorded_at FROM consents WHERE contact_id = $1 AND channel = $2 AND purpose = $3",
        row["contact_id"], row["channel"], row["purpose"],
    )  # fmt: skip
    told = {name: row[name] for name in STORY}
    return _json({**told, "consent": dict(consent) if consent else None, "attempts": [dict(one) for one in attempts]})


async def lanes(request: Request, context: Context) -> Response:
    """`GET /v1/lanes`: the tenant's lanes with their rate and what waits in them, by purpose."""
    key = authorise(request, context.config, "messages:read")
    own = {name: one for name, one in context.config.accounts.items() if one.tenant == key.tenant}
    rows = await context.pool.fetch(
        "SELECT split_part(part, '#', 1) AS lane, purpose, state = 'calling' AS calling, sum(count)::bigint AS count, min(since) AS since FROM ("
        "  SELECT line, state, count(*) AS count, min(due_at) AS since FROM queue GROUP BY line, state) AS open"
        " JOIN lines USING (line) WHERE split_part(part, '#', 1) = ANY($1::text[]) GROUP BY 1, 2, 3",
        list(own),
    )
    found = [
        {
            "lane": name,
            "channel": one.channel,
            "rate_per_second": one.rate,
            "waiting": {row["purpose"]: _waiting(row) for row in rows if row["lane"] == name and not row["calling"]},
            "calling": sum(row["count"] for row in rows if row["lane"] == name and row["calling"]),
        }
        for name, one in sorted(own.items())
    ]
    return _json({"lanes": found})


def _waiting(row: asyncpg.Record) -> dict[str, Any]:
    return {"messages": row["count"], "oldest_due_at": row["since"]}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value, default=str), media_type="application/json")  # the driver's UUIDs are a kind of their own

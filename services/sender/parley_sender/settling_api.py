"""`/v1/unknown` and `/v1/messages/{id}/settle`: what nobody knows of, shown to people, and their word on it. By a key of their own scope: a resend may tell
somebody twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.config import Key
from parley.contracts import DeliveryStatus
from parley.database import Connection
from parley.policies import length
from parley.problem import Problem, authorise, read
from parley.service import Context
from parley_sender import paging, times
from parley_sender.api import answered, asked, number
from parley_sender.erasing import ERASED
from parley_sender.masking import masked
from parley_sender.outbox import Outbox
from parley_sender.questions import Verdict
from parley_sender.settling import settle
from parley_sender.storywords import because
from parley_sender.times import Time

READ, SETTLE = "messages:read", "messages:settle"
TOGETHER = 500
"""Messages of a lane that one transaction settles."""
ROUNDS = 20
"""Transactions of one request at most; what is left is asked for again."""
STATUSES: Mapping[str, DeliveryStatus] = {"sent": DeliveryStatus.SENT, "failed": DeliveryStatus.FAILED, "resend": DeliveryStatus.QUEUED}

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class Decision(BaseModel):
    """Body of `POST /v1/messages/{id}/settle`: what became of it, or that it shall be called for once more; and why, for whoever asks later."""

    model_config = ConfigDict(extra="forbid")

    as_: Literal["sent", "failed", "resend"] = Field(alias="as")
    note: Why


class OfLane(Decision):
    """Body of `POST /v1/unknown/settle`: the same for all of a lane that have been unknown since before a time."""

    lane: str
    before: Time | None = None


def routes(context: Context, box: Outbox) -> list[BaseRoute]:
    """The routes of what is unknown."""

    async def listed(request: Request) -> Response:
        return await every(request, context)

    async def one(request: Request) -> Response:
        return await settled(request, context, box)

    async def many(request: Request) -> Response:
        return await settled_of_lane(request, context, box)

    return [
        Route("/v1/unknown", listed, methods=["GET"]),
        Route("/v1/unknown/settle", many, methods=["POST"]),
        Route("/v1/messages/{id}/settle", one, methods=["POST"]),
    ]


async def every(request: Request, context: Context) -> Response:
    """`GET /v1/unknown?lane=&older_than=&limit=&after=`: the longest unknown first. `older_than`: as 15m, 2h, 3d."""
    key = authorise(request, context.config, READ)
    limit, lane = paging.limit(request), asked(request, "lane")
    rows = await context.pool.fetch(
        """SELECT d.message_id, contact_id, lane, channel, purpose, campaign, reason, d.attempt, parts, parts_done, changed_at, called_at, expires_at,
                  coalesce(asked, 0) AS asked, next_at FROM deliveries d LEFT JOIN inquiries i ON i.message_id = d.message_id
           WHERE status = 'unknown' AND tenant = $1 AND ($2::text IS NULL OR lane = $2) AND ($3::timestamptz IS NULL OR changed_at <= $3)
             AND ($4::timestamptz IS NULL OR (changed_at, d.message_id) > ($4, $5::uuid)) ORDER BY changed_at, d.message_id LIMIT $6""",
        key.tenant, lane, _older(request, context.clock()), *_page(request), limit + 1,
    )  # fmt: skip
    more = paging.cursor(rows[limit - 1]["changed_at"], rows[limit - 1]["message_id"]) if len(rows) > limit else None
    return answered({"unknown": [_shown(row) for row in rows[:limit]], "next": more})


async def settled(request: Request, context: Context, box: Outbox) -> Response:
    """`POST /v1/messages/{id}/settle`: 200 with where it stands now. 404 for another tenant's, 409 for one that is not unknown (any more), or that cannot be sent
    once more."""
    key = authorise(request, context.config, SETTLE)
    message_id, decision = number(request), await read(request, Decision, context.settings.body_limit)
    async with context.pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "SELECT status, lane, address, expires_at FROM deliveries WHERE message_id = $1 AND tenant = $2", message_id, key.tenant
        )
        if row is None:
            raise Problem(404, "There is no message with this id.")
        if decision.as_ == "resend" and (fault := _unsendable(row, context)) is not None:
            raise Problem(409, fault)
        done, entry, said = await settle(connection, {message_id: _verdict(decision, key)}, context.config, context.clock())
    if not done:
        status = await context.pool.fetchval("SELECT status FROM deliveries WHERE message_id = $1", message_id)
        raise Problem(409, f"It is not unknown: it is {status}. Only what is unknown can be settled, and once.", status_now=status)
    if entry is not None:
        await box.say(entry, said)
    return answered({"message_id": message_id, "status": STATUSES[decision.as_]})


async def settled_of_lane(request: Request, context: Context, box: Outbox) -> Response:
    """`POST /v1/unknown/settle`: the oldest of a lane first, up to 10,000; 200 with how many, and whether there are more. What cannot be sent once more is left."""
    key = authorise(request, context.config, SETTLE)
    decision = await read(request, OfLane, context.settings.body_limit)
    account = context.config.accounts.get(decision.lane)
    if account is None or account.tenant != key.tenant:
        raise Problem(404, "There is no lane with this name: lanes are the accounts of accounts.yaml.")
    count, now = 0, context.clock()
    for _ in range(ROUNDS):
        async with context.pool.acquire() as connection, connection.transaction():
            some = await _of_lane(connection, decision, key, now)
            done, entry, said = await settle(connection, dict.fromkeys(some, _verdict(decision, key)), context.config, now)
        if entry is not None:
            await box.say(entry, said)
        count += len(done)
        if len(some) < TOGETHER:
            return answered({"settled": count, "more": False})
    return answered({"settled": count, "more": True})


async def _of_lane(connection: Connection, decision: OfLane, key: Key, now: datetime) -> list[UUID]:
    rows = await connection.fetch(
        """SELECT message_id FROM deliveries WHERE status = 'unknown' AND tenant = $1 AND lane = $2 AND ($3::timestamptz IS NULL OR changed_at < $3)
           AND (NOT $4 OR (address <> $5 AND (expires_at IS NULL OR expires_at > $6))) ORDER BY changed_at, message_id LIMIT $7""",
        key.tenant, decision.lane, decision.before, decision.as_ == "resend", ERASED, now, TOGETHER,
    )  # fmt: skip
    return [row["message_id"] for row in rows]


def _verdict(decision: Decision, key: Key) -> Verdict:
    return Verdict(STATUSES[decision.as_], key.name, note=decision.note, reason="settled" if decision.as_ == "failed" else None)


def _unsendable(row: asyncpg.Record, context: Context) -> str | None:
    """Why a message cannot be sent once more."""
    if row["lane"] not in context.config.accounts:
        return f"Its account {row['lane']!r} is not in accounts.yaml any more: settle it as sent or failed."
    if row["address"] == ERASED:
        return "The contact was erased, so there is nothing left to send: settle it as sent or failed."
    if row["expires_at"] is not None and row["expires_at"] <= context.clock():
        return f"Its time was over at {row['expires_at'].isoformat()}: settle it as sent or failed."
    return None


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    names = ("message_id", "contact_id", "lane", "channel", "purpose", "campaign", "attempt", "parts", "parts_done", "called_at", "expires_at")
    why = masked(row["reason"])
    return {
        **{name: row[name] for name in names}, "reason": why, "why": because(why), "since": row["changed_at"], "asked": row["asked"],
        "asked_again_at": row["next_at"],
    }  # fmt: skip


def _older(request: Request, now: datetime) -> datetime | None:
    given = request.query_params.get("older_than")
    try:
        return now - length(given) if given is not None else None
    except ValueError as error:
        raise Problem(422, f"older_than: {error}.") from error


def _page(request: Request) -> tuple[datetime | None, UUID | None]:
    place = paging.after(request, 2)
    try:
        return (times.read(place[0]), UUID(place[1])) if place is not None else (None, None)
    except ValueError as error:
        raise paging.wrong() from error

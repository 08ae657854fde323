"""What a webhook was told, over HTTP: the list with the answers, sending again, and trying it out."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import uuid4

import asyncpg
import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.contracts import utc
from parley.problem import Problem, read
from parley.service import Context
from parley_sender import times
from parley_sender.notify.api import READ, WRITE, answered, found
from parley_sender.notify.kinds import TEST, body
from parley_sender.notify.schedule import State
from parley_sender.times import Time

PAGE, LARGEST = 50, 200
AT_ONCE = 10_000
"""Posts that one request sends again at most."""
AGAIN = """UPDATE webhook_posts SET state = 'due', due_at = $2, leased_until = NULL, tries = 0 WHERE webhook_id = $1 AND event_id = ANY(ARRAY(
    SELECT event_id FROM webhook_posts WHERE webhook_id = $1 AND {which} AND (leased_until IS NULL OR leased_until <= $2)
    ORDER BY noted_at LIMIT $3 FOR UPDATE)) RETURNING event_id"""
"""What is under way at this moment is left to its end."""


class Again(BaseModel):
    """Body of `redeliver`: one post by its id, or all that failed, or are waiting for another try, of those noted since a time."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    since: Time | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Again:
        if (self.id is None) == (self.since is None):
            raise ValueError("give either `id` or `since`")
        return self


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1/webhooks/{id}` that are about what it is told."""

    async def listed(request: Request) -> Response:
        return await posts(request, context)

    async def again(request: Request) -> Response:
        return await redeliver(request, context)

    async def tried(request: Request) -> Response:
        return await test(request, context)

    return [
        Route("/v1/webhooks/{id}/deliveries", listed, methods=["GET"]),
        Route("/v1/webhooks/{id}/redeliver", again, methods=["POST"]),
        Route("/v1/webhooks/{id}/test", tried, methods=["POST"]),
    ]


async def posts(request: Request, context: Context) -> Response:
    """`GET /v1/webhooks/{id}/deliveries?state=&limit=&after=`: the newest first, with the last answers to each. `next` is the `after` of the next page."""
    row = await found(request, context, READ)
    state, limit, after = _state(request), _limit(request), _after(request)
    rows = await context.pool.fetch(
        """SELECT event_id, type, state, attempt, due_at, leased_until, noted_at, answers FROM webhook_posts WHERE webhook_id = $1
           AND ($2::text IS NULL OR state = $2) AND ($3::timestamptz IS NULL OR (noted_at, event_id) < ($3, $4::text))
           ORDER BY noted_at DESC, event_id DESC LIMIT $5""",
        row["id"], state, *after, limit + 1,
    )  # fmt: skip
    shown = rows[:limit]
    more = _cursor(shown[-1]) if len(rows) > limit else None
    return answered({"deliveries": [_shown(one, context.clock()) for one in shown], "next": more})


async def redeliver(request: Request, context: Context) -> Response:
    """`POST /v1/webhooks/{id}/redeliver`: 202 with how many are due again at once, under their ids. `more`: ask again for the rest. 404 for an id that there is not,
    409 while its call is under way or the webhook is disabled."""
    row = await found(request, context, WRITE)
    wanted = await read(request, Again, context.settings.body_limit)
    _enabled(row)
    if wanted.id is not None:
        return await _one(context, row, wanted.id)
    which = "state <> 'sent' AND (state = 'failed' OR tries > 0) AND noted_at >= $4"
    rows = await context.pool.fetch(AGAIN.format(which=which), row["id"], context.clock(), AT_ONCE, wanted.since)
    return answered({"redelivered": len(rows), "more": len(rows) == AT_ONCE}, 202)


async def _one(context: Context, row: asyncpg.Record, number: str) -> Response:
    rows = await context.pool.fetch(AGAIN.format(which="event_id = $4"), row["id"], context.clock(), 1, number)
    if rows:
        return answered({"redelivered": 1, "more": False}, 202)
    if await context.pool.fetchval("SELECT true FROM webhook_posts WHERE webhook_id = $1 AND event_id = $2", row["id"], number):
        raise Problem(409, "It is being sent at this moment.")
    raise Problem(404, "This webhook was told of no event with this id, or more than two weeks ago.")


async def test(request: Request, context: Context) -> Response:
    """`POST /v1/webhooks/{id}/test`: 202 with the id of a `webhook.test` that is sent as all else is; what was answered stands in the list."""
    row = await found(request, context, WRITE)
    _enabled(row)
    number, now = str(uuid4()), context.clock()
    await context.pool.execute(
        "INSERT INTO webhook_posts (webhook_id, event_id, type, body, due_at, noted_at) VALUES ($1, $2, $3, $4, $5, $5)",
        row["id"], number, TEST, body(TEST, now, {"webhook_id": str(row["id"])}), now,
    )  # fmt: skip
    return answered({"id": number}, 202)


def _enabled(row: asyncpg.Record) -> None:
    if row["disabled_at"] is not None:
        raise Problem(409, 'The webhook is disabled: enable it first, by PATCH with {"enabled": true}.')


def _shown(row: asyncpg.Record, now: datetime) -> dict[str, Any]:
    under_way = row["leased_until"] is not None and row["leased_until"] > now
    waiting = row["state"] == "due" and not under_way
    return {
        "id": row["event_id"], "type": row["type"], "state": row["state"], "attempts": row["attempt"], "noted_at": row["noted_at"],
        "next_try_at": row["due_at"] if waiting else None, "answers": orjson.loads(row["answers"]),
    }  # fmt: skip


def _state(request: Request) -> Literal["sent", "due", "failed"] | None:
    given = request.query_params.get("state")
    found: State | None = next((one for one in get_args(State) if one == given), None)
    if given is not None and found is None:
        raise Problem(422, f"state: one of {', '.join(get_args(State))}.")
    return found


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", str(PAGE))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= LARGEST):
        raise Problem(422, f"limit: a number from 1 to {LARGEST}.")
    return int(given)


def _cursor(row: asyncpg.Record) -> str:
    return base64.urlsafe_b64encode(f"{utc(row['noted_at'])}|{row['event_id']}".encode()).decode()


def _after(request: Request) -> tuple[datetime | None, str | None]:
    """Time and id of the last one that was seen. Raises 422 for what `next` never said."""
    given = request.query_params.get("after")
    if given is None:
        return None, None
    try:
        moment, _, number = base64.b64decode(given.encode(), altchars=b"-_", validate=True).decode().partition("|")
        at = times.read(moment)
        if not number or "\0" in number:
            raise ValueError(given)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "after: give what `next` of the page before said.") from error
    return at, number

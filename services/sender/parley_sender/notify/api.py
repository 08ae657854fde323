"""The tenant's webhooks over HTTP: made, looked at, changed, ended, and given new secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.outside import Refused
from parley.problem import Problem, authorise, read
from parley.service import Context
from parley_sender.notify import call, signing
from parley_sender.notify.kinds import USUAL, unknown

READ, WRITE = "webhooks:read", "webhooks:write"
MOST = 20
"""Webhooks of one tenant: every event that they want is written once for each."""
SHOWN = ("id", "url", "types", "description", "failing_since", "paused_until", "disabled_at", "disabled_reason", "created_at")

Address = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Types = Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
Description = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wanted(_Body):
    """Body of `POST /v1/webhooks`."""

    url: Address
    types: Types = USUAL
    description: Description = ""


class Changes(_Body):
    """Body of `PATCH /v1/webhooks/{id}`: what is not given stays."""

    url: Address = ""
    types: Types = USUAL
    description: Description = ""
    enabled: bool = True


class Rotation(_Body):
    """Body of `POST /v1/webhooks/{id}/secret`: seconds for which the secret before signs beside the new one."""

    overlap: int = Field(default=86_400, ge=0, le=604_800)


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1/webhooks` that are about webhooks themselves."""

    async def made(request: Request) -> Response:
        return await make(request, context)

    async def listed(request: Request) -> Response:
        return await every(request, context)

    async def one(request: Request) -> Response:
        return answered(_shown(await found(request, context, READ), context.clock()))

    async def changed(request: Request) -> Response:
        return await change(request, context)

    async def ended(request: Request) -> Response:
        return await end(request, context)

    async def rotated(request: Request) -> Response:
        return await rotate(request, context)

    return [
        Route("/v1/webhooks", made, methods=["POST"]),
        Route("/v1/webhooks", listed, methods=["GET"]),
        Route("/v1/webhooks/{id}", one, methods=["GET"]),
        Route("/v1/webhooks/{id}", changed, methods=["PATCH"]),
        Route("/v1/webhooks/{id}", ended, methods=["DELETE"]),
        Route("/v1/webhooks/{id}/secret", rotated, methods=["POST"]),
    ]


async def make(request: Request, context: Context) -> Response:
    """`POST /v1/webhooks`: 201 with the webhook and its secret, which is shown this once. 409 past the limit, 422 for an address or a type that cannot be."""
    key = authorise(request, context.config, WRITE)
    wanted = await read(request, Wanted, context.settings.body_limit)
    _check(context, wanted.url, wanted.types)
    row = await context.pool.fetchrow(
        """INSERT INTO webhooks (id, tenant, url, types, description, created_at) SELECT $1, $2, $3, $4, $5, $6
           WHERE (SELECT count(*) FROM webhooks WHERE tenant = $2) < $7 RETURNING *""",
        uuid4(), key.tenant, wanted.url, sorted(set(wanted.types)), wanted.description, context.clock(), MOST,
    )  # fmt: skip
    if row is None:
        raise Problem(409, f"A tenant has {MOST} webhooks at most: end one that is of no use any more.")
    return answered({**_shown(row, context.clock()), "secret": _secret(row, context)}, 201)


async def every(request: Request, context: Context) -> Response:
    """`GET /v1/webhooks`: all of the tenant's, in the order in which they were made."""
    key = authorise(request, context.config, READ)
    rows = await context.pool.fetch("SELECT * FROM webhooks WHERE tenant = $1 ORDER BY created_at, id", key.tenant)
    return answered({"webhooks": [_shown(row, context.clock()) for row in rows]})


async def change(request: Request, context: Context) -> Response:
    """`PATCH /v1/webhooks/{id}`: whoever enables it again hears at once what waits. Another address begins with a clean record."""
    row = await found(request, context, WRITE)
    changes = await read(request, Changes, context.settings.body_limit)
    given = changes.model_dump(exclude_unset=True)
    if not given:
        raise Problem(422, "Nothing is to be changed: give url, types, description or enabled.")
    _check(context, given.get("url"), given.get("types", ()))
    types = sorted(set(given["types"])) if "types" in given else None
    changed = await context.pool.fetchrow(
        """UPDATE webhooks SET url = coalesce($2, url), types = coalesce($3, types), description = coalesce($4, description),
               disabled_at = CASE WHEN $5::boolean IS NULL THEN disabled_at WHEN NOT $5 THEN coalesce(disabled_at, $6) END,
               disabled_reason = CASE WHEN $5 IS NULL THEN disabled_reason WHEN NOT $5 THEN coalesce(disabled_reason, 'asked') END,
               failing_since = CASE WHEN $2 IS NULL AND $5 IS NOT TRUE THEN failing_since END,
               paused_until = CASE WHEN $2 IS NULL AND $5 IS NOT TRUE THEN paused_until END
           WHERE id = $1 RETURNING *""",
        row["id"], given.get("url"), types, given.get("description"), given.get("enabled"), context.clock(),
    )  # fmt: skip
    return answered(_shown(_still(changed), context.clock()))


async def end(request: Request, context: Context) -> Response:
    """`DELETE /v1/webhooks/{id}`: nothing is posted to it from now on; a call under way ends by itself."""
    row = await found(request, context, WRITE)
    await context.pool.execute("DELETE FROM webhooks WHERE id = $1", row["id"])
    return Response(status_code=204)


async def rotate(request: Request, context: Context) -> Response:
    """`POST /v1/webhooks/{id}/secret`: a new secret, shown this once; for `overlap` seconds (a day, where the body does not say) both sign."""
    row = await found(request, context, WRITE)
    overlap = (await _rotation(request, context)).overlap
    now = context.clock()
    statement = "UPDATE webhooks SET generation = generation + 1, previous_until = $2 WHERE id = $1 RETURNING *"
    rotated = _still(await context.pool.fetchrow(statement, row["id"], now + timedelta(seconds=overlap)))
    return answered({**_shown(rotated, now), "secret": _secret(rotated, context)})


async def found(request: Request, context: Context, scope: str) -> asyncpg.Record:
    """The webhook that the path names. Raises 401 and 403 as elsewhere, 400 for what is no id, 404 for one that there is not, or that is another tenant's."""
    key = authorise(request, context.config, scope)
    try:
        number = UUID(request.path_params["id"])
    except ValueError as error:
        raise Problem(400, "The id of a webhook is a UUID.") from error
    return _still(await context.pool.fetchrow("SELECT * FROM webhooks WHERE id = $1 AND tenant = $2", number, key.tenant))


def answered(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")  # the driver's UUIDs are a kind of their own


def _still(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise Problem(404, "There is no webhook with this id.")
    return row


async def _rotation(request: Request, context: Context) -> Rotation:
    """The body, or what holds without one."""
    some = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return await read(request, Rotation, context.settings.body_limit) if some else Rotation()


def _check(context: Context, url: str | None, types: Sequence[str]) -> None:
    try:
        if url is not None:
            call.target(url, context.settings.webhooks_local == "on")
    except Refused as error:
        raise Problem(422, f"url: nothing is posted there: {error}.") from error
    if (complaint := unknown(types)) is not None:
        raise Problem(422, f"types: {complaint}")


def _secret(row: asyncpg.Record, context: Context) -> str:
    return signing.secret(context.settings.secret.get_secret_value().encode(), row["id"], row["generation"])


def _shown(row: asyncpg.Record, now: datetime) -> dict[str, Any]:
    rotating = row["previous_until"] is not None and now < row["previous_until"]
    paused = row["paused_until"] is not None and now < row["paused_until"]
    until = {"paused_until": row["paused_until"] if paused else None, "both_secrets_until": row["previous_until"] if rotating else None}
    return {**{name: row[name] for name in SHOWN}, "enabled": row["disabled_at"] is None, **until}

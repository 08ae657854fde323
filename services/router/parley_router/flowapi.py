"""The router's HTTP API of flows: what is in force, what is refused and why, who is on the way through which version, and taking versions away."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.problem import Problem, authorise, read
from parley.service import Context
from parley_router.catalogue import Refused
from parley_router.publishing import Publishing


class Retire(BaseModel):
    """Body of `retire`: the version that runs go on with, at the step of the same id; null: they end."""

    model_config = ConfigDict(extra="forbid")

    to: int | None = Field(ge=1)


def routes(context: Context, publishing: Publishing) -> list[BaseRoute]:
    """The routes under `/v1/flows`."""

    async def listed(request: Request) -> Response:
        return await flows(request, context, publishing)

    async def one(request: Request) -> Response:
        return await version(request, context)

    async def taken(request: Request) -> Response:
        return await retire(request, context, publishing)

    return [
        Route("/v1/flows", listed, methods=["GET"]),
        Route("/v1/flows/{flow}/versions/{version:int}", one, methods=["GET"]),
        Route("/v1/flows/{flow}/versions/{version:int}/retire", taken, methods=["POST"]),
    ]


async def flows(request: Request, context: Context, publishing: Publishing) -> Response:
    """`GET /v1/flows`: every flow with its versions, the newest first, which of them begins, and how many contacts are on their way through each; and files
    that are refused, with reasons."""
    key = authorise(request, context.config, "flows:read")
    rows = await context.pool.fetch(
        """SELECT flow, version, published_at, retired_at, retired_to, coalesce(sum(waiting), 0)::bigint AS waiting
           FROM flow_versions LEFT JOIN flow_runs USING (tenant, flow, version) WHERE tenant = $1
           GROUP BY tenant, flow, version ORDER BY flow, version DESC""",
        key.tenant,
    )
    shelf = publishing.book.shelves.get(key.tenant)
    live = {name: flow.version for name, flow in shelf.flows.items()} if shelf is not None else {}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["flow"], []).append(_version(row))
    told = [{"flow": name, "live": live.get(name), "versions": some} for name, some in found.items()]
    return _json({"flows": told, "refused": [_refused(one) for one in publishing.refused_of(key.tenant)]})


async def version(request: Request, context: Context) -> Response:
    """`GET /v1/flows/{flow}/versions/{version}`: a version as it stood in its file when it was published."""
    key = authorise(request, context.config, "flows:read")
    row = await _row(request, context, key.tenant)
    return _json({"flow": row["flow"], **_version(row), "file": row["file"], "source": row["source"]})


async def retire(request: Request, context: Context, publishing: Publishing) -> Response:
    """`POST /v1/flows/{flow}/versions/{version}/retire`: whoever stands in the version moves to the step of the same id in `to`, or has ended; the next time that
    something happens to them. 409 for the version that is in force, and for a `to` that there is not or that is retired itself."""
    key = authorise(request, context.config, "flows:write")
    to = (await read(request, Retire, context.settings.body_limit)).to
    row = await _row(request, context, key.tenant)
    name, number, shelf = row["flow"], row["version"], publishing.book.shelves.get(key.tenant)
    live = shelf.flows.get(name) if shelf is not None else None
    if live is not None and live.version == number:
        raise Problem(409, f"Version {number} is in force: publish another, or take its file away, before you retire it.")
    if row["retired_at"] is not None:
        raise Problem(409, f"Version {number} was retired on {row['retired_at']:%Y-%m-%d}.")
    if to is not None:
        there = await context.pool.fetchval(
            "SELECT true FROM flow_versions WHERE (tenant, flow, version) = ($1, $2, $3) AND retired_at IS NULL AND version <> $4",
            key.tenant, name, to, number,
        )  # fmt: skip
        if not there:
            raise Problem(409, f"{name} has no version {to} to go on with.")
    await publishing.retire(key.tenant, name, number, to)
    return _json({"flow": name, **_version(await _row(request, context, key.tenant))})


async def _row(request: Request, context: Context, tenant: str) -> asyncpg.Record:
    name, number = request.path_params["flow"], request.path_params["version"]
    row = None
    if 0 < number < 2**31:
        row = await context.pool.fetchrow(
            """SELECT v.*, (SELECT coalesce(sum(waiting), 0)::bigint FROM flow_runs AS r WHERE (r.tenant, r.flow, r.version) = ($1, $2, $3)) AS waiting
               FROM flow_versions AS v WHERE (tenant, flow, version) = ($1, $2, $3)""",
            tenant, name, number,
        )  # fmt: skip
    if row is None:
        raise Problem(404, f"There is no version {number} of a flow {name[:100]!r}.")
    return row


def _version(row: asyncpg.Record) -> dict[str, Any]:
    retired = {"retired_at": row["retired_at"].isoformat(), "retired_to": row["retired_to"]} if row["retired_at"] is not None else {}
    return {"version": row["version"], "published_at": row["published_at"].isoformat(), "waiting": row["waiting"], **retired}


def _refused(one: Refused) -> dict[str, Any]:
    return {"file": one.name, "reasons": one.reason.splitlines()}


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")

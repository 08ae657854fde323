"""The router's HTTP API: contacts, and conversations with people. A person's action is an event like any other, in order with the customer's."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID, uuid4

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley import wire
from parley.bus import BusUnavailable
from parley.contracts import AgentActed, Envelope
from parley.problem import Problem, authorise, read
from parley.service import Context

PAGE = 100


class Reply(BaseModel):
    """Body of `reply`: what the person says, and who they are."""

    model_config = ConfigDict(extra="forbid")

    agent: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=4096)


class Resolve(BaseModel):
    """Body of `resolve`: who ends the conversation."""

    model_config = ConfigDict(extra="forbid")

    agent: str = Field(min_length=1, max_length=200)


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1`."""

    async def conversations(request: Request) -> Response:
        return await waiting(request, context)

    async def one_contact(request: Request) -> Response:
        return await contact(request, context)

    async def reply(request: Request) -> Response:
        key = authorise(request, context.config, "conversations:write")
        said = await read(request, Reply, context.settings.body_limit)
        return await act(request, context, key.tenant, "reply", said.agent, said.text)

    async def resolve(request: Request) -> Response:
        key = authorise(request, context.config, "conversations:write")
        said = await read(request, Resolve, context.settings.body_limit)
        return await act(request, context, key.tenant, "resolve", said.agent, "")

    return [
        Route("/v1/conversations", conversations, methods=["GET"]),
        Route("/v1/conversations/{id}/reply", reply, methods=["POST"]),
        Route("/v1/conversations/{id}/resolve", resolve, methods=["POST"]),
        Route("/v1/contacts/{id}", one_contact, methods=["GET"]),
    ]


async def waiting(request: Request, context: Context) -> Response:
    """`GET /v1/conversations`: those that wait for a person, a page of 100 in order of id; `after` takes the last id of the page before."""
    key = authorise(request, context.config, "conversations:read")
    after = _uuid(request.query_params.get("after", str(UUID(int=0))), "after")
    rows = await context.pool.fetch(
        "SELECT key, reference, state, changed_at FROM contacts WHERE status = 'waiting' AND tenant = $1 AND reference > $2 ORDER BY reference LIMIT $3",
        key.tenant,
        after,
        PAGE,
    )
    found = [
        {
            "conversation_id": str(row["reference"]),
            "contact_id": str(row["key"]),
            "conversation": orjson.loads(row["state"]).get("conversation"),
            "changed_at": row["changed_at"].isoformat(),
        }
        for row in rows
    ]
    return _json({"conversations": found, "next": found[-1]["conversation_id"] if len(found) == PAGE else None})


async def contact(request: Request, context: Context) -> Response:
    """`GET /v1/contacts/{id}`: what the router knows of a contact, or knew until it became part of `merged_into`. 404 when it knows nobody of this tenant by that id."""
    key = authorise(request, context.config, "conversations:read")
    number = _uuid(request.path_params["id"], "id")
    row = await context.pool.fetchrow("SELECT state, status, changed_at FROM contacts WHERE key = $1 AND tenant = $2", number, key.tenant)
    if row is None:
        raise Problem(404, "There is no contact with this id.")
    state = orjson.loads(row["state"])
    into = {"merged_into": state["into"], "location": f"/v1/contacts/{state['into']}"} if state.get("into") else {}
    return _json({"contact_id": str(number), "status": row["status"], **into, "state": state, "changed_at": row["changed_at"].isoformat()})


async def act(request: Request, context: Context, tenant: str, action: Literal["reply", "resolve"], agent: str, text: str) -> Response:
    """Puts a person's action on the bus: 202 once it is there. With an `Idempotency-Key` a repeat is the same action."""
    conversation = _uuid(request.path_params["id"], "id")
    row = await context.pool.fetchrow("SELECT key FROM contacts WHERE reference = $1 AND tenant = $2 AND status = 'waiting'", conversation, tenant)
    if row is None:
        raise Problem(404, "No conversation with this id waits for a person; it may be resolved already.")
    given = request.headers.get("idempotency-key")
    number = str(wire.natural_id("agent", tenant, str(conversation), action, given)) if given else str(uuid4())
    now = context.clock()
    data = AgentActed(contact_id=row["key"], conversation_id=conversation, action=action, agent=agent, text=text, at=now)
    event = Envelope(id=number, source="parley/router", time=now, tenant=tenant, subject=str(row["key"]), started_at=now, data=data)
    try:
        await context.bus.publish([wire.encode(event)])
    except BusUnavailable as error:
        raise Problem(503, "Not accepted now; send it again with the same Idempotency-Key.", headers={"Retry-After": "2"}) from error
    return _json({"id": number}, 202)


def _uuid(text: str, name: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Problem(400, f"`{name}` must be a UUID, not {text[:50]!r}.") from error


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")

"""`/v1/messages/{message}/hits`: who opened a message and followed its links, as it was judged; and the word of a person who knows better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley import wire
from parley.bus import BusUnavailable
from parley.contracts import EngagementRecorded, Envelope
from parley.problem import Problem, authorise, read
from parley.service import Context
from parley_analytics.answering import answered, whose
from parley_analytics.keeping import keeping, late

PATH = "/v1/messages/{message}/hits"
SCOPE = "engagement:write"
JUDGED = """
SELECT hits.contact_id, hits.at, hit, hits.message_id, kind, person, rules, revision
FROM hits JOIN messages USING (contact_id, message_id) JOIN cells USING (cell_id)
WHERE message_id = $1 AND tenant = $2 ORDER BY hits.at, hit
"""


class Correction(BaseModel):
    """What a hit was, as a person knows it, and why."""

    model_config = ConfigDict(extra="forbid")

    hit: UUID
    by: Literal["human", "prefetch", "scanner"]
    because: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00]+$")]


def routes(context: Context) -> list[BaseRoute]:
    """The routes of judgements."""

    async def get_hits(request: Request) -> Response:
        return await judged(request, context)

    async def correct_hit(request: Request) -> Response:
        return await correct(request, context)

    return [Route(PATH, get_hits, methods=["GET"]), Route(PATH, correct_hit, methods=["POST"])]


async def judged(request: Request, context: Context) -> Response:
    """Needs a key with the scope `rates:read`. 404 where the tenant has no message by this id of which anything is kept."""
    rows = await _hits(request, context, whose(request, context).name)
    return answered({"message_id": request.path_params["message"], "hits": [told(row) for row in rows]})


async def correct(request: Request, context: Context) -> Response:
    """Needs a key with the scope `engagement:write`. Says it on the bus, where it is counted from as every judgement: 202. 200: it counts as that already."""
    key = authorise(request, context.config, SCOPE)
    said = await read(request, Correction, context.settings.body_limit)
    row = next((one for one in await _hits(request, context, key.tenant) if one["hit"] == said.hit), None)
    if row is None:
        raise Problem(404, "The message has no such hit.")
    if row["person"] == (said.by == "human"):
        return answered(told(row))
    data, now = corrected(row, said), context.clock()
    if (kept := keeping(context.config.tenants).get(key.tenant)) is not None and late(data, now, kept):
        raise Problem(409, "It is too long ago: the figures of that time are rolled up, and stay as they are.")
    try:
        await context.bus.publish([wire.encode(_event(data, key.tenant, now))])
    except BusUnavailable as error:
        raise Problem(503, "Not accepted now; send it again.", headers={"Retry-After": "2"}) from error
    return answered(told({**row, "person": said.by == "human", "revision": data.revision}), 202)


def corrected(row: Mapping[str, Any], said: Correction) -> EngagementRecorded:
    """The hit once more, as a person judged it: by the same rules, one revision further. Which link it was is known by its first judgement."""
    return EngagementRecorded(
        contact_id=row["contact_id"], message_id=row["message_id"], kind=row["kind"], by=said.by, reason=said.because, rules=row["rules"],
        hit=row["hit"], revision=row["revision"] + 1, at=row["at"],
    )  # fmt: skip


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A hit as JSON has it."""
    by = "human" if row["person"] else "machine"
    return {"hit": str(row["hit"]), "kind": row["kind"], "at": row["at"].isoformat(), "by": by, "rules": row["rules"], "revision": row["revision"]}


async def _hits(request: Request, context: Context, tenant: str) -> Sequence[Mapping[str, Any]]:
    """The hits of the message that the path names."""
    try:
        message = UUID(request.path_params["message"])
    except ValueError as error:
        raise Problem(404, "The id of a message is a UUID.") from error
    rows = await context.pool.fetch(JUDGED, message, tenant)
    if not rows:
        raise Problem(404, "Nothing is kept of who opened or clicked a message by this id.")
    return [dict(row) for row in rows]


def _event(data: EngagementRecorded, tenant: str, now: datetime) -> Envelope:
    """Its id is made of what it says, so a repeat has the same."""
    number = str(wire.natural_id("judged", str(data.hit), str(data.rules), str(data.revision), data.by))
    return Envelope(id=number, source="parley/analytics", time=now, tenant=tenant, subject=str(data.contact_id), started_at=now, data=data)

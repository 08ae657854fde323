"""`GET /v1/messages/{id}`: a message's whole story: why it was sent, held, suppressed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.database import Connection, Pool
from parley.problem import Problem, authorise
from parley.service import Context
from parley_sender.masking import masked
from parley_sender.reading import found
from parley_sender.story import Found, first_line, story
from parley_sender.storywords import LANGUAGES

TOLD = (
    "message_id", "contact_id", "conversation_id", "lane", "channel", "purpose", "notice", "campaign", "variant", "flow", "step", "segments", "parts",
    "parts_done", "status", "requested_at", "due_at", "expires_at", "attempt", "failures", "provider_id", "instead_of", "changed_at",
)  # fmt: skip
"""What is told of a delivery; address and text are not: whoever asks why does not need them."""
OF_ATTEMPT = ("attempt", "called_at", "ended_at", "outcome", "provider_id")


def routes(context: Context) -> list[BaseRoute]:
    """The route of a story."""

    async def one(request: Request) -> Response:
        return await message(request, context)

    return [Route("/v1/messages/{id}", one, methods=["GET"])]


async def message(request: Request, context: Context) -> Response:
    """`GET /v1/messages/{id}?language=en|ko`: the delivery as it stands, and its story. 404 for another tenant's."""
    key = authorise(request, context.config, "messages:read")
    language = request.query_params.get("language", LANGUAGES[0])
    if language not in LANGUAGES:
        raise Problem(422, f"language: one of {', '.join(LANGUAGES)}.")
    told = await found(context.pool, number(request), key.tenant)
    if told is None:
        raise Problem(404, "There is no message with this id.")
    return answered({**shown(told, language), "consent": await _consent(context.pool, told)})


def shown(told: Found, language: str) -> dict[str, Any]:
    """A message as it is answered: where it stands, why, its calls, and its story."""
    row = told.delivery
    return {
        **{name: row[name] for name in TOLD},
        "reason": masked(row["reason"], told.hidden),
        "price": {"amount": str(row["price"]), "currency": row["currency"]} if row["price"] is not None else None,
        "provider_segments": row["told_segments"],
        "told_instead": [one["message_id"] for one in told.followers],
        "summary": first_line(told, language),
        "attempts": [
            {**{name: one[name] for name in OF_ATTEMPT}, "code": masked(one["code"], told.hidden), "reason": masked(one["reason"], told.hidden)}
            for one in told.attempts
        ],
        "story": [
            {"at": one.at, "what": one.what, "said": one.said, **({"detail": one.detail} if one.detail else {})} for one in story(told, language)
        ],
    }


def number(request: Request) -> UUID:
    """The message that the path names."""
    try:
        return UUID(request.path_params["id"])
    except ValueError as error:
        raise Problem(400, "The id of a message is a UUID.") from error


def asked(request: Request, name: str) -> str | None:
    """What is asked for by this name. Raises 422 for a text that no table can hold."""
    given = request.query_params.get(name)
    if given is not None and "\0" in given:
        raise Problem(422, f"{name}: a NUL stands in no text.")
    return given


def answered(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")  # the driver's UUIDs are a kind of their own


async def _consent(pool: Pool | Connection, told: Found) -> dict[str, Any] | None:
    """The consent that counts now, of the contact itself."""
    row = await pool.fetchrow(
        "SELECT state, at, recorded_at FROM consents WHERE contact_id = $1 AND channel = $2 AND purpose = $3",
        told.delivery["contact_id"], told.delivery["channel"], told.delivery["purpose"],
    )  # fmt: skip
    return dict(row) if row else None

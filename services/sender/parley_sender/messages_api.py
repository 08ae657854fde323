"""`POST /v1/messages`, `/v1/messages/batch`, `/v1/messages/{id}/cancel`: messages that other systems ask for. 202 means that they are kept for good.

What a key's first request comes to, and why no repeat sends twice: `idempotency`.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.config import Key
from parley.contracts import Channel
from parley.limits import Buckets
from parley.problem import Problem, authorise, limited_body
from parley.service import Context
from parley_sender import openapi
from parley_sender.asking import Way
from parley_sender.cancelling import cancel
from parley_sender.complaints import Complaint, Wrong, unkept
from parley_sender.erasing import ERASED
from parley_sender.idempotency import Answer, Asking, Reused, answered, claim, digest
from parley_sender.law import Law
from parley_sender.making import TOGETHER, Item, Made, TooMuch, items, told
from parley_sender.outbox import Outbox

SCOPE = "messages:write"
ONE, BATCH, CANCEL = "/v1/messages", "/v1/messages/batch", "/v1/messages/{id}/cancel"
BREATH = 5
"""Messages that are made before the lanes of this process get their turn."""
PARTS = 10
"""Bodies of the usual size that a batch may have."""
UNDER_WAY = "A call for the message is under way, and may deliver it. After that it is not called for again. Ask again, or GET it for its story."
KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass
class Messages:
    """The routes, the buckets of their keys, and the outbox behind them."""

    context: Context
    law: Law
    outbox: Outbox
    buckets: Buckets = field(init=False)

    def __post_init__(self) -> None:
        self.buckets = Buckets(self.context.settings.account_requests)

    @property
    def routes(self) -> list[BaseRoute]:
        """Each with its method; and the document that describes them."""

        async def described(_: Request) -> Response:
            return Response(orjson.dumps(openapi.document()), media_type="application/json")

        asked = ((ONE, self.one), (BATCH, self.batch), (CANCEL, self.cancelled))
        return [*(Route(path, ask, methods=["POST"]) for path, ask in asked), Route("/openapi.json", described, methods=["GET"])]

    async def one(self, request: Request) -> Response:
        """One message: 202 with its id and `Location`."""
        key, asking, body = await self._asked(request, ONE, self.context.settings.body_limit)
        if (before := await self._before(asking)) is not None:
            return before
        made = await self._made(key, asking, [Item(body)])
        if not made.events:
            raise _unprocessable("The message cannot be taken as it is; `errors` says why.", made.wrong[0])
        return await self._take(asking, made, Answer(202, orjson.dumps(told(made.events[0])), f"{ONE}/{made.events[0].id}"))

    async def batch(self, request: Request) -> Response:
        """Up to 1,000 messages, each for itself: 202 where all are taken, 207 where some are, 422 where none is. The answer has them in their order."""
        key, asking, body = await self._asked(request, BATCH, PARTS * self.context.settings.body_limit)
        try:
            found = items(body)
        except Wrong as wrong:
            raise _unprocessable("This is no batch; `errors` says why.", wrong.complaints) from wrong
        if (before := await self._before(asking)) is not None:
            return before
        made = await self._made(key, asking, found)
        if not made.events:
            raise Problem(422, "None of the messages can be taken as it is; `messages` says why.", messages=made.told())
        said = {"accepted": len(made.events), "refused": len(made.wrong), "messages": made.told()}
        return await self._take(asking, made, Answer(207 if made.wrong else 202, orjson.dumps(said)))

    async def cancelled(self, request: Request) -> Response:
        """Calls a message back: 200 when it will not leave, 409 with what became of it when it is too late, or while its call is under way."""
        key = authorise(request, self.context.config, SCOPE)
        self._limit(key)
        try:
            number = UUID(request.path_params["id"])
        except ValueError as error:
            raise Problem(400, "The id of a message is a UUID.") from error
        found = await cancel(self.context, self.outbox, key.tenant, number)
        if found is None:
            raise Problem(
                404, "There is no message with this id in the queue. One that was accepted a moment ago comes there within seconds: try again."
            )
        message = {"message_id": str(number), "status": found.status, "reason": found.reason}
        if not found.stopped:
            raise Problem(
                409,
                UNDER_WAY if found.calling else "It is too late: the message has left, or had its end before. GET it for its story.",
                message=message,
            )
        return Response(orjson.dumps(message), media_type="application/json")

    # --- what is asked -------------------------------------------------------------------------------------------------------------

    async def _asked(self, request: Request, route: str, limit: int) -> tuple[Key, Asking, Any]:
        """Who asks, what makes the request the same, and its body. Raises problems for what is wrong with it as a whole."""
        key = authorise(request, self.context.config, SCOPE)
        self._limit(key)
        name = idempotency_key(request.headers.get("idempotency-key", ""))
        content = await limited_body(request, limit)
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"The body is not JSON: {error}") from error
        if found := list(unkept(body)):
            raise _unprocessable("The body holds what cannot be kept; `errors` says where.", found[:5])
        return key, Asking(key.tenant, name, digest(route, body)), body

    def _limit(self, key: Key) -> None:
        if wait := self.buckets.take(key.name, asyncio.get_running_loop().time()):
            self.context.metrics.limited.labels("account").inc()
            raise Problem(429, "Too many requests for one key.", headers={"Retry-After": str(math.ceil(wait))})

    async def _before(self, asking: Asking) -> Response | None:
        """The answer of a request that was there before with this key."""
        try:
            found = await answered(self.context.pool, asking)
        except Reused as error:
            detail = "This Idempotency-Key stands for another request already. A repeat has the same body; another request needs another key."
            raise Problem(422, detail) from error
        return _response(found) if found is not None else None

    # --- what comes of it ----------------------------------------------------------------------------------------------------------

    async def _made(self, key: Key, asking: Asking, found: Sequence[Item]) -> Made:
        """The messages, made a few at a time: lanes share this process's time."""
        settings = self.context.settings
        way = Way(key.tenant, self.law, settings.secret.get_secret_value().encode(), settings.links.rstrip("/"))
        made = Made(way, asking.identity, self.context.clock(), found)
        await _breathing(made.read())
        known = await self._known(key.tenant, made.without_addresses())
        try:
            await _breathing(made.make(known))
        except TooMuch as error:
            raise Problem(413, f"Filled in, the messages have more than {TOGETHER} bytes together: send fewer at a time.") from error
        return made

    async def _known(self, tenant: str, contacts: Sequence[UUID]) -> Mapping[UUID, Mapping[Channel, str]]:
        """Of each contact the address that sender was asked to write to last, by channel."""
        if not contacts:
            return {}
        rows = await self.context.pool.fetch(
            "SELECT DISTINCT ON (contact_id, channel) contact_id, channel, address FROM deliveries WHERE contact_id = ANY($1::uuid[]) AND tenant = $2"
            " AND address NOT IN ('', $3) ORDER BY contact_id, channel, seq DESC",
            contacts, tenant, ERASED,
        )  # fmt: skip
        found: dict[UUID, dict[Channel, str]] = {}
        for row in rows:
            found.setdefault(row["contact_id"], {})[Channel(row["channel"])] = row["address"]
        return found

    async def _take(self, asking: Asking, made: Made, answer: Answer) -> Response:
        """Keeps what is decided, and answers; where another request with this key was quicker, as that one was answered."""
        if self.outbox.full:
            raise Problem(503, "Too much waits for the bus; nothing of this was taken.", headers={"Retry-After": "5"})
        while (entry := await claim(self.context.pool, asking, answer, made.records, made.now)) is None:
            if (before := await self._before(asking)) is not None:
                return before
        await self.outbox.say(entry, made.records)
        return _response(answer)


def idempotency_key(header: str) -> str:
    """The key of the header: a string of Structured Fields (RFC 8941), or the same without its quotes. Raises 400 where there is none. Pure."""
    quoted = len(header) > 1 and header[0] == header[-1] == '"'
    key = re.sub(r"\\(.)", r"\1", header[1:-1]) if quoted else header
    if not KEY.fullmatch(key):
        raise Problem(
            400, "Send `Idempotency-Key`, 1 to 200 visible ASCII characters, new for each request and the same for its repeats: a UUID, for example."
        )
    return key


async def _breathing(steps: Iterable[None]) -> None:
    for place, _ in enumerate(steps):
        if place % BREATH == BREATH - 1:
            await asyncio.sleep(0)


def _unprocessable(detail: str, complaints: Iterable[Complaint]) -> Problem:
    return Problem(422, detail, errors=[one.told for one in complaints])


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, {"Location": answer.location} if answer.location else None, "application/json")

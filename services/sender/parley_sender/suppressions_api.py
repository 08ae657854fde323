"""`/v1/suppressions`: addresses to which nothing leaves, looked up, put on the list one or many at a time, and taken off it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import asyncpg
import orjson
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from parley.addresses import normal
from parley.config import Key
from parley.contracts import Channel, Name
from parley.problem import Problem, authorise, limited_body, read
from parley.service import Context
from parley.wire import in_words
from parley_sender import paging, suppressions, times
from parley_sender.api import answered, asked
from parley_sender.suppressions import EVERYBODY, Entry, Page

READ, WRITE, GLOBAL = "suppressions:read", "suppressions:write", "suppressions:global"
PATH = "/v1/suppressions"
MOST = 10_000
"""Entries of one import."""
IMPORT_BYTES = 8_000_000
SHOWN = 100
"""Refusals of one import that are told with their reason; the rest are counted."""
BREATH = 200
"""Entries that are read before the lanes of this process get their turn."""

Plain = StringConstraints(pattern=r"^[^\x00]*$", max_length=500)


class Wanted(BaseModel):
    """One entry. `scope`: whom it holds for: the tenant, one `account` of it, or everybody (`global`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Channel
    address: Annotated[Name, StringConstraints(pattern=r"^[^\x00]*$")]
    scope: Literal["tenant", "account", "global"] = "tenant"
    account: Name | None = None
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "asked"
    note: Annotated[str, Plain] | None = None

    @model_validator(mode="after")
    def _of_an_account(self) -> Wanted:
        if (self.scope == "account") != (self.account is not None):
            raise ValueError("`account` goes with the scope `account`, and only with it")
        return self


def routes(context: Context) -> list[BaseRoute]:
    """The routes under `/v1/suppressions`."""

    async def listed(request: Request) -> Response:
        return await every(request, context)

    async def one(request: Request) -> Response:
        return await put(request, context)

    async def many(request: Request) -> Response:
        return await taken(request, context)

    async def off(request: Request) -> Response:
        return await removed(request, context)

    return [
        Route(PATH, listed, methods=["GET"]),
        Route(PATH, one, methods=["PUT", "POST"]),
        Route(PATH, off, methods=["DELETE"]),
        Route(f"{PATH}/import", many, methods=["POST"]),
    ]


async def every(request: Request, context: Context) -> Response:
    """`GET /v1/suppressions?address=&channel=`: what keeps messages from an address, that which holds for everybody among it; without `address` the
    tenant's own list, the newest first, by pages."""
    key = authorise(request, context.config, READ)
    address, channel = asked(request, "address"), _channel(request.query_params.get("channel"))
    if address is not None:
        given = _normal(channel, address) if channel is not None else address.strip()
        rows = await suppressions.of_address(context.pool, key.tenant, given, channel)
        return answered({"suppressions": [_shown(row) for row in rows], "next": None})
    limit = paging.limit(request)
    rows = await suppressions.listed(context.pool, key.tenant, _page(request), limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    more = paging.cursor(last["since"], last["channel"], last["address"], last["account"]) if last is not None else None
    return answered({"suppressions": [_shown(row) for row in rows[:limit]], "next": more})


async def put(request: Request, context: Context) -> Response:
    """`PUT` (or `POST`) `/v1/suppressions`: 201 with the new entry, 200 where the address stood there already. What is queued to it, or
    claimed for its call, ends at the gate."""
    key = authorise(request, context.config, WRITE)
    entry = _entry(await read(request, Wanted, context.settings.body_limit), key, context)
    async with context.pool.acquire() as connection, connection.transaction():
        (row,) = await suppressions.put(connection, [entry], context.clock())
    return answered(_shown(row), 201 if row["new"] else 200)


async def taken(request: Request, context: Context) -> Response:
    """`POST /v1/suppressions/import`: up to 10,000 entries, as a JSON list or a JSON object a line. All that can be taken are, at once; the others are told
    by their place: 200, or 422 where none can."""
    key = authorise(request, context.config, WRITE)
    body = await limited_body(request, IMPORT_BYTES)
    entries: list[Entry] = []
    refused: list[dict[str, Any]] = []
    for place, value in enumerate(_values(body)):
        try:
            entries.append(_entry(_wanted(value), key, context))
        except Problem as error:
            refused.append({"place": place, "detail": error.detail})
        if place % BREATH == BREATH - 1:
            await asyncio.sleep(0)
    if not entries and refused:
        raise Problem(422, "None of the entries can be taken as it is; `refused` says why.", refused=refused[:SHOWN], count=len(refused))
    async with context.pool.acquire() as connection, connection.transaction():
        rows = await suppressions.put(connection, entries, context.clock())
    new = sum(row["new"] for row in rows)
    return answered({"new": new, "known": len(entries) - new, "refused": refused[:SHOWN], "refused_count": len(refused)})


async def removed(request: Request, context: Context) -> Response:
    """`DELETE /v1/suppressions?channel=&address=&account=&scope=`: 204; 404 where no such entry stands there."""
    key = authorise(request, context.config, WRITE)
    given = {name: value for name, value in request.query_params.items() if name in ("channel", "address", "account", "scope")}
    entry = _entry(_wanted({"scope": "account" if "account" in given else "tenant", **given}), key, context)
    if not await suppressions.remove(context.pool, entry.tenant, entry.account, entry.channel, entry.address):
        raise Problem(404, "This address does not stand on the list like that: GET it for where it does.")
    return Response(status_code=204)


def _entry(wanted: Wanted, key: Key, context: Context) -> Entry:
    """The entry that is wanted. Raises 403 for one that holds for everybody without the scope for it, 422 for an account or an address that cannot be."""
    if wanted.scope == "global" and GLOBAL not in key.scopes:
        raise Problem(403, f"The key {key.name!r} lacks the scope {GLOBAL!r}: what holds for everybody is not for one tenant to say.")
    if wanted.account is not None:
        account = context.config.accounts.get(wanted.account)
        if account is None or account.tenant != key.tenant or account.channel is not wanted.channel:
            raise Problem(422, f"account: there is no account {wanted.account!r} of yours for {wanted.channel} in accounts.yaml.")
    tenant = EVERYBODY if wanted.scope == "global" else key.tenant
    return Entry(tenant, wanted.account or EVERYBODY, wanted.channel, _normal(wanted.channel, wanted.address), wanted.reason, wanted.note, key.name)


def _normal(channel: Channel, address: str) -> str:
    try:
        return normal(channel, address)
    except ValueError as error:
        raise Problem(422, f"address: {error}.") from error


def _channel(given: str | None) -> Channel | None:
    try:
        return Channel(given) if given is not None else None
    except ValueError as error:
        raise Problem(422, f"channel: one of {', '.join(Channel)}.") from error


def _wanted(value: Any) -> Wanted:
    try:
        return Wanted.model_validate(value)
    except ValidationError as error:
        raise Problem(422, in_words(error)) from error


def _values(body: bytes) -> Iterator[Any]:
    """The entries of an import: of a list, or one a line. Raises 400 for what is no JSON, 422 for too many."""
    try:
        found = orjson.loads(body) if body.lstrip()[:1] == b"[" else [orjson.loads(line) for line in body.splitlines() if line.strip()]
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"This is neither a JSON list nor a JSON object a line: {error}") from error
    if not 1 <= len(found) <= MOST:
        raise Problem(422, f"An import has 1 to {MOST} entries; this one has {len(found)}.")
    yield from found


def _page(request: Request) -> Page | None:
    place = paging.after(request, 4)
    if place is None:
        return None
    try:
        return Page(times.read(place[0]), *place[1:])
    except ValueError as error:
        raise paging.wrong() from error


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    scope = "global" if row["tenant"] == EVERYBODY else "account" if row["account"] != EVERYBODY else "tenant"
    return {
        "channel": row["channel"], "address": row["address"], "scope": scope, "account": row["account"] or None, "reason": row["reason"],
        "note": row["note"], "since": row["since"], "by": row["by"],
    }  # fmt: skip

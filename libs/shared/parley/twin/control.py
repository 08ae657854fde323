"""The control API: accounts, what customers say, how the provider behaves, and what it saw. JSON in and out; errors as `{"error": sentence}`."""

# ruff: noqa: ARG001  (every route takes the same arguments)
from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from parley.twin.behaviour import Behaviour
from parley.twin.ledger import Entry, Said, line_of
from parley.twin.shape import Account, Say, TwinError
from parley.twin.twin import Twin

MAX_WAIT = 60.0
"""Seconds for which one long poll may wait."""
BEHAVIOURS: TypeAdapter[dict[str, Behaviour | None]] = TypeAdapter(dict[str, Behaviour | None])


async def answer(twin: Twin, request: web.BaseRequest) -> web.Response:
    """Answers a request of the control API; 404 when there is no such thing."""
    path = request.path
    for method, prefix, handle in ROUTES:
        if request.method == method and (path == prefix or (prefix.endswith("/") and path.startswith(prefix))):
            try:
                return await handle(twin, request)
            except (TwinError, ValidationError, ValueError) as error:
                return _json({"error": _sentence(error)}, 400)
    return _json({"error": f"no {request.method} {path} here; see docs/twin.md"}, 404)


def read_accounts(text: bytes) -> list[Account]:
    """The accounts of a JSON file: a list of objects. Raises `TwinError` naming the entry and what is wrong with it."""
    try:
        return TypeAdapter(list[Account]).validate_python(orjson.loads(text))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise TwinError(f"the accounts cannot be read: {_sentence(error)}") from error


async def _health(twin: Twin, request: web.BaseRequest) -> web.Response:
    return _json({"status": "ok"})


async def _put_account(twin: Twin, request: web.BaseRequest) -> web.Response:
    name = request.path.rpartition("/")[2]
    account = Account.model_validate({**await _object(request), "name": name})
    twin.configure(account)
    return _json(_shown(account))


async def _accounts(twin: Twin, request: web.BaseRequest) -> web.Response:
    return _json([_shown(one) for one in twin.accounts])


async def _say(twin: Twin, request: web.BaseRequest) -> web.Response:
    body = await _object(request)
    wait = body.pop("wait", False)
    said = twin.say(Say.model_validate(body))
    shown = {"provider_id": said.provider_id, "said_at": said.at}
    return _json({**shown, **await _heard(twin, said)} if wait else shown)


async def _heard(twin: Twin, said: Said) -> dict[str, Any]:
    heard = await twin.heard(said)
    return {"outcome": heard.outcome, "posts": heard.posts, "first_at": heard.first_at, "at": heard.at, "status": heard.status}


async def _behave(twin: Twin, request: web.BaseRequest) -> web.Response:
    twin.behave(BEHAVIOURS.validate_python(await _object(request)))
    return await _behaviours(twin, request)


async def _behaviours(twin: Twin, request: web.BaseRequest) -> web.Response:
    return _json({name: one.model_dump(exclude_unset=True) for name, one in twin.behaviours.items()})


async def _summary(twin: Twin, request: web.BaseRequest) -> web.Response:
    return _json(twin.ledger.book.summary())


async def _inbox(twin: Twin, request: web.BaseRequest) -> web.Response:
    address, after, wait = request.query.get("address", ""), int(_number(request, "after")), min(_number(request, "wait"), MAX_WAIT)
    if not address or after < 0:
        raise TwinError("`address` is needed, and `after` is how many messages are known already (0 or more)")
    if address.startswith(" "):  # a + that was not escaped in the query
        address = "+" + address[1:]
    found = await twin.inboxes.arrivals(address, after, wait)
    return _json({"messages": [asdict(one) for one in found], "next": after + len(found)})


async def _ledger(twin: Twin, request: web.BaseRequest) -> web.Response:
    query = request.query
    chosen = list(_chosen(twin.ledger.book.entries, query.get("kind", "request"), query.get("account"), _number(request, "since")))
    if query.get("format", "json") == "jsonl":
        return web.Response(body=b"".join(map(line_of, chosen)), content_type="application/x-ndjson")
    return _json({"entries": chosen})


def _chosen(entries: list[Entry], kind: str, account: str | None, since: float) -> Iterator[Entry]:
    if kind not in ("request", "said", "heard", "receipt", "all"):
        raise TwinError("`kind` must be request, said, heard, receipt or all")
    return (one for one in entries if kind in ("all", one.kind) and account in (None, one.account) and one.at >= since)


def _number(request: web.BaseRequest, name: str) -> float:
    """A number of the query, 0 when it is not given. Raises `TwinError` for what is none."""
    text = request.query.get(name, "0")
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise TwinError(f"`{name}` must be a number, not {text!r}")
    return found


async def _object(request: web.BaseRequest) -> dict[str, Any]:
    body = orjson.loads(await request.read())
    if not isinstance(body, dict):
        raise TwinError("the body must be a JSON object")
    return body


def _shown(account: Account) -> dict[str, Any]:
    return account.model_dump(exclude={"credentials"})


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _sentence(error: Exception) -> str:
    """What is wrong and where; of a model's errors without the values, which may be secrets."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors(include_input=False, include_url=False))
    return f"the body is not JSON: {error}" if isinstance(error, orjson.JSONDecodeError) else str(error)


Handler = Callable[[Twin, web.BaseRequest], Awaitable[web.Response]]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/healthz", _health),
    ("PUT", "/control/accounts/", _put_account),
    ("GET", "/control/accounts", _accounts),
    ("POST", "/control/say", _say),
    ("PUT", "/control/behaviour", _behave),
    ("GET", "/control/behaviour", _behaviours),
    ("GET", "/control/summary", _summary),
    ("GET", "/control/inbox", _inbox),
    ("GET", "/ledger", _ledger),
)
"""Method, path (one that ends in / takes a name behind it), and who answers."""

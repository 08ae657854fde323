"""The HTTP side of web chat: the widget, sessions, the same frames over a WebSocket and over plain requests, and sender's door.

Who may ask: a page of the account's origins, with a visitor's token; sender and the shop's own systems, signed with the account's secret.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from pydantic import ValidationError
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from parley import problem
from parley.channels import webchat
from parley.channels.shape import Account, Forged, Malformed
from parley.channels.shape import Request as Hook
from parley.channels.text import document, string
from parley.contracts import Content
from parley.limits import Buckets, caller
from parley.problem import Problem, limited_body
from parley.service import Context, Worker
from parley.wire import in_words
from parley_ingest.chat import assets, frames, history
from parley_ingest.chat.deeds import Deeds, TooFast
from parley_ingest.chat.history import Chat
from parley_ingest.chat.live import ForgetChats, Live
from parley_ingest.chat.sockets import Sockets
from parley_ingest.chat.visitors import Visitors
from parley_ingest.door import Door
from parley_ingest.edge import Limits

WAIT = 25.0
"""Seconds that a long poll is held at most: proxies cut what is silent for 30."""
SESSIONS, SESSIONS_AT_ONCE = 2.0, 60.0
"""Sessions of a client address a second, and in a burst: a whole office behind one address opens its pages in the morning."""
CACHED = 300
"""Seconds that a browser keeps the widget before it asks whether there is a newer one."""
POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self' ws: wss:; img-src 'self' https: data:"

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

Answering = Callable[[Request, Account], Awaitable[Response]]


@dataclass
class WebChat:
    """All of web chat: its routes and its workers."""

    context: Context
    door: Door
    limits: Limits
    live: Live = field(init=False)
    deeds: Deeds = field(init=False)
    visitors: Visitors = field(init=False)
    sockets: Sockets = field(init=False)
    script: assets.Script = field(init=False)
    sessions: Buckets = field(default_factory=lambda: Buckets(SESSIONS, SESSIONS_AT_ONCE))

    def __post_init__(self) -> None:
        self.live, self.script = Live(self.context), assets.widget()
        self.deeds = Deeds(self.context, self.door)
        self.visitors = Visitors(self.context, self.deeds)
        self.sockets = Sockets(self.context, self.live, self.deeds, self.admitted, self.visitors.of)

    @property
    def routes(self) -> list[BaseRoute]:
        base = "/chat/{account}"
        return [
            Route(base, self._open(self.page), methods=["GET"]),
            Route(f"{base}/widget.js", self._open(self.widget), methods=["GET"]),
            Route(f"{base}/session", self._shared(self.session), methods=["POST", "OPTIONS"]),
            Route(f"{base}/messages", self._shared(self.messages), methods=["GET", "POST", "OPTIONS"]),
            Route(f"{base}/deliver", self._open(self.deliver), methods=["POST"]),
            Route(f"{base}/typing", self._open(self.typing), methods=["POST"]),
            WebSocketRoute(f"{base}/socket", self.sockets.serve),
        ]

    @property
    def workers(self) -> list[Worker]:
        return [self.live, ForgetChats(self.context)]

    # --- for pages -------------------------------------------------------------------------------------------------------------------

    async def page(self, request: Request, account: Account) -> Response:
        """A page to try the widget on; `?lang=ko&theme=dark`."""
        asked = request.query_params
        content = assets.page(account.name, asked.get("lang", ""), asked.get("theme", ""))
        return HTMLResponse(content, headers={"content-security-policy": POLICY, "cache-control": "no-cache"})

    async def widget(self, request: Request, account: Account) -> Response:
        """The script, or 304 where the browser's copy is current."""
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {"etag": self.script.etag, "cache-control": f"public, max-age={CACHED}", "vary": "accept-encoding",
                   "cross-origin-resource-policy": "cross-origin", "x-content-type-options": "nosniff"}  # fmt: skip
        if self.script.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        more = {"content-encoding": "gzip"} if packed else {}
        return Response(self.script.packed if packed else self.script.plain, 200, {**headers, **more}, "text/javascript; charset=utf-8")

    async def session(self, request: Request, account: Account) -> Response:
        """Who the browser is: `{token?, customer?}`, both signed, in; a token for the next thirty days out."""
        self._pace(request)
        try:
            asked = document(await limited_body(request, frames.FRAME) or b"{}")
        except Malformed as error:
            raise Problem(400, str(error)) from error
        return _json(await self.visitors.session(asked, account))

    async def messages(self, request: Request, account: Account) -> Response:
        """GET: what changed after a number, as soon as there is something; POST: one frame, for browsers that get no socket."""
        chat = Chat(account.name, self.visitors.of(_bearer(request), account))
        return await (self._since(request, chat) if request.method == "GET" else self._frame(request, account, chat))

    # --- for sender and the shop's own systems -----------------------------------------------------------------------------------------

    async def deliver(self, request: Request, account: Account) -> Response:
        """A message for a visitor, by its id once whatever the repeats."""
        body = await self._signed(request, account)
        chat, identifier, at = self._addressed(body, account), _uuid(body.get("id"), "id"), _time(body.get("at"), self.context.clock())
        try:
            content = Content.model_validate({name: body[name] for name in ("text", "media", "choices") if body.get(name)})
        except ValidationError as error:
            raise Problem(422, in_words(error)) from error
        if not await history.deliver(self.context.pool, chat, identifier, content, at):
            raise Problem(404, "There is no such visitor.", code=webchat.UNKNOWN_VISITOR, message="There is no such visitor.")
        return _json({"id": str(identifier)})

    async def typing(self, request: Request, account: Account) -> Response:
        """Somebody of the brand writes to the visitor: `{to}`."""
        body = await self._signed(request, account)
        await history.typing(self.context.pool, self._addressed(body, account))
        return Response(status_code=204)

    # --- who asks ------------------------------------------------------------------------------------------------------------------------

    def admitted(self, connection: HTTPConnection) -> Account:
        """The account that is asked. Raises 404 where it is none of web chat's, 403 for a page that is none of the account's."""
        account = self._account(connection)
        origin = connection.headers.get("origin")
        if origin is not None and not allowed(origin, connection.headers.get("host", ""), account):
            raise Problem(403, f"Pages of {origin} may not use this chat: add it to `origins` of the account.")
        return account

    def _account(self, connection: HTTPConnection) -> Account:
        account = self.context.config.accounts.get(connection.path_params["account"])
        if account is None or account.provider != "webchat":
            raise Problem(404, "There is no web chat of this name.")
        return account

    def _open(self, answer: Answering) -> Callable[[Request], Awaitable[Response]]:
        """For everybody who knows the address."""

        async def handle(request: Request) -> Response:
            self.limits.address(request)
            return await answer(request, self._account(request))

        return handle

    def _shared(self, answer: Answering) -> Callable[[Request], Awaitable[Response]]:
        """For scripts on pages of the account's origins, which shall read errors too."""

        async def handle(request: Request) -> Response:
            try:
                self.limits.address(request)
                account = self.admitted(request)
                response = Response(status_code=204) if request.method == "OPTIONS" else await answer(request, account)
            except Problem as error:
                response = await problem.on_http_exception(request, error)
                if error.status_code in (403, 404):
                    return response
            response.headers.update(_cors(request.headers.get("origin")))
            return response

        return handle

    def _pace(self, request: Request) -> None:
        host = request.client.host if request.client is not None else ""
        if self.sessions.take(caller(host), get_running_loop().time()):
            self.context.metrics.limited.labels("session").inc()
            raise Problem(429, "Too many new visitors from one address.", headers={"Retry-After": "5"})

    async def _signed(self, request: Request, account: Account) -> dict[str, Any]:
        """The body of a request that the account's secret signed. Raises 401 and 400."""
        body = await limited_body(request, self.context.settings.body_limit)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            webchat.verify(Hook("POST", "", headers, body), account, self.context.clock())
            return document(body)
        except Forged as error:
            raise Problem(401) from error
        except Malformed as error:
            raise Problem(400, str(error)) from error

    def _addressed(self, body: dict[str, Any], account: Account) -> Chat:
        try:
            return Chat(account.name, UUID(string(body.get("to")) or ""))
        except ValueError as error:
            raise Problem(404, "There is no such visitor.", code=webchat.UNKNOWN_VISITOR, message="`to` is no visitor's id.") from error

    # --- without a socket ----------------------------------------------------------------------------------------------------------------

    async def _since(self, request: Request, chat: Chat) -> Response:
        after, wait = _number(request, "after", 0), min(_number(request, "wait", 0), WAIT)
        self.sockets.room(chat)
        lines, cursor, typing = await self.sockets.wait(chat, int(after), wait)
        return _json({"messages": [one.shown() for one in lines], "cursor": cursor, "typing": typing})

    async def _frame(self, request: Request, account: Account, chat: Chat) -> Response:
        try:
            frame = frames.read(await limited_body(request, frames.FRAME))
            line = await self.deeds.do(account, chat, frame)
        except frames.Wrong as error:
            raise Problem(422, error.reason, code=error.code) from error
        except TooFast as error:
            raise Problem(429, str(error), headers={"Retry-After": str(error.wait)}, code="too_fast") from error
        return _json({"messages": [line.shown()]} if line is not None else {}, 202)


def allowed(origin: str, host: str, account: Account) -> bool:
    """Whether a page of this origin may use the chat: one that accounts.yaml names, or the page that ingest itself serves."""
    return "*" in account.origins or origin in account.origins or (bool(host) and urlsplit(origin).netloc == host)


def _cors(origin: str | None) -> dict[str, str]:
    if origin is None:
        return {"vary": "origin"}
    return {"vary": "origin", "access-control-allow-origin": origin, "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": "authorization, content-type", "access-control-max-age": "600",
            "access-control-expose-headers": "retry-after"}  # fmt: skip


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _number(request: Request, name: str, default: int) -> float:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) <= frames.EXACT):
        raise Problem(400, f"`{name}` is a whole number up to 2^53: those are the same in every reader of JSON.")
    return int(text)


def _uuid(value: object, name: str) -> UUID:
    try:
        return UUID(string(value) or "")
    except ValueError as error:
        raise Problem(422, f"`{name}` is no UUID.") from error


def _time(value: object, now: datetime) -> datetime:
    """When the message was sent; now where that is not told, or cannot be: it lies in the future, or before there were such messages."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else now
    except ValueError:
        return now
    return found if found.tzinfo is not None and EARLIEST <= found <= now else now


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, {"cache-control": "no-store"}, "application/json")

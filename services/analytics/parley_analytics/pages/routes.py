"""The dashboards over HTTP: who may look, in which language and colours, and what is shown when it cannot be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlencode

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from parley.config import Key
from parley.database import OUTSIDE
from parley.problem import Problem, limited_body
from parley.service import Context
from parley_analytics.pages import asked as asking
from parley_analytics.pages import files_of, reading, signin, trial_reading
from parley_analytics.pages.asked import Asked, Unusable
from parley_analytics.pages.frame import PATHS, filters, navigation
from parley_analytics.pages.names import preferred
from parley_analytics.pages.parts import Part
from parley_analytics.pages.reading import Look, Missing
from parley_analytics.pages.rendering import File, Templates, etag, files
from parley_analytics.pages.words import LANGUAGES, WORDS, Language, filled
from parley_analytics.query import Unclear

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""Nothing that is not ours is loaded, run, or may frame a page; nothing that stands in a name of a campaign is ever markup."""
HEADERS = MappingProxyType({
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "same-origin", "cache-control": "private, no-cache",
    "cross-origin-opener-policy": "same-origin",
})  # fmt: skip
THEMES = ("system", "light", "dark")
SHOWN_FOR = 365 * 86_400
"""Seconds for which language and colours are remembered."""
FORM = 4_000
"""Bytes of a form at most."""
RETRY = 5
"""Seconds after which a page that could not be read is asked for again."""

View = Callable[[Look, Request], Awaitable[list[Part]]]
log = structlog.get_logger()


@dataclass(frozen=True)
class Reader:
    """Who looks, and how: signed in or not."""

    key: Key | None
    language: Language
    theme: str


@dataclass(frozen=True)
class Desk:
    """What all pages share."""

    context: Context
    secret: bytes
    templates: Templates

    def reader(self, request: Request) -> Reader:
        cookies = request.cookies
        chosen, theme = cookies.get("parley_language", ""), cookies.get("parley_theme", "")
        key = signin.holder(cookies.get(signin.COOKIE, ""), self.context.config, self.secret, self.context.clock())
        return Reader(
            key,
            next((one for one in LANGUAGES if one == chosen), preferred(request.headers.get("accept-language", ""))),
            theme if theme in THEMES else "system",
        )

    def answer(self, request: Request, reader: Reader, title: str, body: str, status: int = 200, retry: int = 0, **more: Any) -> Response:
        """The frame around a body."""
        w, here = WORDS[reader.language], _here(request)
        frame = {
            "w": w, "lang": reader.language, "theme": reader.theme, "title": title, "here": here, "retry": retry or None, "nav": None,
            "tenant": reader.key.tenant if reader.key else "", "who": reader.key.name if reader.key else "",
        }  # fmt: skip
        return Response(self.templates.page(body, {**frame, **more}), status, dict(HEADERS), "text/html")

    def trouble(self, request: Request, reader: Reader, status: int, sentence: str, given: str = "", retry: int = 0) -> Response:
        """A page that says in words what is wrong and what to do."""
        w = WORDS[reader.language]
        body = self.templates.part("trouble", {"w": w, "sentence": filled(w[sentence], given=given)})
        nav = navigation(request.url.path, {}, reader.language) if reader.key else None
        found = self.answer(request, reader, w["error_title"], body, status, retry, nav=nav)
        if retry:
            found.headers["retry-after"] = str(retry)
        return found


def routes(context: Context) -> list[BaseRoute]:
    """The pages, signing in and out, and the files they load."""
    desk = Desk(context, context.settings.secret.get_secret_value().encode(), Templates())
    views: Mapping[str, View] = {
        "/": lambda look, _: reading.overview(look),
        "/campaigns": lambda look, _: reading.campaigns(look),
        "/campaigns/{name:path}": lambda look, request: reading.campaign(look, request.path_params["name"], _path(request)),
        "/experiments": lambda look, _: trial_reading.experiments(look),
        "/experiments/{name:path}": lambda look, request: trial_reading.experiment(look, request.path_params["name"], _path(request)),
        "/channels": lambda look, _: reading.channels(look),
        "/conversations": lambda look, _: reading.talks(look),
        "/deliverability": lambda look, _: reading.deliverability(look),
    }
    return [
        *(Route(path, partial(shown, desk, view), methods=["GET"]) for path, view in views.items()),
        Route("/export", partial(taken, desk, files_of.messages), methods=["GET"]),
        Route("/export/conversations", partial(taken, desk, files_of.conversations), methods=["GET"]),
        Route("/sign-in", partial(sign_in, desk), methods=["GET", "POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/display", display, methods=["POST"]),
        *(Route(f"/pages/{name}", partial(static, file), methods=["GET"]) for name, file in files().items()),
    ]


async def shown(desk: Desk, view: View, request: Request) -> Response:
    """A page for somebody who is signed in; anybody else is asked to."""
    reader = desk.reader(request)
    if reader.key is None:
        return _elsewhere(desk, request, reader) or RedirectResponse(f"/sign-in?{urlencode({'to': _here(request)})}", 303, dict(HEADERS))
    if signin.SCOPE not in reader.key.scopes:
        return desk.trouble(request, reader, 403, "key_lacks")
    try:
        return await _page(desk, view, request, reader, reader.key)
    except Unusable as error:
        return desk.trouble(request, reader, 400, error.sentence, error.given)
    except Missing as error:
        return desk.trouble(request, reader, 404, error.sentence, error.given)
    except OUTSIDE as error:
        log.warning("page not shown for now", cause=f"{type(error).__name__}: {error}")
        return desk.trouble(request, reader, 503, "error_later", retry=RETRY)
    except Exception as error:
        log.error("page failed", route=request.scope["route"].path, exc_info=error)
        return desk.trouble(request, reader, 500, "error_inside")


async def _page(desk: Desk, view: View, request: Request, reader: Reader, key: Key) -> Response:
    tenant, w = desk.context.config.tenants[key.tenant], WORDS[reader.language]
    asked = asking.read(dict(request.query_params), tenant.timezone, desk.context.clock())
    look = Look(desk.context.pool, tenant, asked, reader.language, desk.context.clock())
    parts = await view(look, request)
    live = desk.templates.part("page", {"parts": parts, "w": w})
    mark = etag(f"{reader.language}{reader.theme}{live}".encode())
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers={**HEADERS, "etag": mark})
    found = desk.answer(request, reader, _title(request, w), _framed(desk, request, reader, asked, live, mark),
                        nav=navigation(request.url.path, asked.parameters, reader.language))  # fmt: skip
    found.headers["etag"] = mark
    return found


async def taken(desk: Desk, file: files_of.File, request: Request) -> Response:
    """Figures as a file, for who is signed in."""
    reader = desk.reader(request)
    if reader.key is None or signin.SCOPE not in reader.key.scopes:
        return RedirectResponse(f"/sign-in?{urlencode({'to': _here(request)})}", 303, dict(HEADERS))
    try:
        answer = await file(request, desk.context, desk.context.config.tenants[reader.key.tenant])
    except Unclear as error:
        return desk.trouble(request, reader, 400, "unusable_because", str(error))
    except OUTSIDE as error:
        log.warning("figures not exported for now", cause=f"{type(error).__name__}: {error}")
        return desk.trouble(request, reader, 503, "error_later", retry=RETRY)
    answer.headers.update(HEADERS)
    return answer


def _framed(desk: Desk, request: Request, reader: Reader, asked: Asked, live: str, mark: str) -> str:
    """Title and filters above what is live."""
    tenant = desk.context.config.tenants[reader.key.tenant] if reader.key else None
    above = filters(_path(request), _title(request, WORDS[reader.language]), asked, tenant.languages if tenant else (), reader.language)
    return f"{desk.templates.part('filters', above)}<div id=\"live\" data-etag='{mark}'>{live}</div>"


def _title(request: Request, w: Mapping[str, str]) -> str:
    """What stands above a page: a campaign's name, or what the page is called."""
    return request.path_params.get("name") or w[PATHS.get(request.url.path, "overview")]


async def sign_in(desk: Desk, request: Request) -> Response:
    """A form for the key; with a good one, a cookie and back to where somebody wanted to go."""
    reader = desk.reader(request)
    if request.method == "GET":
        return _form(desk, request, reader, request.query_params.get("to", "/"))
    form = await _read(request)
    to = signin.inside(form.get("to", "/"))
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return _form(desk, request, reader, to, "elsewhere", 403)
    key = desk.context.config.key(form.get("key", "").strip())
    if key is None or signin.SCOPE not in key.scopes:
        return _form(desk, request, reader, to, "key_lacks" if key else "wrong_key", 403 if key else 401)
    found = RedirectResponse(to, 303, dict(HEADERS))
    cookie = signin.minted(key, desk.secret, desk.context.clock())
    found.set_cookie(signin.COOKIE, cookie, max_age=int(signin.LASTS.total_seconds()), httponly=True, samesite="strict", secure=_encrypted(request))
    return found


def _form(desk: Desk, request: Request, reader: Reader, to: str, wrong: str = "", status: int = 200) -> Response:
    w = WORDS[reader.language]
    body = desk.templates.part("signin", {"w": w, "to": signin.inside(to), "wrong": w[wrong] if wrong else None})
    return desk.answer(request, reader, w["sign_in"], body, status)


async def sign_out(request: Request) -> Response:
    found = RedirectResponse("/sign-in", 303, dict(HEADERS))
    found.delete_cookie(signin.COOKIE, httponly=True, samesite="strict", secure=_encrypted(request))
    return found


async def display(request: Request) -> Response:
    """Remembers language and colours, and goes back to the page."""
    form = await _read(request)
    found = RedirectResponse(signin.inside(form.get("to", "/")), 303, dict(HEADERS))
    for name, value, known in (("parley_language", form.get("lang"), LANGUAGES), ("parley_theme", form.get("theme"), THEMES)):
        if value in known:
            found.set_cookie(name, str(value), max_age=SHOWN_FOR, httponly=True, samesite="lax", secure=_encrypted(request))
    return found


async def static(file: File, request: Request) -> Response:
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers={**HEADERS, "etag": file.etag})
    return Response(file.body, headers={**HEADERS, "etag": file.etag, "cache-control": "no-cache"}, media_type=file.media)


def _elsewhere(desk: Desk, request: Request, reader: Reader) -> Response | None:
    """A link on another site brings no strict cookie along: the page asks for itself once more, and that comes from us."""
    if request.headers.get("sec-fetch-site") != "cross-site":
        return None
    w = WORDS[reader.language]
    found = desk.answer(request, reader, w["one_moment"], desk.templates.part("moment", {"w": w}), retry=0)
    found.headers["refresh"] = "0"
    return found


async def _read(request: Request) -> dict[str, str]:
    """The fields of a form. Raises 400, 413."""
    body = await limited_body(request, FORM)
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
    except ValueError as error:
        raise Problem(400, "The body is not a form.") from error


def _path(request: Request) -> str:
    """As it stands in the address, quoted."""
    raw: bytes = request.scope.get("raw_path", request.url.path.encode())
    return raw.decode("ascii", "replace").partition("?")[0]


def _here(request: Request) -> str:
    return _path(request) + (f"?{request.url.query}" if request.url.query else "")


def _encrypted(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to what stands before us."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip())

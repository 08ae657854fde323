"""The screen for people who settle what is unknown, set lanes and look addresses up: one static page at `/`. It asks the API with a key that is typed in."""

from __future__ import annotations

import hashlib
from importlib import resources
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FILES = MappingProxyType({
    "/": ("index.html", "text/html"),
    "/screen/icon.svg": ("icon.svg", "image/svg+xml"),
    "/screen/screen.css": ("screen.css", "text/css"),
    "/screen/words.js": ("words.js", "text/javascript"),
    "/screen/api.js": ("api.js", "text/javascript"),
    "/screen/parts.js": ("parts.js", "text/javascript"),
    "/screen/screen.js": ("screen.js", "text/javascript"),
})  # fmt: skip
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Nothing that is not ours is loaded, run, or may frame the page; nothing that stands in a message is ever markup."""
HEADERS = MappingProxyType({
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
})  # fmt: skip


def routes() -> list[BaseRoute]:
    """A route for each file; the files are read once."""
    return [_route(path, name, media) for path, (name, media) in FILES.items()]


def _route(path: str, name: str, media: str) -> Route:
    body = (resources.files("parley_sender") / "screen" / name).read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={**HEADERS, "etag": etag})
        return Response(body, headers={**HEADERS, "etag": etag}, media_type=media)

    return Route(path, file, methods=["GET"])

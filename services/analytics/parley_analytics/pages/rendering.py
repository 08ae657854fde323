"""Templates and the files beside them: read once, filled in with everything escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, NamedTuple

from liquid import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

FILES = MappingProxyType({
    "icon.svg": "image/svg+xml", "pages.css": "text/css", "uplot.css": "text/css", "uplot.js": "text/javascript", "charts.js": "text/javascript",
    "pages.js": "text/javascript", "uplot-LICENSE.txt": "text/plain",
})  # fmt: skip
"""What pages load, and the licence of the chart library (uPlot 1.6.32, as its makers packed it)."""


class File(NamedTuple):
    body: bytes
    media: str
    etag: str


def files() -> dict[str, File]:
    """The static files by name."""
    return {name: File(body := _bytes("static", name), media, etag(body)) for name, media in FILES.items()}


def etag(body: bytes) -> str:
    """The mark by which a browser knows that its copy is current."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


class Templates:
    """Liquid that escapes whatever it writes and takes no name that it does not know: a typing error is no empty place on a page."""

    def __init__(self) -> None:
        folder = resources.files("parley_analytics.pages") / "templates"
        self.texts = {one.name.removesuffix(".html"): one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".html")}
        self._environment = Environment(autoescape=True, undefined=StrictUndefined, loader=DictLoader(self.texts))

    def part(self, name: str, values: Mapping[str, Any]) -> str:
        """A template by itself, for `page`."""
        return self._environment.get_template(name).render(**values)

    def page(self, body: str, values: Mapping[str, Any]) -> str:
        """The frame around what was rendered before."""
        return self.part("layout", {**values, "body": Markup(body)})


def _bytes(folder: str, name: str) -> bytes:
    return (resources.files("parley_analytics.pages") / folder / name).read_bytes()

"""The widget as one script, put together from its parts in `static/`, and the page to try it on."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from html import escape
from importlib import resources

import orjson

PARTS = ("words.js", "store.js", "line.js", "view.js", "start.js")
"""In the order in which one needs what stands before it."""
LANGUAGES, THEMES = ("en", "ko"), ("light", "dark")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is answered: plain, compressed, and the mark by which a browser knows that its copy is current."""

    plain: bytes
    packed: bytes
    etag: str


def widget() -> Script:
    """The widget. One function around all of it, so that a page sees nothing of it but `window.Parley`."""
    style = f"const STYLE = {orjson.dumps(_text('widget.css')).decode()};"
    body = "\n".join((f'(() => {{\n"use strict";\n{style}', *map(_text, PARTS), "})();\n")).encode()
    return Script(body, gzip.compress(body, 9, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def page(account: str, language: str, theme: str) -> str:
    """The page on which a shop tries its widget. Values that are none of ours fall back to the browser's own."""
    language = language if language in LANGUAGES else ""
    chosen = f' data-theme="{theme}"' if theme in THEMES else ""
    told = f' data-lang="{language}"' if language else ""
    found = _text("page.html").replace("{{lang}}", language or "en").replace("{{theme}}", theme if theme in THEMES else "light dark")
    return found.replace("{{script}}", f'<script src="{escape(account)}/widget.js"{told}{chosen} async></script>')


def _text(name: str) -> str:
    return (resources.files("parley_ingest") / "static" / name).read_text(encoding="utf-8")

"""Unsubscribing with one click (RFC 8058): one POST, no question, no cookie. A GET only shows a button, for scanners follow links."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from parley.problem import Problem, limited_body
from parley_ingest.door import Door
from parley_ingest.edge import Limits
from parley_ingest.tracking import GONE, Tracking

BODY = 4096
"""Bytes of a body at most: `List-Unsubscribe=One-Click`, as a form or in parts."""
ONE_CLICK = re.compile(rb'List-Unsubscribe(?:=|"(?:\r\n[^\r\n]{0,200}){0,4}\r\n\r\n)One-Click', re.IGNORECASE)
HEADERS = {
    "cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}  # fmt: skip
PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui;margin:20vh auto;max-width:30em;padding:0 1em}}
button{{font:inherit;padding:.6em 1.2em}}</style><body><h1>{title}</h1><p>{text}</p>{form}</body></html>"""
FORM = """<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>{button}</button></form>"""
WORDS = {
    "en": {
        "ask": ("Unsubscribe", "You will no longer receive advertising by e-mail from this sender."),
        "done": ("You are unsubscribed", "No more advertising will be sent to you by e-mail. You can close this page."),
        "button": ("Unsubscribe", ""),
    },
    "ko": {
        "ask": ("수신거부", "이 발신자가 보내는 광고 이메일을 더 이상 받지 않습니다."),
        "done": ("수신거부되었습니다", "더 이상 광고 이메일을 보내지 않습니다. 이 창을 닫으셔도 됩니다."),
        "button": ("수신거부", ""),
    },
}


@dataclass(frozen=True)
class Unsubscribe:
    """`GET` and `POST /u/{code}`."""

    tracking: Tracking
    door: Door
    limits: Limits

    async def asked(self, request: Request) -> Response:
        """The page with the button; nothing changes."""
        link = await self.tracking.found(request.path_params["code"], "unsubscribe")
        return HTMLResponse(GONE, 404, HEADERS) if link is None else _page(request, "ask")

    async def unsubscribe(self, request: Request) -> Response:
        """200 once the wish is kept for good, be it for the first time or again. Raises 400 when the body does not say that it is one click."""
        self.limits.address(request)
        if ONE_CLICK.search(await limited_body(request, BODY)) is None:
            raise Problem(400, "The body is `List-Unsubscribe=One-Click` (RFC 8058).")
        link = await self.tracking.found(request.path_params["code"], "unsubscribe")
        if link is None:
            return HTMLResponse(GONE, 404, HEADERS)
        await self.door.accept([self.tracking.hit(link, "unsubscribed", request)])
        return _page(request, "done")


def language(header: str) -> str:
    """The first of our languages that the reader names; else English."""
    named = (part.split(";")[0].strip().lower()[:2] for part in header.split(","))
    return next((one for one in named if one in WORDS), "en")


def _page(request: Request, which: str) -> Response:
    spoken = language(request.headers.get("accept-language", ""))
    title, text = WORDS[spoken][which]
    form = FORM.format(button=WORDS[spoken]["button"][0]) if which == "ask" else ""
    return HTMLResponse(PAGE.format(language=spoken, title=title, text=text, form=form), headers=HEADERS)

"""Links that prove an address: a shop's session asks, the link goes to the address, and whoever opens it and presses the button joins the two."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import asyncpg
import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from parley import wire
from parley.addresses import normalised
from parley.contracts import Channel, Customer, CustomerEvent, Envelope
from parley.database import Connection
from parley.problem import Problem, authorise, read
from parley.service import Context
from parley_ingest.door import Door
from parley_ingest.edge import Limits
from parley_ingest.merging import IDENTIFIED

CODE = re.compile(r"[0-9A-Za-z_-]{22}")
"""128 random bits; only their digest is kept."""
KEPT = timedelta(days=1)
"""How long a link that is over can still say so."""
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<body style="font:16px/1.5 system-ui;margin:20vh auto;max-width:30em;padding:0 1em"><h1>{title}</h1><p>{text}</p>{button}</body></html>"""
BUTTON = '<form method="post"><button style="font:inherit;padding:.6em 1.4em">Yes, this is me · 네, 저예요</button></form>'


class Asked(BaseModel):
    """Body of `POST /v1/verifications`: whose session asks (the key vouches for it), which address is to be proved, and what the page says of them."""

    model_config = ConfigDict(extra="forbid")

    customer: Customer
    channel: Channel
    address: str = Field(min_length=1, max_length=4096)
    label: str = Field(min_length=1, max_length=200)
    minutes: int = Field(default=15, ge=1, le=1440)


@dataclass(frozen=True)
class Verifications:
    """The links, from asking to the press of the button. What proves is the address that the link was sent to; sending it is the caller's."""

    context: Context
    door: Door
    limits: Limits

    @property
    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/verifications", self.ask, methods=["POST"]),
            Route("/v/{code}", self.show, methods=["GET"]),
            Route("/v/{code}", self.confirm, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """`POST /v1/verifications`: 201 with the link. Send it to the address, nowhere else."""
        self.limits.address(request)
        key = authorise(request, self.context.config, "events:write")
        self.limits.account(f"key:{key.name}")
        asked = await read(request, Asked, self.context.settings.body_limit)
        code, now = secrets.token_urlsafe(16), self.context.clock()
        expires = now + timedelta(minutes=asked.minutes)
        async with self.context.pool.acquire() as connection:
            await connection.execute("DELETE FROM verifications WHERE expires_at < $1", now - KEPT)
            await connection.execute(
                "INSERT INTO verifications (digest, tenant, customer, label, expires_at) VALUES ($1, $2, $3, $4, $5)",
                _digest(code), key.tenant, both(asked).model_dump_json(exclude_defaults=True), asked.label.replace("\0", ""), expires,
            )  # fmt: skip
        link = f"{self.context.settings.links.rstrip('/')}/v/{code}"
        return Response(orjson.dumps({"link": link, "expires_at": expires.isoformat()}), 201, media_type="application/json")

    async def show(self, request: Request) -> Response:
        """`GET /v/{code}`: a page with one button. Looking joins nobody: scanners and previews follow links too."""
        self.limits.address(request)
        code = request.path_params["code"]
        async with self.context.pool.acquire() as connection:
            row = await _open(connection, code, self.context.clock())
        if row is None:
            return _page("This link is over", "It was used, is too old or was mistyped. 이미 사용되었거나 만료된 링크입니다.", 404)
        text = f"{escape(row['label'])}<br>Is this you? If you did not ask for this, close the page. 본인이 요청하지 않았다면 창을 닫아 주세요."
        return _page("Confirm · 본인 확인", text, 200, BUTTON)

    async def confirm(self, request: Request) -> Response:
        """`POST /v/{code}`: joins, once. The code is used when the event is kept for good: a press that failed may be repeated, and is then the same event."""
        self.limits.address(request)
        code, now = request.path_params["code"], self.context.clock()
        async with self.context.pool.acquire() as connection, connection.transaction():
            row = await _open(connection, code, now)
            if row is None:
                return _page("This link is over", "It was used, is too old or was mistyped. 이미 사용되었거나 만료된 링크입니다.", 404)
            await connection.execute("UPDATE verifications SET used_at = $2 WHERE digest = $1", _digest(code), now)
            await self.door.accept([wire.encode(event(row["tenant"], Customer.model_validate_json(row["customer"]), code, now))])
        return _page("Thank you · 감사합니다", "You are confirmed. You may close this page. 확인되었습니다.", 200)


def both(asked: Asked) -> Customer:
    """Who is one person once the link is confirmed. Raises 422 where an address cannot be, or is not another than the session's."""
    if asked.channel in asked.customer.addresses:
        raise Problem(422, f"customer.addresses has an address for {asked.channel} already: what is to be proved is another one.")
    try:
        return normalised(Customer(id=asked.customer.id, addresses={**asked.customer.addresses, asked.channel: asked.address}))
    except ValueError as error:
        raise Problem(422, str(error)) from error


def event(tenant: str, customer: Customer, code: str, now: datetime) -> Envelope:
    """The event that joins. Its id is the code's."""
    data = CustomerEvent(customer=customer, name=IDENTIFIED, properties={"by": "verified link"}, occurred_at=now)
    number = str(wire.natural_id("verified", tenant, code))
    return Envelope(id=number, source="parley/verifications", time=now, tenant=tenant, started_at=now, data=data)


async def _open(connection: Connection, code: str, now: datetime) -> asyncpg.Record | None:
    """The link while it can be used; whoever asks in a transaction has it alone until the end."""
    if not CODE.fullmatch(code):
        return None
    return await connection.fetchrow(
        "SELECT tenant, customer, label FROM verifications WHERE digest = $1 AND used_at IS NULL AND expires_at > $2 FOR UPDATE", _digest(code), now
    )


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _page(title: str, text: str, status: int, button: str = "") -> Response:
    return HTMLResponse(PAGE.format(title=title, text=text, button=button), status, HEADERS)

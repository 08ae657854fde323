"""Tracked links and open pixels: who follows one is sent on at once; that it was followed goes on the bus, and is judged there (`hits`, `judge`)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from secrets import token_bytes
from typing import Literal, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid4

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from parley import wire
from parley.bus import Bus, BusUnavailable
from parley.contracts import Envelope, LinkHit, LinkMinted, Record
from parley.database import OUTSIDE, Connection
from parley.limits import caller
from parley.service import Context
from parley.step import Arrived, Caused
from parley_ingest.agents import LONGEST
from parley_ingest.erasing import NOBODY

HitKind = Literal["opened", "clicked", "unsubscribed"]
LinkKind = Literal["link", "unsubscribe"]

CODE = re.compile(r"[0-9A-Za-z]{6,40}")
SAFE = "!#$%&'()*+,/:;=?@[]~"
"""Of RFC 3986, what stays as it is in a target; the rest could break a header."""
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
CACHE = 10_000
FRESH, STALE = timedelta(seconds=30), timedelta(minutes=10)
"""After so long a link in memory is looked up again, for whoever it was sent to may be erased by now (any replica may have heard of it); while the
database is away it is good for so long still."""
ANEW = 2.0
"""Seconds that looking up again may take; then the database is away."""
WAIT, LOOK_EVERY, WAITING = 2.0, 0.2, 50
"""Seconds that a click waits for a code which the stage `links` may be about to store, seconds between two looks, and how many may wait at a
time: who guesses codes costs 250 look-ups a second at most, and takes the wait from others, never their links."""
LATE = 5_000
"""Hits that may wait for the bus; beyond, people are still sent on, and theirs are not counted (`parley_failed_total` says how many)."""
RECORD_WITHIN = 2.0
"""Seconds that a click waits for the bus before the person is sent on; it is recorded afterwards."""
GONE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Link not found</title>
<body style="font:16px/1.5 system-ui;margin:20vh auto;max-width:30em;padding:0 1em"><h1>This link leads nowhere</h1>
<p>It may be mistyped or too old. 링크가 잘못되었거나 만료되었습니다.</p></body></html>"""


class Link(NamedTuple):
    tenant: str
    contact_id: UUID
    message_id: UUID
    url: str
    kind: LinkKind


class Known(NamedTuple):
    """A link in memory, and when it was looked up."""

    link: Link
    at: datetime


@dataclass
class Tracking:
    """The links by code, with the last few thousand in memory, and the clicks that still wait for the bus."""

    context: Context
    cache: OrderedDict[str, Known] = field(default_factory=OrderedDict)
    late: set[asyncio.Task[None]] = field(default_factory=set)
    waiting: int = 0
    """Requests that wait for a code."""
    salt: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.salt = self.context.settings.secret.get_secret_value().encode() or token_bytes(16)

    async def follow(self, request: Request) -> Response:
        """`GET /l/{code}`: 302 to where the link leads. Unknown: a 404 page; the target never comes from the request."""
        link = await self.found(request.path_params["code"], "link")
        if link is None or not link.url:
            return HTMLResponse(GONE, 404, {"cache-control": "no-store"})
        await self._record(link, "clicked", request)
        target = quote(link.url, safe=SAFE)
        return Response(status_code=302, headers={"location": target, "cache-control": "no-store", "referrer-policy": "no-referrer"})

    async def opened(self, request: Request) -> Response:
        """`GET /o/{code}.gif`: a pixel, whatever the code, so that nobody learns which codes there are."""
        link = None
        with contextlib.suppress(*OUTSIDE):
            link = await self._find(request.path_params["code"])
        if link is not None and link.kind == "link":
            await self._record(link, "opened", request)
        return Response(PIXEL, headers={"cache-control": "no-store"}, media_type="image/gif")

    async def run(self, stopping: asyncio.Event) -> None:
        """As a worker: at a stop, clicks that still wait for the bus get a last chance."""
        await stopping.wait()
        if self.late:
            await asyncio.wait(self.late, timeout=self.context.settings.drain / 2)

    async def found(self, code: str, kind: LinkKind) -> Link | None:
        """The link, if it is one of that kind; one that sender has only just minted is waited for."""
        link = await self._find(code) or await self._awaited(code)
        return link if link is not None and link.kind == kind else None

    def hit(self, link: Link, kind: HitKind, request: Request) -> Record:
        """The record of a request for a link, as it came. Every request is one of its own."""
        now = self.context.clock()
        data = seen(link, request.path_params["code"], kind, request.method, request.headers, self._client(request, now), now)
        event = Envelope(
            id=str(uuid4()), source="parley/ingest", time=now, tenant=link.tenant, subject=str(link.contact_id), started_at=now, data=data
        )
        return wire.encode(event)

    def _client(self, request: Request, now: datetime) -> str | None:
        host = request.client.host if request.client is not None else ""
        return client(host, request.headers.get("user-agent", ""), self.salt, now)

    async def _awaited(self, code: str) -> Link | None:
        link = None
        if not CODE.fullmatch(code) or self.waiting >= WAITING:
            return None
        self.waiting += 1
        try:
            async with asyncio.timeout(WAIT):
                while link is None:
                    await asyncio.sleep(LOOK_EVERY)
                    link = await self._find(code)
        except TimeoutError:
            return None
        finally:
            self.waiting -= 1
        return link

    async def _find(self, code: str) -> Link | None:
        """The link; from memory where it was looked up just now. Raises what asyncpg raises while the database is away."""
        if not CODE.fullmatch(code):
            return None
        known, now = self.cache.get(code), self.context.clock()
        if known is not None and now - known.at < FRESH:
            self.cache.move_to_end(code)
            return known.link
        try:
            link = await self._looked_up(code, ANEW if known is not None else None)
        except OUTSIDE:
            if known is None or now - known.at >= STALE:
                raise
            return known.link
        self._keep(code, link, now)
        return link

    async def _looked_up(self, code: str, within: float | None) -> Link | None:
        async with asyncio.timeout(within):
            row = await self.context.pool.fetchrow("SELECT tenant, contact_id, message_id, url, kind FROM links WHERE code = $1", code)
        return None if row is None else Link(*row)

    def _keep(self, code: str, link: Link | None, now: datetime) -> None:
        self.cache.pop(code, None)
        if link is not None:
            self.cache[code] = Known(link, now)
        if len(self.cache) > CACHE:
            self.cache.popitem(last=False)

    async def _record(self, link: Link, kind: HitKind, request: Request) -> None:
        """Puts the hit on the bus. While the bus is away the person does not wait: the record follows as soon as it can."""
        if len(self.late) >= LATE:
            self.context.metrics.failed.labels("engagement", "full").inc()
            return
        task = asyncio.create_task(_until_published(self.context.bus, self.hit(link, kind, request)))
        self.late.add(task)
        task.add_done_callback(self.late.discard)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), RECORD_WITHIN)


def seen(link: Link, code: str, kind: HitKind, method: str, headers: Mapping[str, str], client: str | None, now: datetime) -> LinkHit:
    """What of a request says who made it. Pure."""
    said = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")).lower()
    return LinkHit(
        contact_id=link.contact_id, message_id=link.message_id, code=code, kind=kind, method=method, agent=headers.get("user-agent", "").replace("\x00", "")[:LONGEST],
        ahead=any(word in said for word in ("prefetch", "prerender", "preview")), language=bool(headers.get("accept-language", "").strip()),
        client=client, at=now,
    )  # fmt: skip


def client(host: str, agent: str, salt: bytes, now: datetime) -> str | None:
    """A word for who has this address and agent: the same for an hour, and of no use to who wants to know the address. Pure.

    None for an address that is not a public one: behind a proxy that hides its clients, or in one house, everybody would be the same.
    """
    try:
        if not ip_address(host).is_global:
            return None
    except ValueError:
        return None
    hour = now.astimezone(UTC).strftime("%Y%m%d%H")
    return hmac.digest(salt, f"client:{hour}:{caller(host)}:{agent}".encode(errors="replace"), "sha256").hex()[:24]


async def _until_published(bus: Bus, record: Record) -> None:
    while True:
        try:
            await bus.publish([record])
            return
        except BusUnavailable as error:
            structlog.get_logger().warning("a hit waits for the bus", cause=str(error))
            await asyncio.sleep(1)


@dataclass(frozen=True)
class Links:
    """The stage that learns the links which sender mints."""

    name: str = "links"
    topics: tuple[str, ...] = (LinkMinted.topic,)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        told = [(one.event.tenant, one.event.data) for one in batch if isinstance(one.event.data, LinkMinted)]
        gone = {data.code for _, data in told if data.message_id == NOBODY}  # the last that is ever said of a code: in its partition nothing follows
        rows = [(tenant, data) for tenant, data in told if data.code not in gone]
        await connection.execute(
            "INSERT INTO links (code, tenant, contact_id, message_id, url, kind, account, channel, address, minted_at, campaign)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],"
            " $10::timestamptz[], $11::text[]) ON CONFLICT DO NOTHING",
            [data.code for _, data in rows], [tenant for tenant, _ in rows], [data.contact_id for _, data in rows],
            [data.message_id for _, data in rows], [data.url for _, data in rows], [data.kind for _, data in rows], [data.account for _, data in rows],
            [data.channel for _, data in rows], [data.address for _, data in rows], [data.at for _, data in rows],
            [data.campaign for _, data in rows],
        )  # fmt: skip
        await connection.execute("DELETE FROM links WHERE code = ANY($1::text[])", list(gone))
        return ()

"""Tracked links and open pixels: who follows one is sent on at once; what it was (a person, a scanner, a prefetch) is recorded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid4

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from parley import wire
from parley.bus import Bus, BusUnavailable
from parley.contracts import EngagementRecorded, Envelope, LinkMinted, Record
from parley.database import OUTSIDE, Connection
from parley.service import Context
from parley.step import Arrived, Caused

By = Literal["human", "prefetch", "scanner", "unknown"]

CODE = re.compile(r"[0-9A-Za-z]{6,40}")
SAFE = "!#$%&'()*+,/:;=?@[]~"
"""Of RFC 3986, what stays as it is in a target; the rest could break a header."""
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
CACHE = 10_000
WAIT, LOOK_EVERY, WAITING = 2.0, 0.2, 50
"""Seconds that a click waits for a code which the stage `links` may be about to store, seconds between two looks, and how many may wait at a
time: who guesses codes costs 250 look-ups a second at most, and takes the wait from others, never their links."""
LATE = 5_000
"""Clicks that may wait for the bus; beyond, people are still sent on, and their clicks are not counted (`parley_failed_total` says how many)."""
RECORD_WITHIN = 2.0
"""Seconds that a click waits for the bus before the person is sent on; it is recorded afterwards."""
MACHINES = re.compile(
    r"bot\b|crawl|spider|slurp|preview|scan|proofpoint|mimecast|barracuda|curl/|wget/|python-|headless|facebookexternalhit|whatsapp/", re.IGNORECASE
)
PROXIES = re.compile(r"googleimageproxy|yahoomailproxy", re.IGNORECASE)
GONE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Link not found</title>
<body style="font:16px/1.5 system-ui;margin:20vh auto;max-width:30em;padding:0 1em"><h1>This link leads nowhere</h1>
<p>It may be mistyped or too old. 링크가 잘못되었거나 만료되었습니다.</p></body></html>"""


class Link(NamedTuple):
    tenant: str
    contact_id: UUID
    message_id: UUID
    url: str


def classify(method: str, headers: Mapping[str, str]) -> By:
    """Who asked, from the request alone. Pure. HEAD is no person; a browser says itself when it fetches ahead; mail scanners name themselves."""
    purpose = f"{headers.get('sec-purpose', '')} {headers.get('purpose', '')} {headers.get('x-moz', '')}".lower()
    if "prefetch" in purpose or "prerender" in purpose or "preview" in purpose:
        return "prefetch"
    agent = headers.get("user-agent", "")
    if method == "HEAD" or MACHINES.search(agent):
        return "scanner"
    if PROXIES.search(agent):
        return "prefetch"
    return "human" if agent else "unknown"


@dataclass
class Tracking:
    """The links by code, with the last few thousand in memory, and the clicks that still wait for the bus."""

    context: Context
    cache: OrderedDict[str, Link] = field(default_factory=OrderedDict)
    late: set[asyncio.Task[None]] = field(default_factory=set)
    waiting: int = 0
    """Requests that wait for a code."""

    async def follow(self, request: Request) -> Response:
        """`GET /l/{code}`: 302 to where the link leads. Unknown: a 404 page; the target never comes from the request."""
        link = await self._found(request.path_params["code"])
        if link is None or not link.url:
            return HTMLResponse(GONE, 404, {"cache-control": "no-store"})
        await self._record(link, "clicked", request, link.url)
        target = quote(link.url, safe=SAFE)
        return Response(status_code=302, headers={"location": target, "cache-control": "no-store", "referrer-policy": "no-referrer"})

    async def opened(self, request: Request) -> Response:
        """`GET /o/{code}.gif`: a pixel, whatever the code, so that nobody learns which codes there are."""
        link = None
        with contextlib.suppress(*OUTSIDE):
            link = await self._find(request.path_params["code"])
        if link is not None:
            await self._record(link, "opened", request, None)
        return Response(PIXEL, headers={"cache-control": "no-store"}, media_type="image/gif")

    async def run(self, stopping: asyncio.Event) -> None:
        """As a worker: at a stop, clicks that still wait for the bus get a last chance."""
        await stopping.wait()
        if self.late:
            await asyncio.wait(self.late, timeout=self.context.settings.drain / 2)

    async def _found(self, code: str) -> Link | None:
        """The link; one that sender has only just minted is waited for."""
        link = await self._find(code)
        if link is not None or not CODE.fullmatch(code) or self.waiting >= WAITING:
            return link
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
        if not CODE.fullmatch(code):
            return None
        if (link := self.cache.get(code)) is not None:
            self.cache.move_to_end(code)
            return link
        row = await self.context.pool.fetchrow("SELECT tenant, contact_id, message_id, url FROM links WHERE code = $1", code)
        if row is None:
            return None
        self.cache[code] = link = Link(*row)
        if len(self.cache) > CACHE:
            self.cache.popitem(last=False)
        return link

    async def _record(self, link: Link, kind: Literal["opened", "clicked"], request: Request, url: str | None) -> None:
        """Puts the engagement on the bus. While the bus is away the person does not wait: the record follows as soon as it can."""
        if len(self.late) >= LATE:
            self.context.metrics.failed.labels("engagement", "full").inc()
            return
        record = engagement(link, kind, url, classify(request.method, request.headers), self.context.clock())
        task = asyncio.create_task(_until_published(self.context.bus, record))
        self.late.add(task)
        task.add_done_callback(self.late.discard)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), RECORD_WITHIN)


def engagement(link: Link, kind: Literal["opened", "clicked"], url: str | None, by: By, now: datetime) -> Record:
    """The record of one click or open. Pure but for its id: every click is one of its own."""
    data = EngagementRecorded(contact_id=link.contact_id, message_id=link.message_id, kind=kind, link=url, by=by, at=now)
    event = Envelope(id=str(uuid4()), source="parley/ingest", time=now, tenant=link.tenant, subject=str(link.contact_id), started_at=now, data=data)
    return wire.encode(event)


async def _until_published(bus: Bus, record: Record) -> None:
    while True:
        try:
            await bus.publish([record])
            return
        except BusUnavailable as error:
            structlog.get_logger().warning("engagement waits for the bus", cause=str(error))
            await asyncio.sleep(1)


@dataclass(frozen=True)
class Links:
    """The stage that learns the links which sender mints."""

    name: str = "links"
    topics: tuple[str, ...] = (LinkMinted.topic,)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        rows = [(one.event.tenant, one.event.data) for one in batch if isinstance(one.event.data, LinkMinted)]
        await connection.execute(
            "INSERT INTO links (code, tenant, contact_id, message_id, url, minted_at)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[]) ON CONFLICT DO NOTHING",
            [data.code for _, data in rows], [tenant for tenant, _ in rows], [data.contact_id for _, data in rows],
            [data.message_id for _, data in rows], [data.url for _, data in rows], [data.at for _, data in rows],
        )  # fmt: skip
        return ()

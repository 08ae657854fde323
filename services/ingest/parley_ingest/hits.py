"""Hits become engagement: kept as they come, judged when all that came around them is known, told once.

A hit needs its neighbours to be judged: a burst is one only when its third link is fetched. So a hit waits three seconds; then the worker puts
`HitsDue` of its message on the bus. That stands in the same partition behind every hit of the message, so whoever reads it has read them all, and
judges in the step that reads it: the verdicts leave with the step's cursor, once, whatever is killed and however many replicas there are. The worker
itself promises nothing: what is not settled is asked for again, and what is settled already stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID, uuid4

import asyncpg
import structlog

from parley import wire
from parley.bus import BusUnavailable
from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    Data,
    DeliveryChanged,
    DeliveryStatus,
    EngagementRecorded,
    Envelope,
    HitsDue,
    LinkHit,
    OptedOut,
    Purpose,
    Record,
)  # fmt: skip
from parley.database import OUTSIDE, Connection
from parley.service import Context
from parley.step import Arrived, Caused
from parley_ingest import clicks
from parley_ingest.clicks import Click
from parley_ingest.judge import AHEAD, BEHIND, FLEET_WITHIN, RULES, Hit, Reached, Sent, Verdict, judged

WAIT = timedelta(seconds=3)
"""From a hit to its judgement: the two seconds that a burst takes, and one for clocks of replicas that differ, and for the way."""
EVERY = 0.25
"""Seconds between two looks at what is due."""
AGAIN = timedelta(seconds=5)
"""After so long, what was asked for and is not settled is asked for again."""
KEPT, HANDED_KEPT = timedelta(hours=1), timedelta(days=1)
AT_ONCE = 1_000
FORGET, FORGET_EVERY = 10_000, 10.0
"""Rows that are forgotten at a time, and seconds between two times."""
NO_LINK: tuple[str | None, str | None] = (None, None)
COLUMNS = ("tenant", "contact_id", "message_id", "code", "kind", "method", "agent", "ahead", "language", "client", "at")
OUTSIDE_WORK: tuple[type[BaseException], ...] = (*OUTSIDE, BusUnavailable)
log = structlog.get_logger()


@dataclass(frozen=True)
class Hits:
    """The stage. Keeps hits, judges those that are due, and passes unsubscriptions on at once."""

    name: str = "hits"
    topics: tuple[str, ...] = (LinkHit.topic,)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        hits = [(one, data) for one in batch if isinstance(data := one.event.data, LinkHit)]
        await _keep(connection, [(one, data) for one, data in hits if data.kind != "unsubscribed"])
        left = await _left(connection, [(one, data) for one, data in hits if data.kind == "unsubscribed"])
        return [*left, *await _settle(connection, {one.event.data.message_id: one for one in batch if isinstance(one.event.data, HitsDue)})]


@dataclass(frozen=True)
class Handed:
    """The stage that learns when e-mails left, and arrived: what follows a link within seconds of that is no reader."""

    name: str = "handed"
    topics: tuple[str, ...] = (DeliveryChanged.topic,)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        told = [data for one in batch if isinstance(data := one.event.data, DeliveryChanged) and _matters(data)]
        if told:
            await connection.execute(
                "INSERT INTO handed (message_id, status, at) SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) ON CONFLICT DO NOTHING",
                [one.message_id for one in told], [one.status for one in told], [one.at for one in told],
            )  # fmt: skip
        return ()


@dataclass(frozen=True)
class Due:
    """The worker that says which messages are due, and forgets hits and times that nobody asks for any more. Every replica may run it."""

    context: Context

    async def run(self, stopping: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        forget_at = loop.time()
        while not stopping.is_set():
            try:
                while not stopping.is_set() and (records := await self.due(self.context.clock())):
                    await self.context.bus.publish(records)
                if loop.time() >= forget_at:
                    await self.forget(self.context.clock())
                    forget_at = loop.time() + FORGET_EVERY
            except OUTSIDE_WORK as error:
                log.warning("hits wait to be judged", cause=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY)

    async def due(self, now: datetime) -> list[Record]:
        """The messages with hits that have waited long enough, as records; another replica leaves them alone for a while."""
        rows = await self.context.pool.fetch(
            "UPDATE hits SET asked_at = $1 WHERE id IN (SELECT id FROM hits WHERE NOT settled AND at <= $2 AND (asked_at IS NULL OR asked_at <= $3)"
            " ORDER BY at LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING tenant, contact_id, message_id",
            now, now - WAIT, now - AGAIN, AT_ONCE,
        )  # fmt: skip
        messages = {row["message_id"]: row for row in rows}
        return [_due(row["tenant"], HitsDue(contact_id=row["contact_id"], message_id=one, until=now - WAIT), now) for one, row in messages.items()]

    async def forget(self, now: datetime) -> None:
        """Some thousands at a time, as `repeats` does it, and for its reasons. What is not judged yet stays."""
        await self.context.pool.execute(
            "DELETE FROM hits WHERE id IN (SELECT id FROM hits WHERE settled AND at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now - KEPT, FORGET,
        )  # fmt: skip
        await self.context.pool.execute(
            "DELETE FROM handed WHERE (message_id, status) IN"
            " (SELECT message_id, status FROM handed WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now - HANDED_KEPT, FORGET,
        )  # fmt: skip


def _due(tenant: str, data: HitsDue, now: datetime) -> Record:
    return wire.encode(Envelope(id=str(uuid4()), source="parley/ingest", time=now, tenant=tenant, subject=str(data.contact_id), data=data))


def _matters(data: DeliveryChanged) -> bool:
    """Links are tracked in campaigns, and only mailboxes have machines in front of them."""
    return data.channel is Channel.EMAIL and data.campaign is not None and data.status in (DeliveryStatus.SENT, DeliveryStatus.DELIVERED)


# --- keeping and judging ---------------------------------------------------------------------------------------------------------------


async def _keep(connection: Connection, hits: Sequence[tuple[Arrived, LinkHit]]) -> None:
    if hits:
        values = [[one.event.tenant for one, _ in hits], *([getattr(data, name) for _, data in hits] for name in COLUMNS[1:])]
        await connection.execute(
            f"INSERT INTO hits (id, {', '.join(COLUMNS)}) SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],"
            " $7::text[], $8::text[], $9::boolean[], $10::boolean[], $11::text[], $12::timestamptz[]) ON CONFLICT DO NOTHING",
            [one.event.id for one, _ in hits], *values,
        )  # fmt: skip


async def _settle(connection: Connection, due: Mapping[UUID, Arrived]) -> list[Caused]:
    """The verdicts on the hits that are due, by message and time; from now on they are settled."""
    if not due:
        return []
    settled = await connection.fetch(
        "UPDATE hits SET settled = true FROM unnest($1::uuid[], $2::timestamptz[]) AS due (message, until)"
        " WHERE message_id = message AND at <= until AND NOT settled RETURNING id, message_id, contact_id, kind, code, client, at",
        list(due), [_until(one) for one in due.values()],
    )  # fmt: skip
    rows = sorted(settled, key=lambda row: (row["message_id"], row["at"], row["id"]))
    verdicts = await _judged(connection, rows)
    found = await connection.fetch("SELECT code, url, campaign FROM links WHERE code = ANY($1::text[])", list({row["code"] for row in rows}))
    links = {row["code"]: (row["url"], row["campaign"]) for row in found}
    acted = await clicks.told(connection, {row["id"]: _click(row, *links.get(row["code"], NO_LINK)) for row in rows if _by_person(row, verdicts)})
    return [
        Caused(due[row["message_id"]], meant, id=str(wire.caused_id(str(row["id"]), place)), started_at=row["at"])
        for row in rows
        for place, meant in enumerate((_told(row, verdicts[row["id"]], links.get(row["code"], NO_LINK)[0]), acted.get(row["id"])))
        if meant is not None
    ]


def _by_person(row: asyncpg.Record, verdicts: Mapping[UUID, Verdict]) -> bool:
    return row["kind"] == "clicked" and verdicts[row["id"]].by == "human"


def _click(row: asyncpg.Record, url: str | None, campaign: str | None) -> Click:
    return Click(row["contact_id"], row["message_id"], url, campaign, row["at"])


async def _judged(connection: Connection, rows: Sequence[asyncpg.Record]) -> dict[UUID, Verdict]:
    """The verdicts on these hits, with all that came around them."""
    if not rows:
        return {}
    messages = list({row["message_id"] for row in rows})
    first, last = min(row["at"] for row in rows), max(row["at"] for row in rows)
    around = await connection.fetch(
        f"SELECT id, {', '.join(COLUMNS)} FROM hits WHERE message_id = ANY($1::uuid[]) AND at BETWEEN $2 AND $3",
        messages, first - BEHIND - AHEAD, last + AHEAD,
    )  # fmt: skip
    hits: defaultdict[UUID, list[Hit]] = defaultdict(list)
    for row in around:
        hits[row["message_id"]].append(Hit(**{name: row[name] for name in Hit.__slots__}))
    sent, clients = await _sent(connection, messages), await _clients(connection, rows)
    found: dict[UUID, Verdict] = {}
    for message, some in hits.items():
        found |= judged(some, sent.get(message, Sent()), clients)
    return found


async def _sent(connection: Connection, messages: Sequence[UUID]) -> dict[UUID, Sent]:
    rows = await connection.fetch(
        "SELECT message_id, max(channel) AS channel, array_agg(at) AS times FROM ("
        " SELECT message_id, channel, minted_at AS at FROM links WHERE message_id = ANY($1::uuid[])"
        " UNION SELECT message_id, NULL, at FROM handed WHERE message_id = ANY($1::uuid[])) AS known GROUP BY message_id",
        messages,
    )  # fmt: skip
    return {row["message_id"]: Sent(Channel(row["channel"]) if row["channel"] else None, tuple(row["times"])) for row in rows}


async def _clients(connection: Connection, rows: Sequence[asyncpg.Record]) -> Mapping[str, Reached]:
    """What the clients of these hits followed around them. Whole seconds are enough: so a link that is hammered at is a row a second."""
    clients = list({row["client"] for row in rows if row["client"] is not None})
    if not clients:
        return {}
    found: defaultdict[str, list[tuple[datetime, UUID]]] = defaultdict(list)
    for row in await connection.fetch(
        "SELECT DISTINCT client, date_trunc('second', at) AS at, message_id FROM hits WHERE client = ANY($1::text[]) AND kind = 'clicked'"
        " AND at BETWEEN $2 AND $3 ORDER BY 2",
        clients, min(row["at"] for row in rows) - FLEET_WITHIN, max(row["at"] for row in rows) + AHEAD,
    ):  # fmt: skip
        found[row["client"]].append((row["at"], row["message_id"]))
    return found


def _until(one: Arrived) -> datetime:
    until: datetime = attrgetter("event.data.until")(one)
    return until


def _told(row: asyncpg.Record, verdict: Verdict, url: str | None) -> EngagementRecorded:
    return EngagementRecorded(
        contact_id=row["contact_id"], message_id=row["message_id"], kind=row["kind"], link=url if row["kind"] == "clicked" else None,
        by=verdict.by, reason=verdict.reason, rules=RULES, hit=row["id"], at=row["at"],
    )  # fmt: skip


# --- unsubscribing ---------------------------------------------------------------------------------------------------------------------


async def _left(connection: Connection, hits: Sequence[tuple[Arrived, LinkHit]]) -> list[Caused]:
    """What an unsubscription means: to the router, to sender (which hears of it here already, not behind any flow), and for the numbers."""
    if not hits:
        return []
    links = await connection.fetch(
        "SELECT code, account, channel, address FROM links WHERE kind = 'unsubscribe' AND code = ANY($1::text[])", [data.code for _, data in hits]
    )
    by_code = {row["code"]: row for row in links}
    return [
        Caused(one, meant, id=str(wire.caused_id(one.event.id, place)), started_at=data.at)
        for one, data in hits
        if (link := by_code.get(data.code))
        for place, meant in enumerate(_unsubscribed(data, link["account"], Channel(link["channel"]), link["address"]))
    ]


def _unsubscribed(hit: LinkHit, account: str, channel: Channel, address: str) -> tuple[Data, ...]:
    revoked, purpose = ConsentState.REVOKED, Purpose.MARKETING
    return (
        OptedOut(contact_id=hit.contact_id, account=account, channel=channel, address=address, state=revoked, purposes=(purpose,), at=hit.at),
        ConsentChanged(contact_id=hit.contact_id, channel=channel, address=address, purpose=purpose, state=revoked, source="unsubscribe", at=hit.at),
        EngagementRecorded(
            contact_id=hit.contact_id, message_id=hit.message_id, kind="unsubscribed", by="human", reason="one_click", rules=RULES, at=hit.at
        ),
    )  # fmt: skip

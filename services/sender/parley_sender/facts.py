"""What a lane reads before it lets anything through: its lines, their fronts, and what the gate asks of each message. A statement each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from parley.contracts import Channel, ConsentState, Content, Purpose
from parley.database import Connection
from parley.policies import LONGEST_WINDOW
from parley_sender.gate import Candidate, Consent
from parley_sender.queue import Line, Waiting
from parley_sender.standing import READY

Slot = tuple[UUID, str, datetime]
"""Of a person, for a purpose, since when."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that asks to leave: what the gate wants to know of it, and what the call will need."""

    candidate: Candidate
    content: Content
    campaign: str | None
    attempt: int
    failures: int
    parts_done: int
    chain: int
    started_at: datetime | None
    fallback_after: int | None = None


async def lines(connection: Connection, part: str, numbers: Collection[int] | None = None) -> list[Line]:
    """The lines of a part of a lane: all, or those of these numbers."""
    rows = await connection.fetch(
        "SELECT line, purpose, tenant, campaign FROM lines WHERE part = $1 AND ($2::int[] IS NULL OR line = ANY($2)) ORDER BY line",
        part, None if numbers is None else list(numbers),
    )  # fmt: skip
    return [Line(row["line"], Purpose(row["purpose"]), row["tenant"], row["campaign"]) for row in rows]


async def fronts(connection: Connection, wanted: Mapping[int, int], each: int) -> dict[int, list[Waiting]]:
    """What stands in lines behind the places given, `each` of a line at most, in order."""
    rows = await connection.fetch(
        """SELECT front.* FROM unnest($1::int[], $2::bigint[]) AS wanted (line, after), LATERAL (
               SELECT message_id, line, place, units FROM queue
               WHERE state = 'ready' AND line = wanted.line AND place > wanted.after ORDER BY place LIMIT $3) AS front""",
        list(wanted), list(wanted.values()), each,
    )  # fmt: skip
    found: dict[int, list[Waiting]] = {line: [] for line in wanted}
    for row in rows:
        found[row["line"]].append(Waiting(row["message_id"], row["line"], row["place"], row["units"]))
    return found


async def asked(connection: Connection, messages: Sequence[UUID], owner: str) -> dict[UUID, Asked]:
    """What the gate asks of these messages; those that do not stand in line any more are left out. They are locked, so nobody calls them off meanwhile.

    `owner`: whose account it is: where others send through it, who refuses there is heard by its owner, and means the sender that they see.
    """
    rows = await connection.fetch(
        f"""SELECT d.message_id, d.contact_id, d.tenant, d.purpose, d.channel, d.address, d.notice, d.campaign, d.content, d.requested_at, d.expires_at,
                  d.timezone, d.started_at, d.fallback_after, d.called_back_at, q.units, q.attempt, q.failures, q.parts_done, q.reserved, q.chain,
                  c.state, c.at, c.at_night, s.reason AS suppressed, w.at AS wrote_at
           FROM queue q JOIN deliveries d USING (message_id)
           LEFT JOIN LATERAL (
               SELECT state, at, at_night FROM (
                   SELECT state, at, at_night FROM consents c WHERE (c.contact_id, c.channel, c.purpose) = (d.contact_id, d.channel, d.purpose)
                   UNION ALL
                   SELECT state, at, at_night FROM consents c WHERE (c.tenant, c.channel, c.address, c.purpose) = (d.tenant, d.channel, d.address, d.purpose)
                   UNION ALL
                   SELECT state, at, at_night FROM consents c
                   WHERE d.tenant <> $2 AND (c.tenant, c.channel, c.address, c.purpose, c.state) = ($2, d.channel, d.address, d.purpose, 'revoked')
               ) AS said ORDER BY at DESC, state = 'revoked' DESC LIMIT 1) AS c ON true
           LEFT JOIN LATERAL (
               SELECT reason FROM suppressions s WHERE (s.address, s.channel) = (d.address, d.channel) AND s.tenant IN ('', d.tenant) AND s.account IN ('', d.lane)
               LIMIT 1) AS s ON true
           LEFT JOIN windows w ON (w.lane, w.address) = (d.lane, d.address)
           WHERE q.message_id = ANY($1::uuid[]) AND q.{READY} AND d.status = 'queued'
           ORDER BY q.contact_id, q.chain FOR UPDATE OF q""",
        messages, owner,
    )  # fmt: skip
    return {row["message_id"]: _asked(row) for row in rows}


async def before(connection: Connection, messages: Sequence[UUID]) -> dict[UUID, int]:
    """Of each message how many of its purpose and a higher priority wait for the same person: a cap counts them too."""
    rows = await connection.fetch(
        """SELECT q.message_id, count(*) AS before FROM queue q JOIN deliveries d USING (message_id)
           JOIN queue o ON o.contact_id = q.contact_id AND o.chain <> q.chain AND o.state IN ('ready', 'behind') AND o.reserved IS NULL
           JOIN deliveries p ON p.message_id = o.message_id AND p.purpose = d.purpose AND p.priority > d.priority
           WHERE q.message_id = ANY($1::uuid[]) GROUP BY q.message_id""",
        messages,
    )
    return {row["message_id"]: row["before"] for row in rows}


def _asked(row: asyncpg.Record) -> Asked:
    content = Content.model_validate_json(row["content"])
    consent = Consent(ConsentState(row["state"]), row["at"], row["at_night"]) if row["state"] else None
    candidate = Candidate(
        row["message_id"], row["contact_id"], row["tenant"], Purpose(row["purpose"]), Channel(row["channel"]), row["address"], row["units"],
        row["requested_at"], row["notice"], row["expires_at"], consent, row["suppressed"], row["wrote_at"], content.template is not None,
        row["timezone"], row["reserved"], row["called_back_at"] is not None,
    )  # fmt: skip
    return Asked(
        candidate,
        content,
        row["campaign"],
        row["attempt"],
        row["failures"],
        row["parts_done"],
        row["chain"],
        row["started_at"],
        row["fallback_after"],
    )


async def touched(connection: Connection, people: Collection[tuple[UUID, Purpose]]) -> dict[tuple[UUID, Purpose], list[datetime]]:
    """When these people were sent to, by purpose; locked until the end of the transaction, so that lanes that ask at once ask one after the other."""
    keys = sorted(people)
    columns = [contact for contact, _ in keys], [purpose for _, purpose in keys]
    rows: Sequence[asyncpg.Record] = []
    while len(rows) < len(keys):  # once, but where the janitor drops an old row between the two
        await connection.execute(
            "INSERT INTO touches (contact_id, purpose) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING", *columns
        )
        rows = await connection.fetch(
            """SELECT contact_id, purpose, times FROM touches JOIN unnest($1::uuid[], $2::text[]) AS asked (contact_id, purpose) USING (contact_id, purpose)
               ORDER BY contact_id, purpose FOR UPDATE OF touches""",
            *columns,
        )
    return {(row["contact_id"], Purpose(row["purpose"])): row["times"] for row in rows}


async def touch(connection: Connection, taken: Sequence[Slot]) -> None:
    """Notes when people are sent to, beside all that a cap may still count."""
    await connection.execute(
        """UPDATE touches SET times = (SELECT array_agg(at ORDER BY at) FROM unnest(times || ats) AS at WHERE at > $4::timestamptz - $5::interval)
           FROM (SELECT contact_id, purpose, array_agg(at) AS ats FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS taken (contact_id, purpose, at)
                 GROUP BY contact_id, purpose) AS new WHERE (touches.contact_id, touches.purpose) = (new.contact_id, new.purpose)""",
        *zip(*taken, strict=True), max(at for _, _, at in taken), LONGEST_WINDOW,
    )  # fmt: skip


async def untouch(connection: Connection, given_back: Sequence[Slot]) -> None:
    """Slots of messages that reached nobody are free again."""
    if given_back:
        await connection.execute(
            """UPDATE touches SET times = ARRAY(SELECT at FROM unnest(times) AS at WHERE at <> ALL(ats) ORDER BY at)
               FROM (SELECT contact_id, purpose, array_agg(at) AS ats FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS gone (contact_id, purpose, at)
                     GROUP BY contact_id, purpose) AS free WHERE (touches.contact_id, touches.purpose) = (free.contact_id, free.purpose)""",
            *zip(*given_back, strict=True),
        )


async def sent_lately(connection: Connection, lane: str, since: datetime) -> list[tuple[datetime, int, str, bool]]:
    """What a lane called for since then: when, units, to whom, and whether we wrote first. For limits that count by more than seconds."""
    rows = await connection.fetch(
        "SELECT called_at, segments, address, purpose <> 'reply' AS first FROM deliveries WHERE lane = $1 AND called_at > $2"
        " UNION ALL SELECT q.called_at, q.units, d.address, d.purpose <> 'reply' FROM queue q JOIN deliveries d USING (message_id)"
        " WHERE d.lane = $1 AND q.state = 'calling' AND q.called_at > $2 ORDER BY 1",
        lane, since,
    )  # fmt: skip
    return [(row["called_at"], row["segments"], row["address"], row["first"]) for row in rows]

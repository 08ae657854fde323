"""How a batch's facts become figures, in the step's transaction: a few statements, each about all of the batch.

First what is told goes into the tables; then what may belong to another message now (a reply, a refusal, an order) is owed anew, contact by contact; at last
the figures change, by all the differences together. Each statement stands in `sql/`, with what it guarantees.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from parley.attribution import Attribution
from parley.database import Connection
from parley_analytics.facts import CLICKED, HIT, Facts, Message, cell_id

PEOPLE = 1_634_628_730
"""The class of our advisory locks of contacts (any number that nobody else uses)."""
FIGURES = ("reasons", "money", "worth", "unowed")
"""What `sql/figures.sql` takes beside counters, in its order."""
OF_MESSAGES = 16
"""Columns of `counters` that count messages; those of people stand behind them."""
OF_PEOPLE = 7

Quarter: TypeAlias = "tuple[UUID, datetime]"
"""A cell and the begin of a quarter of an hour: the key of a counter."""


class Span(NamedTuple):
    """Between these times something of the contact may have come to belong to another message, and what there is of it: answers, refusals, conversions."""

    contact_id: UUID
    since: datetime
    until: datetime
    wrote: bool = False
    refused: bool = False
    bought: bool = False


@dataclass(slots=True)
class Counting:
    """One batch on its way into the tables. `rules`: the attribution of its tenants. Contacts are locked until the transaction ends."""

    connection: Connection
    sql: Mapping[str, str]
    rules: Mapping[str, Attribution]
    held: Collection[UUID] = frozenset()
    """Contacts whose locks the transaction has already."""
    counters: dict[Quarter, list[int]] = field(default_factory=dict)
    figures: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in FIGURES})
    spans: list[Span] = field(default_factory=list)
    buyers: set[UUID] = field(default_factory=set)
    owed: dict[UUID, Message] = field(default_factory=dict)
    people: set[UUID] = field(default_factory=set)
    """Of whom something is said."""
    former: set[UUID] = field(default_factory=set)
    """Whose conversions turned out to be somebody else's."""

    async def run(self, facts: Facts) -> None:
        self.people |= facts.people()
        if unlocked := self.people.difference(self.held):
            await lock(self.connection, unlocked)
        await self._take(facts)
        corrected = await self._judge(facts)
        if facts.messages:
            self._noted(await self._count(facts.messages))
        if corrected:
            await self._correct(corrected)
        await self._owe()
        if self.owed:
            self._noted(await self._count(self.owed))
        await self._tell()

    async def _tell(self) -> None:
        """Changes the figures, by what came of all statements together."""
        told = [(*quarter, counts) for quarter, counts in self.counters.items() if any(counts)]
        if told or any(self.figures.values()):
            await self.connection.execute(self.sql["figures"], *columns(told, 3), *self.figures.values())

    async def _take(self, facts: Facts) -> None:
        """Orders, replies and refusals as told."""
        if facts.orders:
            told = facts.orders.values()
            values = ([one.contact_id for one in told], [one.at for one in told], [one.value for one in told], [one.currency for one in told])
            self._moved(await self.connection.fetchrow(self.sql["orders"], *columns(facts.orders, 3), *values))
            self.buyers |= {one.contact_id for one in told}
        if facts.replies or facts.opt_outs:
            refusals = (*columns(facts.opt_outs, 3), list(facts.opt_outs.values()))
            await self.connection.execute(self.sql["heard"], *columns(facts.replies, 4), *refusals)
            self.spans += [Span(one.contact_id, one.at, one.at, wrote=True) for one in facts.replies]
            self.spans += [Span(one.contact_id, one.at, one.at, refused=True) for one in facts.opt_outs]

    async def _judge(self, facts: Facts) -> dict[UUID, UUID]:
        """Opens and clicks: what is new goes to the facts of its message; gives the messages of which one was judged otherwise before, with their contacts."""
        if not facts.hits:
            return {}
        corrected: dict[UUID, UUID] = {}
        for contact, at, message_id, kind, person, before in await self.connection.fetch(
            self.sql["hits"], *columns(facts.hits, 5), *columns(facts.hits.values(), 3)
        ):
            if before is None:
                facts.message(message_id, contact).happened(HIT[kind, person], at)
            elif before != person:
                corrected[message_id] = contact
            if before is not person and (before or HIT[kind, person] == CLICKED):
                self.buyers.add(contact)
        return corrected

    async def _count(self, messages: Mapping[UUID, Message]) -> asyncpg.Record:
        row = await self.connection.fetchrow(self.sql["count"], *arguments(messages))
        assert row is not None
        return row

    async def _correct(self, corrected: Mapping[UUID, UUID]) -> None:
        messages = list(corrected)
        self._noted(await self.connection.fetchrow(self.sql["correct"], list(set(corrected.values())), messages))
        self._differ(await self.connection.fetchrow(self.sql["recount"], messages))

    async def _owe(self) -> None:
        """Owes anew what may have moved."""
        contacts = sorted(self.buyers | {one.contact_id for one in self.spans if one.bought})
        if contacts:
            rules = [(tenant, rule.window, rule.after_delivery) for tenant, rule in self.rules.items()]
            self._moved(await self.connection.fetchrow(self.sql["attribute"], contacts, *columns(rules, 3)))
        if wrote := [one[:3] for one in self.spans if one.wrote]:
            for before, after, contact in await self.connection.fetch(self.sql["replies"], *columns(wrote, 3)):
                for message in self._between(before, after, contact):
                    message[0].replies += message[1]
        if refused := [one[:3] for one in self.spans if one.refused]:
            for before, after, contact in await self.connection.fetch(self.sql["opt_outs"], *columns(refused, 3)):
                for message in self._between(before, after, contact):
                    message[0].opt_outs += message[1]

    def _moved(self, row: asyncpg.Record | None) -> None:
        """Takes what a statement tells of conversions that moved."""
        assert row is not None
        self._differ(row)
        self.former |= set(row["former"] or ())
        for move in orjson.loads(row["moves"] or "[]"):
            before, after = (UUID(move[name]) if move[name] else None for name in ("before", "after"))
            for message, difference in self._between(before, after, UUID(move["contact_id"])):
                message.orders += difference

    def _between(self, before: UUID | None, after: UUID | None, contact: UUID) -> list[tuple[Message, int]]:
        """The message that loses something, and the one that gets it."""
        found = [(message_id, difference) for message_id, difference in ((before, -1), (after, 1)) if message_id is not None]
        return [(self.owed.setdefault(message_id, Message(contact)), difference) for message_id, difference in found]

    def _noted(self, row: asyncpg.Record | None) -> None:
        """Takes what a statement tells of messages that changed."""
        assert row is not None
        self._differ(row)
        for quarter, counts in zip(zip(row["cells"] or (), row["periods"] or (), strict=True), row["counts"] or (), strict=True):
            self._add(quarter, counts + [0] * OF_PEOPLE)
        asking = (row[name] or () for name in ("contacts", "since", "until", "wrote", "refused", "bought"))
        self.spans += [Span(*one) for one in zip(*asking, strict=True)]

    def _differ(self, row: asyncpg.Record | None) -> None:
        """Keeps differences of figures for the end."""
        assert row is not None
        for name in FIGURES:
            if told := row.get(name):
                self.figures[name].append(told)
        quarters = zip(row.get("people_cells") or (), row.get("people_periods") or (), strict=True)
        for quarter, counts in zip(quarters, row.get("people_counts") or (), strict=True):
            self._add(quarter, [0] * OF_MESSAGES + counts)

    def _add(self, quarter: Quarter, counts: list[int]) -> None:
        """Adds to a counter."""
        known = self.counters.get(quarter)
        self.counters[quarter] = counts if known is None else [mine + theirs for mine, theirs in zip(known, counts, strict=True)]


async def lock(connection: Connection, contacts: Iterable[UUID]) -> None:
    """What is said of a contact comes on several topics, which for a moment two replicas may hold: whoever comes second must see what the first one wrote."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, number) FROM unnest($2::integer[]) AS number", PEOPLE, locks(contacts))


def locks(contacts: Iterable[UUID]) -> list[int]:
    """The numbers of the contacts' locks, in the order in which everybody takes them."""
    return sorted({zlib.crc32(contact.bytes) - 2**31 for contact in contacts})


def arguments(messages: Mapping[UUID, Message]) -> tuple[str, str]:
    """Cells and messages as the arguments of `sql/count.sql`: as JSON without what is not said, since most of what could be said of a message is not."""
    cells = {cell: cell_id(cell) for cell in {one.cell for one in messages.values()} if cell is not None}
    return dumped([{"cell_id": name, **cell._asdict()} for cell, name in cells.items()]), dumped(
        [row(message_id, one, None if one.cell is None else cells[one.cell]) for message_id, one in messages.items()]
    )


def row(message_id: UUID, one: Message, cell: UUID | None) -> dict[str, object]:
    """What is said of a message, by the names of columns."""
    priced = dict(zip(("priced_at", "price", "currency"), one.priced, strict=True)) if one.priced else {}
    counts = {"segments": one.segments, "orders": one.orders, "replies": one.replies, "opt_outs": one.opt_outs}
    return {"message_id": message_id, "contact_id": one.contact_id, "cell_id": cell, **one.times, **one.reasons, **priced, **counts}


def dumped(rows: list[dict[str, object]]) -> str:
    return orjson.dumps(rows, default=str).decode()


def columns(rows: Iterable[Sequence[object]], width: int) -> list[list[object]]:
    """Rows as columns, also when there are none."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]

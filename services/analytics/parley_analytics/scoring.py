"""The worker that scores everybody, round after round, and tells the router what moved.

A round has a moment, as of which all are scored, in chunks by the order of their ids. A chunk is one transaction: its facts are read, its events published,
and the scores, as they were told, written with the place up to which the round has come. Whoever is killed before the end of that leaves it to the next, who
publishes the same events again under the same ids. One replica works at a time; between chunks it rests, for counting comes first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
import structlog

from parley import wire
from parley.bus import BusUnavailable
from parley.config import Tenant
from parley.contracts import ContactScored, Envelope, Record
from parley.database import OUTSIDE, Connection
from parley.service import Context
from parley_analytics import hours, persons, scored
from parley_analytics.erasing import of_contact
from parley_analytics.hours import Habits
from parley_analytics.persons import Forecast, Person, Setting
from parley_analytics.scores import NOTHING, Scores, moved
from parley_analytics.stage import ERASING

ROUND = timedelta(hours=1)
"""From the beginning of a round to that of the next; where a round takes longer, the next follows it at once."""
CHUNK = 200
"""People of a chunk: also the events that are published at once, at most."""
REST = 3.0
"""How much longer than a chunk the rest after it is: so scoring takes a quarter of a processor at most."""
EVERY = 10.0
"""Seconds between two looks whether a round is due."""
WITHIN = 10.0
"""Seconds that the bus may take."""
OUTSIDE_WORK: tuple[type[BaseException], ...] = (*OUTSIDE, BusUnavailable)

log = structlog.get_logger()


@dataclass(frozen=True)
class Scoring:
    """The worker. Every replica may run it. `every`: seconds between two looks, and the longest rest."""

    context: Context
    every: float = EVERY

    @property
    def tenants(self) -> Mapping[str, Tenant]:
        """Those whose people are scored."""
        return {name: one for name, one in self.context.config.tenants.items() if one.scores}

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop. While PostgreSQL or Kafka is away the round stands still."""
        while not stopping.is_set():
            began, rest = time.monotonic(), self.every
            try:
                if await self.step(self.context.clock()):
                    rest = min(self.every, REST * (time.monotonic() - began))
            except OUTSIDE_WORK as error:
                log.warning("scores wait", cause=f"{type(error).__name__}: {error}")
            await _pause(rest, stopping)

    async def step(self, now: datetime) -> bool:
        """The next piece of work: begins a round, looks at the buyers of one tenant, or scores a chunk. False where there is nothing to do, or another does it."""
        row = await self.context.pool.fetchrow("SELECT round, ended FROM scoring")
        assert row is not None, "the migrations wrote one row"
        if row["ended"]:
            return now - row["round"] >= ROUND and await scored.begin(self.context.pool, row["round"], now)
        known = await scored.foreseen(self.context.pool, row["round"])
        tenant = next((one for one in self.tenants if one not in known), None)
        if tenant is not None:
            await self._forecast(tenant, row["round"])
            return True
        return await self._chunk(row["round"])

    async def _forecast(self, tenant: str, moment: datetime) -> None:
        """How the tenant's buyers order; worked out beside the loop, for it may take a second."""
        buyers = await scored.buyers(self.context.pool, tenant, moment)
        found = await asyncio.to_thread(persons.forecast, buyers, moment)
        await scored.keep_forecast(self.context.pool, tenant, moment, orjson.dumps(found.dumped()).decode())

    async def _chunk(self, moment: datetime) -> bool:
        async with self.context.pool.acquire() as connection, connection.transaction():
            position = await connection.fetchval("SELECT position FROM scoring WHERE round = $1 AND NOT ended FOR UPDATE SKIP LOCKED", moment)
            if position is None:
                return False
            # Nobody is erased meanwhile: what was read of them would come back as a row.
            await connection.execute("SELECT pg_advisory_xact_lock_shared($1, $2)", *ERASING)
            contacts = await scored.following(connection, position, CHUNK)
            if not contacts:
                await scored.end(connection)
                return True
            records = await self._scored(connection, contacts, moment)
            await self.context.bus.publish(records, WITHIN)
            await connection.execute("UPDATE scoring SET position = $1", contacts[-1])
        self.context.metrics.scores.inc(len(records))
        return True

    async def _scored(self, connection: Connection, contacts: Sequence[UUID], moment: datetime) -> list[Record]:
        """Scores these contacts, keeps what is to be told, and gives its events."""
        people = await scored.people(connection, contacts, moment)
        told = await scored.told(connection, contacts)
        gone = [one for one in told if one not in people]
        people |= {one: Person(told[one].tenant) for one in await self._not_erased(connection, gone)}
        names = sorted({one.tenant for one in people.values()} & self.tenants.keys())
        forecasts, habits = await scored.forecasts(connection, names), await scored.habits(connection, names)
        changed: dict[UUID, tuple[str, Scores]] = {}
        for contact, person in people.items():
            tenant, before = self.context.config.tenants.get(person.tenant), told[contact].scores if contact in told else None
            if tenant is None or not tenant.scores:
                if before is not None:  # its people are not scored any more
                    changed[contact] = (person.tenant, NOTHING)
                    gone.append(contact)
                continue
            own = persons.acted(person, tenant.timezone, moment)
            found = persons.judged(person, _setting(tenant, habits, forecasts), own, moment, before)
            for channel in {"", person.channel}:
                habits.add((tenant.name, channel), own)
            if moved(before, found):
                changed[contact] = (tenant.name, found)
        await scored.keep(connection, changed, moment)
        await scored.forget(connection, gone)
        await scored.keep_habits(connection, habits)
        return [_event(contact, tenant, one, moment, self.context.clock()) for contact, (tenant, one) in changed.items()]

    async def _not_erased(self, connection: Connection, gone: Sequence[UUID]) -> list[UUID]:
        """Those of whom nothing is known any more, because it is too long ago. Who was erased hears nothing more, and is not spoken of."""
        hashes = {of_contact(self.context.settings.secret.get_secret_value().encode(), one): one for one in gone}
        erased = await scored.erased(connection, list(hashes))
        return [one for hashed, one in hashes.items() if hashed not in erased]


def _setting(tenant: Tenant, habits: Habits, forecasts: Mapping[str, Forecast]) -> Setting:
    forecast = forecasts.get(tenant.name, Forecast())
    return Setting(tenant.timezone, hours.daytime(tenant.daytime), habits.of(tenant.name, ""), habits.segments(tenant.name), forecast)


def _event(contact: UUID, tenant: str, found: Scores, moment: datetime, now: datetime) -> Record:
    """The event of a score: its id is made of contact and round, so a repeat has the same."""
    data = ContactScored(
        contact_id=contact, fan=found.fan, silent=found.silent, best_hour=found.best_hour, best_hour_of=found.best_hour_of,
        order_again=found.order_again, next_order_days=found.next_order_days, lifetime_value=found.lifetime_value, currency=found.currency, at=moment,
    )  # fmt: skip
    number = str(wire.natural_id("scored", str(contact), moment.isoformat()))
    return wire.encode(Envelope(id=number, source="parley/analytics", time=now, started_at=now, tenant=tenant, subject=str(contact), data=data))


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return

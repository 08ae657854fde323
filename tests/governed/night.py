"""Hours, by a clock that is moved: two replicas live through nights in Seoul and New York while messages are asked for, and each that leaves is held against
the hour at which it did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import yaml

from parley import wire
from parley.contracts import Channel, ConsentChanged, Content, Data, Envelope, MessageRequested, Purpose
from parley.local import free_port
from parley.service import Running, running
from parley.settings import Settings
from parley.twin.behaviour import Behaviour
from parley.twin.ledger import TAKEN, Request
from parley.twin.server import running_twin
from parley.twin.shape import Account
from parley.twin.twin import Twin, TwinOptions
from parley.wire import natural_id
from parley_sender.app import SERVICE

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SID, TOKEN = "AC" + "0" * 32, "token"
OPEN, CLOSED = time(8), time(21)
"""Korea and the federal United States alike: advertising from 8 to 21, by the clock of whoever gets it."""
WITHIN = 30.0
TENANT = "acme"
ACCOUNTS = ("night-a", "night-b")


@dataclass(frozen=True, slots=True)
class Place:
    """Where people are: what their numbers begin with, and the zone of their profile."""

    name: str
    number: str
    zone: ZoneInfo


PLACES = (Place("Seoul", "+8210", ZoneInfo("Asia/Seoul")), Place("New York", "+1212555", ZoneInfo("America/New_York")))


@dataclass
class Hand:
    """The clock that the services are given: it stands until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Night:
    """What was seen: each message that left, where to, and the hour there."""

    asked: int = 0
    left: list[tuple[str, datetime]] = field(default_factory=list)
    open: int = 0

    @property
    def offences(self) -> list[str]:
        return [f"{at:%a %H:%M} in {place}" for place, at in self.left if not OPEN <= at.time() < CLOSED]


def moments(begin: datetime, hours: int, every: timedelta) -> Iterator[datetime]:
    """Moments through so many hours, and those right before and at each beginning and end of the day in every place."""
    end = begin + timedelta(hours=hours)
    edges = {
        datetime.combine(day.date(), edge, place.zone).astimezone(UTC)
        for place in PLACES for day in (begin + timedelta(days=number) for number in range(-1, hours // 24 + 2)) for edge in (OPEN, CLOSED)
    }  # fmt: skip
    near = {edge + offset for edge in edges for offset in (-timedelta(seconds=1), timedelta(0), timedelta(seconds=1))}
    steps = {begin + every * number for number in range(int((end - begin) / every) + 1)}
    yield from sorted(one for one in steps | near if begin <= one <= end)


def write(folder: Path, url: str, caps: Sequence[dict[str, object]] = ()) -> Path:
    """The configuration: two numbers at the twin, Korea's and America's law by the numbers of the recipients."""
    account = {"tenant": TENANT, "provider": "twilio", "channel": "sms", "rate": "500/s", "burst": 100, "base_url": url,
               "credentials": {"account_sid": "env:NIGHT_SID", "auth_token": "env:NIGHT_TOKEN"}}  # fmt: skip
    accounts = {name: {**account, "sender": f"+1500555000{place}"} for place, name in enumerate(ACCOUNTS)}
    document = {"tenants": {TENANT: {"timezone": "Asia/Seoul", "languages": ["ko", "en"]}}, "accounts": accounts}
    policy = {"country": "KR", "name": "Acme", "opt_out": {"ko": "무료수신거부 080-000-0000", "en": "Reply STOP to opt out"}, "caps": list(caps)}
    (folder / "accounts.yaml").write_text(yaml.safe_dump(document))
    (folder / "policies.yaml").write_text(yaml.safe_dump({"tenants": {TENANT: policy}}, allow_unicode=True))
    return folder


@dataclass
class Watch:
    """Two replicas, the clock and the twin."""

    hand: Hand
    twin: Twin
    replicas: Sequence[Running]
    seen: int = 0

    async def ask(self, *some: Data) -> None:
        records = [
            wire.encode(Envelope(id=str(uuid4()), source="night", time=self.hand(), tenant=TENANT, started_at=self.hand(), data=one)) for one in some
        ]
        await self.replicas[0].context.bus.publish(records)

    async def rest(self, asked: int) -> list[Request]:
        """Until everything that may leave now has; gives what did since the last time. `asked`: messages so far."""
        pool = self.replicas[0].context.pool
        query = """SELECT (SELECT count(*) FROM deliveries) < $1 OR EXISTS (SELECT FROM queue WHERE state IN ('ready', 'calling')
                       OR (state = 'timed' AND due_at <= $2))"""
        try:
            async with asyncio.timeout(WITHIN):
                while await pool.fetchval(query, asked, self.hand()):
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            rows = await pool.fetch("SELECT state, due_at, count(*) FROM queue GROUP BY 1, 2 ORDER BY 1, 2")
            known = await pool.fetchval("SELECT count(*) FROM deliveries")
            raise RuntimeError(f"no rest at {self.hand()} with {known} of {asked} known; waiting: {[tuple(row) for row in rows]}") from error
        entries = self.twin.ledger.book.entries
        found = [one for one in entries[self.seen :] if isinstance(one, Request) and one.verdict in TAKEN]
        self.seen = len(entries)
        return found

    async def open(self) -> int:
        """Messages that wait."""
        found: int = await self.replicas[0].context.pool.fetchval("SELECT count(*) FROM queue")
        return found


@contextlib.asynccontextmanager
async def watch(settings: Settings, folder: Path, begin: datetime, caps: Sequence[dict[str, object]] = ()) -> AsyncIterator[Watch]:
    """Both replicas, at the hour `begin`. The variables NIGHT_SID and NIGHT_TOKEN must be set."""
    credentials = {"account_sid": SID, "auth_token": TOKEN}
    accounts = [Account(name=name, provider="twilio", sender=f"+1500555000{place}", credentials=credentials) for place, name in enumerate(ACCOUNTS)]
    hand = Hand(begin)
    async with running_twin(TwinOptions(folder / "ledger.jsonl", port=0, accounts=accounts, behaviours={"*": Behaviour(receipts=False)})) as twin:
        own = settings.model_copy(update={"config": write(folder, twin.url, caps)})
        first, second = (own.model_copy(update={"port": free_port()}) for _ in range(2))
        async with running(SERVICE, first, hand) as one, running(SERVICE, second, hand) as other:
            yield Watch(hand, twin, (one, other))


async def nights(settings: Settings, folder: Path, begin: datetime, hours: int, every: timedelta, each: int = 2) -> Night:
    """Asks for `each` advertisements to each place at each moment, and notes when they leave."""
    night = Night()
    async with watch(settings, folder, begin) as now:
        for number, moment in enumerate(moments(begin, hours, every)):
            now.hand.now = moment
            some = [_message(place, number, place_number, one) for place_number, place in enumerate(PLACES) for one in range(each)]
            await now.ask(*(_consent(one, begin) for one in some), *some)
            night.asked += len(some)
            await _seen(now, night)
        now.hand.now += timedelta(minutes=1)  # a message that came before its consent is looked at again a second later
        await _seen(now, night)
        night.open = await now.open()
    return night


async def _seen(now: Watch, night: Night) -> None:
    """Notes what left at this moment."""
    for one in await now.rest(night.asked):
        place = next(place for place in PLACES if (one.recipient or "").startswith(place.number))
        night.left.append((place.name, now.hand.now.astimezone(place.zone)))


def _message(place: Place, number: int, place_number: int, one: int) -> MessageRequested:
    person = number * 10 + one
    digits = f"{person:08d}" if place.number == "+8210" else f"{person % 10_000:04d}"
    return MessageRequested(
        contact_id=natural_id("night", place.name, str(person)), message_id=natural_id("night", place.name, str(number), str(one)), purpose=Purpose.MARKETING,
        channels=(Channel.SMS,), account=ACCOUNTS[(number + place_number) % 2], addresses={Channel.SMS: place.number + digits},
        content=Content(text="(광고) Acme: tea. 무료수신거부 080-000-0000. Reply STOP to opt out"), campaign="night", timezone=place.zone.key,
    )  # fmt: skip


def _consent(one: MessageRequested, begin: datetime) -> ConsentChanged:
    return consent(one.contact_id, one.addresses[Channel.SMS], begin - timedelta(days=1))


def consent(contact: UUID, address: str, at: datetime) -> ConsentChanged:
    return ConsentChanged(contact_id=contact, channel=Channel.SMS, address=address, purpose=Purpose.MARKETING, state="granted", source="night", at=at)

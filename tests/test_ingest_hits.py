"""From hits to engagement on real Kafka and PostgreSQL: judged once, told once, whatever is killed and however many replicas there are."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from parley import service, wire
from parley.bus import Bus, BusUnavailable
from parley.contracts import Channel, Data, DeliveryChanged, DeliveryStatus, EngagementRecorded, Envelope, HitsDue, LinkHit, LinkMinted, Purpose
from parley.local import free_port
from parley.settings import Settings
from parley_ingest.app import SERVICE
from parley_ingest.hits import Due
from tests.conftest import until
from tests.engagement_corpus import BROWSERS
from tests.ingesting import NOW, Ingest, records, running, write_accounts
from tests.test_start_stop import environment

pytestmark = pytest.mark.stack
PERSON = {"user-agent": BROWSERS[0], "accept-language": "ko"}


@pytest.fixture
def own(settings, tmp_path) -> Settings:
    return settings.model_copy(update={"config": write_accounts(tmp_path)})


def event(data: Any, event_id: str | None = None) -> Envelope:
    return Envelope(id=event_id or str(uuid4()), source="parley/ingest", time=NOW, tenant="acme", subject=str(data.contact_id), data=data)


def hit(message: UUID, at: datetime, code: str = "code01", **more: Any) -> LinkHit:
    plain = {"agent": BROWSERS[0], "language": True, "kind": "clicked", "contact_id": UUID(int=7)}
    return LinkHit(message_id=message, code=code, at=at, **{**plain, **more})


async def say(bus: Bus, *data: Data) -> None:
    await bus.publish([wire.encode(event(one)) for one in data])


async def recorded(settings: Settings) -> dict[str, set[EngagementRecorded]]:
    """What is on the bus, by the event's id: one thing said of each, however often."""
    found: defaultdict[str, set[EngagementRecorded]] = defaultdict(set)
    for one in await records(settings, EngagementRecorded.topic):
        told = wire.decode(EngagementRecorded.topic, one.headers, one.value)
        found[told.id].add(told.data)
    return found


async def told(settings: Settings, count: int, seconds: float = 60) -> list[EngagementRecorded]:
    """All that is recorded, once there is something of `count` hits; of each hit one thing."""
    found: dict[str, set[EngagementRecorded]] = {}

    async def enough() -> bool:
        found.update(await recorded(settings))
        return len(found) >= count

    await until(enough, f"{count} hits to be recorded", seconds)
    assert {1} == {len(said) for said in found.values()}
    return [said for one in found.values() for said in one]


async def stored(one: Ingest, count: int) -> None:
    async def there() -> bool:
        return await one.one.context.pool.fetchval("SELECT count(*) FROM hits") == count

    await until(there, f"{count} hits to be kept")


async def linked(one: Ingest, *codes: str) -> None:
    """Links come over a topic of their own: a hit that is judged before its link is known has none."""

    async def there() -> bool:
        return await one.one.context.pool.fetchval("SELECT count(*) FROM links WHERE code = ANY($1)", list(codes)) == len(codes)

    await until(there, f"the links {', '.join(codes)} to be kept")


async def settled(one: Ingest, count: int) -> None:
    async def there() -> bool:
        return await one.one.context.pool.fetchval("SELECT count(*) FROM hits WHERE settled") == count

    await until(there, f"{count} hits to be settled")


# --- what is judged, and when ----------------------------------------------------------------------------------------------------------


def test_a_burst_is_judged_as_a_whole(own, run):
    """The first of three links is a machine's too, though it came alone; each hit is recorded once, with its link, under the version of the rules."""

    async def main():
        async with running(own) as one:
            message = uuid4()
            links = [
                LinkMinted(contact_id=UUID(int=7), code=f"burst{n}", url=f"https://shop.example/{n}", message_id=message, at=NOW) for n in range(3)
            ]
            hits = [hit(message, NOW + timedelta(seconds=n * 0.9), f"burst{n}") for n in range(3)]
            await say(one.one.context.bus, *links)
            await linked(one, *(link.code for link in links))
            await say(one.one.context.bus, *hits)
            await stored(one, 3)
            one.clock[0] += timedelta(seconds=4.9)
            return await told(own, 3)

    found = sorted(run(main()), key=lambda one: one.at)

    assert [(f"https://shop.example/{n}", "scanner", "burst", 1) for n in range(3)] == [(one.link, one.by, one.reason, one.rules) for one in found]


def test_nothing_is_judged_before_its_time_and_nothing_twice(own, run):
    """A hit that is three seconds old is settled, a younger one waits; a repeat of a hit, and of the word that it is due, changes nothing."""

    async def main():
        async with running(own) as one:
            bus, message = one.one.context.bus, uuid4()
            old, young = (wire.encode(event(hit(message, NOW + timedelta(seconds=seconds)), str(UUID(int=int(seconds))))) for seconds in (0, 3))
            await bus.publish([old, young, old])
            await stored(one, 2)
            due = wire.encode(event(HitsDue(contact_id=UUID(int=7), message_id=message, until=NOW + timedelta(seconds=1))))
            await bus.publish([due, due, old, due])
            await settled(one, 1)
            first = await told(own, 1)
            one.clock[0] += timedelta(seconds=6)
            return [one.at for one in first], sorted(one.at for one in await told(own, 2)), len(await records(own, EngagementRecorded.topic))

    assert ([NOW], [NOW, NOW + timedelta(seconds=3)], 2) == run(main())


def test_who_follows_a_link_as_the_mail_arrives_is_no_reader(own, run):
    """The stage `handed` learns from sender's events when the mail left and arrived, hours after its links were minted."""

    async def main():
        async with running(own) as one:
            message = uuid4()
            known = {"contact_id": UUID(int=7), "message_id": message}
            mail = {**known, "channel": Channel.EMAIL, "account": "mail", "purpose": Purpose.MARKETING, "campaign": "tea"}
            link = LinkMinted(**known, code="mail01", url="https://shop.example", channel=Channel.EMAIL, at=NOW - timedelta(hours=5))
            sent = DeliveryChanged(**mail, status=DeliveryStatus.SENT, at=NOW - timedelta(seconds=60))
            arrived = DeliveryChanged(**mail, status=DeliveryStatus.DELIVERED, at=NOW)
            await say(one.one.context.bus, link, sent, arrived)

            async def learnt() -> bool:
                query = "SELECT (SELECT count(*) FROM handed) + (SELECT count(*) FROM links)"
                return await one.one.context.pool.fetchval(query) == 3

            await until(learnt, "the mail to be known")
            await say(one.one.context.bus, *(hit(message, NOW + timedelta(seconds=seconds), "mail01") for seconds in (-58, -30, 1, 90)))
            await stored(one, 4)
            one.clock[0] += timedelta(seconds=100)
            return sorted(await told(own, 4), key=lambda one: one.at)

    assert ["soon", "no_sign", "soon", "no_sign"] == [one.reason for one in run(main())]


def test_one_appliance_with_many_mails_is_seen_across_messages(own, run):
    """Five messages' links from one client within ten seconds: their partitions differ, their client is the same."""

    async def main():
        async with running(own) as one:
            fleet = [hit(uuid4(), NOW + timedelta(seconds=n * 0.4), client="appliance") for n in range(5)]
            office = [hit(uuid4(), NOW + timedelta(seconds=n), client="office") for n in range(3)]
            await say(one.one.context.bus, *fleet, *office)
            await stored(one, 8)
            one.clock[0] += timedelta(seconds=8)
            found = await told(own, 8)
            return sorted(found, key=lambda one: one.at), {one.message_id for one in fleet}

    found, fleet = run(main())

    assert {("scanner", "fleet")} == {(one.by, one.reason) for one in found if one.message_id in fleet}
    assert {("human", "no_sign")} == {(one.by, one.reason) for one in found if one.message_id not in fleet}


def test_a_persons_click_is_recorded_within_about_five_seconds(own, run):
    """By the clocks of the world, from the request to the record on the bus."""

    async def main():
        settings = own.model_copy(update={"port": free_port()})
        async with service.running(SERVICE, settings) as one, aiohttp.ClientSession() as http:
            link = LinkMinted(contact_id=uuid4(), code="quick123", url="https://shop.example", message_id=uuid4(), at=NOW)
            await say(one.context.bus, link)
            async with http.get(f"http://127.0.0.1:{settings.port}/l/quick123", headers=PERSON, allow_redirects=False) as answer:
                assert 302 == answer.status
            (said,) = await told(settings, 1)
            (record,) = await records(settings, EngagementRecorded.topic)
            return said, datetime.fromtimestamp(record.timestamp / 1000, UTC) - said.at

    said, took = run(main())

    assert ("human", "no_sign") == (said.by, said.reason)
    assert timedelta(seconds=3) <= took < timedelta(seconds=6)


def test_what_is_judged_is_forgotten_and_what_is_not_stays(own, run):
    """After an hour; nothing that waits is lost to tidiness."""

    async def main():
        async with running(own) as one:
            context, message = one.one.context, uuid4()
            await say(context.bus, hit(message, NOW), hit(message, NOW + timedelta(hours=2)))
            await stored(one, 2)
            await context.pool.execute("UPDATE hits SET settled = true WHERE at = $1", NOW)
            await Due(context).forget(NOW + timedelta(minutes=59))
            kept = await context.pool.fetchval("SELECT count(*) FROM hits")
            await Due(context).forget(NOW + timedelta(hours=9))
            return kept, [row["at"] for row in await context.pool.fetch("SELECT at FROM hits")]

    assert (2, [NOW + timedelta(hours=2)]) == run(main())


# --- what may break --------------------------------------------------------------------------------------------------------------------


def test_a_crash_between_the_verdict_and_its_record_loses_nothing(own, run):
    """Settled in the database, not on the bus: the next owner finds the record in the cursor."""

    async def main():
        async def never(some, timeout=0):
            if some:
                raise BusUnavailable("the broker is gone")

        message = uuid4()
        with contextlib.suppress(Exception):
            async with running(own.model_copy(update={"drain": 0.5})) as one:
                bus = one.one.context.bus
                publish, bus.publish = bus.publish, never
                await publish([wire.encode(event(hit(message, NOW)))])
                await publish([wire.encode(event(HitsDue(contact_id=UUID(int=7), message_id=message, until=NOW)))])
                await settled(one, 1)
                nothing = await records(own, EngagementRecorded.topic)
                await bus.broker.stop()
                one.one.context.pool.terminate()
        async with running(own):
            return len(nothing), [(one.by, one.at) for one in await told(own, 1)]

    assert (0, [("human", NOW)]) == run(main())


@contextlib.asynccontextmanager
async def replica(settings: Settings, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real `parley ingest` on a port and a spool of its own, SIGKILLed at the end."""
    port = free_port()
    own = settings.model_copy(update={"port": port, "spool": settings.spool / str(port)})
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "parley", "ingest", env=environment(own), stderr=file, stdout=file)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.kills
def test_two_replicas_and_sigkills_judge_every_hit_once(own, run, tmp_path):
    """Bursts and single clicks while replicas are killed and replaced: of each hit one verdict, and the right one."""

    async def main():
        bus = Bus(own, client="test")
        await bus.ensure_topics()
        bursts, singles = [uuid4() for _ in range(120)], [uuid4() for _ in range(240)]

        async def traffic() -> None:
            for place in range(120):
                now = datetime.now(UTC)
                await say(
                    bus, *(hit(bursts[place], now, f"code{n}") for n in range(3)), *(hit(one, now) for one in singles[2 * place : 2 * place + 2])
                )
                await asyncio.sleep(0.1)

        async def some(count: int) -> None:
            async def there() -> bool:
                return len(await recorded(own)) >= count

            await until(there, f"{count} hits to be recorded", 60)

        async with replica(own, tmp_path / "log"):
            async with replica(own, tmp_path / "log"):
                sending = asyncio.create_task(traffic())
                await some(60)
            async with replica(own, tmp_path / "log"):
                await some(240)
            await sending
            async with replica(own, tmp_path / "log"):
                found = await told(own, 600, 90)
        await bus.stop()
        return found, set(bursts)

    found, bursts = run(main())

    assert 600 == len(found)
    assert {"burst"} == {one.reason for one in found if one.message_id in bursts}
    assert {"no_sign"} == {one.reason for one in found if one.message_id not in bursts}

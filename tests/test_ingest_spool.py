"""The door while Kafka is away: what gets a 2xx is on disk, comes onto the bus later in the order in which it came, and survives SIGKILL."""

import asyncio
import base64
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import orjson
import pytest
from twilio.request_validator import RequestValidator

from parley import wire
from parley.local import free_port
from parley.local.kafka import Kafka
from parley.settings import Settings
from tests.conftest import until
from tests.ingesting import KEY, Ingest, form, raw, records, running, write_accounts
from tests.serving import values
from tests.test_ingest_door import kafka_away
from tests.test_start_stop import environment

pytestmark = pytest.mark.stack


@pytest.fixture
def away(settings, tmp_path) -> Settings:
    return settings.model_copy(update={"config": write_accounts(tmp_path)})


def message(sender: str, number: int, text: str | None = None) -> dict[str, str]:
    return {"MessageSid": f"SM{sender[1:]}x{number}", "From": sender, "To": "+15005550006", "Body": text or str(number), "NumMedia": "0"}


def post(base: str, sender: str, number: int, text: str | None = None) -> dict:
    """A request of Twilio, signed for the address that it goes to."""
    fields = message(sender, number, text)
    signature = RequestValidator("unused").compute_signature(f"{base}/hooks/sms", fields)
    return {"data": form(**fields), "headers": {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}}


async def write(one: Ingest, sender: str, number: int) -> int:
    return (await one.ask("POST", "/hooks/sms", **post(one.base, sender, number)))[0]


async def write_text(one: Ingest, sender: str, number: int, text: str) -> int:
    return (await one.ask("POST", "/hooks/sms", **post(one.base, sender, number, text)))[0]


async def metrics(http: aiohttp.ClientSession, base: str) -> dict[tuple[str, ...], float]:
    async with http.get(f"{base}/metrics") as answer:
        return values(await answer.text())


async def readiness(http: aiohttp.ClientSession, base: str) -> int:
    async with http.get(f"{base}/readyz") as answer:
        return answer.status


async def on_the_bus(settings: Settings) -> list[tuple[str, int]]:
    """Sender and number of each message, in order, each once."""
    found = [dict(parse_qsl(base64.b64decode(orjson.loads(one.value)["body"]).decode())) for one in await records(settings, "parley.raw")]
    return list(dict.fromkeys((one["From"], int(one["Body"])) for one in found))


def in_order(found: list[tuple[str, int]]) -> bool:
    """Whether each sender's numbers only grow."""
    lines: dict[str, list[int]] = {}
    for sender, number in found:
        lines.setdefault(sender, []).append(number)
    return all(line == sorted(line) for line in lines.values())


async def drained(one: Ingest) -> None:
    async def so() -> bool:
        return (await metrics(one.http, one.base))["parley_spool_records",] == 0

    await until(so, "the spool to be drained")


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "silent"])
def test_without_kafka_requests_are_taken_and_only_the_first_waits(away, run, silent):
    """The first ones find out, the others go to disk at once; with Kafka back all are on the bus, in order, and it is as before."""

    async def main():
        async with running(away) as one:
            bus = one.one.context.bus
            before = bus._settings
            await write(one, "+821000000001", 0)
            await kafka_away(one, silent=silent)
            began = time.monotonic()
            first = await asyncio.gather(*(write(one, f"+82100000000{sender}", 1) for sender in range(1, 6)))
            known = time.monotonic()
            rest = [await write(one, f"+82100000000{sender}", number) for number in range(2, 12) for sender in range(1, 6)]
            ended = time.monotonic()
            event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "parley.customer.event",
                     "data": {"customer": {"id": "c"}, "name": "order.placed", "properties": {}, "occurred_at": "2026-11-24T09:00:00Z"}}  # fmt: skip
            headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {KEY}"}
            rest.append((await one.ask("POST", "/events", data=orjson.dumps(event), headers=headers))[0])
            filled = await metrics(one.http, one.base)
            bus._settings = before
            await drained(one)
            last = await write(one, "+821000000001", 12)
            return (
                [*first, *rest[:-1], last],
                rest[-1],
                known - began,
                ended - known,
                filled,
                await on_the_bus(away),
                await one.topic("parley.customers"),
            )

    hooks, event, finding, rest, filled, found, events = run(main())

    assert ({200}, 202) == (set(hooks), event)
    assert finding < 4 and rest < 5
    assert (56, True) == (filled["parley_spool_records",], filled["parley_spool_bytes",] > 56 * 200)
    assert (57, True, 1) == (len(found), in_order(found), len(events))


def test_what_is_under_way_when_kafka_goes_keeps_its_place(away, run):
    """A request that comes later never overtakes one that still waits for Kafka: both go to the spool, in the order of their arrival."""

    async def main():
        async with running(away) as one:
            bus = one.one.context.bus
            before = bus._settings
            await kafka_away(one, silent=True)
            late = []
            for number in range(20):  # they come one after the other, and wait together
                late.append(asyncio.create_task(write(one, "+821000000001", number)))
                await asyncio.sleep(0.01)
            answers = await asyncio.gather(*late, write(one, "+821000000001", 20))
            bus._settings = before
            await drained(one)
            return answers, await on_the_bus(away)

    answers, found = run(main())

    assert [200] * 21 == answers
    assert [("+821000000001", number) for number in range(21)] == found


def test_a_full_spool_says_when_to_come_again(away, run):
    """503 with Retry-After, at once; what was taken before is not touched."""

    async def main():
        async with running(away.model_copy(update={"spool_bytes": 4_000})) as one:
            before = one.one.context.bus._settings
            await kafka_away(one, silent=False)
            answers = [await one.ask("POST", "/hooks/sms", **post(one.base, "+821000000001", number)) for number in range(20)]
            one.one.context.bus._settings = before
            await drained(one)
            return answers, await on_the_bus(away)

    answers, found = run(main())
    taken = [status for status, _, _ in answers].count(200)

    assert [200] * taken + [503] * (20 - taken) == [status for status, _, _ in answers]
    assert 2 < taken < 20
    assert "5" == answers[-1][2]["retry-after"]
    assert taken == len(found)


def test_a_clean_stop_leaves_the_rest_to_the_next_start(away, run):
    """SIGTERM while Kafka is away does not wait for it."""
    fixed = away.model_copy(update={"port": free_port()})

    async def main():
        async with running(fixed, fixed.port) as one:
            await kafka_away(one, silent=False)
            answers = [await write(one, "+821000000001", number) for number in range(3)]
        left = len(list(fixed.spool.rglob("*.spool")))
        async with running(fixed, fixed.port) as one:
            await drained(one)
            return answers, left, await on_the_bus(fixed)

    answers, left, found = run(main())

    assert ([200] * 3, 1) == (answers, left)
    assert [0, 1, 2] == [number for _, number in found]
    assert not fixed.spool.exists() or not any(fixed.spool.iterdir())


class Customers:
    """Some who write all the time, each one message after the other: who hears no 2xx says the same again."""

    def __init__(self, base: str) -> None:
        self.base, self.taken = base, set()
        self.stop = asyncio.Event()

    async def write(self, http: aiohttp.ClientSession, sender: str) -> None:
        number = 0
        while not self.stop.is_set():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with http.post(f"{self.base}/hooks/sms", **post(self.base, sender, number)) as answer:
                    if answer.status == 200:
                        self.taken.add((sender, number))
                        number += 1
            await asyncio.sleep(0.02)

    async def more(self, count: int) -> None:
        """Returns once so many more messages were taken."""
        wanted = len(self.taken) + count

        async def so() -> bool:
            return len(self.taken) >= wanted

        await until(so, f"{count} messages to be taken", 60)


@contextlib.asynccontextmanager
async def ingest(settings: Settings, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real `parley ingest`, SIGKILLed at the end."""
    with log.open("ab") as file:
        command = [sys.executable, "-m", "parley", "ingest"]
        process = await asyncio.create_subprocess_exec(*command, env=environment(settings, stuck=1), stderr=file, stdout=file)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


@pytest.mark.kills
def test_nothing_that_got_a_2xx_is_lost_when_kafka_and_ingest_are_killed(database, tmp_path, run):
    """Kafka is killed; ingest goes on taking; it is killed too, comes back without Kafka, and takes; Kafka comes back: all is there, in order.

    And all the time it is ready: else a cluster would keep customers from a door that is open.
    """
    kafka = Kafka(tmp_path / "kafka", free_port())
    settings = Settings(
        kafka=kafka.address, database=database, config=write_accounts(tmp_path), partitions=3, port=free_port(), spool=tmp_path / "spool"
    )
    customers = Customers(f"http://127.0.0.1:{settings.port}")

    async def main():
        await kafka.start()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http, asyncio.TaskGroup() as writing:
            async with ingest(settings, tmp_path / "log"):
                for sender in range(8):
                    writing.create_task(customers.write(http, f"+82100000000{sender}"))
                await customers.more(100)
                await kafka.kill()
                await customers.more(300)
                ready = [await readiness(http, customers.base)]
            async with ingest(settings, tmp_path / "log"):
                await customers.more(200)
                ready.append(await readiness(http, customers.base))
                await kafka.start()
                await customers.more(100)
                customers.stop.set()

                async def empty() -> bool:
                    return (await metrics(http, customers.base))["parley_spool_records",] == 0

                await until(empty, "the spool to be drained", 60)
        return ready, await on_the_bus(settings)

    async def whole():
        try:
            return await main()
        finally:
            await kafka.stop()

    ready, found = run(whole())

    assert [200, 200] == ready
    assert set() == customers.taken - set(found)
    assert in_order(found)
    assert len(customers.taken) >= 700


def test_what_is_spooled_is_the_record_itself(away, run):
    """Key, headers and value come onto the bus as they would have without the spool."""
    event = raw("sms", form(**message("+821000000001", 1)), sender="+821000000001")

    async def main():
        async with running(away) as one:
            before = one.one.context.bus._settings
            await kafka_away(one, silent=False)
            door = next(worker for worker in one.one.workers if hasattr(worker, "spool"))
            await door.put([wire.encode(event)])
            one.one.context.bus._settings = before
            await drained(one)
            return await records(away, "parley.raw")

    (found,) = run(main())

    assert wire.encode(event)[1:] == (found.key, list(found.headers), found.value)


def test_the_spool_is_nobody_elses_to_read(away, run):
    """What customers write is in it."""

    async def main():
        async with running(away) as one:
            await kafka_away(one, silent=False)
            await write(one, "+821000000001", 1)
            return [oct(os.stat(path).st_mode & 0o777) for path in away.spool.rglob("*.spool")]

    assert ["0o600"] == run(main())

"""One governed run: servers, the twin as referee, two replicas of sender; the traffic of a seed and what strikes meanwhile; then rest, and what there is to look at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import orjson

from parley import wire
from parley.bus import Bus
from parley.contracts import Data, Envelope, Record
from parley.demo import premises
from parley.demo.fleet import USUAL, Child, Fleet, Terms
from parley.demo.premises import Premises
from parley.demo.witness import Tail
from parley.local import Places, Stack, StackError, free_port
from parley.settings import Settings
from parley.twin.ledger import Request
from parley_sender.spread import STEADY
from tests.governed import lanes as lanes_
from tests.governed.audit import Delivery, Seen, Stopped
from tests.governed.lanes import Lane
from tests.governed.spans import EVERYBODY, Event
from tests.governed.strikes import Strike
from tests.governed.traffic import Traffic, refusal

REPLICAS = ("sender-a", "sender-b")
CHUNK = 2000
FILLED_WITHIN, REST_WITHIN = 300.0, 300.0
QUIET = {"receipts": False, "latency_ms": 30, "latency_p99_ms": 120}
"""The provider, all the time: answers take long enough that whoever is killed has calls under way. Receipts would go to nobody."""
THROTTLED = 8.0
"""Messages a second that the moody provider takes in an episode."""
SHARED_WITHIN = 3.0
"""Seconds after which the first replica has left lanes to the one that came later."""
STARTS = 5
COMMITS = "track_commit_timestamp"
"""The setting of PostgreSQL by which it knows afterwards when a STOP was committed."""
REFEREE, PLAYERS = -12, -6
"""Niceness: the referee's clock goes before the players, and with `ahead` the players before everybody else on the machine."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is played."""

    seed: int
    seconds: float
    lanes: Sequence[Lane]
    traffic: Traffic
    strikes: Sequence[Strike] = ()
    episodes: Sequence[tuple[float, float]] = ()
    ahead: bool = False
    """Whether it goes before whatever else runs on the machine."""
    together: bool = False
    """Whether it begins when the replicas share the lanes; else the first one has them all."""


@dataclass(frozen=True)
class Aftermath:
    """What is there at the end. `begin`: when everything stood in line (epoch seconds); `short`: parts whose backlog was used up before the end."""

    seen: Seen
    begin: float
    events: Sequence[Event]
    struck: Sequence[tuple[float, str]]
    short: Sequence[str]
    left: int
    errors: Sequence[str]


@dataclass
class Run:
    """A run under way."""

    fleet: Fleet
    papers: Premises
    settings: Settings
    lanes: Sequence[Lane]
    replicas: dict[str, Child]
    say: Say
    bus: Bus
    ahead: bool = False
    began: float = field(default_factory=time.time)
    events: list[Event] = field(default_factory=list)
    struck: list[tuple[float, str]] = field(default_factory=list)

    async def hurry(self) -> None:
        """Puts the players before others, until cancelled: processes come and go."""
        servers = [one for name, one in self.fleet.servers.items() if name in ("kafka", "postgres")]
        while self.ahead:
            for one in [*self.replicas.values(), *servers]:
                for process in (one.pid, *_children(one.pid)):
                    _before_others(process, PLAYERS)
            await asyncio.sleep(2)

    # --- traffic -------------------------------------------------------------------------------------------------------------------

    async def fill(self, traffic: Traffic, together: bool) -> None:
        """Puts consents and backlogs on the bus, and waits until the sender has them; meanwhile the lanes are paused."""
        now = datetime.now(UTC)
        await self._pause("'governed'")
        await self._publish([_enveloped(one, tenant) for tenant, one in traffic.consents(now)])
        await self._publish([_enveloped(one, tenant) for tenant, one in traffic.backlog])
        async with asyncio.timeout(FILLED_WITHIN):
            while await self.ask("SELECT count(*) FROM sender.deliveries") < len(traffic.backlog):
                await asyncio.sleep(0.5)
        if together:
            await self._come_together()
        await self._pause("NULL")

    async def _pause(self, by: str) -> None:
        """As an operator does it, for all lanes."""
        async with asyncio.timeout(FILLED_WITHIN):
            while await self.ask("SELECT count(*) FROM sender.lanes") < sum(lane.shares for lane in self.lanes):
                await asyncio.sleep(0.2)
        await self.ask(
            f"WITH set AS (UPDATE sender.lanes SET paused_by = {by}, paused_at = now() RETURNING pg_notify('parley_lanes', lane || ' '))"
            " SELECT count(*) FROM set"
        )

    async def talk(self, traffic: Traffic) -> None:
        """Replies and STOPs, each at its time."""
        now = datetime.now(UTC)
        due = [(at, _enveloped(one, lanes_.TENANT)) for at, one in traffic.replies]
        due += [(stop.at, _enveloped(refusal(stop, now), lanes_.TENANT)) for stop in traffic.stops]
        due.sort(key=lambda one: one[0])
        while due:
            if (wait := self.began + due[0][0] - time.time()) > 0:
                await asyncio.sleep(wait)
            count = bisect_right(due, time.time() - self.began, key=lambda one: one[0])
            await self._publish([record for _, record in due[:count]])
            del due[:count]

    async def _come_together(self) -> None:
        """Waits until the replicas share the lanes, as they do when nobody came or went for a while."""
        if (wait := max(self._ready()) + STEADY + SHARED_WITHIN - time.time()) > 0:
            self.say(f"replicas share the lanes within {wait:.0f} s")
            await asyncio.sleep(wait)

    def _ready(self) -> list[float]:
        return [
            datetime.fromisoformat(line["timestamp"]).timestamp()
            for child in self.replicas.values() for line in _log(child.log) if line.get("event") == "ready"
        ]  # fmt: skip

    async def _publish(self, records: Sequence[Record]) -> None:
        for first in range(0, len(records), CHUNK):
            await self.bus.publish(records[first : first + CHUNK])

    async def ask(self, query: str) -> int:
        """A number of the database; -1 while it is away."""
        with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
            connection = await asyncpg.connect(self.settings.database.get_secret_value(), timeout=5)
            try:
                return int(await connection.fetchval(query))
            finally:
                await connection.close()
        return -1

    # --- strikes -------------------------------------------------------------------------------------------------------------------

    async def strike(self, strikes: Sequence[Strike]) -> None:
        for one in strikes:
            await asyncio.sleep(max(0.0, self.began + one.at - time.time()))
            name = EVERYBODY if one.kind == "postgres" else self.holder()
            self.say(f"{one.at:6.1f} s  {one.kind} of {name}, away for {one.away:.1f} s")
            self.struck.append((time.time(), one.kind))
            if one.kind != "restart":  # in order: what it costs is ours
                self._note("down", name)
            await self._carry_out(one, name)

    async def _carry_out(self, one: Strike, name: str) -> None:
        if one.kind == "postgres":
            await self.fleet.stop_one(name)
            await asyncio.sleep(one.away)
            await _again(self.fleet.servers[name].start)
            return
        replica = self.replicas[name]
        if one.kind == "freeze":
            assert replica.pid is not None
            os.kill(replica.pid, signal.SIGSTOP)
            await asyncio.sleep(one.away)
            os.kill(replica.pid, signal.SIGCONT)
            self._note("up", name)
            return
        await (replica.kill() if one.kind == "kill" else replica.stop())
        await asyncio.sleep(one.away)
        await replica.start()

    async def throttle(self, moody: Sequence[str], episodes: Sequence[tuple[float, float]]) -> None:
        for begin, end in episodes:
            await asyncio.sleep(max(0.0, self.began + begin - time.time()))
            self.say(f"{begin:6.1f} s  {', '.join(moody)} answers 429")
            await self.fleet.behave({name: {"throttle": THROTTLED} for name in moody})
            await asyncio.sleep(end - begin)
            await self.fleet.behave(dict.fromkeys(moody))

    def _note(self, what: str, name: str) -> None:
        self.events.append(Event(time.time(), what, name))  # type: ignore[arg-type]

    def holder(self) -> str:
        """Who took most parts last."""
        last: dict[str, str] = {}
        for one in sorted(self.takeovers(), key=lambda one: one.at):
            last[one.part or ""] = one.replica
        return max(REPLICAS, key=lambda name: list(last.values()).count(name))

    def takeovers(self) -> list[Event]:
        """What the logs of the replicas say of it."""
        return [
            Event(datetime.fromisoformat(line["timestamp"]).timestamp(), "taken", name, line["lane"])
            for name, child in self.replicas.items() for line in _log(child.log) if line.get("event") == "lane taken"
        ]  # fmt: skip

    def errors(self) -> list[str]:
        """What they logged as an error, each once; not what libraries call one: to Kafka's client each election is."""
        return sorted({
            f"{name}: {line.get('event')} {line.get('lane', '')} {str(line.get('exception', ''))[-300:]}".strip()
            for name, child in self.replicas.items() for line in _log(child.log) if line.get("level") in ("error", "critical") and "logger" not in line
        })  # fmt: skip


async def play(plan: Plan, data: Path, say: Say, servers: Settings | None = None) -> Aftermath:
    """One run over the data folder, with servers of its own where none are given (those of others are not struck)."""
    async with running(plan, data, say, servers) as run:
        if not await run.ask(f"SELECT (current_setting('{COMMITS}') = 'on')::int"):
            raise StackError(
                f"PostgreSQL does not note when it commits, so nobody can say what left after a STOP: set {COMMITS} = on, and restart it"
            )
        say(f"filling {len(plan.traffic.backlog)} messages")
        await run.fill(plan.traffic, plan.together)
        run.began = time.time()
        moody = [lane.name for lane in plan.lanes if lane.moody]
        strikes = [one for one in plan.strikes if servers is None or one.kind != "postgres"]
        say("everything stands in line")
        *_, short = await asyncio.gather(
            run.talk(plan.traffic), run.strike(strikes), run.throttle(moody, plan.episodes), _short(run, plan.lanes, plan.seconds)
        )
        await _rest(run)
        return Aftermath(
            await _gathered(run, plan), run.began, [*run.events, *run.takeovers()], run.struck, short,
            await run.ask("SELECT count(*) FROM sender.queue"), run.errors(),
        )  # fmt: skip


@contextlib.asynccontextmanager
async def running(plan: Plan, data: Path, say: Say, servers: Settings | None) -> AsyncIterator[Run]:
    """The servers, the twin and both replicas, with nothing to do yet."""
    folder, ports = data / "governed", {name: free_port() for name in USUAL}
    source = lanes_.write(data / "source", plan.lanes)
    papers = premises.prepare(folder, source, f"http://127.0.0.1:{ports['ingest']}", f"http://127.0.0.1:{ports['twin']}")
    stack = Stack(Places(data, free_port(), free_port()), {COMMITS: "on"}) if servers is None else None
    if stack is not None:
        await stack.start(say)
        servers = Settings(kafka=stack.kafka, database=stack.database, partitions=3)
    assert servers is not None
    settings = servers.model_copy(update={"config": papers.directory})
    fleet = Fleet(settings, papers, ports, data / "logs", Terms(settings, data, seed=plan.seed), stack)
    replicas = {name: _replica(name, settings, papers, fleet.logs) for name in REPLICAS}
    bus = Bus(settings, client="governed")
    try:
        await fleet.start_one("twin")
        _before_others(fleet.servers["twin"].pid, REFEREE)
        await fleet.behave({"*": QUIET, **{one.name: {"honour_keys": False} for one in plan.lanes if not one.honours}})
        await asyncio.gather(*(one.start() for one in replicas.values()))
        run = Run(fleet, papers, settings, plan.lanes, replicas, say, bus, plan.ahead)
        hurrying = asyncio.create_task(run.hurry())
        try:
            yield run
        finally:
            hurrying.cancel()
    finally:
        await bus.stop()
        await asyncio.gather(*(one.stop() for one in replicas.values()))
        await fleet.stop()
        if stack is not None:
            await stack.stop()


def _replica(name: str, settings: Settings, papers: Premises, logs: Path) -> Child:
    port = free_port()
    environment = {
        **papers.variables, "PARLEY_KAFKA": settings.kafka, "PARLEY_DATABASE": settings.database.get_secret_value(), "PARLEY_CONFIG": str(papers.directory),
        "PARLEY_PREFIX": settings.prefix, "PARLEY_PARTITIONS": str(settings.partitions), "PARLEY_PORT": str(port), "PARLEY_LOG": "json",
        "PARLEY_LOG_LEVEL": "info",
    }  # fmt: skip
    child = Child("sender", port, logs / f"{name}.log", (), environment, "/readyz")
    child.name = name
    return child


def _before_others(process: int | None, nice: int) -> None:
    """A process that others shall not disturb, where the system lets us say so; Linux weighs sessions against each other, and each child has its own."""
    with contextlib.suppress(OSError):
        if process is not None:
            os.setpriority(os.PRIO_PROCESS, process, nice)
            Path(f"/proc/{process}/autogroup").write_text(str(nice))


def _children(process: int | None) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


async def _again(start: Callable[[], object]) -> None:
    """PostgreSQL refuses to start while a process of the one before still holds the shared memory."""
    for tries in range(1, STARTS + 1):
        try:
            await start()  # type: ignore[misc]
            return
        except StackError:
            if tries == STARTS:
                raise
        await asyncio.sleep(1)


async def _short(run: Run, lanes: Sequence[Lane], seconds: float) -> list[str]:
    """Parts with nothing left to send after so many seconds."""
    await asyncio.sleep(seconds)
    connection = await asyncpg.connect(run.settings.database.get_secret_value())
    try:
        rows = await connection.fetch("SELECT DISTINCT part FROM sender.queue JOIN sender.lines USING (line) WHERE state = 'ready'")
    finally:
        await connection.close()
    full = {row["part"] for row in rows}
    return [part for lane in lanes if lane.tenant == lanes_.TENANT for part in lane.parts if part not in full]


async def _rest(run: Run) -> None:
    """Until nothing is open any more, or it takes too long: what is open then is told as lost."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST_WITHIN):
            while left := await run.ask("SELECT count(*) FROM sender.queue"):
                run.say(f"{left} messages are open")
                await asyncio.sleep(1)


async def _gathered(run: Run, plan: Plan) -> Seen:
    connection = await asyncpg.connect(run.settings.database.get_secret_value())
    try:
        rows = await connection.fetch(
            "SELECT message_id, contact_id, lane, purpose, status, reason, failures, coalesce((SELECT array_agg(outcome ORDER BY a.attempt) FROM sender.attempts a"
            " WHERE a.message_id = d.message_id), '{}') AS calls FROM sender.deliveries d"
        )
        # Nobody takes a STOP back in these traffics, and a second one of the same time changes nothing: the row is as its first commit left it.
        stops = await connection.fetch(
            "SELECT contact_id, channel, recorded_at, pg_xact_commit_timestamp(xmin) AS committed_at FROM sender.consents WHERE state = 'revoked'"
        )
    finally:
        await connection.close()
    traffic = plan.traffic
    return Seen(
        [one for one in Tail(run.papers.ledger).news() if isinstance(one, Request)],
        frozenset(str(one.message_id) for _, one in (*traffic.backlog, *traffic.replies)),
        {
            str(row["message_id"]): Delivery(row["contact_id"], row["lane"], row["purpose"], row["status"], row["reason"], row["failures"], tuple(row["calls"]))
            for row in rows
        },
        {(row["contact_id"], row["channel"]): Stopped(row["recorded_at"].timestamp(), row["committed_at"].timestamp()) for row in stops},
    )  # fmt: skip


def _enveloped(data: Data, tenant: str) -> Record:
    now = datetime.now(UTC)
    return wire.encode(Envelope(id=str(uuid4()), source="governed", time=now, tenant=tenant, started_at=now, data=data))


def _log(path: Path) -> list[dict[str, str]]:
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(orjson.JSONDecodeError):
            found.append(orjson.loads(line))
    return [one for one in found if isinstance(one, dict)]

"""Fixtures: one local stack for the whole run (or the one that PARLEY_KAFKA and PARLEY_DATABASE name), fresh topics and databases for each test.

`make test` runs files in several processes (pytest-xdist). Then the process that hands them out starts the stack, for all of them."""

import asyncio
import contextlib
import gc
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import hypothesis
import pytest
import structlog

from parley.settings import Settings

# A busy machine draws slowly; that says nothing about the rule under test.
hypothesis.settings.register_profile("parley", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("fuzz", hypothesis.settings.get_profile("parley"), max_examples=10_000)  # `make fuzz`
hypothesis.settings.load_profile("parley")


def examples(many: int) -> int:
    """Examples of a property that asks the database for each: a quarter of `many`; all of them by `make fuzz`."""
    return many if hypothesis.settings.default is not None and hypothesis.settings.default.max_examples > 100 else max(10, many // 4)


SAMPLES = Path(__file__).parent / "samples"
CONFIG = Path(__file__).parents[1] / "config"
LONG = (
    "test_sender_lanes", "test_understand", "test_settling", "test_sender_faults", "test_chat_browser", "test_messages_api", "test_dashboard_pages",
    "test_ingest_openapi", "test_ingest_spool", "test_again", "test_sender_smpp", "test_sender_locks", "test_fallbacks", "test_sender_screen", "test_caller",
    "test_experiments", "test_cli", "test_sender_openapi", "test_retention", "test_governed", "test_notify", "test_notify_api", "test_flow_check",
    "test_story", "test_chat_protocol", "test_lanes_api", "test_call_outcomes",
)  # fmt: skip
"""Files of tests that take ten seconds or more, the longest first, by `pytest --durations=60`. (None of those that kill processes is in the order: they run
by themselves, `make kills`.)"""

HASTY = {"MADE_AT_ONCE": 100, "WAIT_MS": 100, "HEARTBEAT_MS": 250}
"""Of the bus: services of tests come and go all the time, with topics of their own and little to read in them."""


class Servers(NamedTuple):
    """Where Kafka and PostgreSQL are, and what CREATE DATABASE says to get every service's tables at once: each start of a service in a test would
    make them anew."""

    kafka: str
    database: str
    migrated: str


SHARED = pytest.StashKey[Servers]()


def pytest_configure(config):
    """Each run has a temporary folder of its own: pytest's usual one is closed to other users by every further run, and PostgreSQL, which root
    must not run, is one."""
    # Learning meanings takes a start of the router some seconds of its processor: what is about meanings asks for it, the rest does without.
    os.environ.setdefault("PARLEY_UNDERSTANDING", "off")
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="parley-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """Several processes run the tests: their servers are started before they are."""
    running = contextlib.ExitStack()
    config.add_cleanup(running.close)
    config.stash[SHARED] = running.enter_context(servers())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["servers"] = tuple(node.config.stash[SHARED])


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What modules and tests are made of stays until the end: nobody looks for garbage in it, neither while it is made nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left alone with one at the end."""
    place = {name: index for index, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


def pytest_addoption(parser):
    parser.addoption("--samples", metavar="DIR", default=str(SAMPLES), help="directory of sample requests, a folder a provider")


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Real Kafka and real PostgreSQL: those that are named, else started here and stopped at the end."""
    if os.environ.get("PARLEY_KAFKA") and os.environ.get("PARLEY_DATABASE"):
        with migrated(os.environ["PARLEY_DATABASE"]) as name:
            yield Servers(os.environ["PARLEY_KAFKA"], os.environ["PARLEY_DATABASE"], f"TEMPLATE {name}")
        return
    from parley.local import Places, Stack, free_port

    with tempfile.TemporaryDirectory(prefix="parley-", ignore_cleanup_errors=True) as folder, asyncio.Runner() as runner:
        local = Stack(Places(Path(folder), kafka_port=free_port(), postgres_port=free_port(), heap=1536), {"track_commit_timestamp": "on"})
        runner.run(local.start())
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # of use when a machine falls; processes may be killed without
            runner.run(execute(local.database, statement))
        with migrated(local.database) as name:
            yield Servers(local.kafka, local.database, f"TEMPLATE {name} STRATEGY file_copy")
        runner.run(local.stop())


@contextlib.contextmanager
def migrated(address: str) -> Iterator[str]:
    """The name of a database with the tables of every service, to be copied."""
    from parley import schemadocs
    from parley.settings import PORTS

    async def migrate(database: str) -> None:
        for service in PORTS:
            await schemadocs.made(database, schemadocs.service(service))

    with created(address) as database:
        with structlog.testing.capture_logs():
            asyncio.run(migrate(database))
        yield database.rpartition("/")[2]


@contextlib.contextmanager
def created(address: str, like: str = "") -> Iterator[str]:
    """The address of a database that is gone afterwards, on the server of the given one. `like`: how CREATE DATABASE goes on."""
    name = f"test_{uuid4().hex[:12]}"
    asyncio.run(execute(address, f"CREATE DATABASE {name} {like}"))
    yield f"{address.rpartition('/')[0]}/{name}"
    asyncio.run(execute(address, f"DROP DATABASE {name} WITH (FORCE)"))


class Ahead:
    """Databases of one kind: the next one is made, and the last one dropped, while a test works with its own."""

    def __init__(self, address: str, like: str) -> None:
        self._address, self._like = address, like
        self._aside = ThreadPoolExecutor(1)
        self._next = self._begun()
        self._gone: list[Future[None]] = []

    def _begun(self) -> tuple[contextlib.AbstractContextManager[str], Future[str]]:
        one = created(self._address, self._like)
        return one, self._aside.submit(one.__enter__)

    @contextlib.contextmanager
    def one(self) -> Iterator[str]:
        (mine, made), self._next = self._next, self._begun()
        address = made.result()
        try:
            yield address
        finally:
            self._gone.append(self._aside.submit(mine.__exit__, None, None, None))

    def close(self) -> None:
        """Raises what any of them could not be made or dropped by."""
        last, made = self._next
        made.result()
        last.__exit__(None, None, None)
        for one in self._gone:
            one.result()
        self._aside.shutdown()


async def execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="session")
def stack(request) -> Iterator[Servers]:
    """The servers of the run, started once: for all processes of it, where there are several."""
    with contextlib.ExitStack() as running:
        patch = running.enter_context(pytest.MonkeyPatch.context())
        for name, value in HASTY.items():
            patch.setattr(f"parley.bus.{name}", value)
        shared = getattr(request.config, "workerinput", {}).get("servers")
        yield Servers(*shared) if shared else running.enter_context(servers())


@pytest.fixture(scope="session")
def databases(stack) -> Iterator[Ahead]:
    """Databases with the tables of every service."""
    ahead = Ahead(stack.database, stack.migrated)
    yield ahead
    ahead.close()


@pytest.fixture
def database(databases) -> Iterator[str]:
    """The address of a database of the test's own, with the tables of every service."""
    with databases.one() as address:
        yield address


@pytest.fixture
def empty_database(stack) -> Iterator[str]:
    """The address of a database of the test's own, with nothing in it."""
    with created(stack.database) as address:
        yield address


@pytest.fixture
def settings(stack, database, tmp_path) -> Settings:
    """Settings for services in this process: own topics, own database, own spool, any port."""
    return Settings(
        kafka=stack.kafka,
        database=database,
        config=CONFIG,
        prefix=f"{uuid4().hex[:8]}.",
        partitions=3,
        port=0,
        secret="test",
        spool=tmp_path / "spool",
    )


@pytest.fixture(scope="session")
def chrome() -> Iterator[Any]:
    """A real browser (`browser.Chrome`), started by the first test that wants one."""
    from tests.browser import Chrome

    with Chrome() as one:
        yield one


@pytest.fixture
def run() -> Callable[[Awaitable[object]], object]:
    """Runs a coroutine to its end."""
    return lambda main: asyncio.run(main)


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 30) -> None:
    """Waits for something that real servers will do; fails by name when they do not."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {seconds} s: {what}")

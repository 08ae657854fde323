"""Who may know whom, and who may act: held by reading the code, so that the next change holds it too."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "parley": ROOT / "libs/shared/parley",
    **{f"parley_{name}": ROOT / f"services/{name}/parley_{name}" for name in ("ingest", "router", "sender", "analytics")},
}
ACTING = {
    "parley": "__main__ approved bus cli config connecting contractdocs cursor database deadletters eventdocs express history keyed log media outside policies problem"
    " referencedocs schemadocs service step stream web yamlfile local.* demo.* twin twin.control twin.inboxes twin.ledger twin.server twin.twin twin.webhooks",
    "parley_ingest": "app clicks chat.assets chat.deeds chat.history chat.live chat.routes chat.sockets chat.visitors chatlinks door edge erasing events fetching"
    " files identity hits joining keys normalise people pieces repeats replay segments spool together tracking unsubscribe verify",
    "parley_router": "alarm api app asking caller catalogue flowapi meaning pausing publishing services waiting"
    " tools.cli tools.recording tools.schema tools.sources tools.terminal tools.testing"
    " understand.__main__ understand.asking understand.background understand.endpoint understand.intents understand.learning understand.service"
    " understand.shipped understand.weights",
    "parley_sender": "api app backlog call calling cancelling circuit claims clock consents departures depth dropping erasing exchange facts fallbacks holding http1"
    " idempotency intake janitor lane lanes law ledger limits messages_api outbox packs picking presence receipts remaining rerouting engaged hearing inquiring"
    " lanes_api paging reading saying screens settling settling_api smpp smpp_session standing strays suppressions suppressions_api takeover underway why notify.api"
    " notify.call notify.history notify.noting notify.rows notify.worker",
    "parley_analytics": "again answering api app campaigns_api counting drawn erasing experiments_api experiments_counts gauges hits_api losses_api outcomes reasons"
    " pages.files_of pages.reading pages.rendering pages.routes pages.trial_reading rebuild reports rereading retention rolling scored scoring"
    " stage talks_api talks_report talks_stage timely",
}
"""The modules that touch the world. Every other one is pure: values in, values out. A new module is pure until it stands here."""

WORLD = {
    *("aiohttp", "aiokafka", "asyncio", "asyncpg", "ctypes", "faststream", "fcntl", "http", "importlib", "logging", "multiprocessing", "os"),
    *("requests", "rich.live", "secrets", "select", "shutil", "signal", "socket", "ssl", "starlette", "structlog", "subprocess", "sys", "tempfile"),
    *("threading", "time", "typer", "urllib.request", "uvicorn", "uvloop"),
}
"""Imports by which a module could do something, wait, or read a clock. `random` is not among them: a `Random` with a seed is a value;
nor is `rich`: a table is one too, and only its console writes it."""
CALLS = {"Console", "input", "open", "print", "uuid1", "uuid4"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("uuid", "uuid1"), ("uuid", "uuid4")}
FILES = {"glob", "iterdir", "mkdir", "read_bytes", "read_text", "unlink", "write_bytes", "write_text"}
KAFKA = {"AIOKafkaAdminClient", "AIOKafkaConsumer", "AIOKafkaProducer", "KafkaBroker"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of Parley by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            name = ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each import as (module, name); the name is empty where the module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "imports are absolute"
            for one in node.names:
                inner = f"{node.module}.{one.name}"
                yield (inner, "") if inner in modules() else (node.module, one.name)


def deeds(tree: ast.AST) -> set[str]:
    """What in a module touches the world."""
    found = {f"import {module}" for module, _ in imports(tree) if module in WORLD or module.partition(".")[0] in WORLD}
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            found.add("async")
        elif isinstance(node, ast.Name) and node.id in CALLS:
            found.add(node.id)
        elif isinstance(node, ast.Call) and ast.unparse(node) in ("Random()", "random.Random()"):
            found.add("Random()")
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if (owner, node.attr) in CLOCKS or node.attr in FILES or (owner == "random" and node.attr != "Random"):
                found.add(ast.unparse(node))
    return found | {f"random.{what}" for module, what in imports(tree) if module == "random" and what not in ("", "Random")}


@cache
def acting() -> dict[str, set[str]]:
    """The modules of each entry of `ACTING`."""
    entries = [f"{package}.{one}" for package, names in ACTING.items() for one in names.split()]
    return {entry: {name for name in modules() if belongs(name, entry)} for entry in entries}


def belongs(name: str, entry: str) -> bool:
    """Whether a module is the entry, or stands in the package that the entry names with a star."""
    return name == entry or (entry.endswith(".*") and f"{name}.".startswith(entry[:-1]))


def pure() -> list[str]:
    return sorted(modules().keys() - set().union(*acting().values()))


def test_no_service_imports_another():
    """They share the library and the bus, and nothing else; the library knows no service."""
    found = {
        (name, module)
        for name, tree in modules().items()
        for module, _ in imports(tree)
        if (package := module.partition(".")[0]) in PACKAGES and package not in ("parley", name.partition(".")[0])
    }

    assert set() == found


@pytest.mark.parametrize("name", pure())
def test_a_pure_module_touches_nothing(name):
    """No I/O, no waiting, no clock, no chance: what it needs of the world comes in as a value."""
    assert set() == deeds(modules()[name])


@pytest.mark.parametrize("name", pure())
def test_a_pure_module_takes_only_types_from_those_that_act(name):
    """It may name what an acting module hands it, but never call one."""
    those = set().union(*acting().values())
    taken = {f"{module}.{what}" for module, what in imports(modules()[name]) if module in those and not what[:1].isupper()}

    assert set() == taken


def test_no_entry_of_those_that_act_is_stale():
    """Whoever does not touch the world any more leaves the list and is held pure from then on."""
    doors = {"parley.__main__", "parley.twin"}  # do nothing themselves, but hand on what acts
    idle = {entry for entry, names in acting().items() if not any(deeds(modules()[name]) for name in names)}

    assert doors == idle


def test_who_calls_itself_pure_is():
    """The word in a module's docstring is a promise, wherever the module stands."""
    claims = {name: deeds(tree) for name, tree in modules().items() if "Pure." in (ast.get_docstring(tree) or "")}

    assert {} == {name: found for name, found in claims.items() if found}
    assert len(claims) > 10


def test_kafka_is_spoken_to_in_one_place():
    """Clients of Kafka are made by the bus; who reads for people (the dead letters, what a topic holds) has readers of its own. The demo counts as a witness."""
    found = {name for name, tree in modules().items() if KAFKA & {what for _, what in imports(tree)} and not name.startswith("parley.demo.")}

    assert {"parley.bus", "parley.deadletters", "parley.history"} == found


@pytest.mark.parametrize(
    "source, found",
    [
        ("from datetime import datetime\nx = datetime.now()", {"datetime.now"}),
        ("import urllib.parse", set()),
        ("from urllib.request import urlopen", {"import urllib.request"}),
        ("from uuid import uuid4\nx = uuid4()", {"uuid4"}),
        ("async def f(): ...", {"async"}),
        ("from pathlib import Path\nPath('x').read_text()", {"Path('x').read_text"}),
        ("self.now", set()),
        ("from random import Random\nx = Random(7).random()", set()),
        ("from random import Random\nx = Random()", {"Random()"}),
        ("import random\nx = random.random()", {"random.random"}),
    ],
)
def test_a_deed_is_seen(source, found):
    """The rule itself, on code that breaks it."""
    assert found == deeds(ast.parse(source))

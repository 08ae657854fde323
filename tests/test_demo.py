"""`parley demo`: a whole Parley as processes, customers who come and go, and an exit status that says whether everything held."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from datetime import datetime, time
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import pytest
import yaml

from parley.config import load
from parley.contracts import Channel, ConsentChanged, ConversationChanged, Envelope, MessageMisunderstood, MessageReceived, MessageRequested
from parley.demo import premises
from parley.demo.evidence import whole_topic
from parley.demo.fleet import Child
from parley.demo.quiet import Look
from parley.local import StackError
from parley.settings import Settings
from parley.wire import encode
from parley.yamlfile import ConfigError
from parley_router import catalogue, services
from parley_router.meaning import meanings
from parley_router.replaying import decided_again
from parley_router.understand import intents
from tests.conftest import CONFIG

INGEST, TWIN = "http://127.0.0.1:18001", "http://127.0.0.1:19100"
NAMES = {
    "customers", "received", "answered", "escalated", "sent", "delivered", "read", "clicked", "converted", "opted_out", "lost", "sent_twice",
    "sent_after_stop", "unknown", "p50_ms", "p99_ms", "seconds",
}  # fmt: skip


@pytest.fixture
def demo(stack, database, tmp_path):
    """Starts `parley demo` on servers that are there, with topics, database, data and ports of its own."""
    started = []
    servers = {"PARLEY_KAFKA": stack.kafka, "PARLEY_DATABASE": database, "PARLEY_PREFIX": f"{uuid4().hex[:8]}.", "PARLEY_PARTITIONS": "3"}

    def start(*arguments):
        command = [sys.executable, "-m", "parley", "demo", "--free-ports", "--json", "--data", str(tmp_path), "--customers", "20", *arguments]
        environment = {**os.environ, **servers, "PARLEY_CONFIG": str(CONFIG), "PARLEY_UNDERSTANDING": "on"}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    start.servers = servers
    yield start
    for one in started:
        one.kill()
        one.wait()


def figures(out):
    return orjson.loads(out.splitlines()[-1])


@pytest.mark.kills
@pytest.mark.stack
def test_nothing_is_lost_sent_twice_or_sent_after_stop(demo):
    """A run that ends by itself, and one more on the same data that goes on until Ctrl-C: both clean, with every figure there."""
    first, said = (once := demo("--once", "--seed", "4")).communicate(timeout=110)
    found = figures(first)

    assert (0, 0, 0, 0, True) == (once.returncode, found["lost"], found["sent_twice"], found["sent_after_stop"], found["at_rest"]), said
    assert found.keys() >= NAMES
    assert (20, 0) == (found["customers"], found["in_vain"]), said
    assert all(found[name] > 0 for name in ("received", "answered", "escalated", "sent", "delivered", "clicked", "converted", "opted_out", "p99_ms"))

    endless = demo("--seed", "4")
    for line in endless.stderr:
        if "Where to look" in line:
            break
    endless.send_signal(signal.SIGINT)
    second, said = endless.communicate(timeout=110)
    found = figures(second)

    assert (0, 0, 0, 0) == (endless.returncode, found["lost"], found["sent_twice"], found["sent_after_stop"]), said
    assert (True, 40) == (found["at_rest"], found["customers"]), said
    same_decisions(asyncio.run(recorded(demo.servers)))


async def recorded(servers: dict[str, str]) -> tuple[list[Envelope], dict[str, tuple[datetime, bytes]]]:
    """What the router read, in order, and what it said: when, and the very bytes, by id."""
    settings = Settings(kafka=servers["PARLEY_KAFKA"], prefix=servers["PARLEY_PREFIX"])
    read = await whole_topic(settings, MessageReceived.topic)
    said = {}
    for topic in {MessageRequested.topic, ConversationChanged.topic, ConsentChanged.topic, MessageMisunderstood.topic}:
        said |= {one.id: (one.time, encode(one)[3]) for one in await whole_topic(settings, topic) if one.source == "parley/router"}
    return read, said


def same_decisions(log: tuple[list[Envelope], dict[str, tuple[datetime, bytes]]]) -> None:
    """Deciding the whole log again gives every result that there was, to the byte, and no other."""
    read, said = log
    tenants = {"acme": ("ko", "en")}
    meant = meanings([one.intent for one in intents.read(CONFIG, tenants)[0]])
    book = catalogue.load(CONFIG / "flows", tenants, {"acme": ZoneInfo("Asia/Seoul")}, meant, {"acme": (time(), time())})
    moments = {number: at for number, (at, _) in said.items()}
    again = {one.id: encode(one.cause.model_copy(update={"data": one.data}))[3] for one in decided_again(read, moments, book)}

    assert {number: value for number, (_, value) in said.items()} == again
    assert len(again) > 100


def prepared(folder, source=CONFIG):
    return premises.prepare(folder, source, INGEST, TWIN)


def test_no_account_of_a_demo_reaches_a_real_provider(tmp_path, monkeypatch):
    """Whatever accounts.yaml says, the twin is the provider (and ingest itself that of web chat), and it sees secrets that are made up."""
    monkeypatch.setenv("ACME_TWILIO_TOKEN", "real")
    document = yaml.safe_load((CONFIG / "accounts.yaml").read_text())
    del document["accounts"]["acme-sms"]["base_url"]
    document["accounts"]["acme-app"]["credentials"]["symmetric"] = ["env:NEW", "env:OLD"]
    (tmp_path / "source" / "flows").mkdir(parents=True)
    (tmp_path / "source" / "accounts.yaml").write_text(yaml.safe_dump(document))
    found = prepared(tmp_path / "demo", tmp_path / "source").config

    assert {(one.channel is Channel.WEBCHAT, one.base_url) for one in found.accounts.values()} == {(False, TWIN), (True, INGEST)}
    assert {f"{INGEST}/hooks/{name}" for name in found.accounts} == {one.public_url for one in found.accounts.values()}
    assert ("real",) != found.accounts["acme-sms"].credentials["auth_token"]
    assert 2 == len(set(found.accounts["acme-app"].credentials["symmetric"]))


def test_credentials_are_made_once_and_are_nobody_elses_to_read(tmp_path):
    """A second run works with the first one's."""
    first, second = prepared(tmp_path), prepared(tmp_path)

    assert first.variables == second.variables
    assert 0o600 == stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode)
    assert load(first.directory, first.variables).key(first.tokens["staff"]).name == "staff"
    assert [1, 2, 3] == [first.next_run(), second.next_run(), prepared(tmp_path).next_run()]


def test_a_broken_configuration_is_said_with_the_file_that_people_edit(tmp_path):
    """Not with the demo's copy."""
    source = tmp_path / "mine"
    source.mkdir()
    (source / "accounts.yaml").write_text("tenants: {acme: {}}\naccounts: {a: {tenant: nobody, provider: twilio, channel: sms, sender: x}}\n")

    with pytest.raises(ConfigError, match=str(source / "accounts.yaml")):
        prepared(tmp_path / "demo", source)
    with pytest.raises(StackError, match="set PARLEY_CONFIG to a directory with accounts.yaml"):
        prepared(tmp_path / "demo", tmp_path)


def test_a_busy_port_is_said_with_the_way_out(tmp_path):
    """Which port, for what, and the option that avoids it."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(StackError) as error:
            asyncio.run(Child("ingest", port, tmp_path / "log", (), {}, "/readyz").start())

    assert f"port {port} is in use, so ingest cannot start: stop what listens there, or add --free-ports" == str(error.value)


@pytest.mark.parametrize(
    "look, reason",
    [
        (Look(0, 0, 0, 0, (), ()), None),
        (Look(2, 0, 0, 0, (), ()), "2 records not read"),
        (Look(0, 1, 3, 2, ("sender",), ()), "1 deliveries open, 3 customers' messages not settled, 2 clicks not judged, sender not ready"),
    ],
)
def test_rest_is_nothing_to_do_anywhere(look, reason):
    """Anything left to do is named."""
    assert reason == look.restless


def test_services_that_flows_ask_are_the_twin_too(tmp_path):
    """Whatever the configuration asks in earnest: nothing leaves this machine, and no secret leaves the environment."""
    source = tmp_path / "source"
    shutil.copytree(CONFIG, source)
    (source / "services.yaml").write_text(
        "services: {orders: {tenant: acme, base_url: https://orders.example, headers: {Authorization: 'env:REAL'}, tries: 2}}"
    )
    (found,) = services.load(prepared(tmp_path / "demo", source).folder / "config", {"acme": None}, {}).values()

    assert (TWIN, {}, 2) == (found.base_url, found.headers, found.tries)

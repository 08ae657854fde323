"""A real `parley ingest`: it drains at a signal, hears one while it waits, and says in words what it cannot have."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from parley.local import free_port
from tests.ingesting import write_accounts
from tests.serving import impatient

PARLEY = str(Path(sys.executable).with_name("parley"))


@pytest.fixture
def quick(settings, tmp_path):
    return impatient(settings, tmp_path)


def environment(settings, **more: object) -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    ours = {"kafka": settings.kafka, "database": settings.database.get_secret_value(), "config": settings.config, "prefix": settings.prefix,
            "partitions": settings.partitions, "port": settings.port, "spool": settings.spool, "log": "json"}  # fmt: skip
    return rest | {f"PARLEY_{name.upper()}": str(value) for name, value in (ours | more).items()}


@contextmanager
def process(settings, **more: object) -> Iterator[subprocess.Popen[str]]:
    """A real `parley ingest`."""
    with subprocess.Popen([PARLEY, "ingest"], env=environment(settings, **more), stderr=subprocess.PIPE, text=True) as one:
        try:
            yield one
        finally:
            one.kill()


def lines_until(one: subprocess.Popen[str], event_: str) -> list[dict]:
    """Its log up to the line with that event."""
    found = []
    for line in one.stderr:
        found.append(orjson.loads(line))
        if found[-1]["event"] == event_:
            return found
    pytest.fail(f"the process ended without {event_!r}: {found[-3:]}")


@pytest.mark.stack
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(quick, end):
    """A request that is being answered is answered; then the process ends in order, well within the drain."""
    with process(quick) as one:
        port = lines_until(one, "ready")[-1]["port"]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /hooks/app HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            one.send_signal(end)
            lines_until(one, "stopping")
            client.sendall(b"cd")
            answer = client.recv(100)
        status = one.wait(20)

    assert answer.startswith(b"HTTP/1.1 401")
    assert 0 == status


@pytest.mark.stack
def test_a_signal_ends_also_one_that_still_waits(quick):
    """While Kafka or PostgreSQL is not there yet, SIGTERM is heard at once."""
    with process(quick, database=f"postgresql://nobody@127.0.0.1:{free_port()}/none") as one:
        lines_until(one, "waiting for PostgreSQL")
        one.send_signal(signal.SIGTERM)

        assert 0 == one.wait(10)


def test_a_port_in_use_is_said_in_words(tmp_path):
    """Before anything is started; with the way out, and without a trace."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = {"PARLEY_PORT": str(taken.getsockname()[1]), "PARLEY_CONFIG": str(write_accounts(tmp_path)), "PARLEY_KAFKA": "127.0.0.1:1",
                "PARLEY_DATABASE": "postgresql://127.0.0.1:1/x"}  # fmt: skip
        done = subprocess.run([PARLEY, "ingest"], env=os.environ | more, capture_output=True, text=True, timeout=30, check=False)

    assert 2 == done.returncode
    assert f"parley: port {more['PARLEY_PORT']} of 127.0.0.1 is in use: set PARLEY_PORT to another" in done.stderr
    assert "Traceback" not in done.stderr

"""The command line: the local stack as people and scripts start it, and every refusal in one sentence with exit status 2."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from parley.local import free_port

PARLEY = str(Path(sys.executable).with_name("parley"))
SET = re.compile(r"export PARLEY_KAFKA=127\.0\.0\.1:(\d+) PARLEY_DATABASE=postgresql://postgres@127\.0\.0\.1:(\d+)/parley\n")


def environment(**more: object) -> dict[str, str]:
    """Ours, without what points at servers that run already."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return rest | {f"PARLEY_{name.upper()}": str(value) for name, value in more.items()}


def parley(*words: object, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PARLEY, *map(str, words)], env=environment(**settings), capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def running(*words: object, **settings: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([PARLEY, *map(str, words)], env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def busy() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


def told(process: subprocess.Popen[str]) -> tuple[str, ...]:
    """The ports that `parley up` tells once it is up; where it tells none, what it said instead."""
    line = process.stdout.readline()
    found = SET.fullmatch(line)
    assert found, f"{line!r}, and: {process.communicate(timeout=60)[1]}"
    return found.groups()


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still there; the kernel may take a moment to end an orphan."""
    return psutil.wait_procs(processes, timeout=5)[1]


def session(data: Path, end: signal.Signals) -> tuple[int, bool, list[psutil.Process]]:
    """One `parley up`, ended by `end`: its exit status, whether it told the ports that it was given, its children that are left."""
    kafka, postgres = free_port(), free_port()
    with running("up", "--data", data, kafka_port=kafka, postgres_port=postgres) as process:
        right = told(process) == (str(kafka), str(postgres))
        children = psutil.Process(process.pid).children()
        process.send_signal(end)
        process.communicate(timeout=60)
    assert len(children) == 2
    return process.returncode, right, left(children)


@pytest.mark.stack
def test_up_runs_until_it_is_ended_and_starts_again_on_the_same_data(tmp_path):
    """It gives the line to set; SIGTERM and Ctrl-C end it with 0 and nothing left behind; the second start takes the data over."""
    assert [(0, True, []), (0, True, [])] == [session(tmp_path, signal.SIGTERM), session(tmp_path, signal.SIGINT)]


@pytest.mark.stack
def test_up_can_be_ended_while_it_starts(tmp_path):
    """Ctrl-C at the first word of progress: status 0, and no server goes on without it."""
    with running("up", "--data", tmp_path, kafka_port=free_port(), postgres_port=free_port()) as process:
        process.stderr.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        given, _ = process.communicate(timeout=60)

    assert (0, "", []) == (process.returncode, given, left(children))


@pytest.mark.stack
def test_up_ends_when_a_server_does(tmp_path):
    """Half a stack is none: the loss of one is said, and the other is stopped."""
    with running("up", "--data", tmp_path, kafka_port=free_port(), postgres_port=free_port()) as process:
        _, port = told(process)
        children = psutil.Process(process.pid).children()
        next(one for one in children if port in one.cmdline()).kill()
        _, said = process.communicate(timeout=60)

    assert (2, []) == (process.returncode, left(children))
    assert "PostgreSQL has ended by itself; its log" in said


def test_up_starts_nothing_beside_servers_that_are_set(tmp_path):
    """With both variables set it says so, and is done."""
    done = parley("up", "--data", tmp_path, kafka="127.0.0.1:1", database="postgresql://nobody@127.0.0.1:1/none")

    assert (0, "", []) == (done.returncode, done.stdout, list(tmp_path.iterdir()))
    assert "PARLEY_KAFKA and PARLEY_DATABASE are set, so those servers are used and there is nothing to start\n" == done.stderr


REFUSED = [
    ({"kafka_port": "many"}, "PARLEY_KAFKA_PORT is 'many': set a port between 1 and 65535"),
    ({"partitions": "0"}, "PARLEY_PARTITIONS: Input should be greater than or equal to 1"),
    ({"log": "loud"}, "PARLEY_LOG: Input should be 'json', 'console' or 'auto'"),
    (
        {"kafka": "127.0.0.1:1"},
        "one of PARLEY_KAFKA and PARLEY_DATABASE is set: set both to use servers of your own, or none for those of `parley up`",
    ),
]


@pytest.mark.parametrize("settings, said", REFUSED)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, settings, said):
    """One sentence on standard error, which names the variable; status 2."""
    done = parley("up", "--data", tmp_path, **settings)

    assert (2, "", f"parley: {said}\n") == (done.returncode, done.stdout, done.stderr)


def test_a_service_needs_its_servers():
    """Which variables, and where to get them from."""
    done = parley("router")

    assert (2, "parley: PARLEY_KAFKA and PARLEY_DATABASE must be set: `parley up` starts both on this machine and prints what to set\n") == (
        done.returncode,
        done.stderr,
    )


def test_up_says_which_port_is_busy(tmp_path):
    """The port, the server that wanted it, and the variable."""
    with busy() as port:
        done = parley("up", "--data", tmp_path, kafka_port=port, postgres_port=free_port())

    said = f"parley: port {port} is in use, so Kafka cannot start: stop what listens there, or set PARLEY_KAFKA_PORT to another port\n"
    assert (2, "", said) == (done.returncode, done.stdout, done.stderr)


def test_the_twin_says_which_port_is_busy(tmp_path):
    """The port and the option."""
    with busy() as port:
        done = parley("twin", "--port", port, "--ledger", tmp_path / "ledger.jsonl")

    said = f"parley: port {port} is in use or not allowed: stop what listens there, or give another one with --port\n"
    assert (2, "", said) == (done.returncode, done.stdout, done.stderr)


def test_the_twin_runs_until_it_is_ended(tmp_path):
    """It says where it listens, and SIGTERM ends it with 0."""
    with running("twin", "--port", 0, "--ledger", tmp_path / "ledger.jsonl", "--seed", 7, "--no-honour-keys") as process:
        said = process.stderr.readline()
        process.terminate()
        process.communicate(timeout=30)

    assert 0 == process.returncode
    assert re.fullmatch(rf"the provider twin listens at http://127\.0\.0\.1:\d+; its ledger is {tmp_path}/ledger\.jsonl\n", said)


def test_the_command_line_itself_is_light():
    """Naming the commands loads no framework: each command imports what it needs when it is called."""
    heavy = "{'faststream', 'aiokafka', 'aiohttp', 'asyncpg', 'uvicorn', 'starlette', 'liquid'}"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys, parley.cli; print(sorted({heavy} & sys.modules.keys()))"], capture_output=True, text=True, check=True
    )

    assert "[]\n" == found.stdout

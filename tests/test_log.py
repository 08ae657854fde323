"""The log: events by their ids, and no person in it."""

import re
import subprocess
import sys
from uuid import uuid4

import orjson
import pytest
import structlog
from aiokafka import ConsumerRecord
from structlog.testing import capture_logs

from parley import log, service, wire
from parley.contracts import Customer, CustomerActed
from parley.cursor import Place
from parley.local import free_port
from parley.step import Broken, about
from parley_router.app import SERVICE as ROUTER
from tests.conftest import CONFIG, until
from tests.ingesting import NOW
from tests.serving import Waiting, ask, event, impatient, serving, values
from tests.test_stream import said


@pytest.fixture
def quick(settings, tmp_path):
    return impatient(settings, tmp_path)


@pytest.mark.stack
def test_a_guilty_event_is_named_by_its_ids_only(quick, run):
    """Event, contact, tenant and place; neither the text nor the address of what it carries."""

    class Refusing(Waiting):
        async def apply(self, connection, batch, now):
            structlog.get_logger().info("looking")
            raise ValueError("cannot")

    contact = uuid4()
    guilty = said(contact, "my secret words").model_copy(update={"subject": str(contact)})

    async def main():
        async with service.running(serving(Refusing(topics=("parley.inbound",))), quick) as one:
            await one.context.bus.publish([wire.encode(guilty)])

            async def dead() -> bool:
                return bool(values((await ask(one, "/metrics"))[1]).get(("parley_dead_total", "waiting", quick.prefix + "parley.inbound")))

            await until(dead, "the dead letter")

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        run(main())
    named = [one for one in logs if one["event"] in ("looking", "event cannot be processed", "dead letter")]

    assert ["looking", "event cannot be processed", "dead letter"] == [one["event"] for one in named]
    assert {(guilty.id, str(contact), "acme", 0)} == {(one["event_id"], one["contact_id"], one["tenant"], one["offset"]) for one in named}
    assert "my secret words" not in str(logs)


@pytest.mark.stack
def test_what_the_router_could_not_do_is_in_the_log(settings, run, monkeypatch):
    """The sentence with event, contact and tenant; not the address that it was about."""
    for name in re.findall(r"env:(\w+)", (CONFIG / "accounts.yaml").read_text()):
        monkeypatch.setenv(name, "whsec_c2VjcmV0")
    contact = uuid4()
    acted = CustomerActed(contact_id=contact, customer=Customer(id="c"), name="cart.abandoned", occurred_at=NOW, addresses={"sms": "+821012345678"})
    cause = event(data=acted, subject=str(contact))

    async def main():
        async with service.running(ROUTER, settings.model_copy(update={"port": free_port()})) as one:
            await one.context.bus.publish([wire.encode(cause)])

            async def told() -> bool:
                return any(line["event"] == "could not be done" for line in logs)

            await until(told, "the line in the log")

    with capture_logs() as logs:
        run(main())
    line = next(one for one in logs if one["event"] == "could not be done")

    assert (cause.id, str(contact), "acme") == (line["event_id"], line["contact_id"], line["tenant"])
    assert "step 1: event.cart_id is undefined" in line["trouble"]
    assert "+8210" not in str(logs)


def test_a_record_that_is_no_event_is_named_by_what_there_is():
    """The ids that its headers tell, and its place; several together only by their number."""
    record = ConsumerRecord("t", 1, 7, 0, 0, b"k", b"v", None, 1, 1, [("ce_id", b"e1"), ("ce_tenant", b"acme"), ("x", b"\xff")])
    broken = Broken(Place("t", 1), 7, "not JSON", record)

    assert {"event_id": "e1", "tenant": "acme", "topic": "t", "partition": 1, "offset": 7} == about([broken])
    assert {"events": 2} == about([broken, broken])


def test_the_log_cuts_what_would_show_a_person():
    """Fields of that name, and numbers and addresses inside sentences and traces."""
    shown = log.without_people(None, "", {"event": "e", "text": "hi", "cause": "no +821012345678 or kim@example.com", "contact_id": "4-5", "n": 1})

    assert {"event": "e", "text": "[cut]", "cause": "no [cut] or [cut]", "contact_id": "4-5", "n": 1} == shown


LIBRARIES = """
import asyncio, logging, warnings
from parley import log
from parley.settings import Settings

log.configure(Settings(kafka="k", database="postgresql://d", log="json"), "ingest")
logging.getLogger("aiokafka.client").warning("no broker at %s", "kim@example.com")
logging.getLogger("quiet").info("not worth a line")
warnings.warn("grown old")
try:
    raise ValueError("+821012345678")
except ValueError:
    logging.getLogger("asyncio").exception("never retrieved")
"""


def test_what_libraries_say_is_json_too():
    """With the same fields as our own lines, and no person in it."""
    ran = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=True)
    lines = [orjson.loads(line) for line in ran.stderr.splitlines()]

    assert [("aiokafka.client", "warning"), ("py.warnings", "warning"), ("asyncio", "error")] == [(line["logger"], line["level"]) for line in lines]
    assert "no broker at [cut]" == lines[0]["event"] and "grown old" in lines[1]["event"]
    assert {"ingest"} == {line["service"] for line in lines}
    assert lines[-1]["exception"].endswith("ValueError: [cut]")

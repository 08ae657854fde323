"""Flows that wait, in the running service: reminders outlive kills and are said once, replies cancel them, services are asked and answer."""

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import orjson
import pytest
import yaml
from aiohttp import web

from parley import service
from parley.local import free_port
from parley_router.app import SERVICE
from tests.conftest import until
from tests.test_caller import answering, said
from tests.test_caller import service as asked
from tests.test_publishing import Desk
from tests.test_start_stop import environment

pytestmark = pytest.mark.stack
REMIND = """\
flow: remind
version: 1
tenant: acme
start: {keywords: {en: [remind]}}
urgent: true
steps:
  - say: {en: "I will."}
  - wait: {for: WAIT}
    reply: {go: heard}
  - say: {en: "Tea is ready."}
  - end: true
  - id: heard
    say: {en: "Good."}
"""
STATUS = """\
flow: status
version: 1
tenant: acme
start: {keywords: {en: [status]}}
steps:
  - call: orders
    path: /orders/7
    keep: {slot.status: status}
    failed: sorry
  - say: {en: "It is {{ slot.status }}."}
  - end: true
  - id: sorry
    say: {en: "I cannot see it now."}
"""


@pytest.fixture
def own(settings, tmp_path):
    """One tenant with an account, and flows to be written."""
    (tmp_path / "secret").write_text("x")
    sms = {"tenant": "acme", "provider": "plain", "channel": "sms", "sender": "s", "credentials": {"symmetric": "file:secret"}}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "accounts": {"sms": sms}}))
    (tmp_path / "flows").mkdir()
    return settings.model_copy(update={"config": tmp_path, "port": free_port()})


def flow(folder: Path, text: str) -> None:
    (folder / "flows" / "flow.yaml").write_text(text, encoding="utf-8")


async def has(one: Desk, count: int, words: str) -> None:
    async def there() -> bool:
        return (await one.said()).count(words) >= count

    await until(there, f"{words!r} to be said")


@pytest.mark.kills
def test_a_reminder_outlives_a_kill(own, run):
    """Due while nothing ran, it is said at once when the router is back; and once."""
    flow(own.config, REMIND.replace("WAIT", "5s"))

    async def main():
        async with service.running(SERVICE, own) as one, aiohttp.ClientSession() as http:
            before = await Desk(one, http).write("remind")
        second = await asyncio.create_subprocess_exec(sys.executable, "-m", "parley", "router", env=environment(own), stderr=asyncio.subprocess.PIPE)
        async for line in second.stderr:  # it runs, then is killed: before the timer is due or behind it
            if b'"ready"' in line:
                break
        second.send_signal(signal.SIGKILL)
        await second.wait()
        async with service.running(SERVICE, own) as one, aiohttp.ClientSession() as http:
            third = Desk(one, http)
            await has(third, 1, "Tea is ready.")
            return before, await third.write("remind")

    before, after = run(main())

    assert (["I will."], ["I will.", "Tea is ready.", "I will."]) == (before, after)


def test_what_is_replied_to_is_not_reminded_of(own, run):
    """The row goes with the batch of the reply."""
    flow(own.config, REMIND.replace("WAIT", "30d"))

    async def main():
        async with service.running(SERVICE, own) as one, aiohttp.ClientSession() as http:
            desk, pool = Desk(one, http), one.context.pool
            await desk.write("remind")
            waiting = await pool.fetchval("SELECT count(*) FROM timers")
            said = await desk.write("thanks")
            return waiting, said, await pool.fetchval("SELECT count(*) FROM timers")

    assert (1, ["I will.", "Good."], 0) == run(main())


@pytest.mark.parametrize("answer, words", [(said({"status": "on its way"}), "It is on its way."), (web.Response(status=400), "I cannot see it now.")])
def test_a_flow_asks_a_service_and_goes_on_with_its_answer(own, run, answer, words):
    """From the word of the customer to the answer, with the call in between; a failure goes where the flow says."""
    flow(own.config, STATUS)

    async def main():
        async with asked(answering(answer)) as shop:
            (own.config / "services.yaml").write_text(orjson.dumps({"services": {"orders": {"tenant": "acme", "base_url": shop.base}}}).decode())
            async with service.running(SERVICE, own) as one, aiohttp.ClientSession() as http:
                return await Desk(one, http).write("status"), [request[1] for request in shop.requests]

    assert ([words], ["/api/orders/7"]) == run(main())

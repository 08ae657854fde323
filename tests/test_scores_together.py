"""Scores from the facts to a message: analytics works them out and tells the router, whose flow writes over another channel to who is silent. The real services."""

import contextlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4, uuid5

import pytest
import yaml

from parley import service, wire
from parley.contracts import Channel, Customer, CustomerActed, DeliveryChanged, Envelope, MessageRequested
from parley.local import free_port
from parley_analytics.app import SERVICE as ANALYTICS
from parley_router.app import SERVICE as ROUTER
from tests.conftest import until
from tests.ingesting import records

pytestmark = pytest.mark.stack
SILENT, FRIEND = uuid5(uuid4(), "silent"), uuid5(uuid4(), "friend")
NEWS = """\
flow: news
version: 1
tenant: acme
start: {event: tea.new}
urgent: true
steps:
  - branch:
      - {when: {value: score.silent, above: 50}, go: elsewhere}
  - say: {en: Tea by SMS}
  - end: true
  - id: elsewhere
    say: {en: Tea by e-mail}
    over: email
"""


@pytest.fixture
def own(settings, tmp_path):
    (tmp_path / "secret").write_text("x")
    sms = {"tenant": "acme", "provider": "plain", "channel": "sms", "sender": "s", "credentials": {"symmetric": "file:secret"}}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "accounts": {"sms": sms}}))
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "news.yaml").write_text(NEWS)
    return settings.model_copy(update={"config": tmp_path})


def event(data, number: str) -> Envelope:
    return Envelope(
        id=number, source="test", time=datetime.now(UTC), started_at=datetime.now(UTC), tenant="acme", subject=str(data.contact_id), data=data
    )


def delivered(contact, days: int, status: str) -> Envelope:
    at = datetime.now(UTC) - timedelta(days=days)
    data = DeliveryChanged(
        message_id=uuid4(), contact_id=contact, channel="sms", account="sms", purpose="marketing", campaign="tea", status=status, at=at
    )
    return event(data, str(uuid4()))


def acted(contact, name: str) -> Envelope:
    addresses = {Channel.SMS: "+4915112345678", Channel.EMAIL: "a@acme.example"}
    return event(
        CustomerActed(contact_id=contact, customer=Customer(id="c"), name=name, occurred_at=datetime.now(UTC), addresses=addresses), str(uuid4())
    )


def test_who_lets_messages_pass_hears_of_the_next_thing_over_another_channel(own, run):
    """Six messages left for each of two people; one of them reads all of them, the other none. Half a minute later a flow knows the difference."""

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            router, analytics = [
                await stack.enter_async_context(service.running(one, own.model_copy(update={"port": free_port()}))) for one in (ROUTER, ANALYTICS)
            ]
            bus, figures = router.context.bus, analytics.context.pool
            told = [delivered(SILENT, day, "delivered") for day in range(6)] + [delivered(FRIEND, day, "read") for day in range(6)]
            await bus.publish([wire.encode(one) for one in told])

            async def counted() -> bool:
                return await figures.fetchval("SELECT count(*) FROM messages") == len(told)

            await until(counted, "the messages to be counted")
            await figures.execute("UPDATE scoring SET round = '1970-01-01', ended = true")  # a round is due now, whatever was begun before

            async def known() -> bool:
                query = "SELECT state -> 'scores' ->> 'silent' FROM contacts WHERE key = $1"
                return int(await router.context.pool.fetchval(query, SILENT) or 0) > 50

            await until(known, "the router to know of it", 60)
            await bus.publish([wire.encode(acted(one, "tea.new")) for one in (SILENT, FRIEND)])

            async def requests() -> dict:
                rows = [wire.decode(MessageRequested.topic, one.headers, one.value).data for one in await records(own, MessageRequested.topic)]
                return {one.contact_id: (one.content.text, one.channels[0]) for one in rows if isinstance(one, MessageRequested)}

            async def said() -> bool:
                return len(await requests()) == 2

            await until(said, "both to be written to")
            return await requests()

    assert {SILENT: ("Tea by e-mail", Channel.EMAIL), FRIEND: ("Tea by SMS", Channel.SMS)} == run(main())

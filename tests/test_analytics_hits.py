"""Judgements of hits that a person corrects: what is asked and refused, and that the figures follow. On real PostgreSQL, and on Kafka where it is about it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import aiohttp
import httpx
import pytest
import yaml

from parley import config, service, web, wire
from parley.bus import Bus
from parley.contracts import EngagementRecorded
from parley.local import free_port
from parley.metrics import Metrics
from parley.service import Context
from parley_analytics import hits_api
from parley_analytics.app import SERVICE
from tests.arriving import tables
from tests.conftest import until
from tests.ingesting import KEY, OTHER_KEY, records, write_accounts
from tests.test_analytics_count import FIRST, OTHER, PEOPLE, T0, apply, delivery, judgement, order

__all__ = ["tables"]
pytestmark = pytest.mark.stack
HIT = judgement(0, FIRST, "clicked", "human", 1, 0).data.hit


@pytest.fixture
def call(tables, settings, tmp_path):
    """Gives a function that asks the API about a message that was clicked once, by a person as the rules have it."""
    runner, pool = tables
    away, clock, known = settings.model_copy(update={"kafka": "127.0.0.1:1"}), [T0], config.load(write_accounts(tmp_path))
    kept = replace(known, tenants={**known.tenants, "acme": replace(known.tenants["acme"], facts=timedelta(days=60))})
    context = Context(away, kept, pool, Bus(away, client="test"), Metrics(), lambda: clock[0])
    application = web.application(hits_api.routes(context), [], context.metrics, 60)

    async def filled():
        async with pool.acquire() as connection:
            await apply(connection, [delivery(FIRST, "sent", T0), judgement(0, FIRST, "clicked", "human", 1, 0), delivery(OTHER, "sent", T0)])

    async def main(method, message, key, body, days):
        clock[0] = T0 + timedelta(days=days)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://here", headers=headers) as client:
            return await client.request(method, f"/v1/messages/{message}/hits", json=body)

    runner.run(filled())
    return lambda method="GET", message=FIRST, key=OTHER_KEY, body=None, days=0: runner.run(main(method, message, key, body, days))


def said(by="scanner", hit=HIT, **more):
    return {"hit": str(hit), "by": by, "because": "their gateway", **more}


def test_hits_are_told_as_they_were_judged(call):
    """Each with what is needed to correct it."""
    (hit,) = call().json()["hits"]

    assert {"hit": str(HIT), "kind": "clicked", "by": "human", "rules": 1, "revision": 0} == {name: hit[name] for name in hit if name != "at"}


@pytest.mark.parametrize(
    "asked, status",
    [
        ({"message": OTHER}, 404),
        ({"message": "first"}, 404),
        ({"key": KEY}, 403),
        ({"method": "POST", "key": KEY, "body": said()}, 403),
        ({"method": "POST", "body": said(hit=UUID(int=1))}, 404),
        ({"method": "POST", "body": said(by="me")}, 422),
        ({"method": "POST", "body": said(because=" ")}, 422),
        ({"method": "POST", "body": said(by="human")}, 200),
        ({"method": "POST", "body": said(), "days": 61}, 409),
        ({"method": "POST", "body": said()}, 503),
    ],
)
def test_what_cannot_be_done_is_said(call, asked, status):
    """As a problem document; what counts as that already is so without another word; and while the bus is away nothing is promised."""
    assert status == call(**asked).status_code


@pytest.fixture
def own(settings, tmp_path):
    (tmp_path / "secret").write_text("key")
    key = {"tenant": "acme", "scopes": ["rates:read", "engagement:write"], "token": "file:secret"}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "keys": {"staff": key}}))
    return settings.model_copy(update={"config": tmp_path, "port": free_port()})


def test_a_judgement_that_a_person_corrects_is_counted_so(own, run):
    """A click that was a scanner's after all: the order that was owed to it is nobody's. And back again; each time it is told on the bus, one revision further."""
    clicked, bought = judgement(0, FIRST, "clicked", "human", 1, 0), order("o1", PEOPLE[0], T0)

    async def main():
        async with service.running(SERVICE, own) as one, aiohttp.ClientSession(headers={"authorization": "Bearer key"}) as http:
            place = f"http://127.0.0.1:{own.port}/v1"
            await one.context.bus.publish([wire.encode(event) for event in (delivery(FIRST, "sent", T0), clicked, bought)])

            async def figures() -> tuple[int, int, int]:
                async with http.get(f"{place}/rates?from=2026-11-01&to=2026-12-01") as answer:
                    totals = (await answer.json())["totals"]
                return totals["clicked"], totals["clicked_machine"], totals["converted"]

            async def counted(*wanted: int) -> None:
                async def there() -> bool:
                    return await figures() == wanted

                await until(there, f"the figures to be {wanted}")

            await counted(1, 0, 1)
            for by, wanted in (("scanner", (0, 1, 0)), ("human", (1, 0, 1))):
                async with http.post(f"{place}/messages/{FIRST}/hits", json=said(by)) as answer:
                    assert 202 == answer.status, await answer.text()
                await counted(*wanted)
            told = [wire.decode(EngagementRecorded.topic, one.headers, one.value).data for one in await records(own, EngagementRecorded.topic)]
            return [(one.hit, one.by, one.revision, one.rules) for one in told]

    assert [(HIT, "human", 0, 1), (HIT, "scanner", 1, 1), (HIT, "human", 2, 1)] == run(main())

"""From a customer's word to the overdue share: the router waits for what a team promises and tells that nobody answered; analytics counts it. The real services."""

import contextlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aiohttp
import pytest
import yaml

from parley import service, wire
from parley.contracts import Envelope, MessageReceived
from parley.local import free_port
from parley_analytics.app import SERVICE as ANALYTICS
from parley_router.app import SERVICE as ROUTER
from tests.conftest import until

pytestmark = pytest.mark.stack
FLOW = "flow: {team}\nversion: 1\ntenant: acme\nstart: {{keywords: {{en: [{team}]}}}}\nsteps:\n  - escalate: {team}\n    say: {{en: One moment.}}\n"


@pytest.fixture
def own(settings, tmp_path):
    """Two teams: one promises an answer within a second, the other within an hour."""
    (tmp_path / "secret").write_text("key")
    sms = {"tenant": "acme", "provider": "plain", "channel": "sms", "sender": "s", "credentials": {"symmetric": "file:secret"}}
    key = {"tenant": "acme", "scopes": ["rates:read"], "token": "file:secret"}
    teams = {"care": {"answers_within": "1s"}, "sales": {"answers_within": "1h"}}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {"teams": teams}}, "accounts": {"sms": sms}, "keys": {"staff": key}}))
    (tmp_path / "flows").mkdir()
    for team in teams:
        (tmp_path / "flows" / f"{team}.yaml").write_text(FLOW.format(team=team))
    return settings.model_copy(update={"config": tmp_path})


def written(number: int, text: str) -> Envelope:
    contact, now = UUID(int=number), datetime.now(UTC)
    data = MessageReceived(
        contact_id=contact, message_id=uuid4(), account="sms", channel="sms", address=f"+4915112345{number}", kind="text", text=text, received_at=now
    )
    return Envelope(id=str(uuid4()), source="test", time=now, started_at=now, tenant="acme", subject=str(contact), data=data)


def test_who_is_not_answered_in_time_is_in_the_overdue_share(own, run):
    """Of two who wait for a person one has waited for too long."""

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            settings = [own.model_copy(update={"port": free_port()}) for _ in range(2)]
            router, _ = [await stack.enter_async_context(service.running(one, own)) for one, own in zip((ROUTER, ANALYTICS), settings, strict=True)]
            http = await stack.enter_async_context(aiohttp.ClientSession(headers={"authorization": "Bearer key"}))
            await router.context.bus.publish([wire.encode(written(number, team)) for number, team in ((1, "care"), (2, "sales"))])
            found: dict = {}

            async def counted() -> bool:
                async with http.get(f"http://127.0.0.1:{settings[1].port}/v1/conversations/summary?group_by=team") as answer:
                    found.update(await answer.json())
                return (found["totals"]["escalated"], found["totals"]["overdue"]) == (2, 1)

            await until(counted, "both to be handed over and one to be overdue")
            return found

    found = run(main())

    assert 0.5 == found["totals"]["rates"]["overdue"]["value"]
    assert {"care": 1, "sales": 0} == {row["team"]: row["overdue"] for row in found["rows"]}

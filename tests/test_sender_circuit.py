"""An account whose provider is down: its circuit opens, what waits takes another account, and the first is tried again."""

import asyncio
import contextlib
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import yaml

from parley import wire
from parley.contracts import Channel, Content, Envelope, MessageRequested
from parley.local import free_port
from parley.service import running
from parley.twin.behaviour import Behaviour
from parley.twin.server import running_twin
from parley.twin.shape import Account as TwinAccount
from parley.twin.twin import TwinOptions
from parley_sender.app import SERVICE
from tests.conftest import until

pytestmark = pytest.mark.stack
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@contextlib.asynccontextmanager
async def two_accounts(settings, folder, monkeypatch, ill: str):
    """A sender with two accounts for SMS at the twin, one of which fails whatever it is asked."""
    monkeypatch.setenv("APP_SECRET", SECRET)
    accounts = [TwinAccount(name=name, provider="plain", channel="sms", sender=name, credentials={"symmetric": SECRET}) for name in "ab"]
    moods = {"*": Behaviour(receipts=False), ill: Behaviour(receipts=False, fail_rate=1)}
    async with running_twin(TwinOptions(folder / "ledger.jsonl", port=0, accounts=accounts, behaviours=moods)) as twin:
        entry = {"tenant": "acme", "provider": "plain", "channel": "sms", "rate": "200/s", "burst": 50, "credentials": {"symmetric": "env:APP_SECRET"},
                 "base_url": twin.url}  # fmt: skip
        file = {"tenants": {"acme": {}}, "accounts": {name: {**entry, "sender": name} for name in "ab"}}
        (folder / "accounts.yaml").write_text(yaml.safe_dump(file))
        async with running(SERVICE, settings.model_copy(update={"config": folder, "port": free_port()})) as one:
            yield twin, one


async def ask(one, count: int) -> None:
    now = datetime.now(UTC)
    events = [
        MessageRequested(
            contact_id=uuid4(), message_id=uuid4(), purpose="transactional", channels=("sms",), addresses={Channel.SMS: f"+82101234{place:04}"},
            content=Content(text=f"{place}"),
        )
        for place in range(count)
    ]  # fmt: skip
    await one.context.bus.publish([wire.encode(Envelope(id=str(uuid4()), source="test", time=now, tenant="acme", data=data)) for data in events])


def test_what_waits_behind_a_provider_that_is_down_takes_another_way(settings, tmp_path, monkeypatch):
    """All arrive once, over the account that works; so does what comes while the circuit is open."""

    async def main():
        async with two_accounts(settings, tmp_path, monkeypatch, "a") as (twin, one):

            async def sent(count: int) -> bool:
                return count == await one.context.pool.fetchval("SELECT count(*) FROM deliveries WHERE status = 'sent'")

            await ask(one, 80)
            await until(lambda: sent(80), "all of them at the other account", 60)
            lanes = {row["lane"] for row in await one.context.pool.fetch("SELECT DISTINCT lane FROM deliveries WHERE status = 'sent'")}
            moved = await one.context.pool.fetchval("SELECT count(*) FROM notes WHERE what = 'moved'")
            twin.behave({"*": Behaviour(receipts=False)})
            await ask(one, 40)
            await until(lambda: sent(120), "the others", 60)
            return lanes, moved, twin.ledger.book.summary()["total"]

    lanes, moved, total = asyncio.run(main())

    assert ({"b"}, 120, 0) == (lanes, total["messages"], total["sent_twice"])
    assert moved > 0

"""Webhooks as a tenant has them: made over HTTP, told what happens on the bus, looked at, mended and sent again. Real Kafka, PostgreSQL and receiver."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import orjson
import pytest
import yaml
from standardwebhooks import Webhook

from parley import wire
from parley.local import free_port
from parley.service import Running, running
from parley_sender.app import SERVICE
from parley_sender.notify import api
from tests.conftest import until
from tests.notifying import Receiver, delivery, event, hangs, receiver, says

pytestmark = pytest.mark.stack
KEYS = {
    "owner": ("acme", ["webhooks:read", "webhooks:write"]),
    "reader": ("acme", ["webhooks:read"]),
    "staff": ("acme", ["messages:read"]),
    "other": ("other", ["webhooks:read", "webhooks:write"]),
}


@dataclass
class Tenant:
    """A tenant in front of the API."""

    one: Running
    there: Receiver

    async def ask(self, method: str, path: str = "", body: Any = None, key: str = "owner", status: int = 200) -> Any:
        """The answer's JSON; fails unless it has this status."""
        url = f"http://127.0.0.1:{self.one.port}/v1/webhooks{path}"
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        async with aiohttp.request(method, url, data=data, headers={"authorization": f"Bearer {key}"}) as answer:
            text = await answer.text()
            assert status == answer.status, text
            if status >= 400:
                assert answer.content_type == "application/problem+json"
            return orjson.loads(text) if text else None

    async def make(self, **more: Any) -> dict[str, Any]:
        return await self.ask("POST", body={"url": self.there.base, **more}, status=201)

    async def happens(self, status: str, tenant: str = "acme") -> str:
        """A delivery on the bus; its event's id."""
        found = event(delivery(status), tenant=tenant, at=datetime.now(UTC))
        await self.one.context.bus.publish([wire.encode(found)])
        return found.id

    async def gets(self, count: int) -> None:
        async def has() -> bool:
            return len(self.there.got) >= count

        await until(has, f"{count} requests at the receiver")

    async def listed(self, number: str, state: str, count: int = 1) -> list[dict[str, Any]]:
        """The list, once it has so many of a state."""

        async def stands() -> bool:
            return len(await self._list(number, state)) == count

        await until(stands, f"{count} {state}")
        return await self._list(number, state)

    async def _list(self, number: str, state: str) -> list[dict[str, Any]]:
        return (await self.ask("GET", f"/{number}/deliveries?state={state}"))["deliveries"]


@pytest.fixture
def tenant(settings, tmp_path, monkeypatch):
    """A sender and a receiver."""
    for name in KEYS:
        monkeypatch.setenv(f"KEY_{name}", name)
    keys = {name: {"tenant": owner, "scopes": scopes, "token": f"env:KEY_{name}"} for name, (owner, scopes) in KEYS.items()}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}, "other": {}}, "keys": keys}))

    @contextlib.asynccontextmanager
    async def opened(local: str = "on") -> AsyncIterator[Tenant]:
        own = settings.model_copy(update={"config": tmp_path, "port": free_port(), "webhooks_local": local})
        async with receiver() as there, running(SERVICE, own) as one:
            yield Tenant(one, there)

    return opened


def test_what_happens_on_the_bus_is_told_by_its_type(tenant, run):
    """From the bus to the receiver, signed by the secret that was shown once; what was not asked for stays away."""

    async def main():
        async with tenant() as one:
            made = await one.make(types=["delivery.failed"], description="the CRM")
            await one.happens("failed", tenant="other")
            await one.happens("sent")
            number = await one.happens("failed")
            await one.gets(1)
            (shown,), (told,) = await one.listed(made["id"], "sent"), one.there.got
            again = await one.ask("GET", f"/{made['id']}")
            return made, number, Webhook(made["secret"]).verify(told.body, told.headers), told, shown, again

    made, number, read, told, shown, again = run(main())

    assert ("delivery.failed", number) == (read["type"], told.id)
    assert (number, "delivery.failed", 1, None) == tuple(shown[name] for name in ("id", "type", "attempts", "next_try_at"))
    assert [(1, 204)] == [(one["attempt"], one["status"]) for one in shown["answers"]]
    assert {name: value for name, value in made.items() if name != "secret"} == again
    assert (True, ["delivery.failed"], "the CRM") == (again["enabled"], again["types"], again["description"])


def test_what_failed_is_looked_at_and_sent_again(tenant, run):
    """One by its id, or all since a time; what was answered stands in the list; the id is the same."""

    async def main():
        async with tenant() as one:
            one.there.answer = says(500, b"out of order")
            made, since = await one.make(), datetime.now(UTC)
            ids = [await one.happens("sent"), await one.happens("failed")]
            await one.gets(2)
            async with _settled(one, made["id"], 2) as waiting:
                one.there.answer = says(204)
                by_id = await one.ask("POST", f"/{made['id']}/redeliver", {"id": ids[0]}, status=202)
                await one.listed(made["id"], "sent")
                rest = await one.ask("POST", f"/{made['id']}/redeliver", {"since": since.isoformat()}, status=202)
                sent = await one.listed(made["id"], "sent", 2)
                done = await one.ask("POST", f"/{made['id']}/redeliver", {"since": since.isoformat()}, status=202)
            return ids, waiting, by_id, rest, done, sent

    ids, waiting, by_id, rest, done, sent = run(main())

    assert {(500, "out of order")} == {(one["answers"][0]["status"], one["answers"][0]["body"]) for one in waiting}
    assert ([1, 1, 0], set(ids)) == ([one["redelivered"] for one in (by_id, rest, done)], {one["id"] for one in sent})
    assert {204} == {one["answers"][-1]["status"] for one in sent}


@contextlib.asynccontextmanager
async def _settled(one: Tenant, number: str, count: int) -> AsyncIterator[list[dict[str, Any]]]:
    """Once so many wait for another try, which is far away: the clock of schedules is not what this is about."""

    async def waiting() -> bool:
        return len([post for post in await one._list(number, "due") if post["next_try_at"]]) == count

    await until(waiting, f"{count} that wait")
    await one.one.context.pool.execute("UPDATE webhook_posts SET due_at = now() + interval '1 hour'")
    yield await one._list(number, "due")


def test_a_test_comes_the_same_way(tenant, run):
    """Whatever types are wanted; its answer stands in the list."""

    async def main():
        async with tenant() as one:
            made = await one.make(types=["delivery.failed"])
            asked = await one.ask("POST", f"/{made['id']}/test", status=202)
            await one.gets(1)
            return asked, one.there.got[0], await one.listed(made["id"], "sent"), made

    asked, told, (shown,), made = run(main())

    assert (asked["id"], asked["id"], "webhook.test") == (told.id, shown["id"], shown["type"])
    assert {"webhook_id": made["id"]} == Webhook(made["secret"]).verify(told.body, told.headers)["data"]


def test_a_rotated_secret_is_shown_once_and_both_sign(tenant, run):
    """For a day, unless another overlap is asked for; with none, the old one ends at once."""

    async def main():
        async with tenant() as one:
            made, now = await one.make(), datetime.now(UTC)
            rotated = await one.ask("POST", f"/{made['id']}/secret")
            await one.happens("sent")
            await one.gets(1)
            ended = await one.ask("POST", f"/{made['id']}/secret", {"overlap": 0})
            await one.happens("sent")
            await one.gets(2)
            first, second = one.there.got
            for secret, got in ((made["secret"], first), (rotated["secret"], first), (ended["secret"], second)):
                Webhook(secret).verify(got.body, got.headers)
            shown = datetime.fromisoformat(rotated["both_secrets_until"]) - now
            return shown, ended["both_secrets_until"], len(second.headers["webhook-signature"].split()), await one.ask("GET", f"/{made['id']}")

    shown, ended, signatures, looked = run(main())

    assert timedelta(days=1) <= shown < timedelta(days=1, minutes=1)
    assert (None, 1, False) == (ended, signatures, "secret" in looked)


def test_a_webhook_is_changed_disabled_and_ended(tenant, run):
    """What happened while it was disabled is told when it is enabled; after its end nothing is."""

    async def main():
        async with tenant() as one:
            made = await one.make()
            off = await one.ask("PATCH", f"/{made['id']}", {"enabled": False, "types": ["delivery.sent"]})
            number = await one.happens("sent")
            await one.listed(made["id"], "due")
            early = len(one.there.got)
            on = await one.ask("PATCH", f"/{made['id']}", {"enabled": True, "url": f"{one.there.base}/new"})
            await one.gets(1)
            everyone = await one.ask("GET")
            await one.ask("DELETE", f"/{made['id']}", status=204)
            return off, early, on, number, one.there.got[0], everyone, await one.ask("GET"), await one.ask("GET", f"/{made['id']}", status=404)

    off, early, on, number, told, everyone, nobody, gone = run(main())

    assert (False, "asked", ["delivery.sent"], 0) == (off["enabled"], off["disabled_reason"], off["types"], early)
    assert (True, None, number, "/new") == (on["enabled"], on["disabled_reason"], told.id, told.path)
    assert ([on], []) == (everyone["webhooks"], nobody["webhooks"])
    assert "There is no webhook with this id." == gone["detail"]


def test_the_list_goes_on_where_it_ended(tenant, run):
    """Pages of any size together are all of it, the newest first, each once."""

    async def main():
        async with tenant() as one:
            made = await one.make()
            at = datetime.now(UTC)
            await one.one.context.pool.execute(
                "INSERT INTO webhook_posts (webhook_id, event_id, type, body, state, due_at, noted_at)"
                " SELECT $1, 'e' || n, 'delivery.sent', '{}', 'sent', $2, $2::timestamptz - make_interval(secs => n / 3) FROM generate_series(1, 25) AS n",
                UUID(made["id"]), at,
            )  # fmt: skip
            found, after = [], ""
            while after is not None:
                page = await one.ask("GET", f"/{made['id']}/deliveries?limit=7{after and f'&after={after}'}")
                found += [(row["noted_at"], row["id"]) for row in page["deliveries"]]
                after = page["next"]
            return found

    found = run(main())

    assert (25, sorted(found, reverse=True)) == (len(set(found)), found)


GOOD = {"url": "https://hooks.acme.example/"}
MISTAKES = [
    ("POST", "", GOOD, "reader", 403, "webhooks:write"),
    ("POST", "", GOOD, "staff", 403, "webhooks:write"),
    ("GET", "", None, "nobody", 401, "Bearer"),
    ("GET", "", None, "staff", 403, "webhooks:read"),
    ("GET", "OWN", None, "other", 404, "no webhook"),
    ("PATCH", "OWN", {"enabled": False}, "reader", 403, "lacks"),
    ("PATCH", "OWN", {"enabled": False}, "other", 404, "no webhook"),
    ("DELETE", "OWN", None, "other", 404, "no webhook"),
    ("DELETE", "OWN", None, "reader", 403, "lacks"),
    ("POST", "OWN/secret", None, "other", 404, "no webhook"),
    ("POST", "OWN/secret", None, "reader", 403, "lacks"),
    ("POST", "OWN/test", None, "reader", 403, "lacks"),
    ("POST", "OWN/redeliver", {"id": "x"}, "other", 404, "no webhook"),
    ("GET", "OWN/deliveries", None, "other", 404, "no webhook"),
    ("GET", "/nonsense", None, "owner", 400, "UUID"),
    ("GET", f"/{uuid4()}", None, "owner", 404, "no webhook"),
    ("POST", "", b"{", "owner", 400, "JSON"),
    ("POST", "", {}, "owner", 422, "url"),
    ("POST", "", {**GOOD, "secret": "x"}, "owner", 422, "secret"),
    ("POST", "", {**GOOD, "description": "a\0"}, "owner", 422, "description"),
    ("POST", "", {**GOOD, "types": []}, "owner", 422, "types"),
    ("POST", "", {**GOOD, "types": ["delivery.fail"]}, "owner", 422, "did you mean"),
    ("POST", "", {"url": "http://hooks.acme.example/"}, "owner", 422, "only https"),
    ("POST", "", {"url": "https://10.0.0.1/"}, "owner", 422, "private"),
    ("POST", "", {"url": "http://127.0.0.1:8003/"}, "owner", 422, "only https"),
    ("POST", "", {"url": "https://a:b@hooks.example/"}, "owner", 422, "password"),
    ("POST", "", {"url": "https://hooks.example:8443/"}, "owner", 422, "own port"),
    ("POST", "", {"url": "https://hooks.example/\0"}, "owner", 422, "url"),
    ("POST", "", {"url": "nonsense"}, "owner", 422, "no address"),
    ("PATCH", "OWN", {}, "owner", 422, "Nothing is to be changed"),
    ("PATCH", "OWN", {"url": None}, "owner", 422, "url"),
    ("PATCH", "OWN", {"url": "https://[::1]/"}, "owner", 422, "loopback"),
    ("POST", "OWN/secret", {"overlap": 10**9}, "owner", 422, "overlap"),
    ("POST", "OWN/redeliver", {}, "owner", 422, "either"),
    ("POST", "OWN/redeliver", {"id": "absent"}, "owner", 404, "no event"),
    ("POST", "OWN/redeliver", {"id": "a\0"}, "owner", 422, "id"),
    ("POST", "OWN/redeliver", {"since": "2026-11-25T09:00:00"}, "owner", 422, "since"),
    ("GET", "OWN/deliveries?limit=0", None, "owner", 422, "limit"),
    ("GET", "OWN/deliveries?limit=1000", None, "owner", 422, "limit"),
    ("GET", "OWN/deliveries?state=lost", None, "owner", 422, "sent, due, failed"),
    ("GET", "OWN/deliveries?after=x", None, "owner", 422, "next"),
    ("GET", "OWN/deliveries?after=bm9uc2Vuc2U=", None, "owner", 422, "next"),
]
"""Method, path, body, key; status, and what is said among other things."""


def test_mistakes_are_said(tenant, run):
    """Each with its status, and a sentence that says what to do."""

    async def main():
        async with tenant(local="off") as one:
            own = (await one.ask("POST", body=GOOD, status=201))["id"]
            asked = [(await one.ask(method, path.replace("OWN", f"/{own}"), body, key, status)) for method, path, body, key, status, _ in MISTAKES]
            return [answer["detail"] for answer in asked]

    details = run(main())

    assert [] == [(mistake, detail) for mistake, detail in zip(MISTAKES, details, strict=True) if mistake[-1] not in detail]


def test_a_disabled_webhook_is_tried_and_told_nothing(tenant, run):
    """It has to be enabled first."""

    async def main():
        async with tenant() as one:
            number = (await one.make())["id"]
            await one.ask("PATCH", f"/{number}", {"enabled": False})
            asked = [await one.ask("POST", f"/{number}/{path}", body, status=409) for path, body in (("test", None), ("redeliver", {"id": "x"}))]
            return [answer["detail"] for answer in asked]

    assert ['The webhook is disabled: enable it first, by PATCH with {"enabled": true}.'] * 2 == run(main())


def test_a_tenant_has_so_many_webhooks_and_no_more(tenant, run):
    """Each writes every event once more; another tenant has its own number."""

    async def main():
        async with tenant() as one:
            for _ in range(api.MOST):
                await one.make()
            await one.ask("POST", body={"url": one.there.base}, key="other", status=201)
            return await one.ask("POST", body={"url": one.there.base}, status=409)

    assert "20 webhooks at most" in run(main())["detail"]


def test_what_is_being_sent_is_not_sent_beside_it(tenant, run):
    """A redelivery by its id is refused until the call has ended, one by time passes it over."""

    async def main():
        gate = asyncio.Event()
        async with tenant() as one:
            one.there.answer = hangs(gate)
            made, since = await one.make(), datetime.now(UTC) - timedelta(minutes=1)
            asked = await one.ask("POST", f"/{made['id']}/test", status=202)
            await one.gets(1)
            refused = await one.ask("POST", f"/{made['id']}/redeliver", asked, status=409)
            passed = await one.ask("POST", f"/{made['id']}/redeliver", {"since": since.isoformat()}, status=202)
            gate.set()
            await one.listed(made["id"], "sent")
            return refused["detail"], passed["redelivered"], len(one.there.got)

    refused, passed, count = run(main())

    assert ("It is being sent at this moment.", 0, 1) == (refused, passed, count)

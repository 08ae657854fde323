"""What the tenant's operations of sender answer, each walked through once with something in every list, and what of it the document does not say."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jsonschema

from parley.twin.behaviour import Behaviour
from parley_sender.openapi import document
from tests.conftest import until
from tests.messaging import BODY, Office

DOCUMENT = document()
NOWHERE = "http://127.0.0.1:9/"
"""Where nobody listens."""


def closed(schema: Any) -> Any:
    """The same, and nothing that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if schema.get("type") == "object" and "properties" in schema else {}
    return {**more, **{name: closed(one) for name, one in schema.items()}}


SCHEMAS = closed(DOCUMENT["components"]["schemas"])


def wrong(schema: dict[str, Any], value: Any) -> list[str]:
    """What of a value the document does not say."""
    whole = {**closed(schema), "components": {"schemas": SCHEMAS}}
    found = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).iter_errors(value)
    return [f"{one.json_path}: {one.message}" for one in found]


async def in_doubt(one: Office) -> str:
    """A message whose provider took it, and whose answer never came; from then on the provider is well."""
    one.twin.behave({"*": Behaviour(receipts=False, hang_after_accepting=1.0, hang_ms=20)})
    number = (await one.post({**BODY, "to": {"addresses": {"inapp": uuid4().hex}}})).body["message_id"]
    await one.stands(number, "unknown")
    one.twin.behave({"*": Behaviour(receipts=False)})
    return number


@dataclass
class Walk:
    """Asks for what succeeds, and keeps what was asked for and what of the answers the document does not say."""

    office: Office
    asked: set[tuple[str, str]]
    untold: list[str]

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200, **places: str) -> Any:
        url = f"http://127.0.0.1:{self.office.replicas[0].port}{path.format(**places)}"
        headers = {"authorization": "Bearer shop", "idempotency-key": str(uuid4())}
        async with self.office.http.request(method, url, json=body, headers=headers) as answer:
            said = await answer.json() if answer.content_type == "application/json" else None
            assert status == answer.status, await answer.text()
        template = path.partition("?")[0]
        self.asked.add((template, method))
        content = DOCUMENT["paths"][template][method]["responses"][str(status)].get("content", {})
        self.untold += [f"{method} {path}: {one}" for one in (wrong(content["application/json"]["schema"], said) if content else [])]
        return said


async def messages(walk: Walk, sent: str) -> None:
    """Asked for, called back, looked at, in doubt."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    timed = await walk.ask("post", "/v1/messages", {**BODY, "send_at": later}, 202)
    await walk.ask("post", "/v1/messages/batch", {"messages": [BODY, {}]}, 207)
    await walk.office.stands(timed["message_id"], "queued")
    await walk.ask("post", "/v1/messages/{id}/cancel", id=timed["message_id"])
    doubts = [await in_doubt(walk.office) for _ in range(2)]
    assert (await walk.ask("get", "/v1/unknown?limit=1"))["next"]
    await walk.ask("post", "/v1/messages/{id}/settle", {"as": "sent", "note": "asked"}, id=doubts[0])
    for number in (timed["message_id"], sent, *doubts):
        await walk.ask("get", "/v1/messages/{id}?language=ko", id=number)


async def people(walk: Walk) -> None:
    """Lanes set, all of one settled, addresses on the list and off it."""
    assert (await walk.ask("patch", "/v1/lanes/{lane}", {"paused": True, "rate": "900/s"}, lane="app"))["paused"]
    await walk.ask("post", "/v1/messages", BODY, 202)

    async def waits() -> bool:
        return any(one["waiting"] for one in (await walk.ask("get", "/v1/lanes"))["lanes"])

    await until(waits, "a message waits in the paused lane")
    await walk.ask("patch", "/v1/lanes/{lane}", {"paused": False, "rate": None}, lane="app")
    await walk.ask("post", "/v1/unknown/settle", {"lane": "number", "as": "failed", "note": "outage"})
    entry = {"channel": "email", "address": f"{uuid4().hex}@shop.example", "note": "by phone"}
    for method, status in (("put", 201), ("put", 200), ("post", 200)):
        await walk.ask(method, "/v1/suppressions", entry, status)
    await walk.ask("post", "/v1/suppressions/import", [entry, {**entry, "address": "other@shop.example"}, {}])
    assert (await walk.ask("get", "/v1/suppressions?limit=1"))["next"]
    await walk.ask("delete", f"/v1/suppressions?channel=email&address={entry['address']}", status=204)


async def webhooks(walk: Walk) -> None:
    """One made, tried, looked at, changed, sent again, ended."""
    one = (await walk.ask("post", "/v1/webhooks", {"url": NOWHERE, "types": ["consent.*"]}, 201))["id"]
    await walk.ask("post", "/v1/webhooks/{id}/test", None, 202, id=one)

    async def tried() -> bool:
        return bool((await walk.ask("get", "/v1/webhooks/{id}/deliveries?limit=1", id=one))["deliveries"][0]["answers"])

    await until(tried, "the webhook was called")
    await walk.ask("post", "/v1/webhooks/{id}/redeliver", {"since": "2026-01-01T00:00:00Z"}, 202, id=one)
    await walk.ask("post", "/v1/webhooks/{id}/secret", {"overlap": 60}, id=one)
    await walk.ask("patch", "/v1/webhooks/{id}", {"enabled": False}, id=one)
    await walk.ask("get", "/v1/webhooks")
    await walk.ask("get", "/v1/webhooks/{id}", id=one)
    await walk.ask("delete", "/v1/webhooks/{id}", status=204, id=one)

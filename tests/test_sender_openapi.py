"""sender's OpenAPI document: it is the one that is checked in, names every route, and what the service answers is what it says."""

import asyncio
import base64
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import jsonschema
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from parley import contractdocs
from parley.settings import Settings
from parley.twin.behaviour import Behaviour
from parley_sender import paging
from parley_sender.app import build
from parley_sender.openapi import document
from tests.conftest import until
from tests.messaging import BODY, Office, office

CHECKED_IN = Path(__file__).parents[1] / "docs" / "contract" / "openapi-sender.yaml"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
VERBS = ("get", "post", "put", "patch", "delete")
DOCUMENT = document()
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item if method in VERBS]
OWN = {("/healthz", "get"), ("/readyz", "get"), ("/metrics", "get")}
"""What every service has beside its routes."""
NOWHERE = "http://127.0.0.1:9/"
"""Where nobody listens."""


def some(path: str) -> Any:
    """How many requests of a kind: most for bodies with many fields."""
    few, many = (40 if path in ("/v1/messages", "/v1/messages/batch") else 12), options.default.max_examples > 100
    return options(max_examples=300 if many else few, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_document_is_that_of_the_code(tmp_path):
    """`make docs` was run after the last change."""
    assert CHECKED_IN.read_text(encoding="utf-8") == contractdocs.write_api(tmp_path / "api.yaml", document()).read_text(encoding="utf-8")


def test_a_message_is_described_as_it_is_read():
    """What the tests send is valid; a field that nobody knows is not, at any depth."""
    schema = {**document()["components"]["schemas"]["Asked"], "components": document()["components"]}
    wrong = [{**BODY, "more": 1}, {**BODY, "to": {"phone": "1"}}, {**BODY, "content": {"txt": "x"}}, {**BODY, "purpose": "x"}]

    assert jsonschema.Draft202012Validator(schema).is_valid(BODY)
    assert not any(jsonschema.Draft202012Validator(schema).is_valid(one) for one in wrong)


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


def test_every_body_and_answer_has_an_example_that_is_one():
    """Of what is sent and what is answered, down to the last field."""
    named = {one["$ref"].rpartition("/")[2] for one in references(DOCUMENT["paths"])} | {"Event"}
    without = {name for name in named if not SCHEMAS[name].get("examples")}

    assert set() == without
    assert [] == [said for name in named for example in SCHEMAS[name].get("examples", []) for said in wrong(SCHEMAS[name], example)]


def references(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, dict) and "$ref" in node:
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from references(one)


@dataclass
class Served:
    """A sender that answers while the test asks without waiting for it; a message that was sent, one that is in doubt, and a webhook."""

    office: Office
    loop: asyncio.AbstractEventLoop
    sent: str
    doubt: str
    webhook: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.office.replicas[0].port}"

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs it where the sender runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


async def in_doubt(one: Office) -> str:
    """A message whose provider took it, and whose answer never came; from then on the provider is well."""
    one.twin.behave({"*": Behaviour(receipts=False, hang_after_accepting=1.0, hang_ms=20)})
    number = (await one.post({**BODY, "to": {"addresses": {"inapp": uuid4().hex}}})).body["message_id"]
    await one.stands(number, "unknown")
    one.twin.behave({"*": Behaviour(receipts=False)})
    return number


async def seeded(one: Office) -> Served:
    doubt, sent = await in_doubt(one), (await one.post(BODY)).body["message_id"]
    await one.stands(sent, "sent")
    webhook = (await one.post({"url": NOWHERE, "types": ["goal.*"]}, None, "/v1/webhooks")).body["id"]
    return Served(one, asyncio.get_running_loop(), sent, doubt, webhook)


@pytest.fixture(scope="module")
def served(stack, tmp_path_factory) -> Iterator[Served]:
    folder, up, over, found = tmp_path_factory.mktemp("openapi"), threading.Event(), threading.Event(), list[Served]()
    name = f"test_{uuid4().hex[:12]}"
    database = f"{stack.database.rpartition('/')[0]}/{name}"
    settings = Settings(kafka=stack.kafka, database=database, config=folder, prefix=f"{name}.", partitions=3, secret="test", webhooks_local="on")

    async def main() -> None:
        connection = await asyncpg.connect(stack.database)
        await connection.execute(f"CREATE DATABASE {name} {stack.migrated}")
        await connection.close()
        async with office(settings, folder, honours_keys=False) as one:
            found.append(await seeded(one))
            up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(60)
    yield found[0]
    over.set()
    thread.join()


@pytest.mark.stack
def test_every_route_is_in_the_document(served):
    """With its method, and the other way round; and the document is served."""
    context = served.office.replicas[0].context
    routes = {(one.path, method.lower()) for one in served.run(build(context)).routes for method in one.methods - {"HEAD"}}

    assert routes | OWN == set(OPERATIONS)
    assert DOCUMENT == requests.get(f"{served.base}/openapi.json", timeout=10).json()


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


@pytest.mark.stack
def test_every_answer_is_described_to_its_last_field(served):
    """Each operation of the tenant's succeeds once, with something in every list."""
    walk = Walk(served.office, set(), [])

    async def main() -> None:
        await messages(walk, served)
        await people(walk)
        await webhooks(walk)

    served.run(main())

    assert [] == walk.untold
    assert walk.asked == {(path, method) for path, method in OPERATIONS if path.startswith("/v1/")}


async def messages(walk: Walk, served: Served) -> None:
    """Asked for, called back, looked at, in doubt."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    timed = await walk.ask("post", "/v1/messages", {**BODY, "send_at": later}, 202)
    await walk.ask("post", "/v1/messages/batch", {"messages": [BODY, {}]}, 207)
    await served.office.stands(timed["message_id"], "queued")
    await walk.ask("post", "/v1/messages/{id}/cancel", id=timed["message_id"])
    doubts = [await in_doubt(served.office) for _ in range(2)]
    assert (await walk.ask("get", "/v1/unknown?limit=1"))["next"]
    await walk.ask("post", "/v1/messages/{id}/settle", {"as": "sent", "note": "asked"}, id=doubts[0])
    for number in (timed["message_id"], served.sent, *doubts):
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


NULS = [("unknown", "lane"), ("suppressions", "address")]
EARLY, LATE = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
"""Times that the calendar of another zone does not have."""


@pytest.mark.stack
@pytest.mark.parametrize("at", [EARLY, LATE])
def test_what_the_database_cannot_hold_is_refused(served, at):
    """A time in a body and in the place of a page, a NUL in a question: 422, and no 500."""
    note, some = {"as": "failed", "note": "n", "lane": "number"}, str(uuid4())
    places = {"/v1/unknown": paging.cursor(at, some), "/v1/suppressions": paging.cursor(at, "sms", "1", ""),
              f"/v1/webhooks/{served.webhook}/deliveries": base64.urlsafe_b64encode(f"{at}|{some}".encode()).decode()}  # fmt: skip
    asked = [requests.get(f"{served.base}{path}", {"after": after}, auth=Asking(), timeout=10) for path, after in places.items()]
    asked += [requests.get(f"{served.base}/v1/{path}", {name: "\0"}, auth=Asking(), timeout=10) for path, name in NULS]
    asked += [
        requests.post(f"{served.base}{path}", json=body, auth=Asking(), timeout=10)
        for path, body in {"/v1/unknown/settle": {**note, "before": at}, f"/v1/webhooks/{served.webhook}/redeliver": {"since": at}}.items()
    ]

    assert [422] * len(asked) == [one.status_code for one in asked], [one.text for one in asked]


class Asking(requests.auth.AuthBase):
    """The shop's key."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["authorization"] = "Bearer shop"
        return request


def addressed(case: schemathesis.Case, path: str, served: Served) -> None:
    """What there is: all other ids are nobody's. And no webhook leads out of this machine."""
    if "{id}" in path:
        case.path_parameters["id"] = served.webhook if path.startswith("/v1/webhooks") else served.doubt if path.endswith("/settle") else served.sent
    if "{lane}" in path:
        case.path_parameters["lane"] = "app"
    if isinstance(case.body, dict) and "url" in case.body:
        case.body["url"] = NOWHERE


@pytest.mark.stack
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path, method", sorted(OPERATIONS, key=lambda one: (one[1] == "delete", OPERATIONS.index(one))))
def test_the_service_answers_as_its_document_says(served, path, method, mode):
    """Requests made from the document, right and wrong ones: no 5xx, no status, type or body that it does not name."""
    api = schemathesis.openapi.from_url(f"{served.base}/openapi.json")

    @some(path)
    @given(api[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        if mode is GenerationMode.POSITIVE:
            addressed(case, path, served)
        case.call_and_validate(checks=CHECKS, auth=Asking(), timeout=10)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "only of what takes no input there is no wrong one"

"""sender's OpenAPI document: it is the one that is checked in, names every route, and what the service answers is what it says."""

import asyncio
import base64
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
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
from parley_sender import paging
from parley_sender.app import build
from parley_sender.openapi import document
from tests.describing import DOCUMENT, NOWHERE, SCHEMAS, Walk, in_doubt, messages, people, webhooks, wrong
from tests.messaging import BODY, Office, office

CHECKED_IN = Path(__file__).parents[1] / "docs" / "contract" / "openapi-sender.yaml"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
VERBS = ("get", "post", "put", "patch", "delete")
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item if method in VERBS]
OWN = {("/healthz", "get"), ("/readyz", "get"), ("/metrics", "get")}
"""What every service has beside its routes."""


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


@pytest.mark.stack
def test_every_answer_is_described_to_its_last_field(served):
    """Each operation of the tenant's succeeds once, with something in every list."""
    walk = Walk(served.office, set(), [])

    async def main() -> None:
        await messages(walk, served.sent)
        await people(walk)
        await webhooks(walk)

    served.run(main())

    assert [] == walk.untold
    assert walk.asked == {(path, method) for path, method in OPERATIONS if path.startswith("/v1/")}


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

"""sender's OpenAPI document: it is the one that is checked in, names every way to ask for messages, and what the service answers is what it says."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
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
from parley_sender import api, lanes_api, settling_api, suppressions_api
from parley_sender.messages_api import Messages
from parley_sender.openapi import document
from tests.messaging import BODY, Office, office

CHECKED_IN = Path(__file__).parents[1] / "docs" / "contract" / "openapi-sender.yaml"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SOME = options(max_examples=40 if options.default.max_examples <= 100 else 300, deadline=None, suppress_health_check=list(HealthCheck))
OPERATIONS = [(path, method) for path, item in document()["paths"].items() for method in item if method in ("get", "post")]


def test_the_document_is_that_of_the_code(tmp_path):
    """`make docs` was run after the last change."""
    assert CHECKED_IN.read_text(encoding="utf-8") == contractdocs.write_api(tmp_path / "api.yaml", document()).read_text(encoding="utf-8")


def test_a_message_is_described_as_it_is_read():
    """What the tests send is valid; a field that nobody knows is not, at any depth."""
    schema = {**document()["components"]["schemas"]["Asked"], "components": document()["components"]}
    wrong = [{**BODY, "more": 1}, {**BODY, "to": {"phone": "1"}}, {**BODY, "content": {"txt": "x"}}, {**BODY, "purpose": "x"}]

    assert jsonschema.Draft202012Validator(schema).is_valid(BODY)
    assert not any(jsonschema.Draft202012Validator(schema).is_valid(one) for one in wrong)


@pytest.fixture(scope="module")
def served(stack, tmp_path_factory) -> Iterator[Office]:
    """A sender that answers while the test asks without waiting for it."""
    folder, up, over, found = tmp_path_factory.mktemp("openapi"), threading.Event(), threading.Event(), list[Office]()
    name = f"test_{uuid4().hex[:12]}"
    database = f"{stack.database.rpartition('/')[0]}/{name}"
    settings = Settings(kafka=stack.kafka, database=database, config=folder, prefix=f"{name}.", partitions=3, secret="test")

    async def main() -> None:
        connection = await asyncpg.connect(stack.database)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        async with office(settings, folder) as one:
            found.append(one)
            up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(60)
    yield found[0]
    over.set()
    thread.join()


@pytest.mark.stack
def test_every_way_to_ask_is_in_the_document(served):
    """And the document is served."""
    context = served.replicas[0].context
    people = [*api.routes(context), *lanes_api.routes(context), *settling_api.routes(context, None), *suppressions_api.routes(context)]
    routes = {route.path for route in [*Messages(context, None, None).routes, *people]}

    assert routes == document()["paths"].keys() - {"/healthz", "/readyz", "/metrics"}
    assert document() == requests.get(f"http://127.0.0.1:{served.replicas[0].port}/openapi.json", timeout=10).json()


class Asking(requests.auth.AuthBase):
    """The shop's key."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["authorization"] = "Bearer shop"
        return request


@pytest.mark.stack
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path, method", OPERATIONS)
def test_the_service_answers_as_its_document_says(served, path, method, mode):
    """Requests made from the document, right and wrong ones: no 5xx, no status, type or body that it does not name."""
    api = schemathesis.openapi.from_url(f"http://127.0.0.1:{served.replicas[0].port}/openapi.json")

    @SOME
    @given(api[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=CHECKS, auth=Asking(), timeout=10)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "only of what takes no input there is no wrong one"

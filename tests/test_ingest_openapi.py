"""ingest's OpenAPI document: it is the one that is checked in, names every route, and what the service answers is what it says."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

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
from parley.channels import webchat
from parley_ingest.app import build
from parley_ingest.chat import tokens
from parley_ingest.openapi import document
from tests.ingesting import KEY, NOW, OTHER_KEY, Shared

CHECKED_IN = Path(__file__).parents[1] / "docs" / "contract" / "openapi-ingest.yaml"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SOME = options(
    max_examples=40 if options.default.max_examples <= 100 else 300, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
OPERATIONS = [(path, method) for path, item in document()["paths"].items() for method in item if method in ("get", "post")]


def test_the_document_is_that_of_the_code(tmp_path):
    """`make docs` was run after the last change."""
    assert CHECKED_IN.read_text(encoding="utf-8") == contractdocs.write_api(tmp_path / "api.yaml", document()).read_text(encoding="utf-8")


def test_what_others_send_is_the_contracts():
    """The event of the document is the one of the contract, down to the last field."""
    schema = {**document()["components"]["schemas"]["CloudEvent"], "components": document()["components"]}
    data = {"customer": {"id": "c"}, "name": "order.placed", "properties": {}, "occurred_at": "2026-11-24T09:00:00Z"}
    event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "parley.customer.event", "data": data}
    wrong = [{**event, "specversion": "0.3"}, {**event, "data": {**data, "name": ""}}, {**event, "id": ""}]

    assert jsonschema.Draft202012Validator(schema).is_valid(event)
    assert not any(jsonschema.Draft202012Validator(schema).is_valid(one) for one in wrong)


@pytest.fixture(scope="module")
def served(stack, tmp_path_factory) -> Iterator[Shared]:
    """An ingest that answers while the test asks without waiting for it."""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as opened:
        patch.setattr("parley_ingest.tracking.WAIT", 0.01)
        patch.setattr("parley_ingest.chat.routes.WAIT", 0.01)
        patch.setattr("parley_ingest.chat.routes.SESSIONS_AT_ONCE", 1e6)
        one = opened.enter_context(Shared(stack, tmp_path_factory.mktemp("openapi")))
        stopping = asyncio.Event()
        thread = threading.Thread(target=lambda: one.run(stopping.wait()))
        thread.start()
        assert 202 == requests.post(f"{one.ingest.base}/chat/chat/messages", json=HELLO, auth=Asking(one, "/messages"), timeout=10).status_code
        yield one
        one.runner.get_loop().call_soon_threadsafe(stopping.set)
        thread.join()


@pytest.mark.stack
def test_every_route_is_in_the_document(served):
    """The socket of web chat too; and the document is served."""
    context = replace(served.ingest.one.context, settings=served.ingest.settings.model_copy(update={"spool_bytes": 0}))
    routes = {route.path for route in asyncio.run(build(context)).routes}

    assert routes == document()["paths"].keys() - {"/healthz", "/readyz", "/metrics"}
    assert document() == requests.get(f"{served.ingest.base}/openapi.json", timeout=10).json()


class Asking(requests.auth.AuthBase):
    """Who may ask for a path: whoever has the key, the visitor's token or the account's secret."""

    def __init__(self, served: Shared, path: str) -> None:
        self._account, self._path = served.ingest.one.context.config.accounts["chat"], path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        if self._path.endswith(("/deliver", "/typing")):
            request.headers.update(webchat.signed(body, "msg_1", self._account, NOW))
        elif self._path.endswith("/messages"):
            request.headers["authorization"] = f"Bearer {tokens.issued(VISITOR, self._account, NOW)}"
        elif self._path.startswith(("/events", "/v1")):
            request.headers["authorization"] = f"Bearer {OTHER_KEY if self._path.startswith('/v1/media') else KEY}"
        return request


VISITOR = UUID(int=7)
HELLO = {"type": "message", "id": str(UUID(int=8)), "text": "hello"}


def addressed(case: schemathesis.Case, path: str, mode: GenerationMode) -> None:
    """The chat that there is, and the visitor who has written there: all others are nobody."""
    if path.startswith("/chat"):
        case.path_parameters["account"] = "chat"
    if mode is GenerationMode.POSITIVE and path.endswith("/deliver"):
        case.body["to"] = str(VISITOR)


@pytest.mark.stack
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path, method", OPERATIONS)
def test_the_service_answers_as_its_document_says(served, path, method, mode):
    """Requests made from the document, right and wrong ones: no 5xx, no status, type or body that it does not name."""
    api = schemathesis.openapi.from_url(f"{served.ingest.base}/openapi.json")
    asking = Asking(served, path)

    @SOME
    @given(api[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        addressed(case, path, mode)
        case.call_and_validate(checks=CHECKS, auth=asking, timeout=10)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "only of what takes no input there is no wrong one"


@pytest.mark.stack
def test_a_cursor_is_a_number_that_every_reader_of_json_knows(served):
    """What was asked with comes back as the cursor: beyond 2^53 a browser would read another one."""
    path, asking = f"{served.ingest.base}/chat/chat/messages", Asking(served, "/messages")

    assert [200, 400] == [requests.get(path, {"after": after}, auth=asking, timeout=10).status_code for after in (2**53, 2**53 + 1)]

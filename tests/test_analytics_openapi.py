"""analytics' OpenAPI document: it is the one that is checked in, names every route, and what the service answers is what it says."""

from pathlib import Path
from typing import Any

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
from parley_analytics import api, experiments_api, talks_api
from parley_analytics.openapi import document
from tests.asking_figures import OTHER_KEY, served
from tests.conftest import created
from tests.test_analytics_count import FIRST

CHECKED_IN = Path(__file__).parents[1] / "docs" / "contract" / "openapi-analytics.yaml"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT = document()
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item if method in ("get", "post")]
OWN = {"/healthz", "/readyz", "/metrics"}
"""What every service has beside its routes."""
EACH = [
    "/v1/rates", "/v1/rates?group_by=flow,step&bucket=day", "/v1/rates?group_by=none&bucket=hour", "/v1/rates?group_by=campaign&limit=1&order=-click",
    "/v1/campaigns", "/v1/campaigns/spring", "/v1/deliverability", "/v1/deliverability?group_by=channel&bucket=week", "/v1/unattributed?bucket=month",
    "/v1/conversations/summary?group_by=team&bucket=day", "/v1/experiments?rate=0.04&per_day=100", "/v1/experiments/spring",
    f"/v1/messages/{FIRST}/hits", "/openapi.json",
]  # fmt: skip

NAMED = {"campaign": "spring", "message": str(FIRST)}
"""What there is of what paths name."""


@pytest.fixture(scope="module")
def asked(stack, tmp_path_factory):
    with created(stack.database, stack.migrated) as database, served(database, tmp_path_factory.mktemp("figures")) as one:
        yield one


def test_the_document_is_that_of_the_code(tmp_path):
    """`make docs` was run after the last change."""
    assert CHECKED_IN.read_text(encoding="utf-8") == contractdocs.write_api(tmp_path / "api.yaml", document()).read_text(encoding="utf-8")


def test_every_example_is_one():
    """Of what is answered, down to the last field."""
    found = {name: wrong(name, example) for name, schema in DOCUMENT["components"]["schemas"].items() for example in schema.get("examples", [])}

    assert {} == {name: said for name, said in found.items() if said}
    assert {"Report", "Campaign", "Figures", "Problem"} <= found.keys()


def wrong(name: str, value: Any) -> list[str]:
    """What of a value is not as a schema of the document says."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return [one.message for one in jsonschema.Draft202012Validator(schema).iter_errors(value)]


@pytest.mark.stack
def test_every_route_is_in_the_document(asked):
    """And the other way round; and the document is served."""
    routes = {one.path for part in (api, experiments_api, talks_api) for one in part.routes(asked.context)}

    assert routes | OWN == {path for path, _ in OPERATIONS}
    assert DOCUMENT == asked.get("/openapi.json").json()


@pytest.mark.stack
@pytest.mark.parametrize("path", EACH)
def test_every_answer_is_described_to_its_last_field(asked, path):
    """Each operation answers once with something in it."""
    answer = asked.get(path)
    named = path.partition("?")[0].replace("spring", "{campaign}").replace(str(FIRST), "{message}")
    schema = DOCUMENT["paths"][named]["get"]["responses"]["200"]["content"]["application/json"]["schema"] if "v1" in path else None

    assert 200 == answer.status_code, answer.text
    assert schema is None or [] == wrong(schema["$ref"].rpartition("/")[2], answer.json())


class Asking(requests.auth.AuthBase):
    """The staff's key."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["authorization"] = f"Bearer {OTHER_KEY}"
        return request


@pytest.mark.stack
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path, method", OPERATIONS)
def test_the_service_answers_as_its_document_says(asked, path, method, mode):
    """Requests made from the document, right and wrong ones: no 5xx, no status, type or body that it does not name."""
    made = schemathesis.openapi.from_url(f"{asked.base}/openapi.json")
    many = options.default.max_examples > 100

    @options(max_examples=300 if many else 25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        if mode is GenerationMode.POSITIVE and case.path_parameters:
            case.path_parameters = {name: NAMED[name] for name in case.path_parameters}
        case.call_and_validate(checks=CHECKS, auth=Asking(), timeout=10)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "only of what takes no input there is no wrong one"

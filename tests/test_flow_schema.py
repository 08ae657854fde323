"""The JSON Schemas for editors: what is a flow passes, what is a typing mistake does not, and every key says what it means."""

import copy
import json
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from parley import yamlfile
from parley_router.flow import Flow
from parley_router.tools import schema
from tests.test_cli import parley
from tests.test_flow_graph import JOURNEY
from tests.test_flow_test import EXAMPLES

ROOT = Path(__file__).parents[1]
PAGES = schema.pages_of()
FLOWS, TESTS = (Draft202012Validator(PAGES[name]) for name in ("flow", "flow-test"))


def plain(value):
    """YAML's days as an editor sees them: texts."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.isoformat(sep=" ", timespec="minutes") if isinstance(value, datetime) else value.isoformat() if isinstance(value, date) else value


def read(text: str):
    return plain(yaml.load(text, Loader=yamlfile._Loader))


READY = {path.name: read(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "config" / "flows").glob("*.yaml"))} | {
    "journey": read(JOURNEY)
}
CONVERSATIONS = {path.name: read(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "config" / "flows" / "tests").glob("*.yaml"))} | {
    name: read(text) for name, text in EXAMPLES if "/tests/" in name
}


@pytest.mark.parametrize("name", PAGES)
def test_files_are_those_of_the_code(name):
    """`make docs` was run after the last change of the language, and the schema is one."""
    Draft202012Validator.check_schema(PAGES[name])

    assert PAGES[name] == json.loads((ROOT / "docs" / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("flow", READY.values(), ids=READY)
def test_ready_flows_pass(flow):
    """An editor marks nothing in them."""
    assert [] == [error.message for error in FLOWS.iter_errors(flow)]


@pytest.mark.parametrize("test", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_ready_tests_pass(test):
    """Nor in their tests."""
    assert [] == [error.message for error in TESTS.iter_errors(test)]


STEP = {"ask": "x", "say": {"en": "a"}, "choices": [{"id": "a", "title": {"en": "A"}}]}


@pytest.mark.parametrize(
    "change",
    [
        {"versoin": 1}, {"version": "one"}, {"version": 0}, {"start": {"keyword": {"en": ["a"]}}}, {"purpose": "adverts"}, {"steps": []}, {"flow": "No Name"},
        {"steps": [{"shout": "x"}]}, {"steps": [{**STEP, "chioces": []}]}, {"steps": [{**STEP, "tries": 9}]}, {"steps": [{**STEP, "within": "soon"}]},
        {"steps": [{"say": {"english": "a"}}]}, {"steps": [{"say": {}}]}, {"steps": [{"wait": "tomorrow"}]}, {"steps": [{"wait": {"for": "1d", "till": "x"}}]},
        {"steps": [{"branch": [{"if": {"tag": "a"}, "go": "b"}]}]}, {"steps": [{"branch": [{"when": {"tagg": "a"}, "go": "b"}]}]},
        {"steps": [{"call": "a", "path": "no-slash"}]}, {"steps": [{"end": False}]}, {"steps": [{"consent": "marketing"}]},
        {"steps": [{"branch": [{"when": {"between": ["8:00", "25:00"]}, "go": "b"}]}]},
    ],
)  # fmt: skip
def test_mistakes_are_marked(change):
    """In the editor as in `parley flow check`."""
    flow = {"flow": "f", "version": 1, "tenant": "acme", "steps": [STEP]}
    with pytest.raises(ValidationError):
        Flow.model_validate({**flow, **change})

    assert FLOWS.is_valid(flow)
    assert not FLOWS.is_valid({**flow, **change})


def maps(value, free=("set", "keep", "with", "body", "variants", "parameters", "profile")):
    """Every mapping whose keys are words of the language."""
    if isinstance(value, dict):
        yield value
        for key, one in value.items():
            if key not in free:
                yield from maps(one, free)
    for one in value if isinstance(value, list) else ():
        yield from maps(one, free)


@given(st.data())
def test_any_key_mistyped_is_marked(data):
    """A letter too many in any key of a ready flow."""
    flow = copy.deepcopy(data.draw(st.sampled_from(list(READY.values()))))
    found = data.draw(st.sampled_from(list(maps(flow))))
    key = data.draw(st.sampled_from(list(found)))
    found[f"{key}x"] = found.pop(key)

    assert not FLOWS.is_valid(flow)


@pytest.mark.parametrize(
    "change", [{"tst": "t"}, {"at": "tomorrow"}, {"talk": []}, {"talk": ["silence"]}, {"talk": [{"sais": "x"}]}, {"contact": {"nam": "x"}}]
)
def test_mistakes_in_tests_are_marked(change):
    """Those of conversations too, one in a file or several."""
    test = {"test": "t", "talk": [{"says": 1}, "nothing"]}

    assert TESTS.is_valid(test) and TESTS.is_valid({"tests": [test]})
    assert not TESTS.is_valid({**test, **change}) and not TESTS.is_valid({"tests": [{**test, **change}]})


@pytest.mark.parametrize("name", PAGES)
def test_every_key_says_what_it_means(name):
    """For whoever points at it in an editor: a sentence with its full stop."""
    page = PAGES[name]
    maps_ = [page, page.get("then", {}), page.get("else", {}), *page["$defs"].values()]
    found = {(place, key): one.get("description", "") for place, each in enumerate(maps_) for key, one in each.get("properties", {}).items()}

    assert {} == {key: text for key, text in found.items() if not text or text[-1] not in ".)"}
    assert len(found) > 60


def test_command():
    """It prints the file."""
    assert PAGES["flow"] == json.loads(parley("flow", "schema").stdout)
    assert PAGES["flow-test"] == json.loads(parley("flow", "schema", "--tests").stdout)

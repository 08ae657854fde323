"""The contract: what others build against does not break, and every event survives the way over the bus."""

import copy
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parley import contractdocs, wire
from parley.contracts import EVENTS, PUBLISHED_BY_OTHERS, TOPICS, Customer, CustomerEvent, Envelope, MessageRequested

CHECKED_IN = Path(__file__).parents[1] / "docs" / "contract"
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def event(**properties: object) -> Envelope:
    data = CustomerEvent(customer=Customer(id="c-1"), name="order.placed", properties=properties, occurred_at=NOW)
    return Envelope(id="e-1", source="/shop", time=NOW, tenant="acme", data=data)


@pytest.mark.parametrize("model", EVENTS, ids=lambda model: contractdocs.file_of(model))
def test_no_consumer_of_the_checked_in_contract_breaks(model):
    """A change of a model is one that readers of the published schema do not notice."""
    published = orjson.loads((CHECKED_IN / contractdocs.file_of(model)).read_bytes())

    assert contractdocs.breaks(published, contractdocs.schema(model), published_by_others=model in PUBLISHED_BY_OTHERS) == []


def test_documents_are_those_of_the_code(tmp_path):
    """`make docs` was run after the last change."""
    made = {path.name: path.read_bytes() for path in contractdocs.write(tmp_path)}

    assert made == {path.name: path.read_bytes() for path in CHECKED_IN.iterdir() if not path.name.startswith("openapi-")}


def test_a_schema_for_every_event_and_no_other():
    assert {contractdocs.file_of(model) for model in EVENTS} == {path.name for path in CHECKED_IN.glob("*.json")}


def changed(place, value):
    """The schema of a requested message with one thing changed."""
    schema = copy.deepcopy(contractdocs.schema(MessageRequested))
    target = schema
    for part in place[:-1]:
        target = target[part]
    if value is None:
        del target[place[-1]]
    else:
        target[place[-1]] = value
    return schema


@pytest.mark.parametrize(
    "place, value, said",
    [
        (("properties", "campaign"), None, "campaign: the field is removed"),
        (("properties", "contact_id", "type"), "integer", "contact_id: no longer allows string:uuid"),
        (("$defs", "Purpose", "enum"), ["reply"], "purpose: no longer allows string:marketing, string:transactional"),
        (("$defs", "Content", "properties", "text"), None, "content.text: the field is removed"),
        (("required",), ["contact_id"], "content: the field may now be missing"),
    ],
)
def test_a_break_is_found_and_named(place, value, said):
    """Removing, narrowing and loosening a promise are each refused with the field's name."""
    found = contractdocs.breaks(contractdocs.schema(MessageRequested), changed(place, value), published_by_others=False)

    assert said in found


@pytest.mark.parametrize(
    "place, value, said",
    [
        (("required",), ["customer", "name", "occurred_at", "properties"], "properties: the field is now required of those who publish"),
        (("properties", "name", "maxLength"), 50, "name: maxLength is tighter"),
    ],
)
def test_who_publishes_is_asked_for_nothing_new(place, value, said):
    """What other services publish may not get stricter."""
    schema = copy.deepcopy(contractdocs.schema(CustomerEvent))
    target = schema
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = value

    assert said in contractdocs.breaks(contractdocs.schema(CustomerEvent), schema, published_by_others=True)


def test_a_field_may_be_added():
    """Readers ignore what they do not know."""
    schema = copy.deepcopy(contractdocs.schema(MessageRequested))
    schema["properties"]["colour"] = {"type": "string"}

    assert contractdocs.breaks(contractdocs.schema(MessageRequested), schema, published_by_others=False) == []


def test_asyncapi_names_every_topic():
    document = yaml.safe_load((CHECKED_IN / "asyncapi.yaml").read_text())

    assert set(TOPICS) == {channel["address"] for channel in document["channels"].values()}


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_an_event_read_back_is_the_one_sent(properties):
    """Whatever the properties hold, and in either CloudEvents mode."""
    sent = event(**properties) if all(name.isidentifier() for name in properties) else event(all=properties)
    topic, _, headers, value = wire.encode(sent)
    structured = {name[3:]: raw.decode() for name, raw in headers if name.startswith("ce_")} | {"data": orjson.loads(value)}
    same = wire.decode(topic, [("content-type", b"application/cloudevents+json; charset=UTF-8")], orjson.dumps(structured))

    assert (sent, sent) == (wire.decode(topic, headers, value), same)


def test_a_value_fits_its_schema():
    """The schema describes what is really sent."""
    _, _, _, value = wire.encode(event(order_id="A1"))

    jsonschema.validate(orjson.loads(value), contractdocs.schema(CustomerEvent), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "headers, value, said",
    [
        ([("ce_specversion", b"1.0"), ("ce_type", b"x"), ("ce_source", b"/s")], b"{}", "the CloudEvents attribute `id` is missing"),
        ([("ce_specversion", b"0.3"), ("ce_id", b"1"), ("ce_type", b"x"), ("ce_source", b"/s")], b"{}", "specversion '0.3' is not 1.0"),
        (
            [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"x"), ("ce_source", b"/s")],
            b"{}",
            "'x' is no type of ours, and its data name no `customer`",
        ),
        ([("content-type", b"application/cloudevents+json")], b"[]", "must be a JSON object"),
        ([("content-type", b"application/cloudevents+json")], b"{", "not JSON"),
        ([("ce_id", b"\xff")], b"{}", "not UTF-8"),
    ],
)
def test_what_is_no_event_is_refused_in_words(headers, value, said):
    """The reason that stands with a dead letter names what is wrong."""
    with pytest.raises(wire.Unreadable, match=said):
        wire.decode("parley.customers", headers, value)

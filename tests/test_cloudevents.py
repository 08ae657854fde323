"""Events of other services: every sample of the CloudEvents Kafka binding reads as it says, attributes and data survive, and a foreign type may tell
of a customer. `pytest tests --samples DIR` walks another directory."""

import base64
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import cloudevents, wire
from parley.contracts import Customer, CustomerEvent

FOLDER = "cloudevents"


@dataclass(frozen=True)
class Sample:
    name: str
    record: dict[str, Any]
    expected: Any


def pytest_generate_tests(metafunc):
    if "sample" in metafunc.fixturenames:
        root = Path(metafunc.config.getoption("--samples"))
        # A directory may hold other providers alone, or be the folder itself.
        found = [one for one in sorted(root.rglob("*.headers.json")) if one.parent.name == FOLDER]
        samples = [
            Sample(
                one.name.removesuffix(".headers.json"),
                orjson.loads(one.with_name(one.name.replace(".headers.json", ".json")).read_bytes()),
                orjson.loads(one.read_bytes())["reads_as"],
            )
            for one in found
        ]
        metafunc.parametrize("sample", samples, ids=lambda one: one.name)


def read(record: dict[str, Any]) -> Any:
    """A record in the words of `reads_as`."""
    value = record.get("value")
    try:
        event = cloudevents.read([(name, text.encode()) for name, text in record["headers"].items()], None if value is None else value.encode())
    except cloudevents.Unreadable:
        return {"reject": 400}
    return [{"kind": "event", "type": event.attributes["type"], "event_id": event.attributes["id"], "source": event.attributes["source"]}]


def test_a_record_reads_as_it_should(sample):
    """Type, id and source; only the keys that `reads_as` names are compared."""
    got = read(sample.record)
    if isinstance(sample.expected, list) and isinstance(got, list):
        got = [{key: item.get(key) for key in wanted} for item, wanted in zip(got, sample.expected, strict=False)] + got[len(sample.expected) :]

    assert sample.expected == got


def test_there_are_samples_of_our_own():
    """A walk of nothing proves nothing."""
    assert any((Path(__file__).parent / "samples" / FOLDER).glob("*.headers.json"))


BINARY = [("ce_specversion", b"1.0"), ("ce_type", b"com.example.thing"), ("ce_source", b"/shop"), ("ce_id", b"1")]
STRUCTURED = {"specversion": "1.0", "type": "com.example.thing", "source": "/shop", "id": "1"}
AS_JSON = [("content-type", b"Application/CloudEvents+JSON; charset=utf-8")]


def structured(**more: Any) -> bytes:
    return orjson.dumps({**STRUCTURED, **more})


def test_extension_attributes_are_kept():
    """In both modes, as text: what is a number or a boolean in JSON is one word in a header."""
    binary = cloudevents.read([*BINARY, ("ce_partitionkey", b"k"), ("ce_sequence", b"7")], b"{}")
    other = cloudevents.read(AS_JSON, structured(partitionkey="k", sequence=7, sampled=True, nothing=None))

    assert {**STRUCTURED, "partitionkey": "k", "sequence": "7"} == binary.attributes
    assert {**STRUCTURED, "partitionkey": "k", "sequence": "7", "sampled": "true"} == other.attributes


@pytest.mark.parametrize(
    "headers, value, data",
    [
        (BINARY, None, None),
        (BINARY, b"", None),
        (BINARY, b"\x00\xff", b"\x00\xff"),
        (AS_JSON, structured(), None),
        (AS_JSON, structured(data=None), None),
        (AS_JSON, structured(data={"order": "A1"}), {"order": "A1"}),
        (AS_JSON, structured(data="text"), "text"),
        (AS_JSON, structured(data_base64=base64.b64encode(b"\x00\xff").decode()), b"\x00\xff"),
    ],
)
def test_data_comes_as_it_was_sent(headers, value, data):
    """A record without a value (a tombstone), bytes, JSON of any kind, base64."""
    assert data == cloudevents.read(headers, value).data


@pytest.mark.parametrize("name", cloudevents.REQUIRED)
def test_an_event_without_a_required_attribute_is_refused_by_its_name(name):
    with pytest.raises(cloudevents.Unreadable, match=f"attribute `{name}` is missing"):
        cloudevents.read([one for one in BINARY if one[0] != f"ce_{name}"], b"{}")


@pytest.mark.parametrize(
    "body, said",
    [
        (structured(data=1, data_base64="AA=="), "cannot both be given"),
        (structured(data_base64="*"), "not base64"),
        (structured(data_base64=1), "not base64"),
    ],
)
def test_data_that_cannot_be_read_is_refused_in_words(body, said):
    with pytest.raises(cloudevents.Unreadable, match=said):
        cloudevents.read(AS_JSON, body)


TENANT = [("ce_tenant", b"acme"), ("ce_time", b"2026-11-23T09:28:39.220Z")]


@pytest.mark.parametrize(
    "data, properties",
    [
        ({"customer": {"id": "42"}, "order": "A1"}, {"order": "A1"}),
        ({"customer": {"id": "42"}, "properties": {"order": "A1"}, "other": 1}, {"order": "A1"}),
    ],
)
def test_a_foreign_event_that_names_a_customer_is_the_customers(data, properties):
    """Named by its type, so that flows can begin with it; it happened when the event says."""
    event = wire.decode("parley.customers", [*BINARY, *TENANT], orjson.dumps(data))

    assert isinstance(event.data, CustomerEvent)
    assert (Customer(id="42"), "com.example.thing", properties, event.time) == (
        event.data.customer, event.data.name, event.data.properties, event.data.occurred_at,
    )  # fmt: skip


def test_a_foreign_event_may_say_its_name_and_time():
    data = {"customer": {"id": "42"}, "name": "order.shipped", "occurred_at": "2026-01-01T00:00:00Z"}
    event = wire.decode("parley.customers", AS_JSON, structured(data=data, tenant="acme"))

    assert ("order.shipped", "2026-01-01T00:00:00+00:00", "acme") == (event.data.name, event.data.occurred_at.isoformat(), event.tenant)


@pytest.mark.parametrize(
    "value, said",
    [
        (b'{"order": "A1"}', "its data name no `customer`"),
        (None, "its data name no `customer`"),
        (b"{", "not JSON"),
        (b'{"customer": {}}', "customer needs an `id` or at least one of `addresses`"),
    ],
)
def test_a_foreign_event_of_nobody_is_refused_in_words(value, said):
    """On Kafka it goes to the dead letters with that sentence."""
    with pytest.raises(wire.Unreadable, match=said):
        wire.decode("parley.customers", [*BINARY, *TENANT], value)


def test_other_topics_take_no_foreign_types():
    with pytest.raises(wire.Unreadable, match="is no type of parley.inbound"):
        wire.decode("parley.inbound", [*BINARY, *TENANT], b'{"customer": {"id": "1"}}')


def test_an_event_of_ours_without_data_is_refused():
    with pytest.raises(wire.Unreadable, match="the event has no data"):
        wire.decode("parley.customers", [*BINARY[:1], ("ce_type", b"parley.customer.event"), *BINARY[2:], *TENANT], None)


headers = st.lists(st.tuples(st.sampled_from([*(name for name, _ in BINARY), "content-type", "ce_time", "traceparent", "x"]), st.binary(max_size=12)))


@given(headers | st.just(AS_JSON) | st.just([*BINARY, *TENANT]), st.none() | st.binary(max_size=60))
def test_no_bytes_make_anything_but_an_event_or_a_sentence(found, value):
    """Nothing else ever leaves the reader: a broken record costs itself alone."""
    with contextlib.suppress(wire.Unreadable):
        wire.decode("parley.customers", found, value)

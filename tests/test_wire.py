"""Ids and records on the wire."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from parley import positions, step, wire
from parley.contracts import ConsentChanged
from parley.cursor import Place
from parley.positions import Origin

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@given(st.lists(st.text(), min_size=1))
def test_ids_are_uuids_of_version_5(parts):
    """Made by hand for speed, they are what RFC 9562 says: anybody can make them again."""
    assert uuid5(wire.PARLEY, "\x1f".join(parts)) == wire.natural_id(*parts)
    assert uuid5(wire.PARLEY, f"{parts[0]}\x1e7") == wire.caused_id(parts[0], 7)


def test_what_a_stage_makes_carries_where_it_came_from():
    """The record decodes to an event whose origin a keyed state reads back, with the cause's tenant, trace and beginning."""
    data = ConsentChanged(contact_id=UUID(int=1), channel="sms", purpose="reply", state="granted", source="test", at=NOW)
    cause = wire.envelope(
        "parley.consent",
        {
            "specversion": "1.0",
            "id": "e1",
            "source": "s",
            "type": data.type,
            "tenant": "acme",
            "traceparent": "00-1-2-01",
            "startedat": NOW.isoformat(),
        },
        data.model_dump_json().encode(),
    )
    arrived = step.Arrived(cause, Place("parley.consent", 3), 42, None)

    found = step.outputs("router", [arrived], [step.Caused(arrived, data), step.Caused(arrived, data)], NOW)
    (_, first), (offset, (topic, key, headers, value)) = found[arrived.place]
    event = wire.decode(topic, headers, value)

    assert (42, data.key.encode(), data) == (offset, key, event.data)
    assert Origin("router:parley.consent:3", 42, 1) == positions.parse(event.origin)
    assert ("acme", "00-1-2-01", NOW, NOW) == (event.tenant, event.traceparent, event.started_at, event.time)
    assert str(wire.caused_id("router:e1", 1)) == event.id != wire.decode(*first[:1], *first[2:]).id

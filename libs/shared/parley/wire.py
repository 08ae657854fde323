"""Events to Kafka records and back: the CloudEvents Kafka binding, both modes in, binary mode out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from pydantic import ValidationError

from parley import cloudevents
from parley.cloudevents import REQUIRED as REQUIRED
from parley.cloudevents import Unreadable as Unreadable
from parley.cloudevents import split_structured as split_structured
from parley.contracts import BY_TOPIC_AND_TYPE, CustomerEvent, Data, Envelope, Record

OPTIONAL = {"parleytenant": "tenant", "tenant": "tenant", "subject": "subject", "startedat": "started_at", "origin": "origin"}
PARLEY = uuid5(NAMESPACE_URL, "https://parley.dev/events")

D = TypeVar("D", bound=Data)


def natural_id(*parts: str) -> UUID:
    """The id of something from outside: the same parts give the same id, so a repeat is known as one."""
    return uuid5(PARLEY, "\x1f".join(parts))


def caused_id(cause: str, index: int) -> UUID:
    """The id of what a stage produces: the causing event's id and the place among its results, so a repeat makes the same ids."""
    return uuid5(PARLEY, f"{cause}\x1e{index}")


def encode(event: Envelope) -> Record:
    """The Kafka record of an event. Attributes that are not set are left out."""
    data = event.data
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_type", data.type.encode()),
        ("ce_source", event.source.encode()),
        ("ce_time", event.time.isoformat().encode()),
        ("ce_tenant", event.tenant.encode()),
        ("content-type", b"application/json"),
    ]
    if event.subject is not None:
        headers.append(("ce_subject", event.subject.encode()))
    if event.started_at is not None:
        headers.append(("ce_startedat", event.started_at.isoformat().encode()))
    if event.origin is not None:
        headers.append(("ce_origin", event.origin.encode()))
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode()))
    return data.topic, data.key.encode(), headers, data.__pydantic_serializer__.to_json(data, exclude_none=True)


def decode(topic: str, headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """The event in a Kafka record of `topic`. Raises `Unreadable` with the reason."""
    attributes, data = cloudevents.read(headers, value)
    return _envelope(topic, attributes, data)


def envelope(topic: str, attributes: Mapping[str, str], data: bytes | Any) -> Envelope:
    """An event from CloudEvents attributes and its data (JSON bytes, or JSON already read). Raises `Unreadable`."""
    return _envelope(topic, cloudevents.checked(attributes), data)


def _envelope(topic: str, attributes: Mapping[str, str], data: bytes | Any) -> Envelope:
    model = BY_TOPIC_AND_TYPE.get((topic, attributes["type"]))
    if model is None and topic == CustomerEvent.topic:
        model, data = CustomerEvent, cloudevents.of_customer(attributes, data)
    if model is None:
        known = ", ".join(sorted(kind for place, kind in BY_TOPIC_AND_TYPE if place == topic))
        raise Unreadable(f"{attributes['type']!r} is no type of {topic}; known: {known}")
    if data is None:
        raise Unreadable("the event has no data")
    fields: dict[str, Any] = {ours: attributes[theirs] for theirs, ours in OPTIONAL.items() if theirs in attributes}
    try:
        content = model.model_validate_json(data) if isinstance(data, bytes) else model.model_validate_json(orjson.dumps(data))
        return Envelope.model_validate(
            {
                "id": attributes["id"],
                "source": attributes["source"],
                "time": attributes.get("time") or getattr(content, "occurred_at", None) or "1970-01-01T00:00:00Z",
                "traceparent": attributes.get("traceparent"),
                "tenant": fields.pop("tenant", ""),
                "data": content,
                **fields,
            }
        )
    except ValidationError as error:
        raise Unreadable(in_words(error)) from error
    except orjson.JSONEncodeError as error:
        raise Unreadable("the data are nested too deeply") from error


def in_words(error: ValidationError, limit: int = 5) -> str:
    """What pydantic found, one `where: what` each, without the input (it may hold an address or a text)."""
    found = [
        f"{'.'.join(str(part) for part in item['loc']) or 'value'}: {item['msg']}" for item in error.errors(include_input=False, include_url=False)
    ]
    more = f" (and {len(found) - limit} more)" if len(found) > limit else ""
    return "; ".join(found[:limit]) + more

"""Events to Kafka records and back: the CloudEvents Kafka binding, both modes in, binary mode out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha1
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from pydantic import BaseModel, ValidationError

from parley import cloudevents
from parley.cloudevents import REQUIRED as REQUIRED
from parley.cloudevents import Unreadable as Unreadable
from parley.cloudevents import split_structured as split_structured
from parley.contracts import BY_TOPIC_AND_TYPE, CustomerEvent, Data, Envelope, Record

OPTIONAL = {"parleytenant": "tenant", "tenant": "tenant", "subject": "subject", "startedat": "started_at", "origin": "origin"}
PARLEY = uuid5(NAMESPACE_URL, "https://parley.dev/events")
_PARLEY = PARLEY.bytes
_VERSION, _VERSION_5 = ~(0xF000 << 64 | 0xC000 << 48), 0x5000 << 64 | 0x8000 << 48
"""The bits of a UUID that say its version and variant, and what they are in version 5 (RFC 9562)."""

M = TypeVar("M", bound=BaseModel)


def natural_id(*parts: str) -> UUID:
    """The id of something from outside: the same parts give the same id, so a repeat is known as one."""
    return _id("\x1f".join(parts))


def natural_text(*parts: str) -> str:
    """`str(natural_id(*parts))`, without the UUID between."""
    text = sha1(_PARLEY + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:32]}"


def caused_id(cause: str, index: int) -> UUID:
    """The id of what a stage produces: the causing event's id and the place among its results, so a repeat makes the same ids."""
    return _id(f"{cause}\x1e{index}")


def _id(name: str) -> UUID:
    """`uuid5(PARLEY, name)` in a third of its time: every event makes several."""
    digest = sha1(_PARLEY + name.encode(), usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(digest[:16], "big") & _VERSION | _VERSION_5)


def made(model: type[M], **fields: Any) -> M:
    """A model of values that are right already, every field given, in the order of its fields. `model_construct` takes eight times as long, and three
    times as long as checking them would."""
    assert len(fields) == len(model.__pydantic_fields__), f"{model.__name__} has other fields than {', '.join(fields)}"
    found = model.__new__(model)
    put = object.__setattr__  # it is frozen from the first moment on
    put(found, "__dict__", fields)
    put(found, "__pydantic_fields_set__", set(fields))
    put(found, "__pydantic_extra__", None)
    put(found, "__pydantic_private__", None)
    return found


def encode(event: Envelope) -> Record:
    """The Kafka record of an event. Attributes that are not set are left out."""
    return record_of(
        event.data, event.id, event.source, event.time.isoformat(), event.tenant, event.subject, event.started_at, event.origin, event.traceparent
    )


def record_of(
    data: Data,
    identifier: str,
    source: str,
    time: str,
    tenant: str,
    subject: str | None = None,
    started_at: datetime | None = None,
    origin: str | None = None,
    traceparent: str | None = None,
) -> Record:
    """As `encode`, from the attributes themselves: a stage that makes thousands a second makes no envelopes that only this would open again."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", identifier.encode()),
        ("ce_type", data.type.encode()),
        ("ce_source", source.encode()),
        ("ce_time", time.encode()),
        ("ce_tenant", tenant.encode()),
        ("content-type", b"application/json"),
    ]
    if subject is not None:
        headers.append(("ce_subject", subject.encode()))
    if started_at is not None:
        headers.append(("ce_startedat", started_at.isoformat().encode()))
    if origin is not None:
        headers.append(("ce_origin", origin.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return data.topic, data.key.encode(), headers, data.__pydantic_serializer__.to_json(data, exclude_none=True)


def decode(topic: str, headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """The event in a Kafka record of `topic`. Raises `Unreadable` with the reason."""
    attributes, data = cloudevents.read(headers, value)
    return _envelope(topic, attributes, data)


def envelope(topic: str, attributes: Mapping[str, str], data: bytes | Any) -> Envelope:
    """An event from CloudEvents attributes and its data (JSON bytes, or JSON already read). Raises `Unreadable`."""
    return _envelope(topic, cloudevents.checked(attributes), data)


OURS = frozenset(kind for _, kind in BY_TOPIC_AND_TYPE)
"""Types that are never taken for somebody else's, wherever they stand."""


def _envelope(topic: str, attributes: Mapping[str, str], data: bytes | Any) -> Envelope:
    model = BY_TOPIC_AND_TYPE.get((topic, attributes["type"]))
    if model is None and topic == CustomerEvent.topic and attributes["type"] not in OURS:
        model, data = CustomerEvent, cloudevents.of_customer(attributes, data)
    if model is None:
        known = ", ".join(sorted(kind for place, kind in BY_TOPIC_AND_TYPE if place == topic))
        raise Unreadable(f"{attributes['type']!r} is no type of {topic}; known: {known}")
    if data is None:
        raise Unreadable("the event has no data")
    try:
        # `model_validate_json` and `model_validate` ask on their way what nobody says here: a third of the time of reading.
        content = model.__pydantic_validator__.validate_json(data if isinstance(data, bytes) else orjson.dumps(data))
        fields: dict[str, Any] = {ours: attributes[theirs] for theirs, ours in OPTIONAL.items() if theirs in attributes}
        fields.setdefault("tenant", "")
        fields["id"], fields["source"], fields["traceparent"] = attributes["id"], attributes["source"], attributes.get("traceparent")
        fields["time"] = attributes.get("time") or getattr(content, "occurred_at", None) or "1970-01-01T00:00:00Z"
        fields["data"] = content
        found: Envelope = Envelope.__pydantic_validator__.validate_python(fields)
        return found
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

"""CloudEvents 1.0 as others write them: any event of the Kafka binding, both modes, with every attribute kept; and what a foreign one says of a
customer. Pure.

Source: cloudevents/spec, cloudevents/bindings/kafka-protocol-binding.md and cloudevents/formats/json-format.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

STRUCTURED = "application/cloudevents"
REQUIRED = ("specversion", "id", "source", "type")
BODY = frozenset({"data", "data_base64"})
"""Members of a structured event that are no attributes."""


class Unreadable(ValueError):
    """The bytes are no event of the contract. The sentence says what is wrong and where."""


class CloudEvent(NamedTuple):
    """An event as it came. `attributes` holds the extensions too, as text; `data` is bytes where they came as such, JSON already read, or None."""

    attributes: Mapping[str, str]
    data: bytes | Any


def read(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> CloudEvent:
    """The event in a Kafka record. Raises `Unreadable` with the reason."""
    found: dict[str, str] = {}
    others: dict[str, str] = {}
    try:
        for name, raw in headers:
            if raw is not None:
                attribute, lower = _named(name)
                (found if attribute else others)[lower] = raw.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"a header is not UTF-8: {error}") from error
    data: bytes | Any = value or None
    if others.get("content-type", "").lower().startswith(STRUCTURED):
        found, data = split_structured(_json(value or b""))
    if "traceparent" in others:
        found["traceparent"] = others["traceparent"]
    checked(found)
    return CloudEvent(found, data)


@lru_cache(maxsize=512)
def _named(header: str) -> tuple[bool, str]:
    """Whether a header is an attribute of the event, and its name. They are the same few for millions of records."""
    name = header.lower()
    return (True, name[3:]) if name.startswith("ce_") else (False, name)


def split_structured(document: Any) -> tuple[dict[str, str], bytes | Any]:
    """Attributes and data of an event in structured mode. Numbers and booleans become text, as they would be in a header."""
    if not isinstance(document, dict):
        raise Unreadable("a structured CloudEvent must be a JSON object")
    attributes = {name: text for name, value in document.items() if name not in BODY and (text := _text(value)) is not None}
    if document.get("data_base64") is None:
        return attributes, document.get("data")
    if document.get("data") is not None:
        raise Unreadable("`data` and `data_base64` cannot both be given")
    try:
        return attributes, base64.b64decode(document["data_base64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Unreadable(f"data_base64 is not base64: {error}") from error


def checked(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """The attributes, with all that every event must have. Raises `Unreadable`."""
    for name in REQUIRED:
        if not attributes.get(name):
            raise Unreadable(f"the CloudEvents attribute `{name}` is missing")
    if attributes["specversion"] != "1.0":
        raise Unreadable(f"CloudEvents specversion {attributes['specversion']!r} is not 1.0")
    return attributes


def of_customer(attributes: Mapping[str, str], data: bytes | Any) -> dict[str, Any]:
    """An event of a type that is not ours, as the data of a customer's event: named by its type, the rest of its data as properties.

    Raises `Unreadable` where its data name no customer: then it concerns nobody here.
    """
    document = _json(data) if isinstance(data, bytes) and data else data
    if not isinstance(document, dict) or "customer" not in document:
        raise Unreadable(f"{attributes['type']!r} is no type of ours, and its data name no `customer` (an object with `id` or `addresses`)")
    told = document.get("properties")
    properties = (
        told if isinstance(told, dict) else {name: value for name, value in document.items() if name not in ("customer", "occurred_at", "name")}
    )
    return {
        "customer": document["customer"],
        "name": document.get("name") or attributes["type"],
        "properties": properties,
        "occurred_at": document.get("occurred_at") or attributes.get("time"),
    }


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def _json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error}") from error

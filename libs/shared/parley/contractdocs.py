"""The contract as documents: AsyncAPI 3 and a JSON Schema for each event, made from `contracts`; and what would break whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from parley import eventdocs
from parley.contracts import COMPACTED, DEAD_TOPIC, EVENTS, PUBLISHED_BY_OTHERS, Data

ATTRIBUTES = {
    "ce_specversion": "CloudEvents version, 1.0",
    "ce_id": "Id of the event; with ce_source unique. A repeat has the same.",
    "ce_type": "Which event this is",
    "ce_source": "Who made it",
    "ce_time": "When it was made, RFC 3339",
    "ce_subject": "The contact it is about, where it is about one",
    "ce_tenant": "Whose it is",
    "ce_startedat": "When the outermost cause reached Parley",
    "ce_origin": "Place in the bus that caused it, `stage:topic:partition:offset:index`; by it a reader knows a repeat",
    "traceparent": "W3C Trace Context",
    "content-type": "application/json",
}
KEYS = {
    "parley.raw": "account + sender address",
    "parley.customers": "customer id",
    "parley.receipts": "account + provider id",
    "parley.links": "code",
    "parley.hits": "message id",
    "parley.consent": "contact id + channel + purpose",
}


def schema(event: type[Data]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an event's data. Readers ignore fields they do not know, so the schema allows them."""
    made = event.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": file_of(event), **made}


def file_of(event: type[Data]) -> str:
    """The name of an event's schema: topic and type, since a type may stand in two topics."""
    return f"{event.topic}.{event.type.removeprefix('parley.')}.json"


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: a channel for each topic, with its messages, key and headers."""
    topics: dict[str, list[type[Data]]] = {}
    for event in EVENTS:
        topics.setdefault(event.topic, []).append(event)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parley",
            "version": "1.0.0",
            "description": "Events on Parley's bus: CloudEvents 1.0, Kafka binding, binary mode. One key, one order.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_name(topic): _channel(topic, events) for topic, events in topics.items()}
        | {"dead": {"address": DEAD_TOPIC, "description": "Records that could not be processed, as they were, with headers error, stage, topic, partition, offset."}},
        "operations": {
            f"{'receive' if event in PUBLISHED_BY_OTHERS else 'send'}{event.__name__}": {
                "action": "receive" if event in PUBLISHED_BY_OTHERS else "send",
                "channel": {"$ref": f"#/channels/{_name(event.topic)}"},
                "messages": [{"$ref": f"#/channels/{_name(event.topic)}/messages/{event.__name__}"}],
            }
            for event in EVENTS
        },
        "components": {
            "messages": {event.__name__: _message(event) for event in EVENTS},
            # Properties of customers' events by their name: what Parley reads of them. Other names pass through.
            "schemas": eventdocs.schemas(),
        },
    }  # fmt: skip


def write(target: Path) -> Iterator[Path]:
    """Writes the documents; gives the path of each file. What is no event any more is removed."""
    target.mkdir(parents=True, exist_ok=True)
    files = {file_of(event): orjson.dumps(schema(event), option=orjson.OPT_INDENT_2) + b"\n" for event in EVENTS}
    files["asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=150).encode()
    for old in target.glob("parley.*.json"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (target / name).write_bytes(content)
        yield target / name


def write_api(target: Path, document: Mapping[str, Any]) -> Path:
    """Writes the OpenAPI document of a service; gives its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    plain = orjson.loads(orjson.dumps(document))  # what is there twice is written twice, not referred to
    target.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=150), encoding="utf-8")
    return target


def breaks(old: Mapping[str, Any], new: Mapping[str, Any], *, published_by_others: bool) -> list[str]:
    """What a change from one schema to the other breaks, a sentence each; empty when nobody notices.

    Always: a field removed, a type or a set of values narrowed. Where only Parley publishes: a field that may now be missing or of another type.
    Where others publish: a new required field, a bound made tighter.
    """
    return list(_compare(_resolved(old, old), _resolved(new, new), "", published_by_others))


def _compare(old: Any, new: Any, where: str, others: bool) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, was in before.items():
        place = f"{where}.{name}".lstrip(".")
        if name not in after:
            yield f"{place}: the field is removed"
            continue
        yield from _types(was, after[name], place, others)
        yield from _compare(was, after[name], place, others)
    for part in ("items", "additionalProperties"):
        if isinstance(old.get(part), Mapping) and isinstance(new.get(part), Mapping):
            yield from _types(old[part], new[part], f"{where}[]", others)
            yield from _compare(old[part], new[part], f"{where}[]", others)
    was_required, now_required = set(old.get("required", ())), set(new.get("required", ()))
    sentence = "the field is now required of those who publish" if others else "the field may now be missing"
    for name in sorted(now_required - was_required if others else (was_required - now_required) & after.keys()):
        yield f"{where}.{name}".lstrip(".") + f": {sentence}"


def _types(old: Any, new: Any, place: str, others: bool) -> Iterator[str]:
    was, now = _allowed(old), _allowed(new)
    if narrowed := was - now:
        yield f"{place}: no longer allows {', '.join(sorted(narrowed))}"
    if not others and (other := _kinds(now) - _kinds(was)):
        yield f"{place}: may now also be {', '.join(sorted(other))}"
    for bound, tighter in (("maxLength", -1), ("maximum", -1), ("maxItems", -1), ("minLength", 1), ("minimum", 1), ("minItems", 1)):
        if others and bound in new and (bound not in old or (new[bound] - old[bound]) * tighter > 0):
            yield f"{place}: {bound} is tighter"
    if others and new.get("pattern") not in (None, old.get("pattern")):
        yield f"{place}: the pattern changed"


def _allowed(one: Any) -> set[str]:
    """The types and values that a schema allows, as words."""
    options = one.get("anyOf") or [one]
    found: set[str] = set()
    for option in options:
        if "enum" in option or "const" in option:
            found |= {f"{option.get('type', 'any')}:{value}" for value in option.get("enum", [option.get("const")])}
        else:
            found.add(f"{option.get('type', 'any')}" + (f":{option['format']}" if "format" in option else ""))
    return found


def _kinds(words: set[str]) -> set[str]:
    return {word.partition(":")[0] for word in words}


def _resolved(node: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """The schema with its references put in."""
    if isinstance(node, list):
        return [_resolved(one, root, depth) for one in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node and depth < 12:
        return _resolved(root["$defs"][node["$ref"].rpartition("/")[2]], root, depth + 1)
    return {name: _resolved(one, root, depth) for name, one in node.items() if name != "$defs"}


def _channel(topic: str, events: list[type[Data]]) -> dict[str, Any]:
    return {
        "address": topic,
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in events},
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": ["compact" if topic in COMPACTED else "delete"]}}},
    }


def _message(event: type[Data]) -> dict[str, Any]:
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().partition("\n")[0],
        "headers": {"type": "object", "properties": {name: {"type": "string", "description": meaning} for name, meaning in ATTRIBUTES.items()}},
        "payload": {"$ref": f"./{file_of(event)}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": KEYS.get(event.topic, "contact id")}}},
    }


def _name(topic: str) -> str:
    return topic.removeprefix("parley.")

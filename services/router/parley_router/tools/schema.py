"""JSON Schemas of flows and of their tests, for editors: completion, hover and typing mistakes, made from the models and their docstrings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from parley_router.flow import Flow
from parley_router.steps import KINDS, some
from parley_router.tools.entries import KEYS
from parley_router.tools.talks import ALONE, Test, Tests

DURATION: JsonSchemaValue = {"type": "string", "pattern": r"^(\d{1,6}[wdhms])+$", "examples": ["90s", "15m", "2h", "3d", "1d12h"]}
CLOCK: JsonSchemaValue = {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "examples": ["09:00"]}
MOMENT: JsonSchemaValue = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?$", "examples": ["2026-11-25 10:00"]}
SHORTER: Mapping[str, JsonSchemaValue] = {
    "_span": DURATION,
    "_bot": {"type": ["string", "number", "boolean"]},
    "_meaning": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "_any": {"const": True},
    "_word": {"enum": list(ALONE)},
}
"""What else may stand where a validator of this name makes the longer form of it."""


def write(folder: Path) -> list[Path]:
    """Writes the schemas into `folder` and gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {folder / f"{name}.schema.json": page for name, page in pages_of().items()}
    for path, page in pages.items():
        path.write_text(written(page), encoding="utf-8")
    return list(pages)


def written(page: JsonSchemaValue) -> str:
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"


def pages_of() -> dict[str, JsonSchemaValue]:
    """The schemas by name."""
    flow = Flow.model_json_schema(schema_generator=_Generator)
    one, several = (model.model_json_schema(schema_generator=_Generator) for model in (Test, Tests))
    definitions = {**one.pop("$defs"), **several.pop("$defs")}
    test: JsonSchemaValue = {"if": {"required": ["tests"]}, "then": several, "else": one, "$defs": definitions}
    return {
        "flow": _headed("A flow of Parley: see docs/flows.md", flow, nulls=False),
        "flow-test": _headed("Conversations that flows of Parley are tested with: see docs/flows-testing.md", test, nulls=True),
    }


def _headed(title: str, schema: JsonSchemaValue, *, nulls: bool) -> JsonSchemaValue:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidied(schema, nulls=nulls), "title": title}


class _Generator(GenerateJsonSchema):
    """Lengths and times as files write them, shorter forms, what must not be empty, and what each key means."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return dict(DURATION)

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        return dict(CLOCK)

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        return dict(MOMENT)

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        found = super().function_before_schema(schema)
        name = getattr(schema["function"]["function"], "__name__", "")
        if name in ("listed", "_served"):
            several = next(one for one in found.get("anyOf", [found]) if "items" in one)
            return {"anyOf": [several["items"], *found.get("anyOf", [found])]}
        if name == "words":
            return {**found, "type": ["string", "number", "boolean"]}
        return {"anyOf": [SHORTER[name], found]} if name in SHORTER else found

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        found = super().function_after_schema(schema)
        if schema["function"]["function"] is some:
            found = {**found, "minItems" if found.get("type") == "array" else "minProperties": 1}
        return found

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        for name, one in found.get("properties", {}).items():
            if (text := meaning(schema["cls"], name)) is not None:
                one["description"] = text
        return found


def _tidied(value: Any, *, nulls: bool, of_names: bool = False) -> Any:
    """Without what says nothing to people: titles, nothing as a default, and as a value where it has no meaning; with the other keys of a map refused.

    `of_names`: the keys are names of properties or definitions, not words of the schema.
    """
    if isinstance(value, list):
        return [_tidied(one, nulls=nulls) for one in value]
    if not isinstance(value, dict):
        return value
    if of_names:
        return {key: _tidied(one, nulls=nulls) for key, one in value.items()}
    unset = value.get("default", ...) is None
    found = {key: one for key, one in value.items() if key != "title" and not (key == "default" and (one in (None, []) or isinstance(one, dict)))}
    if unset and not nulls and {"type": "null"} in found.get("anyOf", ()):
        rest = [one for one in found.pop("anyOf") if one != {"type": "null"}]
        found |= rest[0] if len(rest) == 1 else {"anyOf": rest}
    if "patternProperties" in found:
        found["additionalProperties"] = False
    if found.get("type") == "array" and "maxLength" in found:
        found["maxItems"] = found.pop("maxLength")
    return {key: _tidied(one, nulls=nulls, of_names=key in ("properties", "$defs", "patternProperties")) for key, one in found.items()}


# --- what a key means --------------------------------------------------------------------------------------------------------------------

ANYWHERE: Mapping[str, str] = {
    "id": "A name by which others lead here, or by which a tap is known: small letters, digits, hyphens.",
    "say": "What is said, by language.",
    "short": "What is said instead where every segment costs (SMS), by language.",
    "again": "What is said when the answer does not fit, by language.",
    "go": "Where it goes on: a step of this flow by its id, or `flow/NAME`. Default: the next step.",
    "otherwise": "Where it goes on when nothing else fits: a step by its id, or `flow/NAME`.",
    "tries": "How often is asked in all.",
    "choices": "What can be tapped; writing it is the same.",
    "title": "What people read, by language.",
    "text": "What stands below the title, by language.",
    "media": "Pictures, sounds, films or documents beside the text.",
    "image": "The address of a picture.",
    "audio": "The address of a sound.",
    "video": "The address of a film.",
    "document": "The address of a document.",
    "url": "The address; it may be a template.",
    "kind": "What kind of file it is.",
    "path": "The path below the service's address; a template.",
    "method": "The method of the request.",
    "state": "The state of the consent.",
    "weight": "Its share of the contacts.",
    "when": "The condition.",
    "where": "A condition over the event's properties, as `event.NAME`.",
    "location": "Where the customer is.",
    "lat": "Degrees north.",
    "lon": "Degrees east.",
    "channel": "The channel.",
    "purpose": "Why it is said: an answer, something about an order, advertising.",
    "language": "A language, ISO 639-1.",
    "profile": "The name of the profile's value that holds the date.",
    "flow": "The flow's name, unique in the tenant.",
    "version": "Its version: raise it with every change that is to be live.",
    "tenant": "Whose it is: a tenant of accounts.yaml.",
    "end": "The flow ends here.",
    "start": "How it begins. Without any of it, only other flows go to it.",
    "steps": "What it does, in order.",
    "test": "What the conversation shows, in a sentence.",
    "tests": "Several conversations.",
    "at": "When it begins, in the tenant's zone. Default: 2026-03-02 10:00, a Monday.",
    "contact": "Who it is: what is known before.",
    "talk": "What is said and happens, in order.",
    "leaving": "It sounds like an opt-out.",
    "entities": "What was found in it: `order_number`, `phone`, `email`, `date`, `quantity`, `size`.",
}
"""What keys mean of which no docstring speaks."""


def meaning(model: type[BaseModel], name: str) -> str | None:
    """What the docstring of a model, or of those that it builds upon, says of a key; of the key that names a step or an entry, all of its docstring."""
    if any(found is model for found in (KINDS.get(name), KEYS.get(name))):
        return "\n".join(_lines(model.__doc__ or "")) or ANYWHERE.get(name)
    docs = [_lines(one.__doc__ or "") for one in model.__mro__ if issubclass(one, BaseModel) and one is not BaseModel]
    told = next((text for doc in docs if (text := _told(doc, name)) is not None), None)
    return told or ANYWHERE.get(name) or next((text for doc in docs if (text := _mentioned(doc, name)) is not None), None)


def _lines(doc: str) -> list[str]:
    """The docstring with each paragraph and each point on one line."""
    found: list[str] = []
    goes_on = False
    for line in map(str.strip, doc.strip().splitlines()):
        if goes_on and line and not line.startswith("- "):
            found[-1] += f" {line}"
        elif line:
            found.append(line)
        goes_on = bool(line)
    return found


_KEYS = re.compile(r"(?:(?<=^- )|(?<=[.;:] )|^)((?:`\w+`(?:, |,? and )?)+)(?: \([^)]*\))?: ")


def _told(lines: list[str], name: str) -> str | None:
    """What stands behind the key and a colon, up to the next key."""
    for line in lines:
        found = list(_KEYS.finditer(line))
        ends = [*(one.start() for one in found[1:]), len(line)]
        for one, end in zip(found, ends, strict=False):
            if f"`{name}`" in one[0]:
                return _sentence(line[one.end() : end])
    return None


def _mentioned(lines: list[str], name: str) -> str | None:
    """The first sentence that speaks of the key."""
    return next((_sentence(one) for line in lines for one in re.split(r"(?<=[.;])\s", line.removeprefix("- ")) if f"`{name}`" in one), None)


def _sentence(text: str) -> str:
    text = text.strip().rstrip(";., ")
    return f"{text[:1].upper()}{text[1:]}."

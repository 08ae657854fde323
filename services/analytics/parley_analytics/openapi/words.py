"""What all parts of the document are written with: statuses and what they mean here, kinds of values, questions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from parley import apidocs
from parley.apidocs import JSON, answer, reference
from parley_analytics.query import BUCKETS, NONE, TEXT

SAID = {
    400: "A parameter cannot be used; the detail says which one, why, and what would do.",
    401: "No valid key.",
    403: "The key lacks the scope that the summary names.",
    404: "Nothing is known of the tenant's by this name.",
    408: "The body came too slowly.",
    409: "It cannot be done any more; the detail says why.",
    413: "The body is too large.",
    422: "The body cannot be used; the detail says which field, and why.",
    503: apidocs.NOT_NOW,
}
Schema: TypeAlias = dict[str, Any]

STRING: Schema = {"type": "string"}
MAYBE: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
PERHAPS_NUMBER: Schema = {"type": ["number", "null"]}
FLAG: Schema = {"type": "boolean"}
DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "An exact decimal."}
PERHAPS_COUNT: Schema = {"type": ["integer", "null"]}
MOMENT: Schema = {"type": "string", "examples": ["2026-11-24", "2026-11-24T09:30", "2026-11-24T09:30:00+09:00"]}
WHEN: dict[str, Schema] = {"from": TIME, "to": TIME, "timezone": STRING}
"""What every answer about a time says of it."""
BUCKETED: Schema = {"enum": [*BUCKETS, None]}
"""By what an answer is told over time, if at all."""


def query(name: str, schema: Mapping[str, Any], meaning: str, required: bool = False) -> dict[str, Any]:
    """A parameter behind the question mark."""
    return {"name": name, "in": "query", "required": required, "schema": dict(schema), "description": meaning}


SPAN = [
    query("from", MOMENT, "From when on, a date or time in ISO 8601 on a quarter of an hour, in the tenant's zone unless it names an offset."),
    query("to", MOMENT, "Until just before when, likewise; until now where it is not there."),
]
BUCKET = query(
    "bucket", {"enum": list(BUCKETS)}, "Figures over time: by hours, days, weeks from Monday, or months, as they begin in the tenant's zone."
)


def only(name: str) -> dict[str, Any]:
    """A filter by a dimension."""
    return query(name, {"type": "string", "maxLength": TEXT}, f"Only what has this {name}; `{NONE}`: what has none.")


def get(name: str, summary: str, told: str, parameters: Sequence[Mapping[str, Any]], *statuses: int) -> dict[str, Any]:
    """A question; `statuses`: the problems beside those that every question may have."""
    answers = {"200": answer("As it stands.", JSON, reference(told)), **apidocs.problems(SAID, *sorted({400, 401, 403, 503, *statuses}))}
    return {"operationId": name, "summary": summary, "security": [{"key": []}], "parameters": list(parameters), "responses": answers}


def deed(name: str, summary: str, said: str, told: str, *statuses: int) -> dict[str, Any]:
    """Something that is done as the body says, now (200) or soon (202); `statuses`: the problems beside those that every body may have."""
    answers = {status: answer(meaning, JSON, reference(told)) for status, meaning in (("200", "It is so already."), ("202", "It is going to be so."))}
    problems = apidocs.problems(SAID, *sorted({400, 401, 403, 408, 413, 422, 503, *statuses}))
    wanted = {"required": True, "content": {JSON: {"schema": reference(said)}}}
    return {"operationId": name, "summary": summary, "security": [{"key": []}], "requestBody": wanted, "responses": {**answers, **problems}}


def listing(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def thing(example: Mapping[str, Any] | None = None, needed: Sequence[str] | None = None, /, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object that has all of these, or those that are `needed`, and nothing else."""
    shown = {"examples": [dict(example)]} if example is not None else {}
    found = {"type": "object", "properties": {name: dict(one) for name, one in properties.items()}, "additionalProperties": False}
    return {**found, "required": list(properties if needed is None else needed), **shown}


def perhaps(schema: Mapping[str, Any]) -> dict[str, Any]:
    """This, or null."""
    return {"oneOf": [dict(schema), {"type": "null"}]}


def by_name(schema: Mapping[str, Any], meaning: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": dict(schema), "description": meaning}

"""What all parts of the document are written with: statuses and what they mean here, kinds of values, pages, operations. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel

from parley import apidocs
from parley.apidocs import JSON, REFERENCE, answer, reference

SAID = {
    400: "The body is no JSON, or the id is none.",
    401: "No valid key.",
    403: "The key lacks the scope that the summary names.",
    404: "There is nothing of the tenant's by this name.",
    408: "The body came too slowly.",
    409: "It cannot be done as things stand; the detail says why.",
    413: "The body is too large.",
    422: "It cannot be taken; the detail says which part and why.",
    503: apidocs.NOT_NOW,
}
Schema: TypeAlias = dict[str, Any]

STRING: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
MAYBE: Schema = {"type": ["string", "null"]}
LATER: Schema = {"type": ["string", "null"], "format": "date-time"}
OTHER: Schema = {"type": ["string", "null"], "format": "uuid"}
"""The id of something that need not be."""


def query(name: str, schema: Mapping[str, Any], meaning: str, required: bool = False) -> dict[str, Any]:
    """A parameter behind the question mark."""
    return {"name": name, "in": "query", "required": required, "schema": dict(schema), "description": meaning}


PAGES = [
    query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Entries of a page."),
    query("after", STRING, "What `next` of the page before said; without it the first page."),
]


def get(name: str, summary: str, told: str, parameters: Sequence[Mapping[str, Any]] = (), *statuses: int) -> dict[str, Any]:
    """A question; `statuses`: the problems beside those that every question may have."""
    return _operation(name, summary, {"200": answer("As it stands.", JSON, reference(told))}, {401, 403, 503, *statuses}, parameters=list(parameters))


def deed(name: str, summary: str, body: str, answers: Mapping[str, Any], *statuses: int) -> dict[str, Any]:
    """Something that is done as the body says; `statuses`: the problems beside those that every body may have."""
    wanted = {"required": True, "content": {JSON: {"schema": reference(body)}}}
    return _operation(name, summary, answers, {400, 401, 403, 408, 413, 422, 503, *statuses}, requestBody=wanted)


def act(name: str, summary: str, answers: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]] = (), *statuses: int) -> dict[str, Any]:
    """Something that is done without a body."""
    return _operation(name, summary, answers, {401, 403, 503, *statuses}, parameters=list(parameters))


def done(told: str, meaning: str = "Done.", status: int = 200) -> dict[str, Any]:
    """The answer of a deed that says something."""
    return {str(status): answer(meaning, JSON, reference(told))}


GONE: Mapping[str, Any] = {"204": {"description": "Done."}}


def _operation(name: str, summary: str, answers: Mapping[str, Any], statuses: set[int], **more: Any) -> dict[str, Any]:
    said = {**answers, **apidocs.problems(SAID, *sorted(statuses))}
    return {"operationId": name, "summary": summary, "security": [{"key": []}], **more, "responses": said}


def bodies(models: Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]]) -> dict[str, Any]:
    """Schemas of bodies by the models that read them, each with an example."""
    found: dict[str, Any] = {}
    for name, (model, example) in models.items():
        schema = model.model_json_schema(ref_template=REFERENCE)
        found |= {**schema.pop("$defs", {}), name: {**schema, "examples": [dict(example)]}}
    return found


def listing(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def thing(example: Mapping[str, Any] | None = None, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object that has all of these."""
    shown = {"examples": [dict(example)]} if example is not None else {}
    return {"type": "object", "properties": {name: dict(one) for name, one in properties.items()}, "required": list(properties), **shown}


def perhaps(schema: Mapping[str, Any]) -> dict[str, Any]:
    """This, or null."""
    return {"oneOf": [dict(schema), {"type": "null"}]}

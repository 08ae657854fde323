"""The door for other services: CloudEvents over HTTP in all three modes, onto `parley.customers`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from parley import customerevents, wire
from parley.addresses import normalised
from parley.contracts import CustomerEvent, Envelope
from parley.problem import Problem, authorise, limited_body
from parley.service import Context
from parley_ingest import merging
from parley_ingest.door import Door
from parley_ingest.edge import Limits

BATCH = 1000
"""Events of one request at most."""


async def events(request: Request, context: Context, door: Door, limits: Limits) -> Response:
    """`POST /events`: 202 once every event is kept for good. Nothing of a batch is taken when one of it is wrong; the answer says which."""
    limits.address(request)
    key = authorise(request, context.config, "events:write")
    limits.account(f"key:{key.name}")
    body = await limited_body(request, context.settings.body_limit)
    found = read(request.headers, body, key.tenant, context.clock())
    await door.accept([wire.encode(event) for event in found])
    return Response(orjson.dumps({"accepted": len(found)}), 202, media_type="application/json")


def read(headers: Mapping[str, str], body: bytes, tenant: str, now: datetime) -> list[Envelope]:
    """The events of a request, for `tenant` whatever they say. Raises problems 400, 415 and 422. Pure.

    Structured: `application/cloudevents+json`; batch: `application/cloudevents-batch+json`; binary: attributes as `ce-` headers.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/cloudevents-batch+json":
        documents = _json(body)
        if not isinstance(documents, list) or len(documents) > BATCH:
            raise Problem(400, f"A batch is a JSON array of at most {BATCH} CloudEvents.")
        return [_event(*_structured(one, f"event {place}"), tenant, now, f"event {place}") for place, one in enumerate(documents)]
    if kind == "application/cloudevents+json":
        return [_event(*_structured(_json(body), "the event"), tenant, now, "the event")]
    if "ce-type" in headers:
        attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        return [_event(attributes, _json(body), tenant, now, "the event")]
    raise Problem(415, "Send a CloudEvent: application/cloudevents+json, application/cloudevents-batch+json, or attributes as ce- headers.")


def _structured(document: Any, where: str) -> tuple[dict[str, str], Any]:
    try:
        return wire.split_structured(document)
    except wire.Unreadable as error:
        raise Problem(422, f"{where}: {error}") from error


def _event(attributes: Mapping[str, str], data: Any, tenant: str, now: datetime, where: str) -> Envelope:
    """One event, checked, with addresses in their normal form; the sender's own id, source and time are kept."""
    named = {name: value for name, value in attributes.items() if name in (*wire.REQUIRED, "time", "traceparent")}
    try:
        event = wire.envelope(CustomerEvent.topic, {"time": now.isoformat(), **named, "tenant": tenant}, data)
        assert isinstance(event.data, CustomerEvent)
        event.data.occurred_at.astimezone(UTC)  # the least time of some systems, in their own zone, is before all time
        customer = normalised(event.data.customer)
        merging.said(tenant, event.data, now)  # who is who must be said so that it can be understood
    except OverflowError as error:
        raise Problem(422, f"{where}: occurred_at lies before the year 1 or after 9999 in UTC") from error
    except (wire.Unreadable, ValueError) as error:
        raise Problem(422, f"{where}: {error}") from error
    if (wrong := customerevents.complaint(event.data.name, event.data.properties)) is not None:
        raise Problem(422, f"{where}: {wrong}")
    content = event.data.model_copy(update={"customer": customer})
    return event.model_copy(update={"data": content, "started_at": now})


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error}") from error

"""The page `docs/events.md` and the schemas of known events in the contract, made from `customerevents`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parley.customerevents import KNOWN, Properties

PAGE = """\
# Events of other services

What customers do elsewhere: in the shop, in the warehouse, in the till. A service publishes it, and flows begin with it, orders are remembered,
conversions counted.
Made from `parley/customerevents.py` by `make docs`.

## Publishing

Onto `parley.customers`, keyed by the customer's id, or `POST /events` of ingest with a key that has the scope `events:write`. Both take
[CloudEvents 1.0](https://cloudevents.io), structured or binary; HTTP also in batches of up to 1,000 (all of a batch or nothing).

    {"specversion": "1.0", "id": "evt-1", "source": "/shop", "type": "parley.customer.event", "tenant": "acme",
     "data": {"customer": {"id": "c-1", "addresses": {"sms": "+821012345678"}}, "name": "cart.abandoned",
              "properties": {"cart_id": "k7", "total": 42000, "currency": "KRW"}, "occurred_at": "2026-11-24T09:00:00+09:00"}}

- `customer` names the person: by `id`, the sending system's own, by `addresses`, or both ([identity.md](identity.md)).
- `source` and `id` together name the event: a repeat of both is dropped for 30 days. `occurred_at` is when it happened, wherever it stands in the log.
- On Kafka the extension `tenant` says whose event it is; over HTTP the key does.
- Attributes that Parley does not know are no mistake. `data_base64` is read where it holds JSON.

**Other types.** An event of another type is taken where its data name a `customer`: its type is its name (`com.example.order.shipped`), what else
stands in its data its properties, its `time` when it
happened; `name`, `properties` and `occurred_at` in its data come first. A type that is ours on another topic, a type that is no name (lower case
letters, digits, `_`, parts between dots), an event without data and one that names nobody
are refused: over HTTP with 422, on Kafka into the dead letters, each with the reason.

## Names that Parley understands

Any other name passes through: a flow with `start: {event: com.example.order.shipped}` begins with it, and its texts may say `{{ event.order }}`. Of
the names below Parley knows the properties. Each may be missing and others may be
added; a known one that is not as it should be is refused by `POST /events`, and on Kafka kept as it is and logged.

{events}## When is a cart abandoned?

When nothing happened to it for a while, and that is a matter of time: no shop tells. Shopify's webhooks, for one, tell each step of a checkout
(`cart.updated`) and its end (`cart.completed`).
Whoever counts the minutes publishes `cart.abandoned`: many shops do by themselves; else a job that, every few minutes, takes the carts whose last
`cart.updated` is older than, say, an hour, and that neither `cart.completed` nor `order.placed`
with that `cart_id` followed. It passes the properties of that last `cart.updated` on unchanged, for they are the same, with `source` and `id` made of
the cart (`abandoned:k7:1`), so that a repeat is one. The flow is then

    flow: cart-reminder
    start: {event: cart.abandoned}
    purpose: marketing

and goes only to those who agreed to marketing. A flow started by `cart.updated` itself would write with each step of every checkout.

## Erasing a person

`customer.erased` is carried out by ingest, router and sender, each for what it holds; [decision
21](decisions/0021-erasing-leaves-refusals-and-counts.md) says what goes, what stays and why. Published, it cannot be taken back.
"""


def schemas() -> dict[str, Any]:
    """The properties of each known event as JSON Schema, by name, with everything in place."""
    return {name: _inlined(model.model_json_schema()) for name, model in KNOWN.items()}


def page() -> str:
    """The page."""
    return PAGE.replace("{events}", "".join(_section(name, model) for name, model in KNOWN.items()))


def write(folder: Path) -> list[Path]:
    """Writes the page into `folder` and gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.md").write_text(page(), encoding="utf-8")
    return [folder / "events.md"]


def _section(name: str, model: type[Properties]) -> str:
    meaning = " ".join((model.__doc__ or "").split())
    rows = "".join(f"| `{field}` | {_kind(field, model)} | {about.description or ''} |\n" for field, about in model.model_fields.items())
    table = f"| property | form | meaning |\n| --- | --- | --- |\n{rows}\n" if rows else ""
    return f"### `{name}`\n\n{meaning}\n\n{table}"


def _kind(field: str, model: type[Properties]) -> str:
    """What a property may be, in words."""
    options = _inlined(model.model_json_schema())["properties"][field].get("anyOf", [])
    return " or ".join(dict.fromkeys(_word(one) for one in options if one.get("type") != "null"))


def _word(schema: dict[str, Any]) -> str:
    words = {"integer": "number", "number": "number", "string": "text", "boolean": "true or false", "array": "list", "object": "object"}
    pattern = schema.get("pattern")
    return words[schema["type"]] + (f" `{pattern}`" if pattern else "")


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    parts = schema.get("$defs", {})

    def put(node: Any) -> Any:
        if isinstance(node, list):
            return [put(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return put(parts[node["$ref"].rpartition("/")[2]])
        return {key: put(value) for key, value in node.items() if key != "$defs"}

    found: dict[str, Any] = put(schema)
    return found

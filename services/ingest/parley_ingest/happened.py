"""Events of generic sources that concern a customer. Pure."""

from __future__ import annotations

from datetime import datetime

import orjson
from pydantic import ValidationError

from parley.addresses import normalised
from parley.channels.shape import Happened, Item
from parley.contracts import CustomerEvent
from parley_ingest import merging


def customer_event(item: Item, received_at: datetime) -> CustomerEvent | None:
    """The customer's event in a generic source's event; None when it names no customer of the contract's form (then it concerns nobody here)."""
    if not isinstance(item, Happened) or not isinstance(item.data, dict) or "customer" not in item.data:
        return None
    try:
        told = {"name": item.type, "occurred_at": item.at or received_at, "properties": {}, **item.data}
        # By way of the bytes: what is nested too deeply for them could not be read by anybody behind us.
        event = CustomerEvent.model_validate_json(orjson.dumps(told))
        merging.said("", event, received_at)
        return event.model_copy(update={"customer": normalised(event.customer)})
    except (ValidationError, ValueError, orjson.JSONEncodeError):
        return None

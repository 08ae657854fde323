"""Twilio is asked for a message in doubt: which of the messages to a person, as its API lists them, is the one. Pure.

Source: Twilio docs "Message resource" (read multiple messages); the list of twilio-python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from parley.channels.asked import about, taken
from parley.channels.cost import cost
from parley.channels.shape import Account, Outgoing, Receipt, Response
from parley.channels.text import items, mapping, string, whole
from parley.channels.twilio_words import STATUSES, failure
from parley.contracts import ReceiptStatus

LISTED = "200"
"""Messages to a person that are looked through for one."""


def found(response: Response, fields: Sequence[tuple[str, str]], to: str, message: Outgoing, account: Account) -> Receipt | None:
    """The one message that says the same (`fields` of the form) and was made while we called.

    Twilio shows neither our id nor the callback that has it: of two that fit, which it was cannot be told; and where none fits, one may yet be on
    its way into the list.
    """
    text, files = next((value for name, value in fields if name == "Body"), ""), sum(name == "MediaUrl" for name, _ in fields)
    every = [one for one in items(mapping(_object(response)).get("messages")) if _fits(one, to, text, files, message.at)]
    return taken(_receipt(every[0], message.address, account), message.message_id) if len(every) == 1 else None


def _fits(one: Mapping[str, Any], to: str, text: str, files: int, called: datetime) -> bool:
    says = one.get("to") == to and one.get("body") == text and whole(one.get("num_media")) == files
    return says and one.get("direction") != "inbound" and about(_when(one.get("date_created")), called)


def _receipt(one: Mapping[str, Any], address: str, account: Account) -> Receipt:
    """A message of the list as a receipt."""
    status = STATUSES.get(str(one.get("status")), ReceiptStatus.UNKNOWN)
    code, told = whole(one.get("error_code")) or None, cost(one.get("price"), one.get("price_unit"), one.get("num_segments"))
    return Receipt(
        account.channel, status, provider_id=string(one.get("sid")), address=address, code=str(code) if code else None,
        failure=failure(code or 0) if status is ReceiptStatus.FAILED else None, at=_when(one.get("date_updated")) or _when(one.get("date_created")),
        price=told.price, currency=told.currency, segments=told.segments,
    )  # fmt: skip


def _object(response: Response) -> object:
    try:
        return orjson.loads(response.body) if 200 <= response.status < 300 else None
    except orjson.JSONDecodeError:
        return None


def _when(value: object) -> datetime | None:
    """The time of an RFC 2822 text; None without an offset."""
    try:
        found = parsedate_to_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None

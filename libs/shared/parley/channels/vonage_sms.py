"""The older SMS API of Vonage, as far as it is met: its webhooks, and its answers. Parley sends through the Messages API.

Sources: Vonage docs "Inbound SMS", "Delivery receipts", "Messaging opted-out numbers", "SMS API errors".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from parley.channels import vonage_signed
from parley.channels.shape import Item, Malformed, Opted, Receipt, Received
from parley.channels.text import moment, phone, said, storable, string, whole
from parley.contracts import Channel, ConsentState, ReceiptStatus
from parley.failures import Class, Outcome

STATUSES = {
    "accepted": ReceiptStatus.SENT, "buffered": ReceiptStatus.SENT, "delivered": ReceiptStatus.DELIVERED,
    "expired": ReceiptStatus.FAILED, "failed": ReceiptStatus.FAILED, "rejected": ReceiptStatus.FAILED,
}  # fmt: skip
FAILURES: Mapping[int | None, Class] = {2: "transient", 7: "transient", 8: "transient", 9: "opted_out"}
"""`err-code` of receipts; others are permanent. 2: absent for now, 7: handset busy, 8: network, 9: the number wrote STOP."""
ANSWERS: Mapping[str | None, Class] = {"0": "accepted", "1": "throttled", "5": "transient"}
"""`status` of answers; others are permanent."""
ACCOUNT = frozenset({"4", "8", "9", "11", "14"})
"""`status` of answers: credentials, account barred, no credit, not enabled, signature."""
_PAUSE = re.compile(r"\[\s*([0-9]{1,6})\s*\]")


def parse(data: dict[str, Any]) -> Iterator[Item]:
    """A message or a receipt. Raises `Malformed` where it cannot be told from another, or answered."""
    identifier, person = string(data.get("messageId")), address(data.get("msisdn"))
    if not (identifier and person):
        raise Malformed("`messageId` and `msisdn` are needed.")
    at = when(data.get("message-timestamp")) or when(data.get("timestamp"))
    if "status" in data or "err-code" in data:
        yield from _receipt(data, identifier, person, at)
        return
    text = None if data.get("type") == "binary" else said(data.get("text"))
    kind: Literal["text", "unsupported"] = "text" if text is not None else "unsupported"
    yield Received(Channel.SMS, person, identifier, kind, text, sent_at=at, recipient=address(data.get("to")))


def answered(messages: list[dict[str, Any]]) -> Outcome:
    """One outcome for the parts of a message. Once a part was taken the message was: sent again, that part would come twice."""
    taken = next((one for one in messages if string(one.get("status")) == "0"), None)
    if taken is not None:
        return Outcome("accepted", provider_id=string(taken.get("message-id")), segments=len(messages))
    code, reason = string(messages[0].get("status")), string(messages[0].get("error-text")) or ""
    kind, pause = ANSWERS.get(code, "permanent"), _PAUSE.search(reason)
    return Outcome(
        kind, code, reason[:200], retry_after=timedelta(milliseconds=int(pause[1])) if pause and kind == "throttled" else None,
        scope="account" if code in ACCOUNT else "message",
    )  # fmt: skip


def address(value: object) -> str | None:
    """A number comes without +; short ones and names of senders stay as they are."""
    found = (string(value) or "").strip()[:200]
    return (phone(found) if len(found) >= 8 else None) or found or None


def when(value: object) -> datetime | None:
    """The time that epoch seconds mean, or an ISO text, or `2020-01-01 14:00:00 UTC`; where no offset is told, it is UTC."""
    if (found := moment(value)) is not None:  # first, for some epochs read as compact ISO dates, too
        return found
    try:
        found = datetime.fromisoformat(str(value).strip().removesuffix("UTC").strip().replace(" +", "+"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def uuid(value: object) -> UUID | None:
    """Our message id, where it is one."""
    try:
        return UUID(string(value) or "")
    except ValueError:
        return None


def texts(body: bytes) -> dict[str, Any]:
    """A form as texts that can be stored. Raises `Malformed`."""
    try:
        found = {storable(name): storable(value) for name, value in vonage_signed.form(body)}
    except ValueError as error:
        raise Malformed("The body is not a form in UTF-8.") from error
    if not found:
        raise Malformed("The form is empty.")
    return found


def _receipt(data: dict[str, Any], identifier: str, person: str, at: datetime | None) -> Iterator[Item]:
    status, code = STATUSES.get((string(data.get("status")) or "").lower(), ReceiptStatus.UNKNOWN), string(data.get("err-code"))
    kind: Class | None = FAILURES.get(whole(code), "permanent") if status is ReceiptStatus.FAILED else None
    ours = uuid(data.get("client-ref"))
    yield Receipt(Channel.SMS, status, identifier, ours, person, None if code in ("", "0") else code, kind, at, address(data.get("to")))
    if kind == "opted_out":
        yield Opted(Channel.SMS, person, ConsentState.REVOKED, at=at, provider_id=identifier)

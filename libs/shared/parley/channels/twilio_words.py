"""Twilio's words: statuses of messages, error codes and what they mean. Pure.

Sources: Twilio docs "Track the message status", error dictionary.
"""

from __future__ import annotations

from parley.contracts import ReceiptStatus
from parley.failures import Class

STATUSES = {
    "accepted": ReceiptStatus.QUEUED, "scheduled": ReceiptStatus.QUEUED, "queued": ReceiptStatus.QUEUED, "sending": ReceiptStatus.QUEUED,
    "sent": ReceiptStatus.SENT, "delivered": ReceiptStatus.DELIVERED, "read": ReceiptStatus.READ,
    "undelivered": ReceiptStatus.FAILED, "failed": ReceiptStatus.FAILED, "canceled": ReceiptStatus.FAILED,
}  # fmt: skip
OPTED_OUT = frozenset({21610, 63033})
THROTTLED = frozenset({20429, 21611, 30001, 30022, 30023, 30027, 63017, 63018, 63038})
TRANSIENT = frozenset({20500, 20503, 30003, 30008, 30017, 30410, 63009, 63010, 63012})
ACCOUNT = frozenset({20003, 20005, 30002, 30032})
PERMANENT = frozenset({
    21211, 21408, 21612, 21614, 21617, 30004, 30005, 30006, 30007, 30019, 63003, 63013, 63016, 63024, 63032,
})  # fmt: skip
"""Named so that they stay permanent whatever the HTTP status; an unknown code follows the status."""


def failure(code: int, status: int = 400) -> Class:
    """The class of a Twilio error code; where there is none, of the HTTP status."""
    if code in OPTED_OUT:
        return "opted_out"
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in TRANSIENT or ((status >= 500 or status in (408, 425)) and code not in ACCOUNT | PERMANENT):
        return "transient"
    return "permanent"

"""What a provider's answer to a question about one message comes to: it has it. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from parley.channels.shape import Receipt
from parley.contracts import ReceiptStatus

APART = timedelta(seconds=5)
"""By so much a provider's clock may be before ours."""
LATE = timedelta(minutes=10)
"""So long after the call began, what it brought may have been written down at the latest."""
ONLY_TAKEN = frozenset({ReceiptStatus.QUEUED, ReceiptStatus.DEFERRED, ReceiptStatus.UNKNOWN})


def taken(receipt: Receipt, message_id: UUID) -> Receipt:
    """The receipt as of our message. What still waits at the provider has left us: it is sent."""
    return replace(receipt, message_id=message_id, status=ReceiptStatus.SENT if receipt.status in ONLY_TAKEN else receipt.status)


def about(at: datetime | None, called: datetime) -> bool:
    """Whether what a provider wrote down at a time can be what a call brought it."""
    return at is not None and called - APART <= at <= called + LATE

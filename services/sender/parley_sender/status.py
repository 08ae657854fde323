"""The statuses of a delivery and the one way they move: forward. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from parley.contracts import DeliveryStatus, ReceiptStatus

OPEN = frozenset({DeliveryStatus.QUEUED.value})
"""What may still leave, or is being called for: its row of the queue tells which."""

RANK: Mapping[str, int] = MappingProxyType({
    DeliveryStatus.QUEUED: 0,
    DeliveryStatus.UNKNOWN: 1,
    DeliveryStatus.SENT: 2,
    DeliveryStatus.FAILED: 3,
    DeliveryStatus.DELIVERED: 4,
    DeliveryStatus.READ: 5,
    DeliveryStatus.SUPPRESSED: 9,
    DeliveryStatus.EXPIRED: 9,
})  # fmt: skip
"""A receipt moves a status to a higher rank only. That it arrived outweighs that it failed; what never left stays so."""

TOLD: Mapping[ReceiptStatus, DeliveryStatus] = MappingProxyType({
    ReceiptStatus.SENT: DeliveryStatus.SENT,
    ReceiptStatus.DELIVERED: DeliveryStatus.DELIVERED,
    ReceiptStatus.READ: DeliveryStatus.READ,
    ReceiptStatus.FAILED: DeliveryStatus.FAILED,
})  # fmt: skip
"""What a receipt's word says of a delivery. `queued`, `deferred` and words that nobody knows say nothing new."""


class Told(NamedTuple):
    """What one receipt says: the status and the provider's code."""

    status: DeliveryStatus
    code: str | None


def moved(current: str, told: Iterable[Told]) -> Told | None:
    """Where receipts, in any order and number, move a delivery; None when nowhere."""
    highest = max(told, key=lambda one: RANK[one.status], default=None)
    return highest if highest is not None and RANK[highest.status] > RANK[current] else None

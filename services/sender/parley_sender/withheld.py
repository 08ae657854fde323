"""What the gate let not go, by status and reason, in few words: each makes a series, and what people write into lists makes none. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from parley_sender.ledger import Changed

REASONS = frozenset(
    {"capped", "consent_not_confirmed", "expired", "no_consent", "opted_out", "priority", "quiet_hours", "recipient_pace", "window_closed"}
)
"""What the gate itself says; any other reason stands on the list of addresses that get nothing."""
LISTED = "listed"


def withheld(changes: Iterable[Changed]) -> Counter[tuple[str, str]]:
    """How many changes there are of each status and reason."""
    return Counter((change.status.value, reason(change.reason)) for change in changes)


def reason(said: str | None) -> str:
    """The word before the details: `capped: 3 in 2 days` is `capped`."""
    word = (said or "").partition(":")[0]
    return word if word in REASONS else LISTED

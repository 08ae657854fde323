"""Which failures of e-mail mean that the address is of no use any more, and which only that this message was refused. Pure."""

from __future__ import annotations

from parley import deadends
from parley.contracts import Channel, ReceiptReceived, ReceiptStatus

BOUNCED, COMPLAINED = "bounced", "complained"
SPAM = frozenset({"607", "suppress-complaint"})
"""Mailgun sends nothing to who called a message of ours spam."""


def lost(told: ReceiptReceived, channel: str) -> str | None:
    """Why mail to the receipt's address is of no use from now on; None where it says nothing like that. What only might mean it does not: an address is
    more easily listed by a person than missed by its owner."""
    if channel != Channel.EMAIL or told.status is not ReceiptStatus.FAILED or told.failure != "permanent":
        return None
    code = (told.code or "").strip()
    if code.lower() in SPAM:
        return COMPLAINED
    return BOUNCED if deadends.bounced(channel, code) else None

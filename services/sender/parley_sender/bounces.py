"""Which failures of e-mail mean that the address is of no use any more, and which only that this message was refused. Pure."""

from __future__ import annotations

import re

from parley.contracts import Channel, ReceiptReceived, ReceiptStatus

BOUNCED, COMPLAINED = "bounced", "complained"
ENHANCED = re.compile(r"^5\.(0\.0|1\.([0-6]|9|10)|2\.1)$")
"""RFC 3463 and its register: no such mailbox or domain (5.1.0 to 5.1.6), none that takes mail (5.1.9, 5.1.10), a mailbox disabled (5.2.1), and 5.0.0, by
which providers tell of a bounce without a better name. Not 5.1.7 and 5.1.8, which are about the sender, nor content and policy (5.6, 5.7)."""
PLAIN = frozenset({"550", "551", "553", "605"})
"""RFC 5321: the mailbox is not there, not here, its name not allowed; Mailgun's own 605: it bounced before."""
NAMED = frozenset({
    "general", "noemail", "suppressed", "onaccountsuppressionlist",     # Amazon SES, bounceSubType of a permanent bounce
    "bounced address", "invalid",                                       # SendGrid, reason of `dropped`
    "bounce", "suppress-bounce",                                        # Mailgun, reason
})  # fmt: skip
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
    return BOUNCED if ENHANCED.match(code) or code in PLAIN or code.lower() in NAMED else None

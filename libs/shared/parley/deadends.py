"""By which names providers say that an address is of no use any more: mail that bounces for good, numbers that nobody has. Pure."""

from __future__ import annotations

import re

from parley.contracts import Channel

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
NOBODYS = frozenset({"30005", "30006"})
"""Twilio: an unknown number, a landline or one that its carrier does not reach."""


def bounced(channel: str, code: str) -> bool:
    """Whether a message over this channel that failed with this code failed because of its address."""
    code = code.strip()
    if channel == Channel.EMAIL:
        return bool(ENHANCED.match(code)) or code in PLAIN or code.lower() in NAMED
    return channel in (Channel.SMS, Channel.MMS, Channel.RCS) and code in NOBODYS

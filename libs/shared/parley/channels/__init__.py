"""The channels: one pure file a provider, both directions side by side. A new channel is one file, one line here, and its samples.

A provider module has `verify`, `handshake`, `parse` for what comes in and `build`, `interpret`, `segments` for what goes out (see `Provider`).
"""

from __future__ import annotations

from types import MappingProxyType

from parley.channels import (
    apns,
    fcm,
    infobip,
    line,
    mailgun,
    meta,
    plain,
    rbm,
    sendbird,
    sendgrid,
    ses,
    shopify,
    smpp,
    telegram,
    twilio,
    vonage,
    webchat,
    webpush,
)
from parley.channels.shape import Account, Counting, Provider, Source
from parley.contracts import Content

PROVIDERS: MappingProxyType[str, Provider] = MappingProxyType({
    "twilio": twilio,
    "meta": meta,
    "plain": plain,
    "telegram": telegram,
    "line": line,
    "sendbird": sendbird,
    "sendgrid": sendgrid,
    "ses": ses,
    "mailgun": mailgun,
    "infobip": infobip,
    "vonage": vonage,
    "rbm": rbm,
    "fcm": fcm,
    "apns": apns,
    "webpush": webpush,
    "shopify": shopify,
    "smpp": smpp,
    "webchat": webchat,
})  # fmt: skip
"""By the name that `provider:` has in accounts.yaml. The type checker holds each module against `Provider`."""
SOURCES = frozenset(name for name, one in PROVIDERS.items() if isinstance(one, Source))
"""Those over which nothing is sent."""
COUNTING = frozenset(name for name, one in PROVIDERS.items() if isinstance(one, Counting))
"""Those that count by account. Both are asked of every message, and to look at a module's functions each time takes 20 µs."""


def units(content: Content, account: Account) -> int:
    """What the message costs of the account's rate, in the provider's unit; at least 1."""
    provider = PROVIDERS[account.provider]
    return max(
        1, provider.counted(content, account) if account.provider in COUNTING and isinstance(provider, Counting) else provider.segments(content)
    )

"""The secrets of webhooks, which stand nowhere, and what is signed with them. Pure."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from parley.crypto import webhook_sign


def secret(key: bytes, webhook: UUID, generation: int) -> str:
    """The secret of a webhook, made from `key`, the installation's: a copy of the database signs nothing. 32 bytes, as Standard Webhooks wants 24 to 64."""
    made = hmac.digest(key, "\x1f".join(("webhook", str(webhook), str(generation))).encode(), "sha256")
    return f"whsec_{base64.b64encode(made).decode()}"


def secrets(key: bytes, webhook: UUID, generation: int, previous_until: datetime | None, now: datetime) -> list[str]:
    """Those that sign now, the newest first: while one is being rotated, the one before it too."""
    old = previous_until is not None and now < previous_until and generation > 1
    return [secret(key, webhook, one) for one in ([generation, generation - 1] if old else [generation])]


def headers(keys: Sequence[str], identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one call: the id stays the same over all tries, the time is this call's, and there is a signature for each key."""
    signed = [webhook_sign(one, identifier, at, body) for one in keys]
    return {**signed[0], "webhook-signature": " ".join(one["webhook-signature"] for one in signed)}

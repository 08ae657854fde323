"""Signatures as the providers make and check them, from their descriptions. Written apart from Parley's own, so that a slip there is seen here."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

TOLERANCE = 300
"""Seconds by which a signed time may be off, either way (Standard Webhooks)."""


def twilio(token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the full URL and the parameters, sorted by name, each name followed by its value."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def meta(secret: str, body: bytes) -> str:
    """X-Hub-Signature-256: HMAC-SHA256 over the exact bytes."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def standard(secret: str, identifier: str, stamp: str, body: bytes) -> str:
    """One `v1` entry of Standard Webhooks. Raises ValueError when the secret is not base64."""
    signed = f"{identifier}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key(secret), signed, "sha256")).decode()


def standard_fault(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
    """What is wrong with the signature of a request; None when it holds."""
    identifier, stamp, entries = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (identifier and entries and stamp.isascii() and stamp.isdigit()):
        return "webhook-id, webhook-timestamp and webhook-signature are needed"
    if abs(now - int(stamp)) > TOLERANCE:
        return f"webhook-timestamp is more than {TOLERANCE} s off"
    expected = standard(secret, identifier, stamp, body).encode()
    if not any(hmac.compare_digest(entry.encode(), expected) for entry in entries.split()):
        return "webhook-signature does not match the body"
    return None


def key(secret: str) -> bytes:
    """The bytes of a symmetric secret. Raises ValueError with a sentence that does not repeat it."""
    plain = secret.removeprefix("whsec_").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("the credential `symmetric` must be base64, with whsec_ before it or without") from error

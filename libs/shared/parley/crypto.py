"""Signatures: HMAC in the forms that providers use, compared in constant time, and Standard Webhooks both ways. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOLERANCE = 300
"""Seconds by which a signed time may differ from ours, either way (Standard Webhooks)."""


def hmac_base64(algorithm: str, key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.digest(key, message, algorithm)).decode()


def hmac_hex(algorithm: str, key: bytes, message: bytes) -> str:
    return hmac.digest(key, message, algorithm).hex()


def same(given: str, expected: Iterable[str]) -> bool:
    """Whether `given` is one of `expected`, in a time that tells nothing; every candidate is compared."""
    found = False
    for one in expected:
        found |= hmac.compare_digest(given.encode("utf-8", "surrogateescape"), one.encode())
    return found


def sha256_hex(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def webhook_sign(secret: str, identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks for a symmetric secret (`whsec_...` or plain base64)."""
    stamp = str(int(at.timestamp()))
    signature = hmac_base64("sha256", _key(secret, "whsec_"), f"{identifier}.{stamp}.".encode() + body)
    return {"webhook-id": identifier, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def webhook_valid(
    secrets: Iterable[str], public_keys: Iterable[str], identifier: str | None, stamp: str | None, signatures: str | None, body: bytes, now: datetime
) -> bool:
    """Whether a Standard Webhooks signature is right and its time within five minutes of `now`. One valid entry suffices."""
    if not (identifier and stamp and signatures and stamp.isdigit()) or abs(now.timestamp() - int(stamp)) > TOLERANCE:
        return False
    signed = f"{identifier}.{stamp}.".encode() + body
    entries = [entry.partition(",")[::2] for entry in signatures.split()]
    expected = [hmac_base64("sha256", _key(secret, "whsec_"), signed) for secret in secrets]
    symmetric = any(same(text, expected) for version, text in entries if version == "v1")
    return symmetric or any(_ed25519(key, text, signed) for version, text in entries if version == "v1a" for key in public_keys)


def _ed25519(key: str, signature: str, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(_key(key, "whpk_")).verify(base64.b64decode(signature), signed)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def _key(text: str, prefix: str) -> bytes:
    """The bytes of a key in base64, with its prefix and its padding or without."""
    plain = text.removeprefix(prefix)
    return base64.b64decode(plain + "=" * (-len(plain) % 4))

"""Signatures: HMAC in the forms that providers use, compared in constant time, and Standard Webhooks both ways. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TOLERANCE = 300
"""Seconds by which a signed time may differ from ours, either way (Standard Webhooks)."""
_SECONDS = re.compile(r"[0-9]{1,11}")


def hmac_base64(algorithm: str, key: bytes, message: bytes) -> str:
    return binascii.b2a_base64(_hmac(algorithm, key, message), newline=False).decode()


def hmac_hex(algorithm: str, key: bytes, message: bytes) -> str:
    return _hmac(algorithm, key, message).hex()


def _hmac(algorithm: str, key: bytes, message: bytes) -> bytes:
    """RFC 2104. With both halves of the key taken in beforehand it takes half of the time of `hmac.digest`, which looks the algorithm up each time."""
    inner, outer = (half.copy() for half in _halves(algorithm, key))
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=1000)
def _halves(algorithm: str, key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    size = hashlib.new(algorithm).block_size
    block = (key if len(key) <= size else hashlib.new(algorithm, key).digest()).ljust(size, b"\0")
    return tuple(hashlib.new(algorithm, bytes(one ^ pad for one in block)) for pad in (0x36, 0x5C))  # type: ignore[return-value]


def same(given: str, expected: Iterable[str]) -> bool:
    """Whether `given` is one of `expected`, in a time that tells nothing; every candidate is compared."""
    found = False
    for one in expected:
        found |= hmac.compare_digest(given.encode("utf-8", "surrogateescape"), one.encode())
    return found


def sha256_hex(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def fresh(stamp: str | None, now: datetime) -> bool:
    """Whether a signed time, in epoch seconds, is within five minutes of `now`."""
    return stamp is not None and _SECONDS.fullmatch(stamp) is not None and abs(now.timestamp() - int(stamp)) <= TOLERANCE


def webhook_sign(secret: str, identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks for a symmetric secret (`whsec_...` or plain base64) or an ed25519 private key (`whsk_...`).

    Raises ValueError when the secret cannot be read.
    """
    stamp = str(int(at.timestamp()))
    signed = f"{identifier}.{stamp}.".encode() + body
    if secret.startswith("whsk_"):
        # 32 bytes are the seed; where there are 64, the public half follows it.
        entry = f"v1a,{base64.b64encode(Ed25519PrivateKey.from_private_bytes(_key(secret, 'whsk_')[:32]).sign(signed)).decode()}"
    else:
        entry = f"v1,{hmac_base64('sha256', _key(secret, 'whsec_'), signed)}"
    return {"webhook-id": identifier, "webhook-timestamp": stamp, "webhook-signature": entry}


def webhook_valid(
    secrets: Iterable[str], public_keys: Iterable[str], identifier: str | None, stamp: str | None, signatures: str | None, body: bytes, now: datetime
) -> bool:
    """Whether a Standard Webhooks signature is right and its time within five minutes of `now`. One valid entry suffices.

    A secret that cannot be read has signed nothing: a slip in the settings refuses, and never fails.
    """
    if not (identifier and signatures and fresh(stamp, now)):
        return False
    signed = f"{identifier}.{stamp}.".encode() + body
    entries = [entry.partition(",")[::2] for entry in signatures.split()]
    expected = [hmac_base64("sha256", key, signed) for secret in secrets if (key := _readable(secret))]
    symmetric = any(same(text, expected) for version, text in entries if version == "v1")
    return symmetric or any(_ed25519(key, text, signed) for version, text in entries if version == "v1a" for key in public_keys)


def _ed25519(key: str, signature: str, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(_key(key, "whpk_")).verify(_exact(signature), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _exact(text: str) -> bytes:
    """Base64 in its one canonical spelling; in others, bits could be changed that nobody looks at. Raises ValueError."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise ValueError("not canonical base64")
    return found


@lru_cache(maxsize=1000)
def _readable(secret: str) -> bytes | None:
    try:
        return _key(secret, "whsec_")
    except ValueError:
        return None


def _key(text: str, prefix: str) -> bytes:
    """The bytes of a key in base64, with its prefix and its padding or without. Raises ValueError, whose sentence does not repeat the key."""
    plain = text.strip().removeprefix(prefix).rstrip("=")
    try:
        found = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a key of Standard Webhooks is base64, with {prefix} before it; this one is not") from error
    if not found:
        raise ValueError("a key of Standard Webhooks must not be empty")
    return found

"""JSON Web Tokens as providers use them: HS256 checked, RS256 and ES256 made. The algorithm is ours to say, never the token's. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from parley import crypto
from parley.channels.text import number


def hs256_claims(token: str, secrets: Iterable[str]) -> dict[str, Any] | None:
    """The claims of a token that one of the secrets signed; None for every other token, and for every other algorithm."""
    header, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    signed = f"{header}.{payload}".encode("utf-8", "surrogateescape")
    # Compared as text: base64 has several spellings of some bytes, and only one of them is right.
    expected = [_text(hmac.digest(secret.encode(), signed, "sha256")) for secret in secrets if secret]
    if not crypto.same(signature, expected) or (_json(header) or {}).get("alg") != "HS256":
        return None
    return _json(payload)


def current(claims: Mapping[str, Any], now: datetime) -> bool:
    """Whether claims are of now: not issued in times to come, and not expired; where no end is told, issued within five minutes."""
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    if issued is None and expires is None:
        return False
    begun = issued is None or issued - now.timestamp() <= crypto.TOLERANCE
    end = expires if expires is not None else issued or 0.0
    return begun and now.timestamp() - end <= crypto.TOLERANCE


def rs256(claims: Mapping[str, str | int], key: str) -> str:
    """A token signed with an RSA key in PEM. Raises ValueError, whose sentence does not repeat the key."""
    found = _private(key)
    if not isinstance(found, RSAPrivateKey):
        raise ValueError("the private key is not an RSA key")
    signed = _unsigned({"alg": "RS256", "typ": "JWT"}, claims)
    return f"{signed}.{_text(found.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def es256(claims: Mapping[str, str | int], key: EllipticCurvePrivateKey, **header: str) -> str:
    """A token signed with a key on the curve P-256, the same for the same claims (RFC 6979). `header`: what stands beside `alg`, such as `kid`."""
    signed = _unsigned({"alg": "ES256", "typ": "JWT", **header}, claims)
    halves = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256(), deterministic_signing=True)))
    return f"{signed}.{_text(b''.join(half.to_bytes(32, 'big') for half in halves))}"


def p256(key: str) -> EllipticCurvePrivateKey:
    """The key on the curve P-256 in a PEM. Raises ValueError, whose sentence does not repeat it."""
    found = _private(key)
    if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
        raise ValueError("the private key is not on the curve P-256")
    return found


@lru_cache(maxsize=64)
def _private(key: str) -> PrivateKeyTypes:
    """Kept, for reading and checking a key takes a hundred times as long as signing with it."""
    try:
        return load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("the private key is not a key in PEM without a password") from error


def _unsigned(header: Mapping[str, str], claims: Mapping[str, str | int]) -> str:
    return ".".join(_text(orjson.dumps(dict(one))) for one in (header, claims))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _seconds(value: object) -> float | None:
    found = number(value)
    return found if found is not None and math.isfinite(found) else None


def _json(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

"""What Vonage signs: a token over the body's digest (Messages API), or a `sig` among the parameters (older SMS API).

Sources: Vonage docs "Signed webhooks", "Signing messages"; vonage-python-sdk jwt and http_client.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from parley import crypto
from parley.channels import jwt
from parley.channels.shape import Account
from parley.channels.text import number, string

RETRIES = 86_400
"""Seconds for which Vonage comes again with a webhook of the SMS API that was not taken, under the time of its first try."""
DIGESTS = frozenset({"md5", "sha1", "sha256", "sha512"})


def token_valid(token: str, body: bytes, account: Account, now: datetime) -> bool:
    """Signed with one of our secrets, over this body, for this account, and of now: issued within five minutes, or not yet expired."""
    claims = jwt.hs256_claims(token, account.credentials.get("signature_secret", ()))
    if claims is None:
        return False
    digest, key, keys = claims.get("payload_hash"), claims.get("api_key"), account.credentials.get("api_key", ())
    if digest is not None and not crypto.same(str(digest).lower().encode("ascii", "replace").decode(), [crypto.sha256_hex(body)]):
        return False
    if key is not None and keys and key not in keys:
        return False
    return jwt.current(claims, now)


def parameters(body: bytes) -> dict[str, str]:
    """The parameters of a form or of a flat JSON object, as they are signed; none where there is anything that `sig` cannot cover."""
    try:
        pairs: list[tuple[str, Any]] = list(orjson.loads(body).items()) if is_json(body) else form(body)
    except (ValueError, AttributeError):
        return {}
    found = {name: text for name, value in pairs if (text := string(value)) is not None}
    # Signed is `&name=value`, one after another: a name with such a sign in it would be taken for two, a name that comes twice for one.
    return found if len(found) == len(pairs) and not any(sign in name for name in found for sign in "&=") else {}


def is_json(body: bytes) -> bool:
    """Whether a body is meant as a JSON object: no form begins so. What is checked and what is read must be the same."""
    return body.lstrip().startswith(b"{")


def form(body: bytes) -> list[tuple[str, str]]:
    """The pairs of a form. Raises ValueError."""
    return parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))


def sig_valid(given: dict[str, str], account: Account, now: datetime) -> bool:
    """Whether `sig` is the digest of the other parameters with a signature secret. Its time may be as old as the retries: they do not renew it."""
    signed = "".join(f"&{name}={re.sub('[&=]', '_', given[name])}" for name in sorted(given) if name != "sig").encode("utf-8", "surrogatepass")
    secrets = [one for one in account.credentials.get("signature_secret", ()) if one]
    methods = account.credentials.get("method") or ("HMAC-MD5",)
    expected = [digest for secret in secrets for method in methods if (digest := _digest(method, secret.encode(), signed))]
    if not crypto.same(given.get("sig", "").lower(), expected):
        return False
    at = number(given.get("timestamp"))
    # Without a message there is nothing to repeat.
    return "messageId" not in given or at is None or abs(now.timestamp() - at) <= RETRIES + crypto.TOLERANCE


def _digest(method: str, secret: bytes, signed: bytes) -> str | None:
    """By the account's setting, "MD5 HASH" or an HMAC: "MD5 HMAC", "HMAC-SHA256", "sha512", ... None where it is none of them."""
    compact = re.sub("[^a-z0-9]", "", method.lower())
    name = compact.replace("hmac", "").replace("hash", "")
    if name not in DIGESTS:
        return None
    if name == "md5" and "hash" in compact and "hmac" not in compact:
        return hashlib.md5(signed + secret, usedforsecurity=False).hexdigest()
    return crypto.hmac_hex(name, secret, signed)

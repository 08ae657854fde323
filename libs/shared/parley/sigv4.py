"""AWS Signature Version 4 of a request, made from the time that is given. Pure.

Source: AWS docs "Create a signed AWS API request"; held against botocore's signer by a test.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from parley.crypto import hmac_hex, sha256_hex

ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature it is, and for which service where."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str
    service: str
    session_token: str | None = field(default=None, repr=False)


def signed(method: str, url: str, headers: Mapping[str, str], body: bytes, signer: Signer, at: datetime) -> dict[str, str]:
    """The headers with those that sign the request: everything given here is covered, and the host, the time and the body."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    token = {"x-amz-security-token": signer.session_token} if signer.session_token else {}
    sent = {**{name.lower(): value for name, value in headers.items()}, "x-amz-date": stamp, **token}
    covered = {name: " ".join(value.split()) for name, value in sorted({**sent, "host": _host(url)}.items())}
    names, scope = ";".join(covered), f"{stamp[:8]}/{signer.region}/{signer.service}/aws4_request"
    lines = [*_place(method, url), *(f"{name}:{value}" for name, value in covered.items()), "", names, sha256_hex(body)]
    text = "\n".join((ALGORITHM, stamp, scope, sha256_hex("\n".join(lines).encode())))
    signature = hmac_hex("sha256", _key(signer, scope), text.encode())
    credential = f"Credential={signer.access_key_id}/{scope}"
    return {**sent, "authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"}


def _key(signer: Signer, scope: str) -> bytes:
    """The key of the day, region and service: each part of the scope signed with the one before."""
    key = f"AWS4{signer.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _place(method: str, url: str) -> tuple[str, str, str]:
    """Method, path (encoded once more, as every service but S3 wants it) and sorted query."""
    parts = urlsplit(url)
    pairs = sorted(one.partition("=")[::2] for one in parts.query.split("&") if one)
    return method, quote(parts.path or "/", safe="/-_.~"), "&".join(f"{name}={value}" for name, value in pairs)


def _host(url: str) -> str:
    """The host as an HTTP client names it: its port only where it is not the usual one."""
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return name if parts.port in (None, _PORTS.get(parts.scheme)) else f"{name}:{parts.port}"

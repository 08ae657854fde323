"""Who looks at the pages: a key of the configuration, kept in a signed cookie. Pure.

The cookie never holds the key. It is bound to the key's digest, so that a key which is changed or taken away ends every sign-in made with it.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from parley.config import Config, Key

COOKIE = "parley_pages"
SCOPE = "rates:read"
LASTS = timedelta(hours=12)
"""How long a sign-in holds: a working day."""
LONGEST = 300
"""Characters of a cookie that could be ours."""


def minted(key: Key, secret: bytes, now: datetime) -> str:
    """The cookie of somebody who signed in with this key now."""
    expires = int((now + LASTS).timestamp())
    return f"{key.name}.{expires}.{_mark(key, expires, secret)}"


def holder(cookie: str, config: Config, secret: bytes, now: datetime) -> Key | None:
    """The key by which somebody signed in; None where the cookie is forged or over, or the key is not what it was."""
    if len(cookie) > LONGEST or not cookie.isascii():
        return None
    name, _, rest = cookie.partition(".")
    told, _, mark = rest.partition(".")
    key = next((one for one in config.keys if one.name == name), None)
    if key is None or not told.isdigit() or len(told) > 11 or int(told) <= now.timestamp():
        return None
    return key if hmac.compare_digest(mark, _mark(key, int(told), secret)) else None


def inside(address: str) -> str:
    """Where to go after signing in: a path of ours, else the first page. Nobody is sent elsewhere by a link that began here."""
    parts = urlsplit(address.replace("\\", "/")) if address.isprintable() else urlsplit("")
    ours = not parts.scheme and not parts.netloc and parts.path.startswith("/") and not parts.path.startswith("//")
    return address if ours else "/"


def _mark(key: Key, expires: int, secret: bytes) -> str:
    return hmac.digest(secret, b"\x1f".join((b"pages", key.name.encode(), str(expires).encode(), key.digest)), "sha256").hex()

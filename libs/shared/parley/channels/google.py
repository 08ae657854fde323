"""What Google's services share: an access token for a service account, and the shape of their errors. Pure.

Sources: Google docs "Using OAuth 2.0 for server to server applications" (AIP-4111), "Errors" (AIP-193).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from parley.channels import jwt
from parley.channels.shape import Account, HttpRequest, Response
from parley.channels.text import items, mapping, number, retry_after, storable, string
from parley.failures import Class, Outcome

TOKENS = "https://oauth2.googleapis.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE = 3600
"""Seconds that the assertion is valid, the most that Google allows; the token that it is exchanged for lives as long."""
EARLY = timedelta(minutes=5)
"""So much before its end a token is no longer used: a call under way must not outlive it."""
WORDS: dict[str, Class] = {
    "RESOURCE_EXHAUSTED": "throttled", "UNAVAILABLE": "transient", "INTERNAL": "transient", "DEADLINE_EXCEEDED": "transient", "ABORTED": "transient",
}  # fmt: skip
"""What `error.status` means whatever the HTTP status; every other word follows it."""
ACCOUNT = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


def token_request(account: Account, now: datetime, scope: str) -> HttpRequest:
    """The exchange of a signed assertion for an access token. Raises KeyError or ValueError with a sentence where the key file is unusable."""
    text, at = account.secret("service_account"), int(now.timestamp())
    try:
        file = orjson.loads(text)
        claims: dict[str, str | int] = {"iss": str(file["client_email"]), "scope": scope, "aud": f"{TOKENS}/token", "iat": at, "exp": at + LIFE}
        assertion = jwt.rs256(claims, str(file["private_key"]))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"account {account.name}: `service_account` is not the JSON key file of a Google service account") from error
    body = urlencode({"grant_type": GRANT, "assertion": assertion})
    return HttpRequest("POST", f"{account.base_url or TOKENS}/token", {"content-type": "application/x-www-form-urlencoded"}, body.encode())


def token_answer(response: Response) -> tuple[str, timedelta] | Outcome:
    """The token, and how long it may be used. What Google refuses here is wrong with the account, never with a message."""
    body = _json(response)
    token, seconds = string(body.get("access_token")), number(body.get("expires_in"))
    if 200 <= response.status < 300 and token:
        return token, max(timedelta(0), timedelta(seconds=min(seconds if seconds and seconds > 0 else LIFE, LIFE)) - EARLY)
    kind = _of_status(response.status)
    code = _word(body.get("error")) or str(response.status)
    return Outcome(kind, code, storable(string(body.get("error_description")) or "")[:200], None, retry_after(response), "account")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of a Google API: its word (`error.status`), its sentence, its details, and the class that the word and the HTTP status give."""

    word: str
    reason: str
    details: tuple[dict[str, Any], ...]
    kind: Class


def name(response: Response) -> str | None:
    """The name of what a call made; its last part is the id."""
    return string(_json(response).get("name"))


def refusal(response: Response) -> Refusal:
    error = mapping(_json(response).get("error"))
    word = _word(error.get("status")) or ""
    reason = storable(string(error.get("message")) or "")[:200]
    return Refusal(word, reason, tuple(items(error.get("details"))), WORDS.get(word) or _of_status(response.status))


def refused(response: Response, found: Refusal) -> Outcome:
    """What a refusal means that is not about its recipient."""
    account = found.word in ACCOUNT or response.status in (401, 403) or response.status < 400
    code, pause = found.word or str(response.status), retry_after(response)
    return Outcome(found.kind, code, found.reason, None, pause, "account" if found.kind == "permanent" and account else "message")


def _json(response: Response) -> dict[str, Any]:
    try:
        return mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        return {}


def _word(value: object) -> str | None:
    """A code as Google writes them; anything else is none."""
    return value if isinstance(value, str) and 0 < len(value) <= 60 and value.isascii() and value.replace("_", "").isalnum() else None


def _of_status(status: int) -> Class:
    return "throttled" if status == 429 else "transient" if status >= 500 or status in (408, 425) else "permanent"

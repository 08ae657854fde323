"""Apple Push Notification service: push to iPhones, iPads, Macs and watches. The address is the device token. HTTP/2 only.

Sources: Apple docs "Sending notification requests to APNs", "Establishing a token-based connection to APNs",
"Handling notification responses from APNs".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

from parley.channels import jwt
from parley.channels.push import Notice, answer, fitting, handshake, kept, notice, parse, segments, verify
from parley.channels.shape import Account, HttpRequest, Outgoing, Response
from parley.channels.text import mapping, retry_after, string
from parley.failures import Class, Outcome

__all__ = ["CREDENTIALS", "HONOURS_KEYS", "UNIT", "answer", "build", "handshake", "interpret", "parse", "segments", "verify"]

UNIT = "messages"
HONOURS_KEYS = False
"""`apns-id` names a notification and does not hold back a second one. A repeat shows in the place of the first, but the phone may sound twice."""
CREDENTIALS = ("key", "key_id", "team_id")
API = "https://api.push.apple.com"
MAX_KEPT = 30 * 86_400
"""Seconds that Apple keeps a notification at most."""
MAX_PAYLOAD = 4096
"""Bytes."""
PERIOD, SLACK = 1800, 300
"""Seconds. Apple refuses a provider token older than an hour, and one that changes more than every 20 minutes: the token of a period of half an hour
is dated a little before it, for Apple's clock may be behind ours, and is never older than 35 minutes."""

DEAD = frozenset({"BadDeviceToken", "Unregistered", "ExpiredToken"})
TRANSIENT = frozenset({"ExpiredProviderToken", "IdleTimeout", "InternalServerError", "ServiceUnavailable", "Shutdown"})
"""The token of the next period is a new one."""
THROTTLED = frozenset({"TooManyRequests", "TooManyProviderTokenUpdates"})
RECIPIENT = frozenset({"TooManyRequests"})
"""Throttled, but only this device must wait."""
ACCOUNT = frozenset({
    "BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "BadTopic", "Forbidden", "InvalidProviderToken",
    "MissingProviderToken", "MissingTopic", "TopicDisallowed", "UnrelatedKeyIdInToken",
})  # fmt: skip
"""The key, or the topic, which is the `sender` of the account."""
PERMANENT = frozenset({
    "BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPath", "BadPriority", "DeviceTokenNotForTopic", "DuplicateHeaders", "InvalidPushType",
    "MethodNotAllowed", "MissingDeviceToken", "PayloadEmpty", "PayloadTooLarge",
})  # fmt: skip


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request; `sender` of the account is the topic, which is the app's bundle id. Raises ValueError when there is nothing to show."""
    shown, key, at = notice(message.content), str(message.message_id), int(message.at.timestamp())
    token = _token(account.secret("key"), account.secret("key_id"), account.secret("team_id"), (at - SLACK) // PERIOD * PERIOD)
    headers = {
        "authorization": f"bearer {token}",
        "content-type": "application/json",
        "apns-topic": account.sender,
        "apns-push-type": "alert",
        "apns-id": key,
        "apns-collapse-id": key,
        "apns-expiration": str(at + kept(message, MAX_KEPT)),
        "apns-priority": "10",
    }
    body = fitting(lambda text: orjson.dumps(_payload(key, shown, text)), shown.body, MAX_PAYLOAD)
    return [HttpRequest("POST", f"{account.base_url or API}/3/device/{quote(message.address, safe='')}", headers, body, http2=True)]


def interpret(response: Response) -> Outcome:
    if 200 <= response.status < 300:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Outcome("accepted", provider_id=headers.get("apns-id") or None)
    try:
        reason = string(mapping(orjson.loads(response.body)).get("reason")) or ""
    except orjson.JSONDecodeError:
        reason = ""
    known = reason if reason in DEAD | TRANSIENT | THROTTLED | ACCOUNT | PERMANENT else ""
    kind = failure(known, response.status)
    account = known in ACCOUNT or (not known and (response.status in (401, 403) or response.status < 400))
    return Outcome(
        kind,
        code=known or str(response.status),
        retry_after=retry_after(response),
        scope="recipient" if known in RECIPIENT else "account" if kind == "permanent" and account else "message",
        drop_address=known in DEAD or (not known and response.status == 410),
    )


def failure(reason: str, status: int) -> Class:
    """The class of a reason that we know; where there is none, of the HTTP status."""
    if reason:
        return "transient" if reason in TRANSIENT else "throttled" if reason in THROTTLED else "permanent"
    return "throttled" if status == 429 else "transient" if status >= 500 or status in (408, 425) else "permanent"


@lru_cache(maxsize=256)
def _token(key: str, key_id: str, team_id: str, at: int) -> str:
    """The provider token of a period, the same from whichever process."""
    return jwt.es256({"iss": team_id, "iat": at}, jwt.p256(key), kid=key_id)


def _payload(key: str, shown: Notice, text: str) -> dict[str, Any]:
    """The alert, and beside it what the app may use. A picture is put in by the app's notification service extension, which `mutable-content` wakes."""
    alert = {"title": shown.title, "body": text} if shown.title else {"body": text}
    aps = {"alert": alert, "sound": "default", **({"mutable-content": 1} if shown.image else {})}
    beside = {"message_id": key, "url": shown.url, "image": shown.image}
    return {"aps": aps, **{name: value for name, value in beside.items() if value}}

"""Firebase Cloud Messaging, HTTP v1: push to apps on Android, and on other systems through Google. The address is the registration token.

Sources: Firebase docs "FCM HTTP v1 API", "ErrorCode", "FCM error codes"; firebase/firebase-admin-python firebase_admin/messaging.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from parley.channels import google
from parley.channels.push import Notice, answer, fitting, handshake, kept, notice, parse, segments, verify
from parley.channels.shape import Account, HttpRequest, Outgoing, Response
from parley.channels.text import retry_after, string
from parley.failures import Class, Outcome

__all__ = [
    "CREDENTIALS", "HONOURS_KEYS", "UNIT", "answer", "build", "handshake", "interpret", "parse", "segments", "token_answer", "token_request", "verify",
]  # fmt: skip

UNIT = "messages"
HONOURS_KEYS = False
"""It knows no key. A repeat shows in the place of the first (`tag`, `apns-collapse-id`), but the phone may sound twice."""
CREDENTIALS = ("service_account",)
API = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
MAX_KEPT = 28 * 86_400
"""Seconds that FCM keeps a notification at most: four weeks."""
MAX_PAYLOAD = 4096
"""Bytes; told of keys and values of `notification` and `data` together, counted here with everything around them."""

FCM_ERROR, BAD_REQUEST = "google.firebase.fcm.v1.FcmError", "google.rpc.BadRequest"
CODES: dict[str, Class] = {
    "QUOTA_EXCEEDED": "throttled", "UNAVAILABLE": "transient", "INTERNAL": "transient",
    "UNREGISTERED": "permanent", "SENDER_ID_MISMATCH": "permanent", "INVALID_ARGUMENT": "permanent",
    "THIRD_PARTY_AUTH_ERROR": "permanent", "APNS_AUTH_ERROR": "permanent",
}  # fmt: skip
"""What FCM's own `errorCode` means whatever the HTTP status."""
ACCOUNT = frozenset({"THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"})
"""Its key for APNs or Web Push, which the project keeps, is missing or wrong."""
DEAD = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH"})


def token_request(account: Account, now: datetime) -> HttpRequest:
    return google.token_request(account, now, SCOPE)


def token_answer(response: Response) -> tuple[str, timedelta] | Outcome:
    return google.token_answer(response)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request; `sender` of the account is the project. Our message id rides in `data`. Raises ValueError when there is nothing to show."""
    shown = notice(message.content)
    body = fitting(lambda text: orjson.dumps({"message": _message(message, shown, text)}), shown.body, MAX_PAYLOAD)
    headers = {"authorization": f"Bearer {message.token or ''}", "content-type": "application/json"}
    return [HttpRequest("POST", f"{account.base_url or API}/v1/projects/{quote(account.sender, safe='')}/messages:send", headers, body)]


def interpret(response: Response) -> Outcome:
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=(google.name(response) or "").rpartition("/messages/")[2] or None)
    found = google.refusal(response)
    told = {str(one.get("@type")).rpartition("/")[2]: one for one in found.details}
    code = string(told.get(FCM_ERROR, {}).get("errorCode"))
    if code is None or code not in CODES:
        return google.refused(response, found)
    dead = code in DEAD or (code == "INVALID_ARGUMENT" and BAD_REQUEST not in told)  # that detail speaks of the payload, else it is the token
    return Outcome(CODES[code], code, found.reason, None, retry_after(response), "account" if code in ACCOUNT else "message", dead)


def _message(message: Outgoing, shown: Notice, text: str) -> dict[str, Any]:
    """The message of HTTP v1. A repeat of it takes the place of the first on the device."""
    key, lasts = str(message.message_id), kept(message, MAX_KEPT)
    until = int(message.at.timestamp()) + lasts
    notification = {"title": shown.title, "body": text, "image": shown.image}
    data = {"message_id": key, "url": shown.url}
    return {
        "token": message.address,
        "notification": {name: value for name, value in notification.items() if value},
        "data": {name: value for name, value in data.items() if value},
        "android": {"priority": "high", "ttl": f"{lasts}s", "notification": {"tag": key}},
        "apns": {
            "headers": {"apns-priority": "10", "apns-collapse-id": key, "apns-expiration": str(until)},
            "payload": {"aps": {"sound": "default"}},
        },
        "webpush": {"headers": {"TTL": str(lasts)}, "notification": {"tag": key}},
    }

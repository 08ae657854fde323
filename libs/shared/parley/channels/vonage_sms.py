"""The older SMS API of Vonage, as far as it is met: its webhooks and their `sig`, and its answers. Parley sends through the Messages API.

Sources: Vonage docs "Signing messages", "Inbound SMS", "Delivery receipts", "SMS API errors"; vonage-python-sdk.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import orjson

from parley import crypto
from parley.channels.shape import Account, Item, Malformed, Opted, Receipt, Received
from parley.channels.text import moment, number, phone, said, storable, string, whole
from parley.contracts import Channel, ConsentState, ReceiptStatus
from parley.failures import Class, Outcome

RETRIES = 86_400
"""Seconds for which Vonage comes again with a webhook that was not taken, under the time of its first try."""
STATUSES = {
    "accepted": ReceiptStatus.SENT, "buffered": ReceiptStatus.SENT, "delivered": ReceiptStatus.DELIVERED,
    "expired": ReceiptStatus.FAILED, "failed": ReceiptStatus.FAILED, "rejected": ReceiptStatus.FAILED,
}  # fmt: skip
FAILURES: Mapping[int | None, Class] = {2: "transient", 7: "transient", 8: "transient", 9: "opted_out"}
"""`err-code` of receipts; others are permanent. 2: absent for now, 7: handset busy, 8: network, 9: the number wrote STOP."""
ANSWERS: Mapping[str | None, Class] = {"0": "accepted", "1": "throttled", "5": "transient"}
"""`status` of answers; others are permanent."""
ACCOUNT = frozenset({"4", "8", "9", "11", "14"})
"""`status` of answers: credentials, account barred, no credit, not enabled, signature."""
DIGESTS = frozenset({"md5", "sha1", "sha256", "sha512"})
_PAUSE = re.compile(r"\[\s*([0-9]{1,6})\s*\]")


def parameters(body: bytes) -> dict[str, str]:
    """The parameters of a form or of a flat JSON object, as they are signed; none where there is anything that `sig` cannot cover."""
    try:
        pairs: list[tuple[str, Any]] = list(orjson.loads(body).items()) if body.lstrip().startswith(b"{") else form(body)
    except (ValueError, AttributeError):
        return {}
    found = {name: text for name, value in pairs if (text := string(value)) is not None}
    # Signed is `&name=value`, one after another: a name with such a sign in it would be taken for two, a name that comes twice for one.
    return found if len(found) == len(pairs) and not any(sign in name for name in found for sign in "&=") else {}


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


def parse(data: dict[str, Any]) -> Iterator[Item]:
    """A message or a receipt. Raises `Malformed` where it cannot be told from another, or answered."""
    identifier, person = string(data.get("messageId")), address(data.get("msisdn"))
    if not (identifier and person):
        raise Malformed("`messageId` and `msisdn` are needed.")
    at = when(data.get("message-timestamp")) or moment(data.get("timestamp"))
    if "status" in data or "err-code" in data:
        yield from _receipt(data, identifier, person, at)
        return
    text = None if data.get("type") == "binary" else said(data.get("text"))
    kind = "text" if text is not None else "unsupported"
    yield Received(Channel.SMS, person, identifier, kind, text, sent_at=at, recipient=address(data.get("to")))  # type: ignore[arg-type]


def answered(messages: list[dict[str, Any]]) -> Outcome:
    """One outcome for the parts of a message. Once a part was taken the message was: sent again, that part would come twice."""
    taken = next((one for one in messages if string(one.get("status")) == "0"), None)
    if taken is not None:
        return Outcome("accepted", provider_id=string(taken.get("message-id")))
    code, reason = string(messages[0].get("status")), string(messages[0].get("error-text")) or ""
    kind, pause = ANSWERS.get(code, "permanent"), _PAUSE.search(reason)
    return Outcome(
        kind, code, reason[:200], retry_after=timedelta(milliseconds=int(pause[1])) if pause and kind == "throttled" else None,
        scope="account" if code in ACCOUNT else "message",
    )  # fmt: skip


def address(value: object) -> str | None:
    """A number comes without +; short ones and names of senders stay as they are."""
    found = (string(value) or "").strip()[:200]
    return (phone(found) if len(found) >= 8 else None) or found or None


def when(value: object) -> datetime | None:
    """The time that an ISO text means, or `2020-01-01 14:00:00 UTC`; where no offset is told, it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip().removesuffix("UTC").strip().replace(" +", "+"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def uuid(value: object) -> UUID | None:
    """Our message id, where it is one."""
    try:
        return UUID(string(value) or "")
    except ValueError:
        return None


def texts(body: bytes) -> dict[str, Any]:
    """A form as texts that can be stored. Raises `Malformed`."""
    try:
        return {storable(name): storable(value) for name, value in form(body)}
    except ValueError as error:
        raise Malformed("The body is not a form in UTF-8.") from error


def _receipt(data: dict[str, Any], identifier: str, person: str, at: datetime | None) -> Iterator[Item]:
    status, code = STATUSES.get((string(data.get("status")) or "").lower(), ReceiptStatus.UNKNOWN), string(data.get("err-code"))
    kind: Class | None = FAILURES.get(whole(code), "permanent") if status is ReceiptStatus.FAILED else None
    ours = uuid(data.get("client-ref"))
    yield Receipt(Channel.SMS, status, identifier, ours, person, None if code in ("", "0") else code, kind, at, address(data.get("to")))
    if kind == "opted_out":
        yield Opted(Channel.SMS, person, ConsentState.REVOKED, at=at, provider_id=identifier)


def _digest(method: str, secret: bytes, signed: bytes) -> str | None:
    """By the account's setting, "MD5 HASH" or an HMAC: "MD5 HMAC", "HMAC-SHA256", "sha512", ... None where it is none of them."""
    words = method.lower().replace("-", " ").replace("_", " ").split()
    name = next((one.removesuffix("hash") for one in words if one.removesuffix("hash") in DIGESTS), None)
    if name is None:
        return None
    if name == "md5" and "hmac" not in words and ("hash" in words or "md5hash" in words):
        return hashlib.md5(signed + secret, usedforsecurity=False).hexdigest()
    return crypto.hmac_hex(name, secret, signed)

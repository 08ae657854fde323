"""Web Push: notifications of a web site, through the push service of whichever browser. The address is the subscription as JSON.

    {"endpoint": "https://…", "keys": {"p256dh": "…", "auth": "…"}}     as `JSON.stringify(subscription)` gives it; beside it, where a key is
                                                                        being rotated, the `applicationServerKey` that it was made with

Sources: RFC 8030 (the protocol), RFC 8291 (encryption), RFC 8292 (VAPID); mozilla-services/autopush-rs docs/src/errors.md, docs/src/http.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import http_ece
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from parley.channels import jwt
from parley.channels.push import Notice, answer, fitting, handshake, kept, notice, parse, segments, verify
from parley.channels.shape import Account, HttpRequest, Outgoing, Response, Unreachable
from parley.channels.text import mapping, retry_after, shortened, storable, string, whole
from parley.contracts import Choice
from parley.failures import Class, Outcome

__all__ = ["CREDENTIALS", "HONOURS_KEYS", "UNIT", "answer", "build", "handshake", "interpret", "parse", "segments", "verify"]

UNIT = "messages"
HONOURS_KEYS = False
"""`Topic` replaces what still waits at the push service, and `tag` what still shows; what was read before may come once more."""
CREDENTIALS = ("vapid_private_key",)
MAX_KEPT = 2_592_000
"""Seconds that push services keep a notification at most."""
MAX_PLAIN = 3993
"""Bytes of a message of 4096 (RFC 8291, 4) without header (86), tag (16) and delimiter."""
MAX_BUTTONS, MAX_LABEL, MAX_ID = 2, 60, 64
"""Buttons that browsers show (`Notification.maxActions`), characters of their titles and ids."""
DECLARATIVE = 8030
"""What marks a message that a browser shows without a service worker, if it knows how (W3C Push API, "declarative push message")."""
PERIOD, VALID = 3600, 12 * 3600
"""Seconds: a VAPID token is made anew each hour, and valid for half of the day that RFC 8292 allows."""
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many private keys there are on the curve P-256, and one (SEC 2)."""

DEAD = frozenset({102, 103, 105, 106})
ERRNO: dict[int, Class] = {**dict.fromkeys(DEAD, "permanent"), 104: "permanent", 201: "transient", 202: "transient"}
"""What `errno` of Mozilla's answers means whatever the HTTP status."""
_ENDPOINT = re.compile(r"(https://(?:[a-z0-9-]+\.)+(?!local/|localhost/|internal/)[a-z][a-z0-9-]*)/[!-~]*")
"""A name of the public internet at the usual port, as browsers write it: no number in whichever spelling, nothing before the name or after it."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where a browser is reached, the keys that only it can read with, and the public key of ours that it was told, where that is known."""

    endpoint: str
    origin: str
    receiver: bytes
    auth: bytes
    told: str | None = None


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request; `sender` of the account is who answers for it, a mailto: or https: address. Pure: the same message, the same bytes.

    Raises `Unreachable` for an address that is no subscription, ValueError when there is nothing to show.
    """
    to, choices = subscription(message.address), message.content.choices
    buttons = choices if len(choices) <= MAX_BUTTONS and all(len(one.id) <= MAX_ID for one in choices) else ()
    shown, key = notice(message.content, bool(buttons)), _key(account, to)
    plain = fitting(lambda text: orjson.dumps(_payload(message, shown, text, buttons)), shown.body, MAX_PLAIN)
    expires = int(message.at.timestamp()) // PERIOD * PERIOD + VALID
    headers = {
        "authorization": f"vapid t={_token(key, to.origin, account.sender, expires)}, k={_text(_public(key))}",
        "content-type": "application/octet-stream",
        "content-encoding": "aes128gcm",
        "ttl": str(kept(message, MAX_KEPT)),
        "urgency": "normal",
        "topic": message.message_id.hex,
    }
    url = account.base_url + to.endpoint.removeprefix(to.origin) if account.base_url else to.endpoint
    return [HttpRequest("POST", url, headers, encrypted(plain, to, *_drawn(key, to, message.message_id.bytes, plain)))]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=_location(response))
    errno = whole(body.get("errno"))
    known = errno if errno in ERRNO else None
    kind = failure(known, response.status)
    account = known is None and (response.status in (401, 403) or response.status < 400)
    return Outcome(
        kind,
        code=str(known or response.status),
        reason=storable(string(body.get("message")) or string(body.get("error")) or "")[:200],
        retry_after=retry_after(response),
        scope="account" if kind == "permanent" and account else "message",
        drop_address=known in DEAD or (known is None and response.status in (404, 410)),
    )


def failure(errno: int | None, status: int) -> Class:
    """The class of an answer: its status, but where Mozilla tells more."""
    if status == 429:
        return "throttled"
    if errno is not None:
        return ERRNO[errno]
    return "transient" if status >= 500 or status in (408, 425) else "permanent"


def subscription(address: str) -> Subscription:
    """The subscription that an address tells. Raises `Unreachable`: it comes from a browser, and may be anything.

    Its endpoint must be on the open internet by its name alone; what the name leads to is looked at when the call is made.
    """
    try:
        told = mapping(orjson.loads(address))
        keys = mapping(told.get("keys"))
        receiver, auth = _bytes(str(keys.get("p256dh"))), _bytes(str(keys.get("auth")))
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver)
    except ValueError as error:
        raise Unreachable("the address is no push subscription: JSON with `endpoint` and `keys` of `p256dh` and `auth` is wanted") from error
    endpoint = _ENDPOINT.fullmatch(string(told.get("endpoint")) or "")
    if endpoint is None or len(receiver) != 65 or len(auth) != 16:
        raise Unreachable("a push subscription has an `endpoint` of https at a public name, a `p256dh` of 65 bytes and an `auth` of 16")
    return Subscription(endpoint[0], endpoint[1], receiver, auth, (string(told.get("applicationServerKey")) or "").rstrip("=") or None)


def encrypted(plain: bytes, to: Subscription, ephemeral: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The body that only the subscription's browser can read (RFC 8291), in one record."""
    body: bytes = http_ece.encrypt(plain, salt=salt, private_key=ephemeral, dh=to.receiver, auth_secret=to.auth, version="aes128gcm")
    return body


def _drawn(key: ec.EllipticCurvePrivateKey, to: Subscription, message_id: bytes, plain: bytes) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """The key pair of one message and its salt, which RFC 8291 wants new each time: drawn by HKDF from our private key and all that the message is.

    Whoever lacks the private key can foresee neither; and for another text they are others, so no nonce ever meets two texts.
    """
    info = b"parley web push\0" + message_id + hashlib.sha256(to.endpoint.encode() + b"\0" + to.receiver + to.auth + plain).digest()
    secret = key.private_numbers().private_value.to_bytes(32, "big")
    drawn = HKDF(algorithm=SHA256(), length=64, salt=None, info=info).derive(secret)
    return ec.derive_private_key(int.from_bytes(drawn[:48], "big") % (ORDER - 1) + 1, ec.SECP256R1()), drawn[48:]


def _payload(message: Outgoing, shown: Notice, text: str, buttons: Sequence[Choice]) -> dict[str, Any]:
    """What the site's service worker shows: `showNotification(n.title, n)`. A link without buttons, a browser may show by itself."""
    titled = {"title": shown.title, "body": text} if shown.title else {"title": text}
    told: dict[str, Any] = {**titled, "image": shown.image, "tag": str(message.message_id)}
    told["data"] = {"message_id": str(message.message_id), **({"url": shown.url} if shown.url else {})}
    if buttons:
        told["actions"] = [{"action": one.id, "title": shortened(one.title.strip() or one.id, MAX_LABEL)} for one in buttons]
    alone = bool(shown.url and not buttons)
    told["navigate"] = shown.url if alone else None
    return {**({"web_push": DECLARATIVE} if alone else {}), "notification": {name: value for name, value in told.items() if value}}


def _key(account: Account, to: Subscription) -> ec.EllipticCurvePrivateKey:
    """The key that the subscription was made with, where it says so; else the newest."""
    keys = [vapid_key(account.name, one) for one in account.credentials.get("vapid_private_key", ())]
    if not keys:
        account.secret("vapid_private_key")
    return next((one for one in keys if _text(_public(one)) == to.told), keys[0])


@lru_cache(maxsize=256)
def vapid_key(account: str, text: str) -> ec.EllipticCurvePrivateKey:
    """The key as PEM, or as the 32 bytes in base64 that the usual tools print. Raises ValueError with a sentence that does not repeat it."""
    try:
        return jwt.p256(text) if "-----BEGIN" in text else _of_number(_bytes(text))
    except ValueError as error:
        raise ValueError(f"account {account}: `vapid_private_key` is neither 32 bytes in base64 nor PEM on the curve P-256") from error


def _of_number(data: bytes) -> ec.EllipticCurvePrivateKey:
    if len(data) != 32:
        raise ValueError("a private key of P-256 has 32 bytes")
    return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256R1())


@lru_cache(maxsize=1024)
def _token(key: ec.EllipticCurvePrivateKey, origin: str, subject: str, expires: int) -> str:
    """The VAPID token for one push service in one period (RFC 8292)."""
    return jwt.es256({"aud": origin, "exp": expires, "sub": subject}, key)


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _text(data: bytes) -> str:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """What base64 for addresses stands for, with or without padding. Raises ValueError."""
    plain = text.strip().rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)


def _location(response: Response) -> str | None:
    """The address of the message at the push service, by which it could be withdrawn; the nearest to an id that there is."""
    found = next((value for name, value in response.headers.items() if name.lower() == "location"), "")
    return found[:500] or None

"""The twin as Twilio: what its Messages resource checks, answers and posts.

Source: Twilio docs "Messages resource", "Webhooks security", the error pages of the codes; twilio/twilio-oai spec/yaml/twilio_api_v2010.yaml.
"""

# ruff: noqa: ARG001  (the Protocol names the arguments)
from __future__ import annotations

import base64
import hmac
import math
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from parley.twin import signing
from parley.twin.shape import Account, Answer, Call, Message, Post, Say, Status, as_json

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
SERVICE = re.compile(r"MG[0-9a-f]{32}")
MAX_BODY = 1600
MAX_MEDIA = 10
REFERENCE = "m"
"""The parameter of the StatusCallback in which our message id rides."""
GSM = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
GSM_TWICE = frozenset("^{}\\[~]|€\f")
WORDS = {"sent": "sent", "delivered": "delivered", "read": "read", "failed": "undelivered"}
UNREACHABLE = "30003"


def read(call: Call, accounts: Sequence[Account], now: float) -> tuple[Account | None, Message | Answer]:
    owned = owners(call, accounts)
    if not owned:
        return None, refused(20003, "Authenticate", 401)
    if not call.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return owned[0], refused(21604, "A 'To' phone number is required: the body must be application/x-www-form-urlencoded.")
    try:
        form = parse_qs(call.body.decode(), keep_blank_values=True, strict_parsing=bool(call.body), errors="strict")
    except ValueError:
        return owned[0], refused(20001, "The form cannot be read.")
    sender = _first(form, "From") or _first(form, "MessagingServiceSid")
    account = next((one for one in owned if address(one) == sender), None)
    if fault := _fault(form, account):
        return account or owned[0], fault
    return account, _message(form)


def message_id(raw: bytes) -> str:
    return "SM" + raw.hex()


def accepted(account: Account, message: Message, provider_id: str) -> Answer:
    return as_json(
        201,
        {
            "sid": provider_id, "account_sid": account.credentials["account_sid"], "status": "queued", "to": message.recipient,
            "from": address(account), "body": message.text or "", "num_segments": str(message.segments), "num_media": str(len(message.media)),
            "direction": "outbound-api", "api_version": "2010-04-01", "error_code": None, "error_message": None,
        },
    )  # fmt: skip


def throttled(wait: float, draw: float) -> Answer:
    return refused(20429, "Too Many Requests", 429, {"Retry-After": str(max(1, math.ceil(wait)))})


def failed() -> Answer:
    return Answer(500, b"<html><body>Internal Server Error</body></html>", content_type="text/html", reason="made to fail")


def reused() -> Answer:
    return refused(20422, "The Idempotency-Key was used with another message", 422)


def receipt(account: Account, message: Message, provider_id: str, status: Status, now: float) -> Post | None:
    if not message.callback:
        return None
    prefix, word = _prefix(account), WORDS[status]
    form = {
        "AccountSid": account.credentials["account_sid"], "ApiVersion": "2010-04-01", "From": address(account), "To": prefix + message.recipient,
        "MessageSid": provider_id, "SmsSid": provider_id, "MessageStatus": word, "SmsStatus": word,
        **({"ErrorCode": UNREACHABLE} if status == "failed" else {}),
    }  # fmt: skip
    return _post(message.callback, form, f"{provider_id}-{word}")


def incoming(account: Account, say: Say, provider_id: str, layout: str, now: float) -> Post | None:
    if account.hook_url is None:
        return None
    prefix, text = _prefix(account), say.text if say.text is not None else say.choice.title if say.choice else ""
    form = {
        "AccountSid": account.credentials["account_sid"], "ApiVersion": "2010-04-01", "From": prefix + say.sender, "To": prefix + account.sender,
        "MessageSid": provider_id, "SmsSid": provider_id, "SmsMessageSid": provider_id, "SmsStatus": "received", "Body": text,
        "NumMedia": "0", "NumSegments": str(segments(text)), "FromCity": "", "FromCountry": "", "ToCountry": "",
    }  # fmt: skip
    if prefix:
        form |= {"WaId": say.sender.removeprefix("+"), "ProfileName": "Customer", "MessageType": "button" if say.choice else "text"}
        if say.choice:
            form |= {"ButtonText": say.choice.title, "ButtonPayload": say.choice.id}
    return _post(account.hook_url, form, provider_id)


def sign(account: Account, post: Post, now: float) -> dict[str, str]:
    return {
        "X-Twilio-Signature": signing.twilio(account.credentials["auth_token"], post.url.partition("#")[0], post.form),
        "I-Twilio-Idempotency-Token": post.identifier,
    }


def reads(account: Account) -> bool:
    return account.channel == "whatsapp"


def segments(text: str) -> int:
    """Parts of an SMS: 160 septets or 70 UTF-16 units in one, 153 or 67 a part in several. Twilio counts them as its price and its rate."""
    if all(letter in GSM or letter in GSM_TWICE for letter in text):
        size, one, part = sum(2 if letter in GSM_TWICE else 1 for letter in text), 160, 153
    else:
        size, one, part = len(text.encode("utf-16-le", "surrogatepass")) // 2, 70, 67
    return 1 if size <= one else math.ceil(size / part)


def owners(call: Call, accounts: Sequence[Account]) -> list[Account]:
    """The accounts that the credentials open: several numbers may share one account."""
    parts = call.path.split("/")
    given = call.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if len(parts) != 5 or parts[2] != "Accounts" or parts[4] != "Messages.json":
        return []
    return [
        one
        for one in accounts
        if one.credentials["account_sid"] == parts[3] and hmac.compare_digest(given, _basic(parts[3], one.credentials["auth_token"]))
    ]


def _basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def _fault(form: dict[str, list[str]], account: Account | None) -> Answer | None:
    to, sender, body, media = _first(form, "To"), _first(form, "From"), _first(form, "Body"), form.get("MediaUrl", [])
    if not to:
        return refused(21604, "A 'To' phone number is required.")
    if not E164.fullmatch(to.removeprefix("whatsapp:")):
        return refused(21211, "Invalid 'To' Phone Number")
    if not sender and not _first(form, "MessagingServiceSid"):
        return refused(21603, "A 'From' phone number is required.")
    if account is None:
        return refused(21606, "The 'From' phone number is not a valid, message-capable number of this account.")
    if to == sender:
        return refused(21266, "'To' and 'From' number cannot be the same")
    if to.startswith("whatsapp:") != (account.channel == "whatsapp"):
        return refused(21910, "Invalid 'From' and 'To' pair: they must be of the same channel")
    if not body and not media and not _first(form, "ContentSid"):
        return refused(21602, "Message body is required.")
    if len(body) > MAX_BODY:
        return refused(21617, f"The concatenated message body exceeds the {MAX_BODY} character limit")
    if len(media) > MAX_MEDIA or not all(_is_url(one) for one in media):
        return refused(21623 if len(media) > MAX_MEDIA else 21620, "Invalid media URL(s)")
    callback = _first(form, "StatusCallback")
    return refused(21609, "Invalid 'StatusCallback' URL") if callback and not _is_url(callback) else None


def _message(form: dict[str, list[str]]) -> Message:
    callback, text = _first(form, "StatusCallback") or None, _first(form, "Body")
    template = _first(form, "ContentSid")
    return Message(
        recipient=_first(form, "To").removeprefix("whatsapp:"),
        text=text or (f"{template} {_first(form, 'ContentVariables')}".strip() if template else None),
        reference=dict(parse_qsl(urlsplit(callback).query)).get(REFERENCE) if callback else None,
        media=tuple(form.get("MediaUrl", ())),
        segments=1 if form.get("MediaUrl") or template else segments(text),
        callback=callback,
    )


def refused(code: int, message: str, status: int = 400, headers: dict[str, str] | None = None) -> Answer:
    body = {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return as_json(status, body, f"{code} {message}", headers)


def _post(url: str, form: dict[str, str], identifier: str) -> Post:
    return Post(url, urlencode(form).encode(), "application/x-www-form-urlencoded; charset=UTF-8", identifier, form)


def address(account: Account) -> str:
    return account.sender if SERVICE.fullmatch(account.sender) else _prefix(account) + account.sender


def _prefix(account: Account) -> str:
    return "whatsapp:" if account.channel == "whatsapp" else ""


def _first(form: dict[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0]


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False

"""Vonage: the Messages API (SMS, MMS, WhatsApp, Messenger, RCS; v1, and v0.1 coming in), and webhooks of the older SMS API.

Sources: Vonage docs "Signed webhooks", "Messages API reference", "Messages API errors", "Delivery receipts", "Messaging opted-out numbers";
the models of vonage-python-sdk.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import uuid5

import orjson

from parley.channels import jwt, meta, vonage_signed, vonage_sms
from parley.channels.cards import unfolded
from parley.channels.cost import cost
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import (
    document,
    items,
    located,
    mapping,
    phone,
    pieces,
    retry_after,
    said,
    shortened,
    string,
    tapped,
    whole,
    written_out,
)
from parley.channels.text import segments as sms_segments
from parley.contracts import Channel, Choice, ConsentState, Content, Location, Media, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "segments"
HONOURS_KEYS = False
CREDENTIALS = ("api_key", "api_secret", "signature_secret")
"""With `application_id` and `private_key` beside them, calls carry an application's token in place of key and secret."""
API = "https://api.nexmo.com"
TOKEN_LIFE = 900
"""Seconds that a token of ours may be used, as in Vonage's own kits."""
TEXTS = {Channel.SMS: 3200, Channel.MMS: 3000, Channel.WHATSAPP: 4096, Channel.MESSENGER: 640, Channel.RCS: 3072}
VALID = {Channel.SMS: (20, 604_800), Channel.MMS: (300, 259_200), Channel.RCS: (20, 259_200)}
"""Seconds that `ttl` may have, on the channels that know it."""
MAX_SUGGESTIONS, MAX_SUGGESTION = 11, 25
"""Suggested replies under a text of RCS, and characters of one."""

Kind = Literal["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "unsupported", "reaction"]
MediaKind = Literal["image", "audio", "video", "document", "sticker"]
MEDIA: dict[str | None, MediaKind] = {
    "image": "image", "audio": "audio", "video": "video", "file": "document", "sticker": "sticker", "vcard": "document",
}  # fmt: skip
PLAIN: dict[str | None, Kind] = {"text": "text", "unicode": "text", "contact": "contacts", "contacts": "contacts", "vcard": "contacts"}
CHANNELS = {
    "sms": Channel.SMS, "mms": Channel.SMS, "whatsapp": Channel.WHATSAPP, "messenger": Channel.MESSENGER, "instagram": Channel.INSTAGRAM,
    "rcs": Channel.RCS,
}  # fmt: skip
NUMBERED = frozenset({Channel.SMS, Channel.MMS, Channel.WHATSAPP, Channel.RCS})
"""Channels whose addresses are phone numbers; an id of Messenger is digits, too, and none."""
STATUSES = {**vonage_sms.STATUSES, "submitted": ReceiptStatus.SENT, "read": ReceiptStatus.READ, "undeliverable": ReceiptStatus.FAILED}
OPTED_OUT = frozenset({1240})
THROTTLED = frozenset({1000, 1241, 1460, 1461, 1472})
RECIPIENT = frozenset({1241, 1461})
"""Throttled, but only this recipient must wait."""
TRANSIENT = frozenset({1030, 1100, 1180, 1220, 1230, 1331})
ACCOUNT = frozenset({1060, 1070, 1080, 1110, 1140, 1370})
FAULTS = frozenset({401, 402, 403, 404, 405})
"""HTTP statuses of what the account must put right: credentials, balance, permission; no such API at this `base_url`."""


def verify(request: Request, account: Account, now: datetime) -> None:
    """The Messages API brings a token over the body's digest; the older SMS API a `sig` among its parameters."""
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme:
        right = scheme.lower() == "bearer" and vonage_signed.token_valid(token.strip(), request.body, account, now)
    else:
        right = vonage_signed.sig_valid(vonage_signed.parameters(request.body), account, now)
    if not right:
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """The one message or status that a request tells of, and the opt-out in it. Other events say nothing we know: no item."""
    told = request.headers.get("content-type", "").lower()
    data = vonage_sms.texts(request.body) if "form" in told and not vonage_signed.is_json(request.body) else document(request.body)
    if "messageId" in data or "msisdn" in data:
        return list(vonage_sms.parse(data))
    if "message_uuid" not in data and "message_type" not in data:
        return []
    if not string(data.get("message_uuid")):
        raise Malformed("`message_uuid` is missing.")
    return list(_receipt(data, account) if "status" in data else _message(data, account))


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One request, or as many as text, media and choices need. Our message id rides in each as `client_ref` and comes back with every status."""
    common: dict[str, Any] = {
        "channel": account.channel.value,
        "to": _digits(message.address),
        "from": _digits(account.sender),
        "client_ref": str(message.message_id),
    }
    if account.channel in VALID and (seconds := message.seconds(*VALID[account.channel])) is not None:
        common["ttl"] = seconds
    if message.receipts_url:
        common |= {"webhook_url": message.receipts_url, "webhook_version": "v1"}
    keys = (f"{message.message_id}{f'-{place}' if place else ''}" for place in itertools.count())
    return [
        HttpRequest(
            "POST",
            f"{account.base_url or API}/v1/messages",
            {
                "authorization": _authorization(message, account, key),
                "content-type": "application/json",
                "accept": "application/json",
                **({"idempotency-key": key} if account.honours_keys else {}),
            },
            orjson.dumps({**common, **body}),
        )
        for key, body in zip(keys, _bodies(message.content, account.channel), strict=False)
    ]


def interpret(response: Response) -> Outcome:
    """What the answer means, by the code that is the end of a problem's `type`, else by the HTTP status."""
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300 and items(body.get("messages")):
        return vonage_sms.answered(items(body["messages"]))
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=string(body.get("message_uuid")))
    code = _code(body)
    kind = failure(code, response.status)
    fields = ", ".join(name for one in items(body.get("invalid_parameters")) if (name := string(one.get("name"))))
    text = string(body.get("detail")) or string(body.get("title")) or ""
    scope: Literal["message", "recipient", "account"] = "recipient" if code in RECIPIENT else "message"
    if kind == "permanent" and (code in ACCOUNT or response.status < 400 or (code is None and response.status in FAULTS)):
        scope = "account"
    reason = f"{text} ({fields})" if fields else text
    return Outcome(kind, str(response.status if code is None else code), reason[:200], retry_after=retry_after(response), scope=scope)


def failure(code: int | None, status: int = 400) -> Class:
    """The class of an error of the Messages API; where its code is not known, of the HTTP status."""
    if code in OPTED_OUT:
        return "opted_out"
    if code in THROTTLED or status == 429:
        return "throttled"
    if code in TRANSIENT or ((status >= 500 or status in (408, 425)) and code not in ACCOUNT):
        return "transient"
    return "permanent"


def segments(content: Content) -> int:
    """Segments of the text, as an SMS has them, and one for each file."""
    content = unfolded(content, pictures=False)
    return sms_segments(written_out(content)) + sum(1 for one in content.media if one.url)


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _message(data: dict[str, Any], account: Account) -> Iterator[Item]:
    channel = _channel(data, account)
    sender = _address(data.get("from"), channel)
    if not sender:
        raise Malformed("`from` is missing.")
    inner = mapping(mapping(data.get("message")).get("content")) or data  # v0.1 has the message inside
    word = (string(inner.get("message_type")) or string(inner.get("type")) or "").lower() or ("text" if "text" in inner else None)
    block = mapping(inner.get(word)) if word else {}
    parts = items(inner.get("content")) if word == "content" else [{**block, "type": word}]
    media = tuple(
        Media(kind=MEDIA[named], url=url) for one in parts if (named := string(one.get("type"))) in MEDIA and (url := string(one.get("url")))
    )
    choice, label = _tapped(word, block)
    place = _place(block) if word == "location" else None
    caption = next((text for one in parts if (text := said(one.get("caption"))) is not None), None)
    text = said(inner["text"]) if isinstance(inner.get("text"), str) else caption
    kind: Kind = PLAIN.get(word) or ("button" if choice else "location" if place else media[0].kind if media else "unsupported")
    if word == "reaction":
        kind, text = "reaction", said(block.get("emoji")) if block.get("action") != "unreact" else None
    yield Received(
        channel, sender, str(data["message_uuid"]), kind, text if choice is None else label, choice, media, place,
        vonage_sms.when(data.get("timestamp")), _address(data.get("to"), channel),
    )  # fmt: skip


def _tapped(word: str | None, block: dict[str, Any]) -> tuple[Choice | None, str | None]:
    """What was tapped and its label: a reply button, a list row or a suggestion, or a template's quick reply."""
    payload, label = {"reply": ("id", "title"), "button": ("payload", "text")}.get(word or "", ("", ""))
    return tapped(block.get(payload), block.get(label)), said(block.get(label))


def _place(block: dict[str, Any]) -> Location | None:
    lat, lon = block.get("lat", block.get("latitude")), block.get("long", block.get("longitude", block.get("lng")))
    return located(lat, lon, block.get("name") or block.get("address"))


def _receipt(data: dict[str, Any], account: Account) -> Iterator[Item]:
    channel, identifier = _channel(data, account), str(data["message_uuid"])
    word = (string(data.get("status")) or "").lower()
    status, address, at = STATUSES.get(word, ReceiptStatus.UNKNOWN), _address(data.get("to"), channel), vonage_sms.when(data.get("timestamp"))
    error = mapping(data.get("error"))
    code = _code(error)
    kind = None
    if status is ReceiptStatus.FAILED:
        # Undeliverable without a reason: Vonage did not reach the channel's provider.
        kind = "transient" if code is None and word == "undeliverable" else failure(code)
    told = str(code) if code is not None else string(error.get("title"))
    usage = mapping(data.get("usage"))
    paid = cost(usage.get("price"), usage.get("currency"), mapping(data.get("sms")).get("count_total"))
    yield Receipt(
        channel, status, identifier, vonage_sms.uuid(data.get("client_ref")), address, told, kind, at, _address(data.get("from"), channel),
        price=paid.price, currency=paid.currency, segments=paid.segments,
    )  # fmt: skip
    if kind == "opted_out" and address:
        yield Opted(channel, address, ConsentState.REVOKED, at=at, provider_id=identifier)


def _code(error: dict[str, Any]) -> int | None:
    """The number of an error: its title in v1, `code` in v0.1, else the end of its `type`, where a title is words."""
    ending = re.search(r"#([0-9]{1,6})$", string(error.get("type")) or "")
    found = whole(error.get("title"))
    return found if found is not None else whole(ending[1]) if ending else whole(error.get("code"))


def _channel(data: dict[str, Any], account: Account) -> Channel:
    """The channel; in v0.1 it stands with the address. One that Parley has no name for (Viber) is that of the account."""
    ends = (mapping(data.get(name)).get("type") for name in ("from", "to"))
    words = (string(one) for one in (data.get("channel"), *ends))
    return next((CHANNELS[word] for word in words if word in CHANNELS), account.channel)


def _address(value: object, channel: Channel) -> str | None:
    end = mapping(value)
    found = end.get("number") or end.get("id") if end else value
    return vonage_sms.address(found) if channel in NUMBERED else (string(found) or "").strip()[:200] or None


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _authorization(message: Outgoing, account: Account, key: str) -> str:
    """A token of the application, good for this request alone; where there is no application, key and secret."""
    if not (account.credentials.get("application_id") and account.credentials.get("private_key")):
        pair = f"{account.secret('api_key')}:{account.secret('api_secret')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    issued = int(message.at.timestamp())
    identifier = str(uuid5(message.message_id, f"{key}:{issued}"))
    claims: dict[str, str | int] = {"application_id": account.secret("application_id"), "iat": issued, "exp": issued + TOKEN_LIFE, "jti": identifier}
    return f"Bearer {jwt.rs256(claims, account.secret('private_key'))}"


def _digits(address: str) -> str:
    return address[1:] if phone(address) and address.startswith("+") else address


def _bodies(content: Content, channel: Channel) -> list[dict[str, Any]]:
    """What each message says; never empty. Files first, then the text, the last piece of it with the choices where the channel has any."""
    limit, content = TEXTS.get(channel, TEXTS[Channel.SMS]), unfolded(content, pictures=channel is not Channel.SMS)
    if channel is Channel.WHATSAPP and (template := content.template) is not None:
        if template.header or template.media or template.buttons:  # its own form has parameters for the body alone
            return [{"message_type": "custom", "custom": meta.template(content)}]
        said = {"name": template.name, **({"parameters": list(template.parameters)} if template.parameters else {})}
        return [{"message_type": "template", "template": said, "whatsapp": {"policy": "deterministic", "locale": template.language}}]
    if channel is Channel.SMS:  # it carries no files: their addresses do
        lines = [written_out(content), *(one.url or "" for one in content.media)]
        return [_text(one) for one in pieces("\n".join(filter(None, lines)), limit) or [""]]
    files = [{"message_type": kind, kind: {"url": one.url}} for one in content.media if one.url and (kind := _file(one.kind, channel))]
    choices = tuple({one.id: one for one in content.choices}.values())
    if channel is Channel.WHATSAPP and 0 < len(choices) <= meta.MAX_ROWS:
        *before, last = pieces(content.text, meta.MAX_BODY) or [""]
        return [*files, *map(_text, before), {"message_type": "custom", "custom": meta.interactive(last, choices)}]
    if channel is Channel.RCS and 0 < len(choices) <= MAX_SUGGESTIONS:
        *before, last = pieces(content.text, limit) or [meta.CHOOSE]
        return [*files, *map(_text, before), {**_text(last), "suggestions": [_suggestion(one) for one in choices]}]
    return [*files, *map(_text, pieces(written_out(content), limit))] or [_text("")]


def _text(body: str) -> dict[str, Any]:
    return {"message_type": "text", "text": body}


def _file(kind: str, channel: Channel) -> str:
    """The channel's word for a file: only WhatsApp has stickers, and RCS no sounds."""
    if kind == "sticker":
        return "sticker" if channel is Channel.WHATSAPP else "image"
    return "file" if kind == "document" or (kind == "audio" and channel is Channel.RCS) else kind


def _suggestion(choice: Choice) -> dict[str, str]:
    return {"type": "reply", "text": shortened(choice.title.strip() or choice.id, MAX_SUGGESTION), "postback_data": choice.id}

"""Twilio: SMS, MMS and WhatsApp over Twilio.

Sources: Twilio docs "Webhooks security", "Track the message status", error dictionary; the request validator of twilio-python.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import orjson

from parley import crypto
from parley.channels import gsm, twilio_asked
from parley.channels.cards import unfolded
from parley.channels.cost import cost
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import form_fields, located, mapping, phone, pieces, retry_after, said, storable, tapped, whole, written_out
from parley.channels.twilio_words import ACCOUNT, STATUSES, failure
from parley.contracts import Channel, ConsentState, Content, Media, ReceiptStatus
from parley.failures import Outcome

UNIT = "segments"
HONOURS_KEYS = False
CREDENTIALS = ("account_sid", "auth_token")
API = "https://api.twilio.com"
MAX_TEXT = 1600
"""Characters of `Body`; beyond, Twilio refuses with 21617."""
VALID = (1, 36_000)
"""Seconds that `ValidityPeriod` may have: after them, a message that still waits at Twilio is given up."""
MAX_MEDIA = 10
"""`MediaUrl`s of one MMS; WhatsApp takes one."""
ECHO = "m"
"""Query parameter of the status callback that carries our message id: a receipt finds its message even when the answer was lost."""

OPTS = {"STOP": ConsentState.REVOKED, "START": ConsentState.GRANTED}
Kind = Literal["text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button", "unsupported", "reaction"]
TYPES: dict[str, Kind] = {
    "text": "text", "image": "image", "audio": "audio", "video": "video", "document": "document", "sticker": "sticker",
    "location": "location", "contacts": "contacts", "button": "button", "interactive": "button", "reaction": "reaction",
}  # fmt: skip
"""WhatsApp's `MessageType`; another word is a message that we cannot read."""
QUERY = (ECHO,)
MEDIA = tuple((f"MediaUrl{n}", f"MediaContentType{n}") for n in range(20))
SIDS = ("MessageSid", "SmsMessageSid", "SmsSid")
_URL = re.compile(r"(https?)://((?:[^/?#@]*@)?(?:\[[^\]/?#]*\]|[^:/?#]*))(:[0-9]*)?(.*)", re.IGNORECASE | re.DOTALL)


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA1 over the public address and the form's parameters; for JSON over the address alone, which then carries the body's digest."""
    given = request.headers.get("x-twilio-signature")
    if not given:
        raise Forged
    digest = parse_qs(request.query).get("bodySHA256", [""])[0] if request.query else ""
    if digest:
        if not crypto.same(crypto.sha256_hex(request.body), [digest]):
            raise Forged
        suffix = ""
    else:
        suffix = _signed_form(request.body)
    tokens = account.credentials.get("auth_token", ())
    expected = (crypto.hmac_base64("sha1", token.encode(), (url + suffix).encode()) for token in tokens for url in _addresses(request.url))
    if not any(crypto.same(given, [one]) for one in expected):  # which of them fits tells only its sender something
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """One message or one status, and the opt-out that it tells of. A form of another kind (calls) says nothing we know: no item."""
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
    if "json" in kind.lower():
        return _of_json(request.body)
    form = _form(request.body)
    if not form:
        raise Malformed("The form is empty.")
    sid = next((form[name] for name in SIDS if form.get(name)), None)
    if sid is None:
        if "MessageStatus" in form or ("Body" in form and "From" in form):
            raise Malformed("`MessageSid` is missing.")
        return []
    status = (form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
    return list(_messages(form, sid) if status in ("", "received", "receiving") else _receipts(form, sid, status, request))


def answer() -> Response:
    return Response(200, {"content-type": "text/xml"}, b"<Response/>")


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One request; several where the text or the media are more than one message holds. Each carries our message id in its callback."""
    common = _common(message, account)
    headers = {**_basic(account), "content-type": "application/x-www-form-urlencoded"}
    keys = (f"{message.message_id}{f'-{place}' if place else ''}" for place in itertools.count())
    return [
        HttpRequest(
            "POST",
            _messages_url(account),
            {**headers, **({"idempotency-key": key} if account.honours_keys else {})},
            urlencode([*common, *fields]).encode(),
        )
        for key, fields in zip(keys, _said(message, account), strict=False)
    ]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300:
        told = cost(body.get("price"), body.get("price_unit"), body.get("num_segments"))
        return Outcome(
            "accepted", provider_id=str(body["sid"]) if body.get("sid") else None, price=told.price, currency=told.currency, segments=told.segments
        )
    code = whole(body.get("code")) or 0
    return Outcome(
        failure(code, response.status),
        code=str(code or response.status),
        reason=str(body.get("message", ""))[:200],
        retry_after=retry_after(response),
        # The status speaks for the account only where there is no code: 21408 (this country is not allowed) comes with 403.
        scope="account" if code in ACCOUNT or (not code and (response.status in (401, 403) or response.status < 400)) else "message",
    )


def media_request(media: Media, account: Account) -> HttpRequest | None:
    """Files stand at an address of the API, which asks who we are."""
    if media.url is None or not media.url.startswith(f"{account.base_url or API}/"):
        return None
    return HttpRequest("GET", media.url, _basic(account), b"")


def media_next(response: Response, account: Account) -> HttpRequest | None:
    """The API sends on to where the file is stored, which must not learn who we are."""
    where = response.headers.get("location")
    return HttpRequest("GET", where, {}, b"") if where and 300 <= response.status < 400 else None


def query(message: Outgoing, part: int, account: Account, now: datetime) -> HttpRequest | None:
    """The latest messages to this person. What a template says only Twilio knows, so it could not be told from another there."""
    if message.content.template is not None:
        return None
    named = [(name, value) for name, value in _ends(message, account) if name != "MessagingServiceSid"]
    return HttpRequest("GET", f"{_messages_url(account)}?{urlencode([*named, ('PageSize', twilio_asked.LISTED)])}", _basic(account), b"")


def query_answer(response: Response, message: Outgoing, part: int, account: Account) -> Receipt | None:
    return twilio_asked.found(response, _said(message, account)[part], dict(_ends(message, account))["To"], message, account)


def segments(content: Content) -> int:
    """Segments of all messages that the content takes, cut where Twilio's own calculator cuts; one with media counts as one, and so does a template, whose
    text only Twilio knows."""
    return sum(
        1 if any(name != "Body" for name, _ in fields) else gsm.segments(fields[0][1])
        for fields in _bodies(unfolded(content, pictures=False), MAX_MEDIA)
    )


def _bodies(content: Content, media_each: int) -> list[list[tuple[str, str]]]:
    """What each message says, as form fields; never empty. The text stands with the first media."""
    if template := content.template:
        filled = (*template.header, *template.parameters, *filter(None, template.buttons))  # Twilio numbers through all parts
        parameters = {str(place): value for place, value in enumerate(filled, 1)}
        return [[("ContentSid", template.name), *([("ContentVariables", orjson.dumps(parameters).decode())] if parameters else [])]]
    texts = [[("Body", piece)] for piece in pieces(written_out(content), MAX_TEXT)]
    urls = [("MediaUrl", media.url) for media in content.media if media.url]
    files = [urls[place : place + media_each] for place in range(0, len(urls), media_each)]
    count = max(len(texts), len(files), 1)
    return [
        [*(texts[place] if place < len(texts) else []), *(files[place] if place < len(files) else [])] or [("Body", "")] for place in range(count)
    ]


def _said(message: Outgoing, account: Account) -> list[list[tuple[str, str]]]:
    content = unfolded(message.content, pictures=account.channel is not Channel.SMS)
    return _bodies(content, 1 if account.channel is Channel.WHATSAPP else MAX_MEDIA)


def _basic(account: Account) -> dict[str, str]:
    pair = f"{account.secret('account_sid')}:{account.secret('auth_token')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _messages_url(account: Account) -> str:
    return f"{account.base_url or API}/2010-04-01/Accounts/{account.secret('account_sid')}/Messages.json"


def _ends(message: Outgoing, account: Account) -> list[tuple[str, str]]:
    """To whom and from whom: a number, or the service that chooses one."""
    whatsapp = "whatsapp:" if account.channel is Channel.WHATSAPP else ""
    service = re.fullmatch("MG[0-9a-f]{32}", account.sender)
    return [("To", whatsapp + message.address), ("MessagingServiceSid", account.sender) if service else ("From", whatsapp + account.sender)]


def _common(message: Outgoing, account: Account) -> list[tuple[str, str]]:
    """To whom, from whom, where receipts go, and how long it is of use."""
    form = _ends(message, account)
    if message.receipts_url:
        form.append(("StatusCallback", f"{message.receipts_url}{'&' if '?' in message.receipts_url else '?'}{ECHO}={message.message_id}"))
    if (seconds := message.seconds(*VALID)) is not None:
        form.append(("ValidityPeriod", str(seconds)))
    return form


def _messages(form: dict[str, str], sid: str) -> Iterator[Item]:
    # Somebody on WhatsApp without a phone number may be known by the business-scoped id alone.
    channel, address = _address(form.get("From") or f"whatsapp:{form.get('ExternalUserId', '')}")
    if not address:
        raise Malformed("`From` is missing.")
    media = tuple(Media(kind=_kind(form.get(kind, "")), url=form[url], content_type=form.get(kind) or None) for url, kind in MEDIA if form.get(url))
    choice = tapped(form.get("ButtonPayload"), form.get("ButtonText")) or tapped(form.get("ListId"), form.get("ListTitle"))
    place = located(form.get("Latitude"), form.get("Longitude"), form.get("Label") or form.get("Address"))
    told = form.get("MessageType", "").lower()
    plain: Kind = TYPES.get(told, "unsupported") if told else "text"
    text = form.get("Body")
    yield Received(
        channel=channel,
        address=address,
        provider_id=sid,
        kind="button" if choice else _of_media(plain, media[0].kind) if media else "location" if place else plain,
        text=said(_decoded(text) if text is not None and channel is Channel.SMS else text or form.get("ButtonText") or text),
        choice=choice,
        media=media,
        location=place,
        recipient=_address(form.get("To", ""))[1],
    )
    if (state := OPTS.get(form.get("OptOutType", "").upper())) is not None:
        yield Opted(channel, address, state, provider_id=sid)


def _form(body: bytes) -> dict[str, str]:
    """The fields by name, the last of each. Raises `Malformed`."""
    try:
        text = body.decode()
    except ValueError as error:
        raise Malformed("The body is not a form in UTF-8.") from error
    if body and not all("=" in field for field in text.split("&")):
        raise Malformed("The body is not a form in UTF-8.")
    if text.isascii() and "%00" not in text and "\0" not in text:  # then nothing in it cannot be stored
        return dict(form_fields(body))
    return {storable(name): storable(value) for name, value in form_fields(body)}


def _of_json(body: bytes) -> list[Item]:
    """Nothing: Twilio's JSON webhooks (Event Streams and others) are no messages. Raises `Malformed` for what is no JSON."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("The body is not JSON.") from error
    return []


def _of_media(told: Kind, first: Kind) -> Kind:
    """The kind of a message with media: by the first one, unless WhatsApp tells it closer than the content type does."""
    return told if told in ("sticker", "document", "contacts") else first


def _receipts(form: dict[str, str], sid: str, word: str, request: Request) -> Iterator[Item]:
    status = STATUSES.get(word, ReceiptStatus.UNKNOWN)
    channel, address = _address(form.get("To", ""))
    if form.get("ChannelPrefix", "").lower() == "whatsapp":
        channel = Channel.WHATSAPP
    code = form.get("ErrorCode", "").strip() or None
    code = None if code == "0" else code
    kind = failure(whole(code) or 0) if status is ReceiptStatus.FAILED else None
    told = cost(form.get("Price"), form.get("PriceUnit"), form.get("NumSegments"))
    yield Receipt(
        channel, status, provider_id=sid, message_id=_echo(request.query), address=address, code=code,
        failure=kind, recipient=_address(form.get("From", ""))[1], price=told.price, currency=told.currency, segments=told.segments,
    )  # fmt: skip
    if kind == "opted_out" and address:
        yield Opted(channel, address, ConsentState.REVOKED, provider_id=sid)


def _signed_form(body: bytes) -> str:
    """Names in byte order, each distinct value of a name sorted: name and value, nothing between."""
    pairs = sorted(set(form_fields(body)))
    text = "".join([name + value for name, value in pairs])
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@lru_cache(maxsize=1000)
def _addresses(url: str) -> tuple[str, ...]:
    """The address as configured, without its port, and with the usual port put in: Twilio is not of one mind."""
    if match := _URL.fullmatch(url):
        scheme, host, port, rest = match.groups()
        return url, f"{scheme}://{host}{'' if port else ':443' if scheme.lower() == 'https' else ':80'}{rest}"
    return (url,)


def _address(text: str) -> tuple[Channel, str | None]:
    """Channel and bare address. A number without + is international only when it is long: short codes stay as they are."""
    plain = text.strip().removeprefix("whatsapp:")[:200]
    international = phone(plain) if plain.startswith("+") or len(plain) >= 8 else None
    return Channel.WHATSAPP if text.strip().startswith("whatsapp:") else Channel.SMS, international or plain or None


def _echo(query: str) -> UUID | None:
    try:
        return UUID(parse_qs(query).get(ECHO, [""])[0])
    except ValueError:
        return None


def _kind(content_type: str) -> Literal["image", "audio", "video", "document"]:
    match content_type.partition("/")[0]:
        case "image" | "audio" | "video" as major:
            return major
        case _:
            return "document"


def _decoded(text: str) -> str:
    """Long concatenated SMS sometimes come as base64 (seen by Courier). Any doubt leaves the text as it is.

    It must be long, exact base64 and decode to readable text that has a blank: no word, link or token does.
    """
    if len(text) < 60 or len(text) % 4 or not re.fullmatch("[A-Za-z0-9+/]+={0,2}", text):
        return text
    try:
        plain = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
    readable = all(one.isprintable() or one in "\r\n\t\u200c\u200d\u200e\u200f" for one in plain)
    return plain if readable and " " in plain else text

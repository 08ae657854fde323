"""Infobip: SMS and MMS.

Sources: Infobip docs "SMS API", "MMS API", "Message status codes", "Error code reference", "Webhooks"; the OpenAPI descriptions of both APIs.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import orjson

from parley import crypto
from parley.channels.asked import taken
from parley.channels.cards import unfolded
from parley.channels.cost import cost
from parley.channels.shape import Account, Engaged, Forged, HttpRequest, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import document, items, mapping, moment, phone, pieces, retry_after, said, string, whole, written_out
from parley.channels.text import segments as sms_segments
from parley.contracts import Channel, ConsentState, Content, Media, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "segments"
HONOURS_KEYS = False
"""Our message id is Infobip's (`messageId`), and a repeat of it is refused with REJECTED_DUPLICATE_MESSAGE_ID; but for how long an id is
remembered is promised nowhere. Whoever has it in writing may set `honours_keys` of the account: the refusal is read as what it says."""
CREDENTIALS = ("api_key",)
API = "https://api.infobip.com"
MAX_TEXT = 800
"""Characters of an SMS: whatever the alphabet, these fit into the 25 segments and 4,000 bytes beyond which it is REJECTED_MESSAGE_TOO_LONG."""
MAX_MMS_TEXT = 1600
"""Characters of the text in an MMS (REJECTED_MESSAGE_TEXT_TOO_LONG)."""
LOGGED = timedelta(hours=48)
"""How long messages stand in the log."""
VALID = (1, 48 * 3600)
"""Seconds of a `validityPeriod`: Infobip makes 48 hours of more."""
TOKEN = "token"
"""Query parameter that carries the credential `token` where reports are told an address with each message: such calls bring no other credential."""

Group = Literal["OK", "PENDING", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED"]
GROUPS: dict[int | None, Group] = {0: "OK", 1: "PENDING", 2: "UNDELIVERABLE", 3: "DELIVERED", 4: "EXPIRED", 5: "REJECTED"}
STATUSES: dict[Group | None, ReceiptStatus] = {
    "OK": ReceiptStatus.SENT, "PENDING": ReceiptStatus.SENT, "DELIVERED": ReceiptStatus.DELIVERED,
    "UNDELIVERABLE": ReceiptStatus.FAILED, "EXPIRED": ReceiptStatus.FAILED, "REJECTED": ReceiptStatus.FAILED,
}  # fmt: skip
TO_OPERATOR, DUPLICATE, SYSTEM_ERROR = 2, 23, 21
"""Status ids: DELIVERED_TO_OPERATOR is not final; REJECTED_DUPLICATE_MESSAGE_ID is said of a message that is there already;
REJECTED_SYSTEM_ERROR passes."""
ACCOUNT = frozenset({11, 12, 13, 17})
"""Status ids of what the account must put right: sender not registered, no credits, sender blocked, package expired."""
OPTED_OUT = frozenset({"EC_SC_BLOCKED_BY_END_USER", "EC_CONTENT_BLOCKED", "EC_MMS_SC_BLOCKED_BY_END_USER"})
"""Errors by which an operator says that the person wants no more. By name: the same number means another thing in another product."""


def verify(request: Request, account: Account, now: datetime) -> None:
    """Infobip signs nothing: a shared credential comes in `Authorization`, Basic or Bearer, or the token in the address that we gave."""
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    basics = [base64.b64encode(one.encode()).decode() for one in account.credentials.get("basic", ())]
    tokens = account.credentials.get(TOKEN, ())
    # What stands in the configured address comes with every request, and proves nothing.
    asked = parse_qs(request.url.removeprefix(account.public_url or "").lstrip("?&").rpartition("?")[2])
    right = crypto.same(asked.get(TOKEN, [""])[0], [one for one in tokens if one])
    right |= crypto.same(value.strip(), {"basic": basics, "bearer": [one for one in tokens if one]}.get(scheme.lower(), []))
    if not right:
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """All results in payload order, each once: messages, reports, a followed link. What cannot be read is left out; its neighbours stay."""
    body = document(request.body)
    if "notificationType" in body:
        return list(_followed(body))
    if not isinstance(body.get("results"), list):
        raise Malformed("`results` is missing.")
    found: list[Item] = []
    for result in items(body["results"]):
        reported = any(name in result for name in ("status", "error", "doneAt", "sentAt"))
        found += _report(result) if reported else _message(result)
    return _once(found)


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """One request; several where the text is more than one message holds. Each has our message id as its own, the later ones with a number."""
    headers = {**_key(account), "content-type": "application/json", "accept": "application/json"}
    keys = (_numbered(message, place) for place in itertools.count())
    host = account.base_url or API
    return [
        HttpRequest(
            "POST",
            f"{host}/{'mms/2' if 'messageSegments' in content else 'sms/3'}/messages",
            {**headers, **({"idempotency-key": key} if account.honours_keys else {})},
            orjson.dumps({"messages": [_addressed(content, key, message, account)]}),
        )
        for key, content in zip(keys, _contents(unfolded(message.content, pictures=account.channel is Channel.MMS)), strict=False)
    ]


def interpret(response: Response) -> Outcome:
    """HTTP 200 is not acceptance: the message's own status says what became of it."""
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    error = mapping(mapping(body.get("requestError")).get("serviceException")) or mapping(body if "errorCode" in body else None)
    if 200 <= response.status < 300 and not error:
        return _taken(next(iter(items(body.get("messages"))), {}))
    code = string(error.get("messageId")) or string(error.get("errorCode")) or str(response.status)
    kind = failure(code, response.status)
    text = string(error.get("text")) or string(error.get("description")) or ""
    fields = ", ".join(mapping(error.get("validationErrors")))
    # 404 and 405: there is no such API at this address, so `base_url` is wrong, not the message.
    fault = kind == "permanent" and (response.status in (401, 403, 404, 405) or response.status < 400 or code in ("UNAUTHORIZED", "FORBIDDEN"))
    reason = f"{text} ({fields})" if fields else text
    return Outcome(kind, code, reason[:200], retry_after=retry_after(response), scope="account" if fault else "message")


def query(message: Outgoing, part: int, account: Account, now: datetime) -> HttpRequest | None:
    """The log of one SMS by the id that we gave it. Logs are kept for two days; those of MMS stand elsewhere."""
    said = _contents(unfolded(message.content, pictures=account.channel is Channel.MMS))[part]
    if "messageSegments" in said or now - message.at >= LOGGED:
        return None
    url = f"{account.base_url or API}/sms/3/logs?{urlencode({'messageId': _numbered(message, part)})}"
    return HttpRequest("GET", url, {**_key(account), "accept": "application/json"}, b"")


def query_answer(response: Response, message: Outgoing, part: int, account: Account) -> Receipt | None:
    """What the log says. That there is no line proves nothing: nobody promises when a line is there."""
    try:
        body = mapping(orjson.loads(response.body)) if 200 <= response.status < 300 else {}
    except orjson.JSONDecodeError:
        return None
    lines = [one for one in items(body.get("results")) if one.get("messageId") == _numbered(message, part)]
    receipts = (item for one in lines for item in _report(one) if isinstance(item, Receipt))
    found = next(receipts, None)
    return taken(found, message.message_id) if found else None


def failure(code: str, status: int) -> Class:
    """The class of a refused request."""
    if status == 429 or code == "TOO_MANY_REQUESTS":
        return "throttled"
    return "transient" if status >= 500 or status in (408, 425) else "permanent"


def segments(content: Content) -> int:
    """Segments of all messages that the content takes; an MMS counts as one."""
    return sum(1 if "messageSegments" in one else sms_segments(one["text"]) for one in _contents(unfolded(content, pictures=False)))


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _message(result: dict[str, Any]) -> Iterator[Item]:
    identifier, sender = string(result.get("messageId")), _address(result.get("from"))
    if not (identifier and sender):
        return
    # `text` is all of it; `cleanText` lacks the keyword. An MMS has its parts in `message` instead.
    parts = items(result.get("message"))
    written = [text for one in parts if not one.get("url") and _written(one) and (text := said(one.get("value"))) is not None]
    text = said(result.get("text")) if "text" in result or not written else said("\n".join(written))
    media = tuple(Media(kind=_kind(one), url=url, content_type=string(one.get("contentType"))) for one in parts if (url := string(one.get("url"))))
    yield Received(
        Channel.SMS, sender, identifier, media[0].kind if media else "text" if text is not None else "unsupported",
        text, media=media, sent_at=_when(result.get("receivedAt")), recipient=_address(result.get("to")),
    )  # fmt: skip


def _report(result: dict[str, Any]) -> Iterator[Item]:
    identifier = string(result.get("messageId"))
    if not identifier:
        return
    status, error = mapping(result.get("status")), mapping(result.get("error"))
    found, kind = _status(status), None
    if found is ReceiptStatus.FAILED:
        kind = _failed(status, error)
    named = (string(one.get(word)) for one in ((error, status) if _says(error) else (status,)) for word in ("name", "id"))
    code = next(filter(None, named), None) or _group(status)
    address, at = _address(result.get("to")), _when(result.get("doneAt")) or _when(result.get("sentAt"))
    price = mapping(result.get("price"))
    told = cost(price.get("pricePerMessage"), price.get("currency"), result.get("messageCount", result.get("smsCount")), each=True)
    yield Receipt(
        Channel.SMS, found, identifier, _ours(identifier), address, code if found is ReceiptStatus.FAILED else None, kind, at,
        _address(result.get("from")) or _address(result.get("sender")), price=told.price, currency=told.currency, segments=told.segments,
    )  # fmt: skip
    if kind == "opted_out" and address:
        yield Opted(Channel.SMS, address, ConsentState.REVOKED, at=at, provider_id=identifier)


def _followed(body: dict[str, Any]) -> Iterator[Item]:
    """A link that Infobip shortened and tracks was followed. Other notifications say nothing we know."""
    identifier = string(body.get("messageId"))
    if body.get("notificationType") == "CLICKED" and identifier:
        at, address = moment(body.get("sendDateTime")), _address(body.get("recipient"))
        yield Engaged("clicked", Channel.SMS, identifier, _ours(identifier), address, string(body.get("url")), at=at)


def _group(status: dict[str, Any]) -> Group | None:
    """The group by its number, else by its name, else by the name of the status, which begins with it."""
    words = [string(status.get("groupName")) or "", (string(status.get("name")) or "").partition("_")[0]]
    named = (group for word in words for group in GROUPS.values() if group == word.strip().upper())
    return GROUPS.get(whole(status.get("groupId"))) or next(named, None)


def _status(status: dict[str, Any]) -> ReceiptStatus:
    group, identifier = _group(status), _identifier(status)
    if (group == "DELIVERED" and identifier == TO_OPERATOR) or identifier == DUPLICATE:
        return ReceiptStatus.SENT
    return STATUSES.get(group, ReceiptStatus.UNKNOWN)


def _failed(status: dict[str, Any], error: dict[str, Any]) -> Class:
    """Why it failed for good, or for now: the operator's error where one is given, else the group."""
    if string(error.get("name")) in OPTED_OUT:
        return "opted_out"
    if _says(error) and isinstance(error.get("permanent"), bool):
        return "permanent" if error["permanent"] else "transient"
    return "transient" if _group(status) == "EXPIRED" or _identifier(status) == SYSTEM_ERROR else "permanent"


def _says(error: dict[str, Any]) -> bool:
    """Whether the error is one: NO_ERROR stands beside every rejection, too."""
    return bool(error) and string(error.get("name")) != "NO_ERROR" and 0 not in (whole(error.get("groupId")), whole(error.get("id")))


def _identifier(status: dict[str, Any]) -> int | None:
    """The status by its number; where only the name is told, of those that we look for."""
    names = {"DELIVERED_TO_OPERATOR": TO_OPERATOR, "REJECTED_DUPLICATE_MESSAGE_ID": DUPLICATE, "REJECTED_SYSTEM_ERROR": SYSTEM_ERROR}
    return names.get(string(status.get("name")) or "") or whole(status.get("id"))


def _address(value: object) -> str | None:
    """A number comes without +; short ones and names of senders stay as they are."""
    found = (string(value) or "").strip()[:200]
    return (phone(found) if len(found) >= 8 else None) or found or None


def _ours(identifier: str) -> UUID | None:
    """Our message id, where the message's id is one of ours; later parts have a number behind it."""
    try:
        return UUID(identifier[:36]) if identifier[36:37] in ("", "-") else None
    except ValueError:
        return None


def _when(value: object) -> datetime | None:
    """The time that `yyyy-MM-ddTHH:mm:ss.SSS+0000` means, and other offsets; None without one."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _written(part: dict[str, Any]) -> bool:
    return (string(part.get("contentType")) or "text/plain").lower().startswith("text/plain")


def _kind(part: dict[str, Any]) -> Literal["image", "audio", "video", "document"]:
    match (string(part.get("contentType")) or "").lower().partition("/")[0]:
        case "image" | "audio" | "video" as major:
            return major
        case _:
            return "document"


def _once(found: list[Item]) -> list[Item]:
    """Without what stands twice in one payload."""
    return list({("message", one.provider_id) if isinstance(one, Received) else one: one for one in reversed(found)}.values())[::-1]


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _taken(message: dict[str, Any]) -> Outcome:
    """What the status of a message in a 200 says. A repeat of an id is there already: it was taken the first time."""
    status = mapping(message.get("status"))
    identifier, group, number = string(message.get("messageId")), _group(status), _identifier(status)
    if STATUSES.get(group) is not ReceiptStatus.FAILED or number == DUPLICATE:
        count = mapping(message.get("details")).get("messageCount", message.get("smsCount"))
        return Outcome("accepted", provider_id=identifier, segments=cost(None, None, count).segments)
    kind = _failed(status, mapping(message.get("error")))
    code, reason = string(status.get("name")) or string(group) or "", string(status.get("description")) or ""
    return Outcome(kind, code, reason[:200], scope="account" if kind == "permanent" and number in ACCOUNT else "message")


def _contents(content: Content) -> list[dict[str, Any]]:
    """What each message says; never empty. Media go in one MMS, with as much of the text as it holds; the rest follows as SMS."""
    text = written_out(content)
    files = [
        {"type": "LINK", "contentUrl": one.url, **({"contentType": one.content_type} if one.content_type else {})} for one in content.media if one.url
    ]
    if not files:
        return [{"text": one} for one in pieces(text, MAX_TEXT) or [""]]
    first = next(iter(pieces(text, MAX_MMS_TEXT)), "")
    spoken = [{"type": "TEXT", "text": first}] if first else []
    return [{"messageSegments": [*spoken, *files]}, *({"text": one} for one in pieces(text[len(first) :].lstrip(), MAX_TEXT))]


def _key(account: Account) -> dict[str, str]:
    return {"authorization": f"App {account.secret('api_key')}"}


def _numbered(message: Outgoing, part: int) -> str:
    """The id of a part: ours, from the second on with a number."""
    return f"{message.message_id}{f'-{part}' if part else ''}"


def _addressed(content: dict[str, Any], key: str, message: Outgoing, account: Account) -> dict[str, Any]:
    """The message with from whom, to whom, under which id, and where reports go."""
    addressed: dict[str, Any] = {
        "sender": account.sender.removeprefix("+"),
        "destinations": [{"to": message.address.removeprefix("+"), "messageId": key}],
        "content": content,
    }
    if (seconds := message.seconds(*VALID)) is not None:
        addressed["options"] = {"validityPeriod": {"amount": seconds, "timeUnit": "SECONDS"}}
    url = _reports(message.receipts_url, account)
    return {**addressed, **({"webhooks": {"delivery": {"url": url, "intermediateReport": True}, "contentType": "application/json"}} if url else {})}


def _reports(url: str | None, account: Account) -> str | None:
    """Where reports go. Reports to an address told here bring no Basic credential, so where that is all we accept, the Subscription says it."""
    token = next(iter(account.credentials.get(TOKEN, ())), None)
    if url and token:
        return f"{url}{'&' if '?' in url else '?'}{urlencode({TOKEN: token})}"
    return None if account.credentials.get("basic") else url

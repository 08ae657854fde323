"""Pigeon Post: letters by pigeon, for a shop near a dovecote.

Source: "The Pigeon Post API", second edition (made up).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import orjson

from parley import crypto
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import document, items, mapping, moment, number, retry_after, said, string
from parley.contracts import Content, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("feather",)
STATES: Mapping[str, ReceiptStatus] = MappingProxyType(
    {"flying": ReceiptStatus.SENT, "landed": ReceiptStatus.DELIVERED, "hawk": ReceiptStatus.FAILED}
)


def verify(request: Request, account: Account, now: datetime) -> None:
    """HMAC-SHA256 with the account's feather over the bytes as they came."""
    expected = [crypto.hmac_hex("sha256", feather.encode(), request.body) for feather in account.credentials.get("feather", ())]
    if not crypto.same(request.headers.get("x-pigeon-signature", ""), expected):
        raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """Letters, then landings."""
    body = document(request.body)
    if not body.keys() & {"letters", "landings"}:
        raise Malformed("There are neither `letters` nor `landings`.")
    return [*_letters(body, account), *_landings(body, account)]


def answer() -> Response:
    return Response(204)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one letter. Raises ValueError where it would be empty."""
    if not message.content.text:
        raise ValueError("a pigeon carries text alone, and the message has none")
    body = orjson.dumps({"to": message.address, "text": message.content.text, "ref": str(message.message_id)})
    headers = {"content-type": "application/json", "authorization": f"Bearer {account.secret('feather')}"}
    return [HttpRequest("POST", f"{account.base_url or 'https://api.pigeon.example'}/letters", headers, body)]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if response.status == 201:
        return Outcome("accepted", provider_id=string(body.get("id")))
    kind: Class = "throttled" if response.status == 429 else "transient" if response.status >= 500 else "permanent"
    return Outcome(kind, code=str(response.status), reason=string(body.get("why")) or "", retry_after=retry_after(response))


def segments(content: Content) -> int:
    return 1


def _letters(body: dict[str, object], account: Account) -> Iterator[Received]:
    for one in map(mapping, items(body.get("letters"))):
        identifier, sender, text = string(one.get("id")), string(one.get("from")), said(one.get("text"))
        if identifier and sender:
            yield Received(
                account.channel, sender, identifier, "text" if text is not None else "unsupported", text, sent_at=moment(number(one.get("at")))
            )


def _landings(body: dict[str, object], account: Account) -> Iterator[Receipt]:
    for one in map(mapping, items(body.get("landings"))):
        if identifier := string(one.get("id")):
            state = string(one.get("state"))
            status = STATES.get(state or "", ReceiptStatus.UNKNOWN)
            failure: Class | None = "permanent" if status is ReceiptStatus.FAILED else None
            yield Receipt(account.channel, status, identifier, code=state, failure=failure, at=moment(number(one.get("at"))))

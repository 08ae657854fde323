"""SMPP 3.4: SMS straight from and to an operator. The bind is held by the sender beside the lane; here is what its PDUs mean.

Source: SMPP 3.4 issue 1.2 (4.4 submit_sm, 4.6 deliver_sm, 5.1.3 command_status, 5.2.28 message_state, appendix B for the text of receipts).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from parley.channels import gsm, smpp_link
from parley.channels import smpp_pdu as wire
from parley.channels.cards import unfolded
from parley.channels.shape import Account, Forged, HttpRequest, Item, Malformed, Outgoing, Piece, Receipt, Received, Request, Response, Unreachable
from parley.channels.smpp_link import Link
from parley.channels.smpp_pdu import Address, Delivered
from parley.channels.text import phone, said, written_out
from parley.contracts import Channel, Content, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "segments"
HONOURS_KEYS = False
CREDENTIALS = ("system_id", "password")
VALID = (1, 63 * 7 * 86_400)
"""Seconds of a `validity_period`: SMPP's relative times end after 63 weeks; the operator ends sooner, mostly after two days."""
METHOD = "SMPP"
"""Stands where HTTP has its method: of what is built here, and of what came by a bind."""
CONNECTION = "smpp-connection"
"""The header that names the connection by which a PDU came; each bind has a name of its own."""

THROTTLED = frozenset({0x14, 0x58})
TRANSIENT = frozenset({0x04, 0x08, 0x45, 0x64, 0xFE, 0xFF})
"""0x04: the operator lost our bind, and the next one will do. 0xFF: an error that the operator does not know itself."""
ACCOUNT = frozenset({0x05, 0x0D, 0x0E, 0x0F})
"""Every other status is permanent: the same PDU would meet it again."""

STATES = {
    1: ReceiptStatus.SENT, 2: ReceiptStatus.DELIVERED, 3: ReceiptStatus.FAILED, 4: ReceiptStatus.FAILED, 5: ReceiptStatus.FAILED,
    6: ReceiptStatus.SENT, 7: ReceiptStatus.UNKNOWN, 8: ReceiptStatus.FAILED,
}  # fmt: skip
WORDS = {"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8}
EXPIRED = 3
RECEIPT, INTERMEDIATE = 0x04, 0x20
ACKNOWLEDGED, ABORTED = 0x08, 0x18
"""The handset's own acknowledgement, and the end of a Korean interactive session: nobody said anything."""
ALPHANUMERIC, INTERNATIONAL = 5, 1
_FIELD = re.compile(rb"\b(id|stat|err):\s*([^\s\0]+)", re.IGNORECASE)


def verify(request: Request, account: Account, now: datetime) -> None:
    """Refuses everything: nothing of an operator comes over HTTP. What comes by the bind is the operator's, for it knew the way there."""
    raise Forged


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """One deliver_sm or data_sm: a receipt, a message, or a part of one. Other PDUs say nothing."""
    pdu = wire.read(request.body)
    if pdu.command not in (wire.DELIVER_SM, wire.DATA_SM):
        return []
    told = wire.delivered(pdu)
    kind = told.esm_class & wire.KIND
    if kind in (RECEIPT, INTERMEDIATE):
        return _receipt(told, account)
    if kind in (ACKNOWLEDGED, ABORTED):
        return []
    return _message(told, f"{request.headers.get(CONNECTION, '')}:{pdu.sequence}", request.headers.get(CONNECTION, ""), account)


def answer() -> Response:
    return Response(200)


def join(parts: Sequence[Received]) -> Received:
    """The message of all its parts: joined as octets, then read, for a character may stand across two of them."""
    first = parts[0]
    body, coding = b"".join(one.piece.body for one in parts if one.piece), first.piece.coding if first.piece else 0
    return _read(first.channel, first.address, first.recipient, first.provider_id, body, coding)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """A submit_sm for each part, its sequence number left to the connection. All parts carry one reference, made of the message's id: a part that is sent
    later still belongs to the others."""
    destination = phone(message.address)
    if destination is None:
        raise Unreachable(f"{message.address!r} is no phone number: SMPP delivers to E.164 numbers")
    text = _text(message.content)
    if not text:
        raise ValueError("an SMS needs a text: this message has none, and an operator knows no templates")
    sms = gsm.encoded(text, account.alphabets)
    total = len(sms.parts)
    if total > gsm.MOST:
        raise ValueError(f"the text takes {total} parts; an SMS has {gsm.MOST} at most")
    source, reference, seconds = _source(account), message.message_id.bytes[-1], message.seconds(*VALID)
    valid_for = None if seconds is None else timedelta(seconds=seconds)
    heads = [gsm.header(reference, total, number, sms.shift) for number in range(1, total + 1)]
    return [
        HttpRequest(
            METHOD, account.base_url or "", {}, wire.submit(source, destination[1:], sms.alphabet, head + part, udh=bool(head), valid_for=valid_for)
        )
        for head, part in zip(heads, sms.parts, strict=True)
    ]


def interpret(response: Response) -> Outcome:
    """The meaning of a submit_sm_resp or generic_nack, whole as it came in the body."""
    try:
        pdu = wire.read(response.body)
    except Malformed as error:
        return Outcome("permanent", "unreadable", str(error))
    if pdu.status == wire.OK and pdu.command == wire.SUBMIT_SM | wire.RESPONSE:
        return Outcome("accepted", provider_id=wire.message_id(pdu))
    return Outcome(failure(pdu.status), f"0x{pdu.status:08X}", scope="account" if pdu.status in ACCOUNT else "message")


def failure(status: int) -> Class:
    """The class of a command_status that is not zero."""
    if status in THROTTLED:
        return "throttled"
    return "transient" if status in TRANSIENT else "permanent"


def segments(content: Content) -> int:
    """Without national tables; with those of an account it is never more (`counted`)."""
    return gsm.segments(_text(content))


def counted(content: Content, account: Account) -> int:
    return gsm.segments(_text(content), account.alphabets)


def address_fault(base_url: str | None) -> str | None:
    try:
        smpp_link.link(base_url)
    except ValueError as error:
        return str(error)
    return None


def _text(content: Content) -> str:
    """Text and choices; media as their addresses, each on a line of its own."""
    content = unfolded(content, pictures=False)
    return "\n".join([*([text] if (text := written_out(content)) else []), *(one.url for one in content.media if one.url)])


def _source(account: Account) -> tuple[int, int, str]:
    """TON, NPI and address of the sender: a number with `+`, a name of at most eleven characters, else a short code."""
    found = smpp_link.link(account.base_url) if account.base_url else Link("", 0)
    sender = account.sender
    if sender.startswith("+"):
        ton, npi = INTERNATIONAL, 1
    else:
        ton, npi = (3, 0) if sender.isdigit() else (ALPHANUMERIC, 0)
    if ton == ALPHANUMERIC and len(sender) > 11:
        raise ValueError(f"account {account.name}: a name as the sender has 11 characters at most; {sender!r} has {len(sender)}")
    return found.source_ton if found.source_ton is not None else ton, found.source_npi if found.source_npi is not None else npi, sender.lstrip("+")


def _receipt(told: Delivered, account: Account) -> list[Item]:
    """By the TLVs where they are, else by the text. Its dates are left alone: they are in the operator's own time, whose zone nobody tells."""
    text = gsm.headed(told.text)[1] if told.esm_class & wire.UDH else told.text
    text = text.replace(b"\0", b"")  # in UCS-2 every second octet
    head = re.split(rb"\btext:", text, maxsplit=1, flags=re.IGNORECASE)[0]
    fields = {name.lower(): value.decode("latin-1") for name, value in reversed(_FIELD.findall(head))}
    tlv = wire.text_of(told.tlvs.get(wire.RECEIPTED_ID, b""))
    number = smpp_link.receipted_id(tlv or fields.get(b"id"), account, in_text=not tlv)
    if not number:
        return []  # of which message, nobody knows
    state = wire.number_of(told.tlvs.get(wire.STATE)) or WORDS.get(fields.get(b"stat", "").upper()[:7], 0)
    status = STATES.get(state, ReceiptStatus.UNKNOWN)
    failed: Class | None = None
    if status is ReceiptStatus.FAILED:
        failed = "transient" if state == EXPIRED else "permanent"
    return [
        Receipt(
            account.channel, status, provider_id=number[:200], address=_address(told.source), recipient=_address(told.destination), failure=failed,
            code=_code(fields.get(b"err"), told.tlvs.get(wire.NETWORK_ERROR, b"")),
        )
    ]  # fmt: skip


def _code(text: str | None, network: bytes) -> str | None:
    """The error code of a receipt; None where there is no error."""
    code = text or (str(int.from_bytes(network[1:], "big")) if len(network) == 3 else "")
    return code[:50] if code.strip("0") else None


def _message(told: Delivered, delivery: str, connection: str, account: Account) -> list[Item]:
    head, body = gsm.headed(told.text) if told.esm_class & wire.UDH else (_sar(told), told.text)
    coding = gsm.shifted(told.text, told.coding) if told.esm_class & wire.UDH else told.coding
    if head is not None and not 1 <= head.number <= head.total:
        head = None
    sender, recipient = _address(told.source), _address(told.destination)
    if not sender:
        raise Malformed("The message has no sender.")
    words = _digest(sender, recipient, told.coding, head, body)
    provider_id = f"{_digest(delivery)}{words}"
    if head is None or head.total == 1:
        found = _read(account.channel, sender, recipient, provider_id, body, coding)
        piece = Piece(words, connection)
    else:
        found = Received(account.channel, sender, provider_id, "text", recipient=recipient)
        whole = _digest(sender, recipient, head.reference, head.total)
        piece = Piece(words, connection, whole, head.total, head.number, body, coding)
    return [replace(found, piece=piece)]


def _sar(told: Delivered) -> gsm.Header | None:
    """Concatenation as TLVs say it."""
    reference, total, number = (wire.number_of(told.tlvs.get(tag)) for tag in (wire.SAR_REFERENCE, wire.SAR_TOTAL, wire.SAR_NUMBER))
    return None if reference is None or not total or not number else gsm.Header(f"sar:{reference}", total, number)


def _read(channel: Channel, address: str, recipient: str | None, provider_id: str, body: bytes, coding: int) -> Received:
    text = gsm.decoded(body, coding)
    return Received(channel, address, provider_id, "unsupported" if text is None else "text", text=said(text), recipient=recipient)


def _address(address: Address) -> str:
    """E.164 where it is a whole number. A number without its country is known by being short."""
    plain = address.number[:100]
    if address.ton == ALPHANUMERIC:
        return plain
    whole = address.ton == INTERNATIONAL or plain.startswith("+") or (address.ton == 0 and len(plain) >= 8)
    return (phone(plain) if whole else None) or plain


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()

"""The PDUs of SMPP 3.4. What leaves is written by aiosmpplib; what arrives is read here, for operators send what no strict reader takes. Pure.

A length in a header or a TLV is believed only as far as there are bytes. Text stays bytes: parts of a message are joined before anything is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from aiosmpplib import NPI, TON, BindTransceiver, EnquireLink, PhoneNumber, SubmitSm, Unbind

from parley.channels.gsm import Alphabet
from parley.channels.shape import Malformed

HEADER = 16
LARGEST = 70_000
"""Octets of a PDU at most: message_payload holds 64 KiB."""
SUBMIT_SM, DELIVER_SM, UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK, DATA_SM = 0x04, 0x05, 0x06, 0x09, 0x15, 0x103
RESPONSE, GENERIC_NACK = 0x8000_0000, 0x8000_0000
OK, INVALID_COMMAND, REFUSED = 0x00, 0x03, 0x65
"""Command statuses that we answer; 0x65 (permanent application error): do not send this again."""

RECEIPTED_ID, NETWORK_ERROR, PAYLOAD, STATE = 0x001E, 0x0423, 0x0424, 0x0427
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
UDH = 0x40
"""The bit of esm_class that says: the text begins with a user data header."""
KIND = 0x3C
"""The bits of esm_class that say what kind of message it is."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """A PDU as it stands on the wire, its header read."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    @property
    def wire(self) -> bytes:
        return struct.pack(">IIII", HEADER + len(self.body), self.command, self.status, self.sequence) + self.body


@dataclass(frozen=True, slots=True)
class Address:
    ton: int
    number: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a deliver_sm or data_sm says. `text`: short_message, or message_payload in its place."""

    source: Address
    destination: Address
    esm_class: int
    coding: int
    text: bytes
    tlvs: Mapping[int, bytes] = field(default_factory=dict)


def read(data: bytes) -> Pdu:
    """Raises `Malformed` when this is no PDU."""
    if len(data) < HEADER:
        raise Malformed(f"A PDU has at least {HEADER} octets; these are {len(data)}.")
    length, command, status, sequence = struct.unpack(">IIII", data[:HEADER])
    if length != len(data):
        raise Malformed(f"The PDU says that it has {length} octets; these are {len(data)}.")
    return Pdu(command, status, sequence, data[HEADER:])


def delivered(pdu: Pdu) -> Delivered:
    """Raises `Malformed` when the mandatory fields are not there."""
    cursor = _Cursor(pdu.body)
    cursor.text()  # service_type
    source, destination = cursor.address(), cursor.address()
    esm_class, text = cursor.octet(), b""
    if pdu.command == DATA_SM:
        cursor.octet()  # registered_delivery
        coding = cursor.octet()
    else:
        cursor.take(2)  # protocol_id, priority_flag
        cursor.text(), cursor.text()  # schedule_delivery_time, validity_period
        cursor.take(2)  # registered_delivery, replace_if_present_flag
        coding = cursor.octet()
        cursor.octet()  # sm_default_msg_id
        text = cursor.take(cursor.octet())
    tlvs = cursor.tlvs()
    return Delivered(source, destination, esm_class, coding, text or tlvs.get(PAYLOAD, b""), tlvs)


def message_id(pdu: Pdu) -> str | None:
    """The id in the body of a submit_sm_resp; None where there is none."""
    return _printable(pdu.body.partition(b"\0")[0]) or None


def text_of(value: bytes) -> str:
    """A TLV that is a text, with or without the zero at its end."""
    return _printable(value.partition(b"\0")[0])


def number_of(value: bytes | None) -> int | None:
    return int.from_bytes(value, "big") if value else None


# --- what we say -----------------------------------------------------------------------------------------------------------------------


def bind(system_id: str, password: str, system_type: str) -> bytes:
    """Raises ValueError where a credential is longer than SMPP allows (15, 8 and 12 characters), or not ASCII."""
    return bytes(BindTransceiver(sequence_num=1, system_id=system_id, password=password, system_type=system_type).pdu())


def submit(
    source: tuple[int, int, str], destination: str, alphabet: Alphabet, text: bytes, *, udh: bool, valid_for: timedelta | None = None
) -> bytes:
    """A submit_sm that asks for a receipt, its sequence number still 0. `source`: TON, NPI and address. Raises ValueError for addresses too long."""
    ton, npi, address = source
    message = SubmitSm(
        short_message="-",  # stands for `text`, which is encoded already
        source=PhoneNumber(address, TON(ton), NPI(npi)),
        destination=PhoneNumber(destination, TON.INTERNATIONAL, NPI.ISDN),
        esm_class=UDH if udh else 0,
        registered_delivery=1,
        validity_period=valid_for,
        encoding="ucs2" if alphabet == "ucs2" else None,
    )
    message.set_encoded_message(text)
    return bytes(message.pdu())


def enquire_link() -> bytes:
    return bytes(EnquireLink().pdu())


def unbind() -> bytes:
    return bytes(Unbind().pdu())


def numbered(data: bytes, sequence: int) -> bytes:
    """The PDU under a sequence number."""
    return data[:12] + sequence.to_bytes(4, "big") + data[16:]


def answer(pdu: Pdu, status: int = OK) -> bytes:
    """The response to a request. Those of deliver_sm and data_sm carry an empty message_id."""
    return Pdu(pdu.command | RESPONSE, status, pdu.sequence, b"\0" if pdu.command in (DELIVER_SM, DATA_SM) else b"").wire


def nack(pdu: Pdu) -> bytes:
    """The answer to a request that we do not know."""
    return Pdu(GENERIC_NACK, INVALID_COMMAND, pdu.sequence).wire


class _Cursor:
    """Reads a body from its beginning; raises `Malformed` at its end."""

    def __init__(self, body: bytes) -> None:
        self._body, self._place = body, 0

    def take(self, count: int) -> bytes:
        end = self._place + count
        if end > len(self._body):
            raise Malformed("The PDU ends in the middle of a mandatory field.")
        found, self._place = self._body[self._place : end], end
        return found

    def octet(self) -> int:
        return self.take(1)[0]

    def text(self) -> str:
        end = self._body.find(b"\0", self._place)
        if end < 0:
            raise Malformed("A text in the PDU has no end.")
        return _printable(self.take(end + 1 - self._place)[:-1])

    def address(self) -> Address:
        ton, _ = self.octet(), self.octet()  # the numbering plan says nothing that we need
        return Address(ton, self.text())

    def tlvs(self) -> dict[int, bytes]:
        """What is left, by tag; a last one that is cut short is left out (some operators put a lone zero behind the text)."""
        found: dict[int, bytes] = {}
        while self._place + 4 <= len(self._body):
            tag, length = struct.unpack(">HH", self.take(4))
            if self._place + length > len(self._body):
                break
            found.setdefault(tag, self.take(length))
        return found


def _printable(raw: bytes) -> str:
    return "".join(one for one in raw.decode("latin-1") if one.isprintable()).strip()

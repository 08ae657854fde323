"""The text of an SMS as octets: the alphabets of GSM 03.38 and SMPP, and the cut into parts. Pure.

Sources: 3GPP TS 23.038 (alphabet, coding groups), TS 23.040 (user data header), SMPP 3.4 section 5.2.19 (data_coding).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from parley.channels.text import storable

TABLE = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
"""The basic table, by septet."""
EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€"}
"""The table behind an escape."""
ESCAPE = 0x1B
_OCTETS = {one: bytes([place]) for place, one in enumerate(TABLE) if place != ESCAPE} | {
    one: bytes([ESCAPE, place]) for place, one in EXTENSION.items()
}

Alphabet = Literal["gsm", "ucs2"]
ALONE: dict[Alphabet, int] = {"gsm": 160, "ucs2": 140}
"""Octets of a message that stands alone; of GSM 03.38 one octet is a septet."""
PART: dict[Alphabet, int] = {"gsm": 153, "ucs2": 134}
"""Octets of a part: what a header of six octets leaves."""
MOST = 255
"""Parts of one message: the header counts them in an octet."""

CODECS = {
    1: "latin-1", 3: "latin-1", 5: "shift_jis", 6: "iso8859_5", 7: "iso8859_8", 8: "utf-16-be", 10: "iso2022_jp", 13: "euc_jp", 14: "euc_kr",
}  # fmt: skip
"""Python's codecs by SMPP's data_coding. 1 is ASCII; whoever sends more under it means Latin-1."""
BINARY = frozenset({2, 4, 9})


@dataclass(frozen=True, slots=True)
class Header:
    """What a user data header says of concatenation: an 8-bit reference or a 16-bit one, of how many parts this is which."""

    reference: str
    total: int
    number: int


def encoded(text: str) -> tuple[Alphabet, list[bytes]]:
    """The text as octets, cut into parts that no character crosses; GSM 03.38 where that holds it, else UCS-2 with surrogates."""
    characters = [_OCTETS.get(one) for one in text]
    alphabet: Alphabet = "ucs2" if None in characters else "gsm"
    octets = [one.encode("utf-16-be", "replace") for one in text] if alphabet == "ucs2" else [one for one in characters if one is not None]
    if sum(map(len, octets)) <= ALONE[alphabet]:
        return alphabet, [b"".join(octets)]
    return alphabet, list(_cut(octets, PART[alphabet]))


def decoded(body: bytes, coding: int) -> str | None:
    """The text of octets under a data_coding; None where they are no text, or of an alphabet that nobody knows. Never raises."""
    codec = CODECS.get(coding)
    if codec is None:
        group = _group(coding)
        if group is None:
            return None
        if group == "gsm":
            return storable(_of_gsm(body))
        codec = "utf-16-be"
    if codec == "utf-16-be":
        body = body[: len(body) // 2 * 2]
    return storable(body.decode(codec, "replace"))


def headed(body: bytes) -> tuple[Header | None, bytes]:
    """The user data header that the octets begin with, as far as it speaks of concatenation, and the rest. A header that lies about its length is none."""
    if not body or 1 + body[0] > len(body):
        return None, body
    end, place, found = 1 + body[0], 1, None
    while place + 2 <= end:
        element, length = body[place], body[place + 1]
        value = body[place + 2 : min(place + 2 + length, end)]
        if element == 0x00 and len(value) == 3:
            found = Header(f"8:{value[0]}", value[1], value[2])
        elif element == 0x08 and len(value) == 4:
            found = Header(f"16:{int.from_bytes(value[:2], 'big')}", value[2], value[3])
        place += 2 + length
    return found, body[end:]


def header(reference: int, total: int, number: int) -> bytes:
    """The header of a part, with an 8-bit reference."""
    return bytes([5, 0, 3, reference, total, number])


def _cut(octets: list[bytes], room: int) -> Iterator[bytes]:
    part: list[bytes] = []
    held = 0
    for one in octets:
        if held + len(one) > room:
            yield b"".join(part)
            part, held = [], 0
        part.append(one)
        held += len(one)
    yield b"".join(part)


def _group(coding: int) -> Alphabet | None:
    """The alphabet of a coding that SMPP takes over from GSM: general groups, waiting messages, message classes."""
    if coding == 0 or 0xC0 <= coding <= 0xDF:
        return "gsm"
    if 0xE0 <= coding <= 0xEF:
        return "ucs2"
    if 0xF0 <= coding <= 0xFF:
        return None if coding & 0x04 else "gsm"
    if 0x10 <= coding <= 0x1F:
        kinds: tuple[Alphabet | None, ...] = ("gsm", None, "ucs2", None)
        return kinds[coding >> 2 & 3]
    return None


def _of_gsm(body: bytes) -> str:
    """What stands behind an escape and is no extension is read from the basic table (TS 23.038); what is no septet, as Latin-1: some send it so."""
    found: list[str] = []
    escaped = False
    for octet in body:
        if octet == ESCAPE:
            escaped = True
            continue
        basic = TABLE[octet] if octet < 0x80 else chr(octet)
        found.append(EXTENSION.get(octet, basic) if escaped else basic)
        escaped = False
    return "".join(found)

"""The text of an SMS as octets: the alphabets of GSM 03.38 and SMPP, and the cut into parts. Pure.

Sources: 3GPP TS 23.038 (alphabet, coding groups), TS 23.040 (user data header), SMPP 3.4 section 5.2.19 (data_coding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from parley.channels import nationals
from parley.channels.graphemes import clusters
from parley.channels.text import storable

TABLE = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
"""The basic table, by septet."""
EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€"}
"""The table behind an escape."""
ESCAPE = 0x1B

Alphabet = Literal["gsm", "ucs2"]
OCTETS = 140
"""What one message holds, its header among it; eight septets of GSM 03.38 in seven of them. The parts below have an octet for a septet, as SMPP writes them."""
MOST = 255
"""Parts of one message: the header counts them in an octet."""

CODECS = {
    1: "latin-1", 3: "latin-1", 5: "shift_jis", 6: "iso8859_5", 7: "iso8859_8", 8: "utf-16-be", 10: "iso2022_jp", 13: "euc_jp", 14: "euc_kr",
}  # fmt: skip
"""Python's codecs by SMPP's data_coding. 1 is ASCII; whoever sends more under it means Latin-1."""
BINARY = frozenset({2, 4, 9})


@dataclass(frozen=True, slots=True)
class Shift:
    """The national tables that a message is written in, by their number: in place of the basic table, and of the extension. 0: neither."""

    locking: int = 0
    single: int = 0

    @property
    def elements(self) -> bytes:
        """What the header says of them (TS 23.040, 9.2.3.24.15 and 16)."""
        return bytes([0x24, 1, self.single] if self.single else []) + bytes([0x25, 1, self.locking] if self.locking else [])


@dataclass(frozen=True, slots=True)
class Sms:
    """A text as octets, in parts without their headers."""

    alphabet: Alphabet
    parts: tuple[bytes, ...]
    shift: Shift = Shift()


@dataclass(frozen=True, slots=True)
class Header:
    """What a user data header says of concatenation: an 8-bit reference or a 16-bit one, of how many parts this is which."""

    reference: str
    total: int
    number: int


def encoded(text: str, alphabets: Iterable[str] = ()) -> Sms:
    """The text in as few parts as it takes, cut between what is read as one character wherever a part holds that: in GSM 03.38, else in UCS-2 with surrogates.

    `alphabets`: languages whose national tables the operator takes. One is used where that saves a part, and only then: every phone reads UCS-2.
    """
    basic = _written(text, Shift())
    if basic is not None:
        return basic
    ucs2 = Sms("ucs2", _parts(text, _utf_16, OCTETS, OCTETS - len(header(0, 2, 1))))
    shifts = [shift for one in alphabets for shift in _shifts(nationals.NUMBERS[one])]
    nationally = [found for shift in shifts if (found := _written(text, shift)) is not None]
    return min([ucs2, *nationally], key=lambda one: (len(one.parts), one.alphabet == "gsm", sum(map(len, one.parts))))


def segments(text: str, alphabets: Iterable[str] = ()) -> int:
    """How many parts `encoded` makes."""
    return len(encoded(text, alphabets).parts)


def decoded(body: bytes, coding: int) -> str | None:
    """The text of octets under a data_coding (see `shifted`); None where they are no text, or of an alphabet that nobody knows. Never raises."""
    shift, coding = Shift(coding >> 8 & 0xFF, coding >> 16 & 0xFF), coding & 0xFF
    codec = CODECS.get(coding)
    if codec is None:
        group = _group(coding)
        if group is None:
            return None
        if group == "gsm":
            return storable(_of_gsm(body, shift))
        codec = "utf-16-be"
    if codec == "utf-16-be":
        body = body[: len(body) // 2 * 2]
    return storable(body.decode(codec, "replace"))


def headed(body: bytes) -> tuple[Header | None, bytes]:
    """What the user data header that the octets begin with says of concatenation, and the rest. A header that lies about its length is none."""
    found, (elements, rest) = None, _elements(body)
    for element, value in elements:
        if element == 0x00 and len(value) == 3:
            found = Header(f"8:{value[0]}", value[1], value[2])
        elif element == 0x08 and len(value) == 4:
            found = Header(f"16:{int.from_bytes(value[:2], 'big')}", value[2], value[3])
    return found, rest


def shifted(body: bytes, coding: int) -> int:
    """The data_coding, with the national tables that the user data header names in the two octets above it."""
    known = {element: value[0] for element, value in _elements(body)[0] if len(value) == 1 and value[0] in nationals.NUMBERS.values()}
    return coding | known.get(0x25, 0) << 8 | known.get(0x24, 0) << 16


def header(reference: int, total: int, number: int, shift: Shift = Shift()) -> bytes:
    """The header of a part: an 8-bit reference where there are several, and the national tables; empty where there is nothing to say."""
    elements = (bytes([0x00, 3, reference, total, number]) if total > 1 else b"") + shift.elements
    return bytes([len(elements)]) + elements if elements else b""


def _shifts(number: int) -> Iterator[Shift]:
    yield Shift(single=number)
    if _table(Shift(number)):
        yield from (Shift(number), Shift(number, number))


@cache
def _table(shift: Shift) -> Mapping[str, bytes]:
    """The octets of each character; empty where there is no such locking table. Of two places the shorter counts, then the first."""
    basic, behind = _read_by(shift)
    if shift.locking and not basic:
        return {}
    basic = basic or dict(enumerate(TABLE))
    found = {behind[place]: bytes([ESCAPE, place]) for place in sorted(behind, reverse=True)}
    return found | {basic[place]: bytes([place]) for place in sorted(basic, reverse=True) if place != ESCAPE}


def _written(text: str, shift: Shift) -> Sms | None:
    """The text in GSM 03.38; None where it has other characters."""
    table = _table(shift)
    if not table.keys() >= set(text):
        return None

    def septets(some: str) -> bytes:
        return b"".join(map(table.__getitem__, some))

    return Sms("gsm", _parts(text, septets, _room(header(0, 1, 1, shift)), _room(header(0, 2, 1, shift))), shift)


def _room(head: bytes) -> int:
    """Septets that a header leaves; it is filled up to a whole one."""
    return (OCTETS - len(head)) * 8 // 7


def _utf_16(some: str) -> bytes:
    return some.encode("utf-16-be", "replace")


def _parts(text: str, octets: Callable[[str], bytes], alone: int, room: int) -> tuple[bytes, ...]:
    whole = octets(text)
    return (whole,) if len(whole) <= alone else tuple(_cut(_units(text, octets, room), room))


def _units(text: str, octets: Callable[[str], bytes], room: int) -> Iterator[bytes]:
    """What stays together: all that is read as one character where a part holds it, else each of its own."""
    for cluster in clusters(text):
        one = octets(cluster)
        yield from [one] if len(one) <= room else map(octets, cluster)


def _cut(units: Iterable[bytes], room: int) -> Iterator[bytes]:
    part: list[bytes] = []
    held = 0
    for one in units:
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


def _elements(body: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The elements of the user data header, and what stands behind it."""
    if not body or 1 + body[0] > len(body):
        return [], body
    end, place, found = 1 + body[0], 1, []
    while place + 2 <= end:
        element, length = body[place], body[place + 1]
        found.append((element, body[place + 2 : min(place + 2 + length, end)]))
        place += 2 + length
    return found, body[end:]


def _of_gsm(body: bytes, shift: Shift) -> str:
    """What stands behind an escape and is no extension is read from the basic table (TS 23.038); what is no septet, as Latin-1: some send it so."""
    basic, behind = _read_by(shift)
    found: list[str] = []
    escaped = False
    for octet in body:
        if octet == ESCAPE:
            escaped = True
            continue
        plain = basic.get(octet, TABLE[octet]) if octet < 0x80 else chr(octet)
        found.append(behind.get(octet, plain) if escaped else plain)
        escaped = False
    return "".join(found)


def _read_by(shift: Shift) -> tuple[Mapping[int, str], Mapping[int, str]]:
    """The characters in the locking table, as far as there are any of its own, and those behind an escape."""
    languages = {number: one for one, number in nationals.NUMBERS.items()}
    basic = nationals.locking(languages[shift.locking], TABLE) if shift.locking in languages else None
    return basic or {}, nationals.single(languages[shift.single]) if shift.single in languages else EXTENSION

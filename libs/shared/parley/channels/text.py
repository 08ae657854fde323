"""What all channels share about text: SMS segments counted exactly, choices written out, phone numbers and JSON read with care. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from parley.channels.shape import Malformed
from parley.contracts import Content, Location

GSM = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
"""GSM 03.38, the basic table: one septet each."""
GSM_EXTENSION = frozenset("^{}\\[~]|€\f")
"""GSM 03.38, the extension table: an escape and a septet."""


def segments(text: str) -> int:
    """SMS segments of a text: 160 septets or 70 UTF-16 units alone, 153 or 67 a part; a character is never cut (3GPP TS 23.038, 23.040)."""
    if all(one in GSM or one in GSM_EXTENSION for one in text):
        return _parts([2 if one in GSM_EXTENSION else 1 for one in text], 160, 153)
    return _parts([2 if ord(one) > 0xFFFF else 1 for one in text], 70, 67)


def _parts(weights: list[int], alone: int, part: int) -> int:
    if sum(weights) <= alone:
        return 1
    count, room = 1, part
    for weight in weights:
        if weight > room:
            count, room = count + 1, part
        room -= weight
    return count


def written_out(content: Content) -> str:
    """The text with its choices as numbered lines, for channels without buttons; the number is an answer."""
    lines = [content.text] if content.text else []
    lines += [f"{place}. {choice.title or choice.id}" for place, choice in enumerate(content.choices, 1)]
    return "\n".join(lines)


def shortened(text: str, limit: int) -> str:
    """The text within `limit` characters; what is cut shows."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def phone(text: object) -> str | None:
    """A phone number as Parley writes it, `+` and digits; None when the text is none."""
    digits = str(text).strip().removeprefix("+") if text is not None else ""
    return f"+{digits}" if digits.isascii() and digits.isdigit() and 4 <= len(digits) <= 15 else None


def moment(value: object) -> datetime | None:
    """A time from epoch seconds or milliseconds, number or text; None when it is none. Milliseconds are known by their size (after the year 5000)."""
    try:
        number = float(str(value))
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises `Malformed`."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("The body is not a JSON object.")
    return value


def mapping(value: object) -> dict[str, Any]:
    """The value where it is an object, else an empty one: odd shapes are passed over item by item."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[dict[str, Any]]:
    """The objects in a list; nothing of what is no list or no object."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def string(value: object) -> str | None:
    """The value where it is a text or a number, as text."""
    if isinstance(value, bool) or value is None:
        return None
    return str(value) if isinstance(value, str | int | float) else None


def number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def located(lat: object, lon: object, name: object = None) -> Location | None:
    """A place on earth; None when the numbers are none."""
    north, east = number(lat), number(lon)
    if north is None or east is None or not (-90 <= north <= 90 and -180 <= east <= 180):
        return None
    return Location(lat=north, lon=east, name=string(name) or None)

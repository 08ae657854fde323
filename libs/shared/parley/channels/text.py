"""What all channels share about text: SMS segments counted exactly, choices written out, phone numbers and JSON read with care. Pure."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson

from parley.channels.graphemes import border
from parley.channels.shape import Malformed, Response
from parley.contracts import Choice, Content, Location

GSM = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
"""GSM 03.38, the basic table: one septet each."""
GSM_EXTENSION = frozenset("^{}\\[~]|€\f")
"""GSM 03.38, the extension table: an escape and a septet."""


def segments(text: str) -> int:
    """SMS segments of a text that the provider cuts: 160 septets or 70 UTF-16 units alone, 153 or 67 a part; a code point is never cut (3GPP TS 23.038,
    23.040). Who cuts by himself counts his parts (`gsm.segments`)."""
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
    """The text within `limit` characters; what is cut shows, and nothing that is read as one character is parted."""
    return text if len(text) <= limit else text[: border(text, limit - 1)].rstrip() + "…"


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


def mapping(value: object) -> dict[str, Any]:
    """The value where it is an object, else an empty one: odd shapes are passed over item by item."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[dict[str, Any]]:
    """The objects in a list; nothing of what is no list or no object."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def string(value: object) -> str | None:
    """The value where it is a text or a number, as text."""
    if type(value) is str:
        return value
    if isinstance(value, bool) or value is None:
        return None
    return str(value) if isinstance(value, str | int | float) else None


def number(value: object) -> float | None:
    if value is None:
        return None
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


MAX_TEXT, MAX_CHOICE_ID, MAX_TITLE = 65_536, 200, 500
"""Characters that the contract allows (`contracts.Text`, `Name`, `Choice.title`)."""


def document(body: bytes) -> dict[str, Any]:
    """The body as a JSON object whose texts can be stored: no NUL, no half of a surrogate pair. Raises `Malformed`.

    A text that was cut inside an emoji spoils itself, not the messages beside it.
    """
    value = _stored(body)
    if not isinstance(value, dict):
        raise Malformed("The body is not a JSON object.")
    return value


def documents(body: bytes) -> list[dict[str, Any]]:
    """The objects in a body that is a JSON list, with texts as in `document`. Raises `Malformed`."""
    value = _stored(body)
    if not isinstance(value, list):
        raise Malformed("The body is not a JSON list.")
    return items(value)


def storable(text: str) -> str:
    """The text without what neither UTF-8 nor a database holds: NUL goes, half a surrogate pair becomes the replacement character."""
    plain = text.replace("\0", "")
    return plain if plain.isascii() else plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@lru_cache(maxsize=1)
def form_fields(body: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a form, in order, as `parse_qsl` reads them, blank ones too; in ASCII, as every form is. Whoever verifies and then parses asks
    twice for the same."""
    if not body.isascii():
        return tuple(parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True))
    fields = [field.partition("=") for field in body.decode("ascii").replace("+", " ").split("&") if field]
    return tuple([(_decoded(name) if "%" in name else name, _decoded(value) if "%" in value else value) for name, _, value in fields])


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def said(value: object) -> str | None:
    """A text (it may be empty), cut where the contract ends; None where there is none."""
    found = string(value)
    return None if found is None else found[:MAX_TEXT]


def whole(value: object) -> int | None:
    """A whole number, given as such or as text; None for everything else, infinity among it."""
    found = number(value)
    return int(found) if found is not None and math.isfinite(found) else None


def tapped(payload: object, label: object) -> Choice | None:
    """What somebody tapped. Where the provider tells no payload, the label stands for it; None where there is neither."""
    title = string(label) or ""
    chosen = (string(payload) or title).strip()
    return Choice(id=chosen[:MAX_CHOICE_ID], title=title[:MAX_TITLE]) if chosen else None


def pieces(text: str, limit: int) -> list[str]:
    """The text in pieces of at most `limit` characters, cut at a line, else at a blank, else between what is read as one character; [] for an empty text."""
    found: list[str] = []
    while len(text) > limit:
        cut = _last(text, "\n", limit) or _last(text, " ", limit) or border(text, limit)
        found.append(text[:cut])
        text = text[cut:].lstrip() if text[cut].isspace() else text[cut:]
    return [*found, text] if text else found


def _last(text: str, sign: str, limit: int) -> int:
    """The place of the last sign up to `limit` that carries no mark; 0 for none."""
    place = text.rfind(sign, 0, limit + 1)
    while place > 0 and border(text, place + 1) != place + 1:
        place = text.rfind(sign, 0, place)
    return max(place, 0)


def fitting(text: str, units: int) -> int:
    """How many characters of the text surely fit into so many UTF-16 units: half of them where an emoji may count twice."""
    return units // 2 if any(one > "\uffff" for one in text) else units


def retry_after(response: Response) -> timedelta | None:
    """The pause that `Retry-After` asks for: seconds, or a date, counted from the answer's own `Date`."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    asked = headers.get("retry-after", "").strip()
    try:
        seconds = float(asked) if asked[:1].isdigit() else None
        if seconds is not None:
            return timedelta(seconds=seconds)
        return max(timedelta(0), parsedate_to_datetime(asked) - parsedate_to_datetime(headers["date"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _stored(body: bytes) -> Any:
    """The JSON of a body; read by the tolerant reader only where an escape hides what cannot be stored. Raises `Malformed`."""
    try:
        if b"\\u" not in body:
            return orjson.loads(body)
        if b"\\u0000" not in body:
            with suppress(orjson.JSONDecodeError):  # half of a surrogate pair, or no JSON at all
                return orjson.loads(body)
        return _storable(json.loads(body, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not JSON.") from error


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {storable(name): _storable(one) for name, one in value.items()}
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")

"""QR codes as pictures. Pure."""

from __future__ import annotations

import io
from functools import lru_cache

import segno

ERROR = "m"
"""A seventh of the picture may be dirty, which a poster is before long."""
SCALE, BORDER = 8, 4
"""Pixels of a module; modules of quiet around (ISO/IEC 18004 asks for four)."""


@lru_cache(maxsize=256)
def picture(text: str, kind: str) -> bytes:
    """The code of a text as SVG or PNG; the same text has the same bytes. Raises ValueError for another kind, or a text that is too long."""
    if kind not in ("svg", "png"):
        raise ValueError(f"a QR code is a file .svg or .png, not .{kind}")
    made = io.BytesIO()
    segno.make(text, error=ERROR, micro=False, boost_error=False).save(made, kind=kind, scale=SCALE, border=BORDER)
    return made.getvalue()

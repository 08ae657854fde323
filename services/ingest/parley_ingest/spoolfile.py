"""The spool's bytes: records in frames that tell a torn end and a rotten middle from what is whole. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgpack

from parley.contracts import Record

MARK = b"\xf8\xfdPS"
"""Begins every frame. Its first bytes stand in no UTF-8, so neither in a header nor in a value: by it the next frame is found behind rotten bytes."""
HEAD = struct.Struct("<4sII")
"""The mark, the payload's length, and the CRC-32 of length and payload."""


class Kept(NamedTuple):
    """A record of the spool, and when it was taken (seconds since the epoch)."""

    at: float
    record: Record


class Piece(NamedTuple):
    """Some bytes of a segment: a whole frame; bytes that are none (`bad`); or the beginning of one at the end of the bytes (`torn`)."""

    kind: Literal["whole", "bad", "torn"]
    start: int
    end: int


def frame(kept: Kept) -> bytes:
    """The bytes of a record."""
    payload: bytes = msgpack.packb((kept.at, *kept.record))
    return HEAD.pack(MARK, len(payload), _sum(payload)) + payload


def kept(data: bytes) -> Kept | None:
    """The record of a whole frame; None where this version cannot read it."""
    try:
        at, topic, key, headers, value = msgpack.unpackb(memoryview(data)[HEAD.size :])
        return Kept(at, (topic, key, [(name, raw) for name, raw in headers], value))
    except (ValueError, TypeError):
        return None


def pieces(data: bytes, start: int = 0) -> Iterator[Piece]:
    """What the bytes from `start` on are: together the pieces are all of them. Two bad ones never follow each other."""
    while start < len(data):
        piece = _at(data, start)
        if piece is None or piece.kind == "torn":
            # The length itself may be what is rotten: only where no frame follows is this the end.
            found = _next(data, start + 1)
            piece = Piece("bad", start, found) if found is not None else piece or Piece("bad", start, len(data))
        yield piece
        start = piece.end


def _at(data: bytes, start: int) -> Piece | None:
    """The frame at `start`, whole or torn; None where there is none."""
    if not data.startswith(MARK[: len(data) - start], start):
        return None
    if len(data) - start < HEAD.size:
        return Piece("torn", start, len(data))
    _, length, checksum = HEAD.unpack_from(data, start)
    end = start + HEAD.size + length
    if end > len(data):
        return Piece("torn", start, len(data))
    return Piece("whole", start, end) if _sum(data[start + HEAD.size : end]) == checksum else None


def _next(data: bytes, start: int) -> int | None:
    """Where the next whole frame begins."""
    while (start := data.find(MARK, start)) >= 0:
        piece = _at(data, start)
        if piece is not None and piece.kind == "whole":
            return start
        start += 1
    return None


def _sum(payload: bytes) -> int:
    return zlib.crc32(payload, len(payload))

"""The files of a spool: segments, the place up to which they are drained, and what an earlier process left of both."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import structlog

from parley_ingest import spoolfile

log = structlog.get_logger()

SUFFIX, POSITION = ".spool", "position"


@dataclass(slots=True)
class Segment:
    """A file of the spool, and how much of it is on disk for sure."""

    path: Path
    size: int

    @property
    def number(self) -> int:
        return int(self.path.stem)


@dataclass(slots=True)
class Left:
    """What stands in a folder: segments in order, up to where the first is drained, and all that is not, counted."""

    segments: list[Segment]
    offset: int = 0
    held: int = 0
    bytes: int = 0
    records: int = 0
    oldest: float | None = None


def left(folder: Path) -> Left:
    """What an earlier process left; a record that it was still writing is cut. Reads all of it."""
    found = Left([Segment(path, path.stat().st_size) for path in sorted(folder.glob(f"*{SUFFIX}"))])
    number, offset = _noted(folder)
    if found.segments and found.segments[0].number == number and offset <= found.segments[0].size:
        found.offset = offset
    for place, segment in enumerate(found.segments):
        _count(found, segment, found.offset if place == 0 else 0)
    if found.records:
        log.warning("the spool holds records of an earlier process", folder=str(folder), records=found.records, bytes=found.bytes)
    return found


def note(folder: Path, number: int, offset: int) -> None:
    """Notes up to where which segment is drained, in one step: the file is the old one or the new one."""
    new = folder / f"{POSITION}.new"
    new.write_text(f"{number} {offset}\n")
    new.replace(folder / POSITION)


def _count(found: Left, segment: Segment, start: int) -> None:
    data = segment.path.read_bytes()
    for piece in spoolfile.pieces(data, start):
        if piece.kind == "torn":
            log.warning("a record was being written when the process ended; it is cut", file=str(segment.path), bytes=piece.end - piece.start)
            os.truncate(segment.path, piece.start)
            segment.size = piece.start
        elif piece.kind == "whole":
            found.records += 1
            if found.oldest is None and (one := spoolfile.kept(data[piece.start : piece.end])) is not None:
                found.oldest = one.at
    found.held += segment.size
    found.bytes += segment.size - start


def _noted(folder: Path) -> tuple[int, int]:
    """Segment and offset up to which the spool is drained; the beginning where that cannot be read: a repeat does no harm."""
    try:
        number, offset = (folder / POSITION).read_text().split()
        return int(number), int(offset)
    except (OSError, ValueError):
        return -1, 0

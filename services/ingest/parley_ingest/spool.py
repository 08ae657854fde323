"""The spool: records on disk, in order, for the time in which Kafka is away. What `append` returned for survives SIGKILL and a power cut.

Segments are files that only grow, named by growing numbers; the file `position` says up to where they are on the bus. Whoever is killed while
draining repeats at most one batch. One thread does everything with the disk, so the event loop never waits for it, and one fsync serves all who wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import structlog

from parley.contracts import Record
from parley.settings import SettingsError
from parley_ingest import segments, spoolfile
from parley_ingest.segments import Segment
from parley_ingest.spoolfile import Kept, Piece

log = structlog.get_logger()

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SEGMENT = 16_777_216
"""Bytes after which a new segment begins; what is drained is deleted by segments."""
ASIDE = ".aside"


class Full(Exception):
    """The spool holds as much as it may, or cannot be written. Nothing of the records stays that was promised to anybody."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The next records of the spool, in order, and the bytes that they take; `last`: when the newest of them was taken."""

    records: Sequence[Record]
    bytes: int
    end: int
    last: float


@dataclass(slots=True)
class _Asked:
    data: bytes
    records: int
    done: asyncio.Future[None]


@dataclass
class Spool:
    """A folder with segments, which only this process uses. Made by `opened`."""

    folder: Path
    limit: int
    held: int = 0
    """Bytes on disk and on their way there: what the limit counts. What is drained counts until its segment is deleted."""
    left: int = 0
    """Bytes not drained yet."""
    records: int = 0
    oldest: float | None = None
    """When the oldest record was taken, or one before it."""
    set_aside: int = 0
    """Pieces that could not be read, since this process began; each stands in a file of its own."""
    _segments: list[Segment] = field(default_factory=list)
    _offset: int = 0
    """Up to where the first segment is drained."""
    _current: int | None = None
    """The file that is written."""
    _ahead: Iterator[tuple[Piece, bytes]] | None = None
    _waiting: list[_Asked] = field(default_factory=list)
    _writing: asyncio.Task[None] | None = None
    _closed: bool = False
    _lock: int = -1
    _disk: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "spool"))

    @property
    def empty(self) -> bool:
        """Whether everything that was ever appended is drained; also what is only on its way to the disk counts."""
        return self.left == 0

    @property
    def on_its_way(self) -> bool:
        """Whether records are on their way to the disk."""
        return self._writing is not None

    def append(self, records: Sequence[Record], at: float) -> asyncio.Future[None]:
        """Takes the records, behind all that were taken before; they are on disk for sure once the future is done. Raises `Full`, now or from it."""
        data = b"".join(spoolfile.frame(Kept(at, one)) for one in records)
        if self._closed or self.held + len(data) > self.limit:
            raise Full("the spool is closed" if self._closed else f"the spool holds {self.held} of {self.limit} bytes")
        self.oldest = at if self.empty else self.oldest
        self._grow(len(data), len(records))
        asked = _Asked(data, len(records), asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return asked.done

    async def first(self, count: int) -> Batch:
        """The next `count` records at most; to be drained before the next are asked for. Nothing only while all that is left is `on_its_way`."""
        batch, freed = await self._on_disk(self._next, count)
        self.held -= freed
        return batch

    async def drained(self, batch: Batch) -> None:
        """The batch is on the bus: forgets it."""
        self.held -= await self._on_disk(self._forget, batch)
        self.left -= batch.bytes
        self.records = 0 if self.empty else self.records - len(batch.records)
        self.oldest = None if self.empty else batch.last

    async def reject(self, record: Record) -> None:
        """Sets a record aside that the bus will never take."""
        await self._on_disk(self._aside, f"{time.time_ns():020d}", spoolfile.frame(Kept(0.0, record)))

    async def close(self) -> None:
        """What is on its way to the disk gets there; what comes later is refused. An empty spool leaves nothing behind."""
        self._closed = True
        if self._writing is not None:
            await self._writing
        await self._on_disk(self._leave)
        self._disk.shutdown()

    async def _write(self) -> None:
        """Puts on disk what waits, all of it with one fsync, until nothing does."""
        while self._waiting:
            some, self._waiting = self._waiting, []
            failed: Full | None = None
            try:
                await self._on_disk(self._put, b"".join(one.data for one in some))
            except OSError as error:
                log.error("the spool cannot be written", folder=str(self.folder), cause=str(error))
                failed = Full(f"the spool cannot be written: {error}")
                self._grow(-sum(len(one.data) for one in some), -sum(one.records for one in some))
            for one in some:
                if not one.done.done():
                    one.done.set_exception(failed) if failed else one.done.set_result(None)
        self._writing = None

    def _grow(self, size: int, records: int) -> None:
        self.held, self.left, self.records = self.held + size, self.left + size, self.records + records

    # --- on the disk's thread ----------------------------------------------------------------------------------------------------------

    async def _on_disk(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    def _put(self, data: bytes) -> None:
        file = self._current if self._current is not None else self._begin()
        segment = self._segments[-1]
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            # What the disk has of it nobody knows, and a second fsync could say yes to pages that are lost: this file is left as it was.
            with contextlib.suppress(OSError):
                os.ftruncate(file, segment.size)
            self._end()
            raise
        segment.size += len(data)
        if segment.size >= min(SEGMENT, self.limit // 8):
            self._end()

    def _begin(self) -> int:
        """A new segment, behind all there ever were: a `position` of old never fits a new one."""
        number = max(time.time_ns(), self._segments[-1].number + 1 if self._segments else 0)
        path = self.folder / f"{number:020d}{segments.SUFFIX}"
        self._current = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segments.append(Segment(path, 0))
        os.fsync(self._lock)  # the folder: without it the file could be gone after a power cut
        return self._current

    def _end(self) -> None:
        if self._current is not None:
            os.close(self._current)
            self._current = None

    def _next(self, count: int) -> tuple[Batch, int]:
        """The next batch, and the bytes that were freed to find it: a process that was killed leaves segments in which nothing stands yet."""
        freed = self._tidy()
        return self._read(count), freed

    def _tidy(self) -> int:
        """Deletes the segments at the front that are drained to their end, so that what stands behind them is reached. Gives the bytes that this frees."""
        freed = 0
        while self._segments and self._offset >= self._segments[0].size:
            if len(self._segments) == 1:
                self._end()
            segment = self._segments.pop(0)
            self._offset, self._ahead = 0, None
            segment.path.unlink()
            freed += segment.size
        return freed

    def _read(self, count: int) -> Batch:
        records: list[Record] = []
        size, last, end = 0, 0.0, self._offset
        fresh = self._ahead is None
        if self._ahead is None:
            self._ahead = self._pieces()
        for piece, data in self._ahead:
            end, size = piece.end, size + len(data)
            if piece.kind != "whole" or (found := spoolfile.kept(data)) is None:
                self._aside(f"{self._segments[0].path.stem}-{piece.start}", data)
                continue
            records.append(found.record)
            last = found.at
            if len(records) == count:
                return Batch(records, size, end, last)
        self._ahead = None  # the end of the segment, or of what was on disk when this look at it began
        return Batch(records, size, end, last) if size or fresh else self._read(count)

    def _pieces(self) -> Iterator[tuple[Piece, bytes]]:
        """What stands in the first segment behind the place up to which it is drained, with its bytes."""
        if not self._segments:
            return
        segment, start = self._segments[0], self._offset
        with segment.path.open("rb") as file:
            file.seek(start)
            data = file.read(segment.size - start)
        for piece in spoolfile.pieces(data):
            yield Piece(piece.kind, start + piece.start, start + piece.end), data[piece.start : piece.end]

    def _aside(self, name: str, data: bytes) -> None:
        """Keeps what cannot be drained beside the spool, and says so."""
        path = self.folder / f"{name}{ASIDE}"
        path.write_bytes(data)
        self.set_aside += 1
        log.error("bytes of the spool cannot be drained and are set aside", file=str(path), bytes=len(data))

    def _forget(self, batch: Batch) -> int:
        """Notes the place, or deletes the segment once all of it is drained. Gives the bytes that this frees."""
        if not batch.bytes:
            return 0
        segment, self._offset = self._segments[0], batch.end
        if self._offset < segment.size:
            segments.note(self.folder, segment.number, self._offset)
        return self._tidy()

    def _leave(self) -> None:
        self._end()
        if not self._segments:
            with contextlib.suppress(OSError):
                (self.folder / segments.POSITION).unlink(missing_ok=True)
                self.folder.rmdir()  # stays where something was set aside
        os.close(self._lock)


def opened(folder: Path, limit: int) -> Spool:
    """The spool in `folder`, with what an earlier process left there; a torn end is cut. Reads all of it. Raises `SettingsError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.access(folder, os.W_OK):
                raise PermissionError("not writable")
            left = segments.left(folder)
            return Spool(
                folder, limit, held=left.held, left=left.bytes, records=left.records, oldest=left.oldest,
                _segments=left.segments, _offset=left.offset, _lock=lock,
            )  # fmt: skip
        except BaseException:
            os.close(lock)
            raise
    except BlockingIOError as error:
        raise SettingsError(f"PARLEY_SPOOL: {folder} is the spool of a process that runs: every process needs one of its own") from error
    except OSError as error:
        raise SettingsError(
            f"PARLEY_SPOOL: {folder} cannot be used ({error}): name a folder that can be written, or set PARLEY_SPOOL_BYTES=0"
        ) from error

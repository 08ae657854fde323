"""The flows in force, kept up to date while the router runs: files are looked at every few seconds, what is new is published, every replica follows.

The book is one reference: a step that is being decided has the one it began with. What cannot be used is said in the log and in a metric, and stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from parley import yamlfile
from parley.database import OUTSIDE, Connection
from parley.service import Context
from parley.yamlfile import ConfigError
from parley_router import catalogue, versions
from parley_router.catalogue import Book, Read, Refused
from parley_router.flow import Flow
from parley_router.pausing import pause
from parley_router.state import ContactState
from parley_router.versions import Check, Key, Resolved, Stored
from parley_router.waiting import needed

EVERY = 3.0
"""Seconds between two looks at the files, and at what other replicas published."""
LOCK = "SELECT pg_advisory_xact_lock(hashtext('parley.flows'))"
"""One writer at a time: so `change` grows in the order of commits."""
CHANGE = "(SELECT coalesce(max(change), 0) + 1 FROM flow_versions)"
TENANT = re.compile(r"^tenant:[ ]*[\"']?([a-z0-9-]+)", re.MULTILINE)

log = structlog.get_logger()


class Behind(OSError):
    """A contact stands in a version that another replica published a moment ago: it is being read, and the step is tried again."""


@dataclass(frozen=True)
class Making:
    """How files are checked, and a book is made of what is in force and of older versions that somebody still stands in."""

    check: Check
    book: Callable[[Resolved, Sequence[Flow]], Book]


@dataclass
class Publishing:
    """The worker, and the book that it keeps."""

    context: Context
    directory: Path
    making: Making
    book: Book = field(default_factory=lambda: Book({}))
    refused: tuple[Refused, ...] = ()
    _owners: dict[str, str] = field(default_factory=dict)
    """Whose the refused files are, by name, as far as they say it."""
    _seen: tuple[str, int, int] = ("", -1, 0)
    """The digest of the directory, the last change of the table, and how often it was to be made anew, when the book was made."""
    _renewals: int = 0
    _reads: tuple[Read, ...] = ()
    """The files that could be read at the last look."""
    _flows: dict[Key, Flow] = field(default_factory=dict)
    """Versions that were read once: they never change."""
    _asked: set[Key] = field(default_factory=set)
    _nowhere: set[Key] = field(default_factory=set)
    """Versions that somebody stands in and nobody has."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; while the database is away the book stays as it is."""
        while not stopping.is_set():
            await pause(EVERY, self._wake, stopping)
            self._wake.clear()
            if stopping.is_set():
                return
            try:
                await self.look()
            except OUTSIDE as error:
                log.warning("flows are not looked at", cause=f"{type(error).__name__}: {error}")
            except Exception as error:
                log.error("flows were not looked at, by a fault of ours; those in force stay", exc_info=error)

    async def look(self) -> bool:
        """Makes the book anew when files or published versions changed; whether it did."""
        async with self._turn:
            asked, renewals = set(self._asked), self._renewals
            files = await asyncio.to_thread(fingerprint, self.directory)
            change = await self.context.pool.fetchval("SELECT coalesce(max(change), 0) FROM flow_versions")
            if (files, change, renewals) == self._seen and not asked:
                return False
            reads, broken = await asyncio.to_thread(_read, self.directory, self._reads)
            resolved, change = await self._resolved(reads, broken)
            if resolved.new:
                await self._publish(resolved.new)
                resolved, change = await self._resolved(reads, broken)  # another replica may have been first, with other content
            older = await self._older(resolved, asked)
            self._owners = await asyncio.to_thread(_owners, resolved.refused)
            self._swap(resolved, older, await asyncio.to_thread(self.making.book, resolved, older), asked)
            self._seen, self._reads = (files, change, renewals), tuple(reads)
            return True

    def renew(self) -> None:
        """Has the book made anew, though no flow changed: what it is made of besides did."""
        self._renewals += 1
        self._wake.set()

    def known(self, tenant: str, state: ContactState) -> None:
        """Raises `Behind` when the contact stands in a version that is not in the book yet, and has it read."""
        if state.position is None and not state.runs and not state.goals:
            return
        shelf = self.book.shelves.get(tenant)
        for flow, version in needed(state):
            key = (tenant, flow, version)
            newest = shelf.flows.get(flow) if shelf is not None else None
            there = shelf is not None and ((newest is not None and newest.version == version) or (flow, version) in shelf.older)
            if not there and key not in self._nowhere:
                self._asked.add(key)
                self._wake.set()
                raise Behind(f"version {version} of {flow} is being read")

    def refused_of(self, tenant: str) -> list[Refused]:
        """The files that are refused and are this tenant's. One that does not say whose it is concerns the only tenant that there is."""
        alone = len(self.context.config.tenants) == 1
        return [one for one in self.refused if self._owners.get(one.name) == tenant or (alone and one.name not in self._owners)]

    async def retire(self, tenant: str, flow: str, version: int, to: int | None) -> None:
        """Whoever stands in the version goes on in `to`, or has ended: from now on here, within seconds in every replica."""
        async with self.context.pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK)
            await connection.execute(
                f"UPDATE flow_versions SET retired_at = $4, retired_to = $5, change = {CHANGE} WHERE (tenant, flow, version) = ($1, $2, $3)",
                tenant, flow, version, self.context.clock(), to,
            )  # fmt: skip
        await self.look()

    async def _resolved(self, reads: Sequence[Read], broken: Sequence[Refused]) -> tuple[Resolved, int]:
        """What is in force, and the last change of the table that this takes into account."""
        rows = await self.context.pool.fetch(
            "SELECT tenant, flow, version, file, digest, published_at, retired_at, retired_to, change FROM flow_versions ORDER BY tenant, flow, version"
        )
        stored = [Stored(*tuple(row)[:-1]) for row in rows]
        digests = {one.key: one.digest for one in stored}
        self._flows |= {key: one.flow for one in reads if digests.get(key := versions.key_of(one.flow)) == versions.digest(one.source)}
        await self._load([one.key for one in versions.newest(stored).values()])
        resolved = await asyncio.to_thread(versions.resolve, reads, broken, stored, dict(self._flows), self.making.check, _complained)
        return resolved, max((row["change"] for row in rows), default=0)

    async def _older(self, resolved: Resolved, asked: Collection[Key]) -> list[Flow]:
        """The versions that somebody stands in, but for those that are in force."""
        rows = await self.context.pool.fetch("SELECT tenant, flow, version FROM flow_runs GROUP BY 1, 2, 3 HAVING sum(waiting) > 0")
        live = {versions.key_of(one) for one in resolved.live}
        wanted = {*(tuple(row) for row in rows), *asked} - live
        await self._load(list(wanted))
        return [self._flows[key] for key in sorted(wanted) if key in self._flows]

    async def _load(self, keys: Sequence[Key]) -> None:
        """Reads versions from the table that were not read yet. One that this Parley cannot read any more is said to be so, once for each look."""
        missing = [key for key in keys if key not in self._flows]
        if not missing:
            return
        rows = await self.context.pool.fetch(
            "SELECT tenant, flow, version, file, source FROM flow_versions JOIN unnest($1::text[], $2::text[], $3::integer[])"
            " AS asked (tenant, flow, version) USING (tenant, flow, version)",
            *zip(*missing, strict=True),
        )  # fmt: skip
        for tenant, flow, version, file, source in rows:
            try:
                name = f"{file} (version {version} as published)"
                self._flows[tenant, flow, version] = await asyncio.to_thread(yamlfile.parse, source, Flow, name)
            except ConfigError as error:
                log.error("a published version cannot be used any more", tenant=tenant, flow=flow, version=version, reason=str(error))

    async def _publish(self, new: Sequence[Read]) -> None:
        async with self.context.pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK)
            await _store(connection, new, self.context)

    def _swap(self, resolved: Resolved, older: Sequence[Flow], book: Book, asked: Collection[Key]) -> None:
        self.book = book
        self._nowhere |= set(asked) - {versions.key_of(one) for one in (*resolved.live, *older)}
        self._asked -= set(asked)
        self.context.metrics.flows_refused.set(len(resolved.refused))
        for one in resolved.refused:
            if one not in self.refused:
                log.error("a file of flows is refused; the version before stays in force", file=one.name, reason=one.reason)
        self.refused = resolved.refused
        log.info("flows are in force", live=len(resolved.live), older=len(older), refused=len(resolved.refused))


async def _store(connection: Connection, new: Sequence[Read], context: Context) -> None:
    rows = [(*versions.key_of(one.flow), Path(one.name).name, versions.digest(one.source), one.source) for one in new]
    stored = await connection.fetch(
        f"""INSERT INTO flow_versions (tenant, flow, version, file, digest, source, published_at, change)
               SELECT *, $7::timestamptz, {CHANGE} FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[])
           ON CONFLICT DO NOTHING RETURNING tenant, flow, version""",
        *zip(*rows, strict=True), context.clock(),
    )  # fmt: skip
    for row in stored:
        log.info("a version of a flow is published", tenant=row["tenant"], flow=row["flow"], version=row["version"])


def fingerprint(directory: Path) -> str:
    """What the files say that could be flows, in a word; where there is no directory, that there is none."""
    found = hashlib.sha256(b"" if directory.is_dir() else b"none")
    for path in sorted(directory.glob("*.y*ml")):
        with contextlib.suppress(OSError):
            found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _read(directory: Path, before: Sequence[Read]) -> tuple[list[Read], list[Refused]]:
    try:
        return catalogue.read(directory, before)
    except ConfigError as error:
        return [], [Refused(str(directory), str(error))]


def _complained(one: Read, why: str) -> Refused:
    return Refused(one.name, str(yamlfile.complain(one.name, one.source, ("version",), why)))


def _owners(refused: Sequence[Refused]) -> dict[str, str]:
    """What the files say of whose they are, also where they are no YAML."""
    found: dict[str, str] = {}
    for one in refused:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if (said := TENANT.search(Path(one.name).read_text(encoding="utf-8"))) is not None:
                found[one.name] = said[1]
    return found

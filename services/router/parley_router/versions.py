"""Which version of each flow is in force, given the files and what was published before: a good file, else the last good version. Pure.

A version is what was published under its number, for ever: a file that says something else under the same number is refused, and so is one whose number is
below that of a version in force. A file that cannot be used changes nothing: the version before stays. A flow whose file is gone begins nothing
any more, and whoever is in it goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import PurePath

import yaml

from parley_router.catalogue import Read, Refused
from parley_router.flow import Flow

GREATEST = 2**31 - 1
"""What the database holds as a version."""
Key = tuple[str, str, int]
"""Tenant, flow, version."""
Check = Callable[[Sequence[Read], Sequence[Flow]], Sequence[Refused]]
"""What is wrong with files, given all of them and the flows that stand in for others."""
Complain = Callable[[Read, str], Refused]
"""A complaint about a file's version."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A version that was published, as the database has it, without its text. `file`: the name of the file it came from."""

    tenant: str
    flow: str
    version: int
    file: str
    digest: str
    published_at: datetime
    retired_at: datetime | None = None
    retired_to: int | None = None

    @property
    def key(self) -> Key:
        return self.tenant, self.flow, self.version

    @property
    def name(self) -> tuple[str, str]:
        return self.tenant, self.flow


@dataclass(frozen=True)
class Resolved:
    """What is in force. `live`: flows that begin, of them `stood_in` by a version whose file is no more what it was; `new`: to be stored."""

    live: tuple[Flow, ...]
    stood_in: tuple[Flow, ...]
    refused: tuple[Refused, ...]
    new: tuple[Read, ...]
    retired: Mapping[Key, int | None]


def key_of(flow: Flow) -> Key:
    return flow.tenant, flow.flow, flow.version


@lru_cache(maxsize=10_000)
def digest(source: str) -> str:
    """What a file says, in a word: comments and blank lines do not count. The file must be YAML."""
    said = hashlib.sha256()
    for token in yaml.scan(source, Loader=yaml.SafeLoader):
        said.update(f"{type(token).__name__}\x1f{getattr(token, 'value', '')}\x1e".encode())
    return said.hexdigest()


def newest(stored: Iterable[Stored]) -> dict[tuple[str, str], Stored]:
    """The newest version of each flow that is not retired."""
    found: dict[tuple[str, str], Stored] = {}
    for one in stored:
        if one.retired_at is None and (one.name not in found or one.version > found[one.name].version):
            found[one.name] = one
    return found


def resolve(
    reads: Sequence[Read], broken: Sequence[Refused], stored: Sequence[Stored], texts: Mapping[Key, Flow], check: Check, complain: Complain
) -> Resolved:
    """What follows from the files that could be read and those that could not, and from all versions ever published.

    `texts` has at least the newest version of each flow. `check` is asked again whenever a file drops out: what leads to it may be wrong then.
    """
    known, last = {one.key: one for one in stored}, newest(stored)
    refused = [*broken, *(complain(one, why) for one in reads if (why := _misnumbered(one, known, last)) is not None)]
    good = _without(reads, refused)
    while found := check(good, _stand_ins(reads, refused, last, texts)):
        fresh = [one for one in found if any(read.name == one.name and key_of(read.flow) not in known for read in good)]
        refused += fresh or found  # whoever is new is to blame, where both say that they do not go together
        good = _without(good, refused)
    instead = _stand_ins(reads, refused, last, texts)
    return Resolved(
        live=(*(one.flow for one in good), *instead),
        stood_in=tuple(instead),
        refused=tuple(refused),
        new=tuple(one for one in good if key_of(one.flow) not in known),
        retired={one.key: one.retired_to for one in stored if one.retired_at is not None},
    )


def _without(reads: Sequence[Read], refused: Iterable[Refused]) -> list[Read]:
    names = {one.name for one in refused}
    return [one for one in reads if one.name not in names]


def _misnumbered(one: Read, known: Mapping[Key, Stored], last: Mapping[tuple[str, str], Stored]) -> str | None:
    """Why a file may not have the number that it has."""
    flow = one.flow
    same, top = known.get(key_of(flow)), last.get((flow.tenant, flow.flow))
    above = max(version for tenant, name, version in (*known, key_of(flow)) if (tenant, name) == (flow.tenant, flow.flow)) + 1
    if flow.version > GREATEST:
        return f"a version is a number up to {GREATEST}"
    if same is not None and same.retired_at is not None:
        return f"version {flow.version} was retired on {same.retired_at:%Y-%m-%d}: make it version {above}"
    if same is not None and same.digest != digest(one.source):
        return f"version {flow.version} was published on {same.published_at:%Y-%m-%d} with other content: make it version {above}"
    if top is not None and top.version > flow.version:
        return f"version {top.version} was published on {top.published_at:%Y-%m-%d} and is in force: to go back, make this one version {above}"
    return None


def _stand_ins(reads: Sequence[Read], refused: Sequence[Refused], last: Mapping[tuple[str, str], Stored], texts: Mapping[Key, Flow]) -> list[Flow]:
    """The last good versions of flows whose files are refused. What a file held that cannot be read is known by its name."""
    of_file = {one.name: (one.flow.tenant, one.flow.flow) for one in reads}
    by_file: dict[str, Stored] = {}
    for row in last.values():
        if row.file not in by_file or row.published_at > by_file[row.file].published_at:
            by_file[row.file] = row
    rows = [last.get(of_file[one.name]) if one.name in of_file else by_file.get(PurePath(one.name).name) for one in refused]
    good = {(one.flow.tenant, one.flow.flow) for one in _without(reads, refused)}
    return list({row.key: texts[row.key] for row in rows if row is not None and row.key in texts and row.name not in good}.values())

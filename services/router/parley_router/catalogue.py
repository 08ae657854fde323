"""All flows of all tenants, by what starts them: the newest, which begin, and the older versions, which only go on. Read from files and checked against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from pathlib import Path
from typing import TypeVar

from parley import yamlfile
from parley.contracts import Choice, ConsentState, Purpose
from parley.teams import Promise
from parley.templates import Texts
from parley.yamlfile import ConfigError
from parley_router.checks import every
from parley_router.daytime import DAY
from parley_router.flow import Flow
from parley_router.language import plain, spoken
from parley_router.state import Position
from parley_router.steps import Ask, Say, Text, Title

REGIONS = {
    "ko": "KR",
    "en": "US",
    "ja": "JP",
    "zh": "CN",
    "de": "DE",
    "fr": "FR",
    "es": "ES",
    "it": "IT",
    "pt": "BR",
    "vi": "VN",
    "th": "TH",
    "id": "ID",
}
"""Where a phone number without a country code belongs, by a tenant's first language."""
Version = tuple[str, int]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an intent leads to: the flow that it starts, else the answer of the FAQ; and its title, for when it is asked which one was meant."""

    title: Title
    answer: Text | None = None


@dataclass(frozen=True)
class Shelf:
    """The flows of one tenant."""

    languages: tuple[str, ...]
    zone: tzinfo
    day: tuple[time, time]
    """Between these we may speak on our own."""
    flows: Mapping[str, Flow]
    older: Mapping[Version, Flow] = field(default_factory=dict)
    retired: Mapping[Version, int | None] = field(default_factory=dict)
    """Versions that nobody is to stand in any more, and the one to go on with."""
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    keywords: Mapping[str, str] = field(default_factory=dict)
    intents: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, tuple[Flow, ...]] = field(default_factory=dict)
    consents: Mapping[tuple[Purpose, ConsentState], tuple[Flow, ...]] = field(default_factory=dict)
    segments: Mapping[str, tuple[Flow, ...]] = field(default_factory=dict)
    dates: Mapping[str, tuple[Flow, ...]] = field(default_factory=dict)
    welcome: str | None = None
    fallback: str | None = None
    teams: Mapping[str, Promise] = field(default_factory=dict)
    """What they promise to who waits for a person."""
    _choices: dict[tuple[str, int, int, str], tuple[Choice, ...]] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The region of phone numbers without a country code."""
        return REGIONS.get(self.languages[0], "US")

    def of(self, name: str, version: int) -> Flow | None:
        """A version of a flow, whether it is the newest or not. None when it is not known, or retired."""
        newest = self.flows.get(name)
        found = newest if newest is not None and newest.version == version else self.older.get((name, version))
        return found if (name, version) not in self.retired else None

    def at(self, position: Position) -> tuple[Flow, int] | None:
        """The flow and the place where a run stands; of a retired version, the step of the same id in the one that it moves to. None: it has ended."""
        key, place = (position.flow, position.version), position.step
        if key in self.retired:
            return self._moved(key, place)
        flow = self.of(*key)
        return (flow, place) if flow is not None and place < len(flow.steps) else None

    def _moved(self, key: Version, place: int) -> tuple[Flow, int] | None:
        old, to = self.older.get(key) or self.flows.get(key[0]), self.retired[key]
        new = self.of(key[0], to) if to is not None else None
        name = old.steps[place].id if old is not None and place < len(old.steps) else None
        found = new.index(name) if new is not None and name is not None else None
        return (new, found) if new is not None and found is not None else None

    def choices(self, flow: Flow, place: int, language: str) -> tuple[Choice, ...]:
        """The choices of a step, ready to be said."""
        key = (flow.flow, flow.version, place, language)
        if key not in self._choices:
            step = flow.steps[place]
            entries = step.choices if isinstance(step, Say | Ask) else ()
            self._choices[key] = tuple(Choice(id=one.id, title=spoken(one.title, language, self.languages)) for one in entries)
        return self._choices[key]


@dataclass(frozen=True)
class Book:
    """Every tenant's shelf, and the parsed texts. Made once, then only read."""

    shelves: Mapping[str, Shelf]
    texts: Texts = field(default_factory=Texts)


@dataclass(frozen=True, slots=True)
class Read:
    """A flow's file: its name, its text, and what stands in it."""

    name: str
    source: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is not used, and why: a sentence a line, each with file and line."""

    name: str
    reason: str


def read(directory: Path, before: Sequence[Read] = ()) -> tuple[list[Read], list[Refused]]:
    """The files `directory/*.yaml` as flows, and those that are none; of what was read `before` only what changed since is read again. Raises `ConfigError`
    when there is no such directory."""
    if not directory.is_dir():
        raise ConfigError(f"{directory}: there is no such directory; flows are the files flows/*.yaml in the one that PARLEY_CONFIG names")
    good: list[Read] = []
    known = {one.name: one for one in before}
    refused = [Refused(str(path), f"{path}:1: the file: it is not read; its name must end in .yaml") for path in sorted(directory.glob("*.yml"))]
    for path in sorted(directory.glob("*.yaml")):
        try:
            source = path.read_text(encoding="utf-8")
            same = known.get(str(path))
            good.append(same if same is not None and same.source == source else Read(str(path), source, yamlfile.parse(source, Flow, str(path))))
        except ConfigError as error:
            refused.append(Refused(str(path), str(error)))
        except (OSError, UnicodeDecodeError) as error:
            refused.append(Refused(str(path), f"{path}:1: the file: cannot be read: {error}"))
    return good, refused


def refusals(
    reads: Sequence[Read],
    tenants: Mapping[str, Sequence[str]],
    texts: Texts,
    beside: Iterable[Flow] = (),
    services: Mapping[str, Collection[str]] | None = None,
    intents: Mapping[str, Collection[str]] | None = None,
) -> list[Refused]:
    """The files with something wrong in them, given all of them, and flows that stand in for files that cannot be used.

    `services` and `intents` that there are, by tenant; what flows name of them is only checked where that is known.
    """
    said: dict[int, list[str]] = {}
    for place, wrong in every([one.flow for one in reads], tenants, texts, services, intents, list(beside)):
        if wrong.level == "error":
            one = reads[place]
            said.setdefault(place, []).append(str(yamlfile.complain(one.name, one.source, wrong.place, wrong.said)))
    return [Refused(reads[place].name, "\n".join(lines)) for place, lines in said.items()]


def load(
    directory: Path,
    tenants: Mapping[str, Sequence[str]],
    zones: Mapping[str, tzinfo] | None = None,
    meanings: Mapping[str, Mapping[str, Meaning]] | None = None,
    days: Mapping[str, tuple[time, time]] | None = None,
    teams: Mapping[str, Mapping[str, Promise]] | None = None,
) -> Book:
    """The flows in `directory/*.yaml` for `tenants` (their languages by name). Raises `ConfigError` with every complaint at once."""
    texts = Texts()
    reads, refused = read(directory)
    refused += refusals(reads, tenants, texts)
    if refused:
        raise ConfigError("\n".join(one.reason for one in refused))
    return bound([one.flow for one in reads], tenants, zones or {}, meanings or {}, texts, days=days, teams=teams)


def bound(
    flows: Sequence[Flow],
    tenants: Mapping[str, Sequence[str]],
    zones: Mapping[str, tzinfo],
    meanings: Mapping[str, Mapping[str, Meaning]],
    texts: Texts,
    older: Sequence[Flow] = (),
    retired: Mapping[tuple[str, str, int], int | None] | None = None,
    days: Mapping[str, tuple[time, time]] | None = None,
    teams: Mapping[str, Mapping[str, Promise]] | None = None,
) -> Book:
    """A book of flows, which are in order: `flows` begin, `older` go on. `retired` by tenant, flow and version."""
    shelves = {
        name: shelf(
            [one for one in flows if one.tenant == name],
            tuple(languages),
            zones.get(name, UTC),
            (days or {}).get(name, DAY),
            meanings.get(name, {}),
            {(one.flow, one.version): one for one in older if one.tenant == name},
            {(flow, version): to for (tenant, flow, version), to in (retired or {}).items() if tenant == name},
            (teams or {}).get(name, {}),
        )
        for name, languages in tenants.items()
    }
    return Book(shelves, texts)


def shelf(
    flows: Sequence[Flow],
    languages: tuple[str, ...],
    zone: tzinfo,
    day: tuple[time, time],
    meanings: Mapping[str, Meaning],
    older: Mapping[Version, Flow],
    retired: Mapping[Version, int | None],
    teams: Mapping[str, Promise],
) -> Shelf:
    """The shelf of one tenant: what starts a flow is found at once, however many there are."""
    return Shelf(
        languages,
        zone,
        day,
        {one.flow: one for one in flows},
        older,
        retired,
        meanings,
        keywords={plain(word): one.flow for one in flows for words in one.start.keywords.values() for word in words},
        intents={intent: one.flow for one in flows for intent in one.start.intents},
        events=_grouped((one.start.event, one) for one in flows if one.start.event),
        consents=_grouped(((one.start.consent.purpose, one.start.consent.state), one) for one in flows if one.start.consent),
        segments=_grouped((one.start.segment, one) for one in flows if one.start.segment),
        dates=_grouped((one.start.date.profile, one) for one in flows if one.start.date),
        welcome=next((one.flow for one in flows if one.start.welcome), None),
        fallback=next((one.flow for one in flows if one.start.fallback), None),
        teams=teams,
    )


def _grouped(pairs: Iterable[tuple[K, Flow]]) -> dict[K, tuple[Flow, ...]]:
    found: dict[K, tuple[Flow, ...]] = {}
    for key, flow in pairs:
        found[key] = (*found.get(key, ()), flow)
    return found

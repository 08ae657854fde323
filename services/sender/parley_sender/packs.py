"""The policy packs: what law says of messages, as data in `packs/*.yaml`, each rule with its source. Read once, checked whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from parley import yamlfile
from parley.contracts import Channel, Purpose
from parley.policies import DAYS, Country, Day, Length
from parley_sender.hours import Holidays, Hours, spans
from parley_sender.whereabouts import Whereabouts

FOLDER = Path(__file__).parent / "packs"
Sentence = Annotated[str, StringConstraints(min_length=10, max_length=500, pattern=r"\.$")]
Clock = Annotated[str, StringConstraints(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SourceEntry(_Entry):
    """Where the rule is from: law, section, a page to read it on."""

    law: str
    section: str
    link: Annotated[str, StringConstraints(pattern=r"^https://")]


class OpenEntry(_Entry):
    """Hours in which it may leave: `from` and `to` (not itself), by the recipient's clock, on `days` (default: every day)."""

    days: tuple[Day, ...] = DAYS
    begin: Clock = Field(alias="from")
    end: Clock = Field(alias="to")


class HolidaysEntry(_Entry):
    """Days that are closed: `fixed` by month and day, movable by days after `easter`."""

    fixed: tuple[MonthDay, ...] = ()
    easter: tuple[int, ...] = ()


class CapEntry(_Entry):
    """At most so many to one person in any window of that length."""

    per: Length
    most: int = Field(ge=1)


class RuleEntry(_Entry):
    """One rule: what it says, where from, for which purposes and channels, and what it asks for.

    - `open`: hours, with `holidays` that are closed; `night_consent`: a consent of its own opens the others;
    - `consent`: a yes is needed; `lives`: after that time it has to be confirmed;
    - `begins`: the words with which the message begins; `names_sender`; `opt_out`: words by which one sees that the way out is told;
    - `cap`: at most so many.
    """

    says: Sentence
    source: SourceEntry
    unverified: Sentence | None = None
    purposes: tuple[Purpose, ...] = (Purpose.MARKETING,)
    channels: tuple[Channel, ...] = tuple(Channel)
    but: tuple[Channel, ...] = ()
    open: tuple[OpenEntry, ...] = ()
    holidays: HolidaysEntry | None = None
    night_consent: bool = False
    consent: bool = False
    lives: Length | None = None
    begins: Annotated[str, StringConstraints(min_length=1, max_length=20)] | None = None
    names_sender: bool = False
    opt_out: tuple[str, ...] = ()
    cap: CapEntry | None = None

    @model_validator(mode="after")
    def _whole(self) -> RuleEntry:
        if not (self.open or self.consent or self.begins or self.names_sender or self.opt_out or self.cap):
            raise ValueError("a rule asks for something: `open`, `consent`, `begins`, `names_sender`, `opt_out` or `cap`")
        if (self.holidays or self.night_consent) and not self.open:
            raise ValueError("`holidays` and `night_consent` are about `open` hours, and there are none")
        if self.lives is not None and not self.consent:
            raise ValueError("`lives` is about a `consent`, and none is needed")
        list(spans(tuple((one.begin, one.end) for one in self.open)))
        return self


class PackFile(_Entry):
    """The file as it stands: whom it is about (countries, or areas of the North American plan), and its rules."""

    title: str
    countries: tuple[Country, ...] = ()
    areas: tuple[Annotated[str, StringConstraints(pattern=r"^\+1[2-9]\d\d$")], ...] = ()
    rules: dict[Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")], RuleEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _of_somebody(self) -> PackFile:
        if not self.countries and not self.areas:
            raise ValueError("a pack is about people: `countries` or `areas`")
        return self


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule is from. `unverified`: why nobody could check that yet, None where somebody did."""

    law: str
    section: str
    link: str
    unverified: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pack, named `pack.rule`, and what it asks for: see `RuleEntry`."""

    name: str
    says: str
    source: Source
    purposes: frozenset[Purpose]
    channels: frozenset[Channel]
    hours: Hours | None = None
    consent: bool = False
    lives: timedelta | None = None
    begins: str | None = None
    names_sender: bool = False
    opt_out: tuple[str, ...] = ()
    cap: tuple[timedelta, int] | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """The rules about the people of some countries or areas."""

    name: str
    title: str
    countries: frozenset[str]
    areas: frozenset[str]
    rules: tuple[Rule, ...]

    def about(self, whereabouts: Whereabouts) -> bool:
        """Whether it is about somebody there."""
        return whereabouts.country in self.countries or whereabouts.area in self.areas


@dataclass(frozen=True, eq=False)
class Packs:
    """All packs by name. Those that were loaded are themselves alone, so that answers can be kept by them."""

    all: Mapping[str, Pack]

    def about(self, whereabouts: Whereabouts, more: Iterable[str] = ()) -> tuple[Pack, ...]:
        """The packs about somebody there, and those named `more`: only ever more rules, none less."""
        named = frozenset(more)
        return tuple(one for one in self.all.values() if one.name in named or one.about(whereabouts))


def load(folder: Path = FOLDER) -> Packs:
    """The packs of a folder. Raises `ConfigError`: every complaint with file, line and reason."""
    found = {path.stem: yamlfile.read(path, PackFile) for path in sorted(folder.glob("*.yaml"))}
    return Packs({name: _pack(name, entry) for name, entry in found.items()})


def _pack(name: str, entry: PackFile) -> Pack:
    rules = tuple(_rule(f"{name}.{key}", one) for key, one in entry.rules.items())
    return Pack(name, entry.title, frozenset(entry.countries), frozenset(entry.areas), rules)


def _rule(name: str, entry: RuleEntry) -> Rule:
    return Rule(
        name=name,
        says=entry.says,
        source=Source(entry.source.law, entry.source.section, entry.source.link, entry.unverified),
        purposes=frozenset(entry.purposes),
        channels=frozenset(entry.channels) - frozenset(entry.but),
        hours=_hours(name, entry) if entry.open else None,
        consent=entry.consent,
        lives=entry.lives,
        begins=entry.begins,
        names_sender=entry.names_sender,
        opt_out=entry.opt_out,
        cap=(entry.cap.per, entry.cap.most) if entry.cap else None,
    )


def _hours(name: str, entry: RuleEntry) -> Hours:
    closed = entry.holidays or HolidaysEntry()
    fixed = frozenset((int(one[:2]), int(one[3:])) for one in closed.fixed)
    week = tuple(tuple(spans(tuple(_on(entry.open, day)))) for day in DAYS)
    return Hours(name, week, Holidays(fixed, frozenset(closed.easter)), entry.night_consent)


def _on(entries: Iterable[OpenEntry], day: str) -> Iterator[tuple[str, str]]:
    return ((one.begin, one.end) for one in entries if day in one.days)

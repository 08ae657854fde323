"""`policies.yaml`: what a tenant allows of its own messages, beside what law allows. It may be stricter than law, never looser. Without the file: defaults."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from parley import yamlfile
from parley.contracts import Purpose
from parley.failures import MARKETING_SCHEDULE, REPLY_SCHEDULE, Schedule
from parley.yamlfile import ConfigError

Unknown = Literal["hold", "resend"]
"""What becomes of a message of which nobody knows whether it left: it waits for a person, or is sent once more."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
WINDOWS = {"hour": "1h", "day": "1d", "week": "1w"}
LONGEST_WINDOW = timedelta(days=90)
"""What the sender remembers of a person's messages for caps."""
LONGEST_PAUSE = timedelta(days=7)
MOST_TRIES = 20


def length(text: object) -> timedelta:
    """The length of time that the text writes. Raises `ValueError` for anything else, and for none at all."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,6}[wdhms]", text) or not int(text[:-1]):
        raise ValueError(f"a length of time is written as 5s, 15m, 2h, 3d or 1w; not {text!r}")
    return int(text[:-1]) * UNITS[text[-1]]


def _window(text: object) -> timedelta:
    found = length(WINDOWS.get(text, text) if isinstance(text, str) else text)
    if found > LONGEST_WINDOW:
        raise ValueError(f"caps look back at most {LONGEST_WINDOW.days} days; not {text!r}")
    return found


def _pause(text: object) -> timedelta:
    found = length(text)
    if found > LONGEST_PAUSE:
        raise ValueError(f"a pause between attempts is at most {LONGEST_PAUSE.days} days; not {text!r}")
    return found


def _country(text: str) -> str:
    if text == "UK":
        raise ValueError("the United Kingdom is GB in ISO 3166")
    if text not in _countries():
        raise ValueError(f"{text!r} is no country of ISO 3166, two capital letters, such as KR")
    return text


@cache
def _countries() -> frozenset[str]:
    import phonenumbers  # its list of countries; whoever has no policies.yaml needs none

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def clock(text: object) -> time:
    """The time of day that the text writes. Raises `ValueError` for anything else."""
    if isinstance(text, time):
        return text
    if not isinstance(text, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f'a time of day is written as "08:00", in quotes; not {text!r}')
    return time.fromisoformat(text)


Length = Annotated[timedelta, BeforeValidator(length)]
Country = Annotated[str, AfterValidator(_country)]
Clock = Annotated[time, BeforeValidator(clock)]
Words = dict[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")], Annotated[str, StringConstraints(min_length=1, max_length=200)]]
"""A text by language."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuietEntry(_Entry):
    """Hours, by the recipient's clock, in which nothing of the purpose leaves: every day `between` two times, and whole `days`."""

    between: tuple[Clock, Clock] | None = None
    days: tuple[Day, ...] = ()

    @model_validator(mode="after")
    def _leaves_some(self) -> QuietEntry:
        if self.between is None and not self.days:
            raise ValueError('quiet hours need `between`, as in ["21:00", "09:00"], or `days`, as in [sun], or both')
        if self.between is not None and self.between[0] == self.between[1]:
            raise ValueError("quiet hours that begin when they end leave no time to send")
        if len(set(self.days)) == len(DAYS):
            raise ValueError("with every day quiet there is no time to send")
        return self


class CapEntry(_Entry):
    """At most so many messages of the purpose to one person in any window of that length, over all channels and campaigns."""

    purpose: Purpose
    per: Annotated[timedelta, BeforeValidator(_window)]
    most: int = Field(ge=1, le=1000)


class TenantEntry(_Entry):
    country: Country | None = None
    packs: Literal["auto"] | tuple[str, ...] = "auto"
    quiet: dict[Purpose, QuietEntry] = {}
    caps: tuple[CapEntry, ...] = ()
    retries: dict[Purpose, Annotated[tuple[Annotated[timedelta, BeforeValidator(_pause)], ...], Field(max_length=MOST_TRIES)]] = {}
    unknown: dict[Purpose, Unknown] = {}
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    opt_out: Words = {}
    marked_templates: tuple[str, ...] = ()


class PoliciesFile(_Entry):
    """The file as it stands."""

    tenants: dict[str, TenantEntry] = {}


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` messages of `purpose` to one person in any `window`, over all channels and campaigns."""

    purpose: Purpose
    window: timedelta
    most: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing leaves from `between[0]` to `between[1]` (past midnight where it is the later), nor on `days` (Monday is 0), by the recipient's clock."""

    between: tuple[time, time] | None = None
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Policy:
    """One tenant's. Each one loaded is itself alone, so that answers can be kept by it.

    `country` is where recipients are of whom it is not known. `packs`: those that apply to everybody, beside the ones of the recipient's country; None: those
    alone. `name` and `opt_out` are the words where law wants the sender named and the way out told; `marked_templates` have them already.
    """

    tenant: str
    country: str | None = None
    packs: tuple[str, ...] | None = None
    quiet: Mapping[Purpose, Quiet] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    schedules: Mapping[Purpose, Schedule] = field(default_factory=lambda: _schedules({}))
    unknown: Mapping[Purpose, Unknown] = field(default_factory=lambda: dict.fromkeys(Purpose, "hold"))
    name: str | None = None
    opt_out: Mapping[str, str] = field(default_factory=dict)
    marked_templates: frozenset[str] = frozenset()


class Policies:
    """The policies of all tenants: of one that the file does not name, the defaults."""

    def __init__(self, found: Mapping[str, Policy] | None = None) -> None:
        self._found = dict(found or {})

    def of(self, tenant: str) -> Policy:
        """The tenant's policy, the same one each time."""
        if tenant not in self._found:
            self._found[tenant] = Policy(tenant)
        return self._found[tenant]


def load(directory: Path, tenants: Collection[str] | None = None, packs: Collection[str] | None = None) -> Policies:
    """The policies in `directory`, checked against the `tenants` and `packs` that there are, where these are given.

    Raises `ConfigError`: every complaint with file, line and reason.
    """
    path = directory / "policies.yaml"
    if not path.exists():
        return Policies()
    entries = yamlfile.read(path, PoliciesFile)
    text = path.read_text(encoding="utf-8")
    if wrong := [str(yamlfile.complain(str(path), text, place, said)) for place, said in _strangers(entries, tenants, packs)]:
        raise ConfigError("\n".join(wrong))
    return Policies({name: _policy(name, one) for name, one in entries.tenants.items()})


def _strangers(entries: PoliciesFile, tenants: Collection[str] | None, packs: Collection[str] | None) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, one in entries.tenants.items():
        if tenants is not None and name not in tenants:
            yield ("tenants", name), f"there is no tenant {name!r} in accounts.yaml; known: {', '.join(tenants)}"
        for index, pack in enumerate(() if one.packs == "auto" else one.packs):
            if packs is not None and pack not in packs:
                yield ("tenants", name, "packs", index), f"there is no pack {pack!r}; known: {', '.join(sorted(packs))}"


def _policy(name: str, entry: TenantEntry) -> Policy:
    return Policy(
        tenant=name,
        country=entry.country,
        packs=None if entry.packs == "auto" else entry.packs,
        quiet={purpose: Quiet(one.between, frozenset(map(DAYS.index, one.days))) for purpose, one in entry.quiet.items()},
        caps=tuple(Cap(one.purpose, one.per, one.most) for one in entry.caps),
        schedules=_schedules(entry.retries),
        unknown={purpose: entry.unknown.get(purpose, "hold") for purpose in Purpose},
        name=entry.name,
        opt_out=entry.opt_out,
        marked_templates=frozenset(entry.marked_templates),
    )


def _schedules(retries: Mapping[Purpose, tuple[timedelta, ...]]) -> dict[Purpose, Schedule]:
    """Those that are told, and for the other purposes what `parley.failures` says."""
    usual = {purpose: MARKETING_SCHEDULE if purpose is Purpose.MARKETING else REPLY_SCHEDULE for purpose in Purpose}
    told = {purpose: tuple(int(one.total_seconds()) for one in pauses) for purpose, pauses in retries.items()}
    return {purpose: Schedule(pauses) for purpose, pauses in (usual | told).items()}

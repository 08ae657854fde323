"""A directory of flows as the tools read it: flows with their lines, and what stands beside them in the configuration. No credential is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from parley import yamlfile
from parley.config import AccountsFile, TenantEntry
from parley.templates import Texts
from parley.yamlfile import ConfigError, Lines
from parley_router import catalogue, services
from parley_router.catalogue import Book, Meaning, Read
from parley_router.checks import Level, every
from parley_router.flow import Flow
from parley_router.tools.understood import Examples, Faq

if TYPE_CHECKING:
    from parley_router.understand.understanding import Understanding


@dataclass(frozen=True)
class Source:
    """A flow's file: where it stands, what is in it, and on which line."""

    path: Path
    flow: Flow
    lines: Lines


@dataclass(frozen=True)
class Around:
    """What stands beside a directory of flows: tenants, names of services (None: there is no services.yaml), the FAQ by tenant, and what is wrong with it."""

    config: Path
    tenants: Mapping[str, TenantEntry]
    services: Mapping[str, Collection[str]] | None
    faqs: Mapping[str, Faq]
    wrong: Sequence[str]

    @property
    def languages(self) -> dict[str, tuple[str, ...]]:
        return {name: one.languages for name, one in self.tenants.items()}

    @property
    def zones(self) -> dict[str, ZoneInfo]:
        return {name: ZoneInfo(one.timezone) for name, one in self.tenants.items()}

    @property
    def intents(self) -> dict[str, set[str]] | None:
        """The names of the FAQ by tenant; None where there is none."""
        return {name: {intent.intent for intent in one.intents} for name, one in self.faqs.items()} if self.faqs else None


@dataclass(frozen=True)
class Flows:
    """A directory of flows that can be used: the book that the router would have of it, and the files by tenant and name."""

    directory: Path
    around: Around
    book: Book
    sources: Mapping[tuple[str, str], Source]
    conversations: Sequence[Path]
    """The files `tests/*.yaml`."""

    @property
    def zones(self) -> Mapping[str, ZoneInfo]:
        return self.around.zones


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a file: file, line, place, and what to do."""

    said: str
    level: Level = "error"


def around(directory: Path, config: Path | None = None) -> Around:
    """What stands in `config`, else in the directory above the flows, else in their own. Raises `ConfigError`."""
    places = [config] if config is not None else [directory.resolve().parent, directory]
    found = next((one for one in places if (one / "accounts.yaml").is_file()), None)
    if found is None:
        looked = " nor in ".join(str(one) for one in places)
        raise ConfigError(f"there is no accounts.yaml in {looked}: flows need its `tenants` with their languages; --config names its directory")
    tenants = yamlfile.read(found / "accounts.yaml", AccountsFile).tenants
    languages = {name: one.languages for name, one in tenants.items()}
    asked = services.names(found) if (found / "services.yaml").is_file() else None
    if not (found / "faq").is_dir():
        return Around(found, tenants, asked, {}, ())
    from parley_router.understand import intents

    written, wrong = intents.read(found, languages)
    own = {name: [one.intent for one in written if one.intent.tenant == name] for name in tenants}
    return Around(found, tenants, asked, {name: Faq(some, languages[name], _learnt) for name, some in own.items() if some}, wrong)


def _learnt(examples: Examples, languages: Sequence[str]) -> Understanding:
    from parley_router.understand import shipped
    from parley_router.understand.understanding import Understanding

    kind = shipped.best()
    return Understanding.load(examples, shipped.encoder(kind), shipped.adapter(kind), languages)


def checked(directory: Path, beside: Around) -> tuple[Sequence[Read], Texts, list[Finding]]:
    """The flows that can be read, their texts, and everything wrong: with files that cannot, with flows, with what stands beside them."""
    texts = Texts()
    reads, refused = catalogue.read(directory)
    found = [Finding(line) for one in (*(broken.reason for broken in refused), *beside.wrong) for line in one.splitlines()]
    for place, wrong in every([one.flow for one in reads], beside.languages, texts, beside.services, beside.intents):
        one = reads[place]
        found.append(Finding(str(yamlfile.complain(one.name, one.source, wrong.place, wrong.said)), wrong.level))
    return reads, texts, found


def opened(directory: Path, config: Path | None = None) -> Flows:
    """The flows of a directory. Raises `ConfigError` with every error when any of them cannot be used."""
    beside = around(directory, config)
    reads, texts, found = checked(directory, beside)
    if errors := [one.said for one in found if one.level == "error"]:
        raise ConfigError("\n".join(errors))
    sources = {(one.flow.tenant, one.flow.flow): Source(Path(one.name), one.flow, Lines(one.source)) for one in reads}
    book = _book([one.flow for one in reads], beside, texts)
    return Flows(directory, beside, book, sources, sorted((directory / "tests").glob("*.yaml")))


def _book(flows: Sequence[Flow], beside: Around, texts: Texts) -> Book:
    """As the router binds them; where there is no FAQ, intents go by their names."""
    named = {
        name: {intent: Meaning({"en": intent}) for flow in flows if flow.tenant == name for intent in flow.start.intents} for name in beside.tenants
    }
    meanings = {name: beside.faqs[name].meanings() if name in beside.faqs else named[name] for name in beside.tenants}
    days = {name: (time.fromisoformat(one.daytime[0]), time.fromisoformat(one.daytime[1])) for name, one in beside.tenants.items()}
    teams = {name: {team: promise.told() for team, promise in one.teams.items()} for name, one in beside.tenants.items()}
    return catalogue.bound(flows, beside.languages, beside.zones, meanings, texts, days=days, teams=teams)


def drawable(place: Path) -> list[Flow]:
    """The flow of a file, or all of a directory, each read alone: a picture needs no tenants. Raises `ConfigError`."""
    if place.is_file():
        return [yamlfile.read(place, Flow)]
    reads, refused = catalogue.read(place)
    if refused:
        raise ConfigError("\n".join(one.reason for one in refused))
    return [one.flow for one in reads]

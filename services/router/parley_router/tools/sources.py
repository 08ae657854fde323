"""A directory of flows as the tools read it: flows with their lines, and the tenants of the `accounts.yaml` beside it, without any credential."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from parley import yamlfile
from parley.config import AccountsFile
from parley.yamlfile import ConfigError, Lines
from parley_router import catalogue
from parley_router.catalogue import Book, Meaning
from parley_router.flow import Flow
from parley_router.templates import Texts


@dataclass(frozen=True)
class Source:
    """A flow's file: where it stands, what is in it, and on which line."""

    path: Path
    flow: Flow
    lines: Lines


@dataclass(frozen=True)
class Flows:
    """A directory of flows that can be used: the book that the router would have of it, and the files by tenant and name."""

    directory: Path
    zones: Mapping[str, ZoneInfo]
    book: Book
    sources: Mapping[tuple[str, str], Source]
    conversations: Sequence[Path]
    """The files `tests/*.yaml`."""


def tenants(directory: Path, config: Path | None = None) -> AccountsFile:
    """The tenants for a directory of flows: of `accounts.yaml` in `config`, else in the directory above, else in the directory itself."""
    places = [config] if config is not None else [directory.resolve().parent, directory]
    found = next((one / "accounts.yaml" for one in places if (one / "accounts.yaml").is_file()), None)
    if found is None:
        looked = " nor in ".join(str(one) for one in places)
        raise ConfigError(f"there is no accounts.yaml in {looked}: flows need its `tenants` with their languages; --config names its directory")
    return yamlfile.read(found, AccountsFile)


def opened(directory: Path, config: Path | None = None) -> Flows:
    """The flows of a directory. Raises `ConfigError` with every complaint when any of them cannot be used."""
    known = tenants(directory, config).tenants
    languages, zones = {name: one.languages for name, one in known.items()}, {name: ZoneInfo(one.timezone) for name, one in known.items()}
    texts = Texts()
    reads, refused = catalogue.read(directory)
    refused += catalogue.refusals(reads, languages, texts)
    if refused:
        raise ConfigError("\n".join(one.reason for one in refused))
    flows = [one.flow for one in reads]
    book = catalogue.bound(flows, languages, zones, {name: _meanings(flows, name) for name in known}, texts)
    sources = {(one.flow.tenant, one.flow.flow): Source(Path(one.name), one.flow, Lines(one.source)) for one in reads}
    return Flows(directory, zones, book, sources, sorted((directory / "tests").glob("*.yaml")))


def _meanings(flows: Iterable[Flow], tenant: str) -> dict[str, Meaning]:
    """The intents that flows begin by. What they are called is in the FAQ; here they go by their names."""
    return {intent: Meaning({"en": intent}) for flow in flows if flow.tenant == tenant for intent in flow.start.intents}


def drawable(place: Path) -> list[Flow]:
    """The flow of a file, or all of a directory, each read alone: a picture needs no tenants. Raises `ConfigError`."""
    if place.is_file():
        return [yamlfile.read(place, Flow)]
    reads, refused = catalogue.read(place)
    if refused:
        raise ConfigError("\n".join(one.reason for one in refused))
    return [one.flow for one in reads]

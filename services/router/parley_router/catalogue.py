"""All flows of all tenants, read from a directory and checked against each other; every complaint with file, line and reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parley import yamlfile
from parley.contracts import Choice
from parley.yamlfile import ConfigError
from parley_router.checks import complaints
from parley_router.flow import Ask, Flow, Hint, Say
from parley_router.language import plain, spoken
from parley_router.templates import Texts


@dataclass(frozen=True)
class Shelf:
    """The flows of one tenant, by what starts them."""

    languages: tuple[str, ...]
    flows: Mapping[str, Flow]
    keywords: Mapping[str, str]
    events: Mapping[str, str]
    welcome: str | None
    fallback: str | None
    choices: Mapping[tuple[str, int], Mapping[str, tuple[Choice, ...]]]
    """The choices of each step (flow, place) that has some, by language: ready to be said."""


@dataclass(frozen=True)
class Book:
    """Every tenant's shelf, and the parsed texts. Made once by `load`, then only read."""

    shelves: Mapping[str, Shelf]
    texts: Texts = field(default_factory=Texts)


@dataclass(frozen=True)
class _Read:
    name: str
    source: str
    flow: Flow


def load(directory: Path, tenants: Mapping[str, Sequence[str]]) -> Book:
    """The flows in `directory/*.yaml` for `tenants` (their languages by name). Raises `ConfigError` with every complaint at once."""
    if not directory.is_dir():
        raise ConfigError(f"{directory}: there is no such directory; flows are the files flows/*.yaml in the one that PARLEY_CONFIG names")
    read: list[_Read] = []
    found = [f"{path}:1: the file: it is not read; its name must end in .yaml" for path in sorted(directory.glob("*.yml"))]
    for path in sorted(directory.glob("*.yaml")):
        try:
            source = path.read_text(encoding="utf-8")
            read.append(_Read(str(path), source, yamlfile.parse(source, Flow, str(path))))
        except ConfigError as error:
            found.append(str(error))
        except (OSError, UnicodeDecodeError) as error:
            found.append(f"{path}:1: the file: cannot be read: {error}")
    texts = Texts()
    for one in read:
        beside = [other.flow for other in read if other.flow.tenant == one.flow.tenant]
        found += [str(yamlfile.complain(one.name, one.source, place, said)) for place, said in complaints(one.flow, beside, tenants, texts)]
    if found:
        raise ConfigError("\n".join(found))
    shelves = {name: _shelf([one.flow for one in read if one.flow.tenant == name], languages) for name, languages in tenants.items()}
    return Book(shelves, texts)


def _shelf(flows: Iterable[Flow], languages: Sequence[str]) -> Shelf:
    flows = list(flows)
    return Shelf(
        tuple(languages),
        {one.flow: one for one in flows},
        {plain(word): one.flow for one in flows for words in one.start.keywords.values() for word in words},
        {one.start.event: one.flow for one in flows if one.start.event},
        next((one.flow for one in flows if one.start.welcome), None),
        next((one.flow for one in flows if one.start.fallback), None),
        {
            (one.flow, place): {language: _choices(step.choices, language, languages) for language in languages}
            for one in flows
            for place, step in enumerate(one.steps)
            if isinstance(step, Say | Ask) and step.choices
        },
    )


def _choices(hints: Iterable[Hint], language: str, languages: Sequence[str]) -> tuple[Choice, ...]:
    return tuple(Choice(id=one.id, title=spoken(one.title, language, languages)) for one in hints)

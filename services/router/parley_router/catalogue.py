"""All flows of all tenants, read from a directory and checked against each other; every complaint with file, line and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parley import yamlfile
from parley.yamlfile import ConfigError
from parley_router.flow import AnyStep, Ask, Branch, Escalate, Flow, Remember, Say, Text, falls_through, targets
from parley_router.language import plain
from parley_router.templates import NAMES, Texts

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Shelf:
    """The flows of one tenant, by what starts them."""

    languages: tuple[str, ...]
    flows: Mapping[str, Flow]
    keywords: Mapping[str, str]
    events: Mapping[str, str]
    welcome: str | None
    fallback: str | None


@dataclass(frozen=True)
class Book:
    """Every tenant's shelf, and the parsed texts."""

    shelves: Mapping[str, Shelf]
    texts: Texts = field(default_factory=Texts)


@dataclass(frozen=True)
class _Read:
    name: str
    source: str
    flow: Flow


def load(directory: Path, tenants: Mapping[str, tuple[str, ...]]) -> Book:
    """The flows in `directory/*.yaml` for `tenants` (their languages by name). Raises `ConfigError` with every complaint at once."""
    read: list[_Read] = []
    found: list[str] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            source = path.read_text(encoding="utf-8")
            read.append(_Read(str(path), source, yamlfile.parse(source, Flow, str(path))))
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            found.append(str(error))
    texts = Texts()
    for one in read:
        found += [str(yamlfile.complain(one.name, one.source, place, said)) for place, said in _complaints(one.flow, read, tenants, texts)]
    if found:
        raise ConfigError("\n".join(found))
    return Book({tenant: _shelf([one.flow for one in read if one.flow.tenant == tenant], languages) for tenant, languages in tenants.items()}, texts)


def _shelf(flows: Iterable[Flow], languages: tuple[str, ...]) -> Shelf:
    flows = list(flows)
    return Shelf(
        languages,
        {one.flow: one for one in flows},
        {plain(word): one.flow for one in flows for words in one.start.keywords.values() for word in words},
        {one.start.event: one.flow for one in flows if one.start.event},
        next((one.flow for one in flows if one.start.welcome), None),
        next((one.flow for one in flows if one.start.fallback), None),
    )


def _complaints(flow: Flow, all_of_them: list[_Read], tenants: Mapping[str, tuple[str, ...]], texts: Texts) -> Iterator[tuple[Place, str]]:
    """Everything wrong with a flow that its model alone does not see, with its place in the file."""
    languages = tenants.get(flow.tenant)
    if languages is None:
        yield ("tenant",), f"there is no tenant {flow.tenant!r}; known: {', '.join(tenants)}"
        return
    beside = [one.flow for one in all_of_them if one.flow.tenant == flow.tenant]
    yield from _starts(flow, beside)
    for place, step in enumerate(flow.steps):
        for target in targets(step):
            name = target.removeprefix("flow/")
            if target.startswith("flow/") and name not in {one.flow for one in beside}:
                yield ("steps", place), f"leads to the flow {name!r}, which there is not; known: {', '.join(sorted(one.flow for one in beside))}"
            elif not target.startswith("flow/") and flow.index(target) is None:
                yield ("steps", place), f"leads to the step {target!r}, which there is not; another flow is `flow/{target}`"
        for where, text in _texts_of(step):
            if missing := [one for one in languages if one not in text]:
                yield ("steps", place, *where), f"the text is missing in {', '.join(missing)}"
            for language, words in text.items():
                for said in texts.parse(words):
                    yield ("steps", place, *where, language), said
        yield from (((("steps", place, *where)), said) for where, said in _names(step, texts))
    for place in sorted(set(range(len(flow.steps))) - _reached(flow)):
        yield ("steps", place), "no step leads here"


def _starts(flow: Flow, beside: list[Flow]) -> Iterator[tuple[Place, str]]:
    if sum(one.flow == flow.flow for one in beside) > 1:
        yield ("flow",), f"two files hold a flow {flow.flow!r}"
    claimed = Counter(plain(word) for one in beside for words in one.start.keywords.values() for word in words)
    for language, words in flow.start.keywords.items():
        for place, word in enumerate(words):
            if claimed[plain(word)] > 1:
                others = [
                    one.flow for one in beside if one is not flow and any(plain(word) in map(plain, them) for them in one.start.keywords.values())
                ]
                yield ("start", "keywords", language, place), f"the word {word!r} also starts {', '.join(others) or 'this flow a second time'}"
    for what in ("event", "welcome", "fallback"):
        value = getattr(flow.start, what)
        if value and (others := [one.flow for one in beside if one is not flow and getattr(one.start, what) == value]):
            yield ("start", what), f"{', '.join(others)} starts by the same {what}"


def _texts_of(step: AnyStep) -> Iterator[tuple[Place, Text]]:
    if isinstance(step, Say):
        if step.say:
            yield ("say",), step.say
        yield from ((("variants", name), text) for name, text in step.variants.items())
    if isinstance(step, Ask):
        yield ("say",), step.say
        if step.again:
            yield ("again",), step.again
        yield from ((("choices", place, "title"), one.title) for place, one in enumerate(step.choices))
    if isinstance(step, Escalate) and step.say:
        yield ("say",), step.say


def _names(step: AnyStep, texts: Texts) -> Iterator[tuple[Place, str]]:
    """Names that templates of `remember` and conditions of `branch` ask about."""
    if isinstance(step, Remember):
        for name, text in step.remember.items():
            yield from ((("remember", name), said) for said in texts.parse(text))
    if isinstance(step, Branch):
        for place, case in enumerate(step.branch):
            for name in case.when.names():
                if name.partition(".")[0] not in NAMES:
                    yield ("branch", place, "when"), f"asks about {name!r}; known: {', '.join(f'{one}…' for one in sorted(NAMES))}"


def _reached(flow: Flow) -> set[int]:
    """The steps that can be reached from the first."""
    open_, seen = [0], set[int]()
    while open_:
        place = open_.pop()
        if place in seen or place >= len(flow.steps):
            continue
        seen.add(place)
        step = flow.steps[place]
        open_ += [index for target in targets(step) if not target.startswith("flow/") and (index := flow.index(target)) is not None]
        if falls_through(step):
            open_.append(place + 1)
    return seen

"""`faq/*.yaml`: what customers ask, by examples, and what is answered. A file holds one intent; a broken one is refused with file, line and reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from parley import yamlfile
from parley.yamlfile import ConfigError
from parley_router.language import plain
from parley_router.steps import Entry, Language, Slug, Text, Title

LEAST = 3
"""Examples of an intent in each language of the tenant: fewer tell nothing."""
Example = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


def _some(examples: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    if not any(examples.values()):
        raise ValueError("an intent needs examples: sentences that customers write, in each language of the tenant")
    return examples


class Intent(Entry):
    """The file as it stands.

    - `intent`: its name, which flows begin by (`start: {intents: [NAME]}`) and readings carry;
    - `title`: what a person reads when asked back which one was meant; as short as a button;
    - `examples`: by language, sentences as customers write them; five are a good beginning;
    - `answer`: what is said where no flow begins by the intent, and the only ground of the `answer` step.
    """

    intent: Slug
    tenant: Slug
    title: Title
    examples: Annotated[dict[Language, tuple[Example, ...]], AfterValidator(_some)]
    answer: Text | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """An intent and the file in which it stands."""

    intent: Intent
    path: Path
    text: str


def read(directory: Path, tenants: Mapping[str, Sequence[str]]) -> tuple[list[Written], list[str]]:
    """The sound intents of `directory`/faq, and a complaint for each that is not; `tenants` are the languages by tenant."""
    found, wrong = list[Written](), list[str]()
    for path in sorted((directory / "faq").glob("*.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
            found.append(Written(yamlfile.parse(text, Intent, str(path)), path, text))
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            wrong.append(str(error) if isinstance(error, ConfigError) else f"{path}: cannot be read: {error}")
    sound = []
    for one in found:
        complaints = [str(yamlfile.complain(str(one.path), one.text, place, why)) for place, why in _complaints(one, found, tenants)]
        wrong += complaints
        sound += [] if complaints else [one]
    return sound, wrong


Complaint = tuple[tuple[str | int, ...], str]


def _complaints(one: Written, beside: Sequence[Written], tenants: Mapping[str, Sequence[str]]) -> Iterator[Complaint]:
    """What its model alone does not see: the tenant, its languages, too few examples, and sentences that stand for two intents."""
    intent = one.intent
    languages = tenants.get(intent.tenant)
    if languages is None:
        yield ("tenant",), f"there is no tenant {intent.tenant!r}; known: {', '.join(tenants)}"
        return
    others = [other for other in beside if other is not one and other.intent.tenant == intent.tenant]
    if same := [other.path.name for other in others if other.intent.intent == intent.intent]:
        yield ("intent",), f"{', '.join(same)} holds an intent {intent.intent!r} too"
    for language in languages:
        if (count := len(intent.examples.get(language, ()))) < LEAST:
            yield ("examples", language), f"{count} examples in {language!r}; give at least {LEAST}, as customers write them"
    texts: dict[str, Collection[str]] = {"title": intent.title, "examples": intent.examples, "answer": intent.answer or {}}
    for place, foreign in ((place, language) for place, text in texts.items() for language in text if language not in languages):
        yield (place, foreign), f"{intent.tenant} does not speak {foreign!r}; its languages: {', '.join(languages)}"
    for place in ("title", "answer"):
        if texts[place] and (missing := [language for language in languages if language not in texts[place]]):
            yield (place,), f"the text is missing in {', '.join(missing)}"
    yield from _twice(intent, others)


def _twice(intent: Intent, others: Sequence[Written]) -> Iterator[Complaint]:
    taken = {plain(example): other.intent.intent for other in others for row in other.intent.examples.values() for example in row}
    for language, row in intent.examples.items():
        seen = set[str]()
        for place, example in enumerate(row):
            key = plain(example)
            if key in seen:
                yield ("examples", language, place), f"{example!r} stands twice"
            elif key in taken:
                yield ("examples", language, place), f"{example!r} is an example of {taken[key]!r} too; it can mean only one"
            seen.add(key)

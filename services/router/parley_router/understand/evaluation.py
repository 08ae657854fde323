"""How well a set of sentences is understood: the form of the file, the figures, and the table of what was taken for what. Pure but for reading files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from parley.contracts import Frozen
from parley_router.understand.reading import Reading

ByLanguage = Mapping[str, tuple[str, ...]]


def _by_language(value: object) -> object:
    """A bare list is of no language in particular."""
    return {"": value} if isinstance(value, list | tuple) else value


def _parts(value: object) -> object:
    """Sentences by language stand for what is tested."""
    if isinstance(value, dict) and not {"train", "test"} & set(value):
        return {"test": value}
    return {"test": value} if isinstance(value, list | tuple) else value


Said = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_by_language)]


class Parts(BaseModel):
    """Sentences to learn from, and others to be tested with."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    train: Said = {}
    test: Said = {}


def _named(intents: dict[str, Parts]) -> dict[str, Parts]:
    if not intents:
        raise ValueError("there are no intents; the form is `intents: {NAME: {train: {ko: [...], en: [...]}, test: {ko: [...], en: [...]}}}`")
    return intents


class Sentences(BaseModel):
    """A file of sentences: intents with `train` and `test` by language; `strangers`, which mean none of them; `optouts`, which ask to be left alone; and
    `lookalikes`, which only sound like it. The last three are lists, or lists by language; they may be left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    intents: Annotated[dict[str, Annotated[Parts, BeforeValidator(_parts)]], AfterValidator(_named)]
    strangers: Annotated[Parts, BeforeValidator(_parts)] = Parts()
    optouts: Annotated[Parts, BeforeValidator(_parts)] = Parts()
    lookalikes: Annotated[Parts, BeforeValidator(_parts)] = Parts()


class Share(Frozen):
    """Right ones of all."""

    right: int
    all: int

    @property
    def value(self) -> float | None:
        return self.right / self.all if self.all else None


class Figures(Frozen):
    """What the set came to; shares between 0 and 1, None where there was nothing to count."""

    right_at_once: float | None
    right_or_among_choices: float | None
    wrong_at_once: float | None
    first_whatever_the_verdict: float | None
    strangers_refused: float | None
    optout_precision: float | None
    optout_recall: float | None
    sentences: int
    strangers: int
    optouts: int
    others: int
    by_language: dict[str, dict[str, float | None]] = {}
    milliseconds_a_message: float | None = None
    milliseconds_a_message_batched: float | None = None
    load_seconds: float | None = None
    model: str = ""


class Asked(Frozen):
    """A sentence of the set; `intent` is None for strangers and opt-outs."""

    text: str
    language: str
    kind: str
    intent: str | None = None


def asked(sentences: Sentences) -> list[Asked]:
    """Everything that is tested, in the order of the file."""
    found = [
        Asked(text=text, language=language, kind="intent", intent=name)
        for name, parts in sentences.intents.items()
        for language, texts in parts.test.items()
        for text in texts
    ]
    for kind in ("strangers", "optouts", "lookalikes"):
        parts: Parts = getattr(sentences, kind)
        found += [Asked(text=text, language=language, kind=kind) for language, texts in parts.test.items() for text in texts]
    return found


def examples(sentences: Sentences) -> dict[str, dict[str, tuple[str, ...]]]:
    """What is learnt from, by intent and language."""
    return {name: dict(parts.train) for name, parts in sentences.intents.items() if any(parts.train.values())}


def figures(tested: Sequence[Asked], readings: Sequence[Reading], leaving: Iterable[str] = ()) -> Figures:
    """The figures; `leaving` are intents that are opt-outs by their own examples: their sentences count neither for nor against the opt-outs."""
    pairs = list(zip(tested, readings, strict=True))
    meant = [(one, reading) for one, reading in pairs if one.kind == "intent"]
    strangers = [reading for one, reading in pairs if one.kind == "strangers"]
    optouts = [reading for one, reading in pairs if one.kind == "optouts"]
    others = [reading for one, reading in pairs if one.kind != "optouts" and one.intent not in set(leaving)]
    found, false = sum(one.leaving for one in optouts), sum(one.leaving for one in others)
    languages = sorted({one.language for one, _ in meant if one.language})
    return Figures(
        **_shares(meant),
        strangers_refused=_share(one.verdict == "unknown" for one in strangers),
        optout_precision=Share(right=found, all=found + false).value if optouts else None,
        optout_recall=_share(one.leaving for one in optouts),
        sentences=len(meant),
        strangers=len(strangers),
        optouts=len(optouts),
        others=len(others),
        by_language={one: _shares([pair for pair in meant if pair[0].language == one]) for one in languages} if len(languages) > 1 else {},
    )


def confusion(tested: Sequence[Asked], readings: Sequence[Reading]) -> dict[str, Counter[str]]:
    """By what was meant, what it was taken for: the intent where the verdict is sure, `(choice with it)`, `(choice without it)` or `(unknown)`."""
    table = dict[str, Counter[str]]()
    for one, reading in zip(tested, readings, strict=True):
        if one.kind in ("intent", "strangers"):
            table.setdefault(one.intent or "(strangers)", Counter())[_taken(one, reading)] += 1
    return table


def _taken(one: Asked, reading: Reading) -> str:
    if reading.verdict == "sure":
        return reading.intents[0]
    if reading.verdict == "unknown":
        return "(unknown)"
    return "(choice with it)" if one.intent in reading.intents else "(choice without it)"


def _shares(meant: Sequence[tuple[Asked, Reading]]) -> dict[str, float | None]:
    return {
        "right_at_once": _share(reading.verdict == "sure" and reading.intents[0] == one.intent for one, reading in meant),
        "right_or_among_choices": _share(one.intent in reading.intents for one, reading in meant),
        "wrong_at_once": _share(reading.verdict == "sure" and reading.intents[0] != one.intent for one, reading in meant),
        "first_whatever_the_verdict": _share(bool(reading.candidates) and reading.candidates[0].intent == one.intent for one, reading in meant),
    }


def _share(found: Iterable[bool]) -> float | None:
    rows = list(found)
    return Share(right=sum(rows), all=len(rows)).value

"""What a flow says: in every language, with choices that mean one thing, for every variant, and at what price as an SMS. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from parley.channels import gsm
from parley.channels.cards import unfolded
from parley.channels.text import written_out
from parley.contracts import Card, Choice, Content
from parley.optwords import wish
from parley_router.checks.around import Around
from parley_router.checks.complaint import Complaint, Place, listed, near, warning
from parley_router.flow import Flow
from parley_router.language import plain
from parley_router.steps import AnyStep, Ask, Booked, Escalate, Say, Split, Text

FILLED = "0" * 10
"""What stands for a value that is not known yet, when a text is counted."""
_VALUE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_TAG = re.compile(r"\{%.*?%\}", re.DOTALL)


def complaints(flow: Flow, around: Around) -> Iterator[Complaint]:
    for place, step in enumerate(flow.steps):
        found = (*_languages(flow, step, around), *_variants(flow, step), *_choices(step, around.keywords), *_experiment(flow, step), *_prices(step))
        yield from (one._replace(place=("steps", place, *one.place)) for one in found)


def texts_of(step: AnyStep) -> Iterator[tuple[Place, Text]]:
    """Everything that a step may say, by language, and where it stands."""
    if isinstance(step, Say | Ask | Escalate | Booked) and step.say:
        yield ("say",), step.say
    if isinstance(step, Say):
        yield from ((("variants", name), text) for name, text in step.variants.items())
        for place, card in enumerate(step.cards):
            yield ("cards", place, "title"), card.title
            if card.text:
                yield ("cards", place, "text"), card.text
    if isinstance(step, Say | Ask) and step.short:
        yield ("short",), step.short
    if isinstance(step, Ask | Booked) and step.again:
        yield ("again",), step.again
    if isinstance(step, Say | Ask):
        yield from ((("choices", place, "title"), one.title) for place, one in enumerate(step.choices))


def _languages(flow: Flow, step: AnyStep, around: Around) -> Iterator[Complaint]:
    for where, text in texts_of(step):
        if missing := [one for one in around.languages if one not in text]:
            yield Complaint(where, f"the text is missing in {', '.join(missing)}")
        for language in text:
            if language not in around.languages:
                told = f"{flow.tenant} does not speak {language!r}; its languages: {', '.join(around.languages)}"
                yield Complaint((*where, language), told)


def _choices(step: AnyStep, known: Collection[str]) -> Iterator[Complaint]:
    """A title is also what people write instead of tapping it, so it must mean one thing."""
    seen = dict[str, int]()
    for place, one in enumerate(step.choices if isinstance(step, Say | Ask) else ()):
        for language, title in one.title.items():
            where = ("choices", place, "title", language)
            if wish(title) is not None:
                yield Complaint(where, f"who writes {title!r} opts out, opts in or asks for help: those words come first; choose another")
            elif not plain(title):
                yield Complaint(where, f"the title {title!r} has no letters; nobody could write it instead of tapping")
            elif seen.setdefault(plain(title), place) != place:
                yield Complaint(where, f"two choices read {title!r}; give each its own words")
            elif isinstance(step, Say) and plain(title) not in known:
                yield Complaint(where, f"{title!r} is no keyword of a flow, so tapping it would lead nowhere; `ask` waits for an answer")


def _variants(flow: Flow, step: AnyStep) -> Iterator[Complaint]:
    """A text for each variant of the flow's experiment, or of one of its splits."""
    if not isinstance(step, Say) or not step.variants:
        return
    given = set(step.variants)
    tried: list[Collection[str]] = [*([flow.variants] if flow.variants else []), *(one.variants for one in flow.steps if isinstance(one, Split))]
    if any(given == set(one) for one in tried):
        return
    meant = max(tried, key=lambda one: len(given & set(one)), default=())
    for name in step.variants:
        if name not in meant:
            told = f"known: {listed(meant, 'none, see `variants` of the flow')}{near(name, meant)}"
            yield Complaint(("variants", name), f"the flow has no variant {name!r}; {told}")
    if missing := [one for one in meant if one not in given]:
        yield Complaint(("variants",), f"there is no text for the variant {', '.join(missing)}")


def _experiment(flow: Flow, step: AnyStep) -> Iterator[Complaint]:
    if isinstance(step, Split) and flow.campaign is None:
        yield Complaint(("split",), "an experiment is counted under the flow's `campaign`, which is missing; name one at the top of the file")


def _prices(step: AnyStep) -> Iterator[Complaint]:
    """Texts that are more than one message where every segment costs, with what they come to."""
    for where, text in _as_sms(step):
        for language, words in text.items():
            if (found := segments(step, words, language, whole=where != ("again",)))[0] > 1:
                count, alphabet, characters = found
                room = "160 characters of the GSM alphabet" if alphabet == "gsm" else "70 characters"
                told = f"as an SMS it is paid as {count} segments ({characters} characters with its choices; one holds {room})"
                yield warning((*where, language), told + ("" if where == ("short",) else "; `short` is said there instead"))


def _as_sms(step: AnyStep) -> Iterator[tuple[Place, Text]]:
    """What is said by SMS: `short` where there is one."""
    brief = step.short if isinstance(step, Say | Ask) else None
    for where, text in texts_of(step):
        if where[0] == ("short" if brief else "say") or where[0] == "again" or (where[0] == "variants" and not brief):
            yield where, text


def segments(step: AnyStep, words: str, language: str, *, whole: bool = True) -> tuple[int, str, int]:
    """How many SMS the text takes with the choices and cards below it, in which alphabet, and its characters. Values count as ten characters each."""
    choices = tuple(Choice(id=one.id, title=_said(one.title, language)) for one in step.choices) if isinstance(step, Say | Ask) else ()
    cards = tuple(
        Card(title=_said(one.title, language)[:500] or "-", text=_said(one.text or {}, language)[:2000], url=one.url and _counted(one.url))
        for one in (step.cards if isinstance(step, Say) and whole else ())
    )
    text = written_out(unfolded(Content(text=_counted(words), choices=choices, cards=cards), pictures=False))
    sms = gsm.encoded(text)
    return len(sms.parts), sms.alphabet, len(text)


def _said(text: Mapping[str, str], language: str) -> str:
    return _counted(text.get(language) or next(iter(text.values()), ""))


def _counted(text: str) -> str:
    return _TAG.sub("", _VALUE.sub(FILLED, text))

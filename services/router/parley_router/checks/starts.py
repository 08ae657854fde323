"""How a flow begins: that something begins it, that its words reach it, and that no other one begins by the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parley.customerevents import KNOWN
from parley.optwords import wish
from parley_router.checks.around import Around
from parley_router.checks.complaint import Complaint, Place, listed, near, warning
from parley_router.flow import Flow
from parley_router.language import plain
from parley_router.steps import Goal, Wait

OURS = ("message.edited", "message.deleted", "webchat.context", "webchat.typing")
"""Events that channels tell, beside those of `parley.customerevents`."""
SURE = 0.88
"""How alike an event is to one that it is a typing mistake of: a shop may have others by its side, as order.delayed by order.delivered."""


def complaints(flow: Flow, around: Around) -> Iterator[Complaint]:
    if len(around.named[flow.flow]) > 1:
        yield Complaint(("flow",), f"two files hold a flow {flow.flow!r}; give one of them another name")
    if id(flow) not in around.begun:
        yield Complaint(("start",), "nothing starts this flow and no other flow goes to it; give it keywords, an event, welcome or fallback")
    yield from _keywords(flow, around)
    yield from _escapes(flow, around)
    for what, flows in around.alone.items():
        if flow in flows and len(flows) > 1:
            yield Complaint(("start", what), f"{_others(flow, flows)} starts by the same {what}, and there can be only one")
    yield from _intents(flow, around)
    yield from _events(flow)


def _others(flow: Flow, flows: Sequence[Flow]) -> str:
    return ", ".join(one.flow for one in flows if one is not flow)


def _keywords(flow: Flow, around: Around) -> Iterator[Complaint]:
    seen: set[str] = set()
    for language, words in flow.start.keywords.items():
        for index, word in enumerate(words):
            place, key = ("start", "keywords", language, index), plain(word)
            if not key:
                yield Complaint(place, f"the word {word!r} has no letters; nobody could write it")
            elif wish(word) is not None:
                yield Complaint(place, f"the word {word!r} never comes here: it is a word for opting out, opting in or help, and those come first")
            elif key in seen:
                yield Complaint(place, f"the word {word!r} stands twice; leave one out")
            elif claimed := _others(flow, around.keywords[key]):
                yield Complaint(place, f"the word {word!r} also starts {claimed}; a word starts one flow")
            seen.add(key)


def _escapes(flow: Flow, around: Around) -> Iterator[Complaint]:
    for language, words in flow.escape.items():
        if language not in around.languages:
            yield Complaint(("escape", language), f"{flow.tenant} does not speak {language!r}; its languages: {', '.join(around.languages)}")
        for index, word in enumerate(words):
            place = ("escape", language, index)
            if not plain(word):
                yield Complaint(place, f"the word {word!r} has no letters; nobody could write it")
            elif wish(word) is not None:
                yield Complaint(place, f"the word {word!r} never comes here: it is a word for opting out, opting in or help, and those come first")


def _intents(flow: Flow, around: Around) -> Iterator[Complaint]:
    for index, intent in enumerate(flow.start.intents):
        place = ("start", "intents", index)
        if same := _others(flow, around.meant[intent]):
            yield Complaint(place, f"the intent {intent!r} also starts {same}; an intent starts one flow")
        if around.intents is not None and intent not in around.intents:
            told = near(intent, around.intents) or f"; write examples of it into faq/, or name one of these: {listed(around.intents)}"
            yield Complaint(place, f"there is no intent {intent!r}{told}")


def _events(flow: Flow) -> Iterator[Complaint]:
    """Any name may be an event of the shop's own, so only what looks like a known one is spoken of."""
    named: list[tuple[Place, str]] = [(("start", "event"), flow.start.event)] if flow.start.event else []
    for place, step in enumerate(flow.steps):
        if isinstance(step, Goal):
            named.append((("steps", place, "goal"), step.goal))
        if isinstance(step, Wait):
            named += [(("steps", place, "events", index, "name"), one.name) for index, one in enumerate(step.events)]
    known = (*KNOWN, *OURS)
    for where, name in named:
        if name not in known and (like := near(name, known, SURE)):
            yield warning(where, f"nobody is known to tell of the event {name!r}{like} If it is an event of your own, all is well")

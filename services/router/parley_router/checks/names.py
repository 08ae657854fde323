"""The names that a flow uses: values in texts and conditions, services, slots, parameters; each must be filled or known somewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from parley_router.checks.around import Around, kept, led
from parley_router.checks.complaint import Complaint, Place, listed, near
from parley_router.checks.texts import texts_of
from parley_router.conditions import Condition
from parley_router.flow import Flow
from parley_router.state import PROFILE, REFERENCE, Scores
from parley_router.steps import AnyStep, Booked, Branch, Call, Do, Goal, Recommend, Say, Set, Wait

ORDER = ("number", "status")
WHOLE = ("language", "channel", "contact")
"""Names that stand alone, without a part after a dot."""
SCORES = tuple(name for name in Scores.model_fields if name != "at")
TOLD = ("birthday", "timezone", "email", "phone")
"""Of a profile what flows ask by these names, and a shop may have given (see docs/events.md)."""


def complaints(flow: Flow, around: Around) -> Iterator[Complaint]:
    filled = _filled(flow, around)
    if (date := flow.start.date) is not None and date.profile not in filled["profile"]:
        yield Complaint(("start", "date", "profile"), _unfilled(f"profile.{date.profile}", filled))
    yield from _conditions(flow, filled)
    for place, step in enumerate(flow.steps):
        found = (*_texts(step, around, filled), *_services(step, around), *_parameters(step, around, filled))
        yield from (one._replace(place=("steps", place, *one.place)) for one in found)


def templates(step: AnyStep) -> Iterator[tuple[Place, str]]:
    """Everything in a step that Liquid may stand in, and where."""
    yield from (((*where, language), words) for where, text in texts_of(step) for language, words in text.items())
    match step:
        case Say():
            yield from ((("media", place, "url"), one.url) for place, one in enumerate(step.media))
            links = ((place, name, getattr(one, name)) for place, one in enumerate(step.cards) for name in ("image", "url"))
            yield from ((("cards", place, name), url) for place, name, url in links if url)
        case Set():
            yield from ((("set", name), text) for name, text in step.set.items() if isinstance(text, str))
        case Call():
            yield ("path",), step.path
            yield from _within(("body",), step.body)
        case Recommend():
            yield ("path",), step.path
        case Booked():
            yield from ((place, text) for place, text in ((("path",), step.path), (("book_path",), step.book_path)) if text)
        case Do():
            yield from ((("with", name), text) for name, text in step.given.items())
        case Wait() if step.wait.until is not None:
            yield ("wait", "until"), step.wait.until


def _within(place: Place, value: JsonValue) -> Iterator[tuple[Place, str]]:
    """The texts in a body, at any depth."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        yield from (found for name, one in value.items() for found in _within((*place, name), one))
    elif isinstance(value, list):
        yield from (found for index, one in enumerate(value) for found in _within((*place, index), one))


def _texts(step: AnyStep, around: Around, filled: dict[str, set[str]]) -> Iterator[Complaint]:
    for where, text in templates(step):
        broken = [Complaint(where, said) for said in around.texts.parse(text)]
        yield from broken
        if not broken:
            yield from (Complaint(where, _unfilled(name, filled)) for name in around.texts.names(text) if not _known(name, filled))


def _conditions(flow: Flow, filled: dict[str, set[str]]) -> Iterator[Complaint]:
    """`where` asks an event's properties, which may have any name; a branch asks what is known."""
    asked: list[tuple[Place, Condition | None, bool]] = [(("start", "where"), flow.start.where, True)]
    for place, step in enumerate(flow.steps):
        if isinstance(step, Branch):
            asked += [(("steps", place, "branch", index, "when"), case.when, False) for index, case in enumerate(step.branch)]
        if isinstance(step, Wait):
            asked += [(("steps", place, "events", index, "where"), one.where, True) for index, one in enumerate(step.events)]
        if isinstance(step, Goal):
            asked.append((("steps", place, "where"), step.where, True))
    for where, condition, of_event in asked:
        names = filled | ({"event": {"*"}} if of_event else {})
        yield from (Complaint(where, _unfilled(name, names)) for name in (condition.names() if condition else ()) if not _known(name, names))


def _known(name: str, filled: dict[str, set[str]]) -> bool:
    group, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    if group in WHOLE:
        return not rest
    return bool(part) and group in filled and (part in filled[group] or filled[group] == {"*"})


def _unfilled(name: str, filled: dict[str, set[str]]) -> str:
    group = name.partition(".")[0]
    every = [f"{one}.{part}" for one, parts in filled.items() for part in parts if part != "*"]
    groups = [one if one in WHOLE else f"{one}.…" for one in sorted((*filled, *WHOLE))]
    known = [one for one in every if one.startswith(f"{group}.")] or groups
    return f"names {name!r}, which nothing fills; known: {listed(known)}{near(name, every)}"


def _filled(flow: Flow, around: Around) -> dict[str, set[str]]:
    """What texts of a flow may name, by group; `*`: whatever comes."""
    names = {
        "profile": {*PROFILE, REFERENCE, *TOLD, *(one.removeprefix("profile.") for one in around.kept if one.startswith("profile."))},
        "slot": {"reply", *(one.removeprefix("slot.") for one in around.kept if one.startswith("slot."))},
        "order": set(ORDER),
        "score": set(SCORES),
        "tag": {"*"},
    }
    return names | ({"event": {"*"}} if id(flow) in around.told else {})


def _services(step: AnyStep, around: Around) -> Iterator[Complaint]:
    if not isinstance(step, Call | Recommend | Booked) or around.services is None:
        return
    name = {"call": lambda: step.call, "recommend": lambda: step.recommend, "book": lambda: step.book}[step.kind]()  # type: ignore[union-attr]
    if name not in around.services:
        told = near(name, around.services) or f"; known: {listed(around.services)}; services stand in services.yaml"
        yield Complaint((step.kind,), f"there is no service {name!r}{told}")


def _parameters(step: AnyStep, around: Around, filled: dict[str, set[str]]) -> Iterator[Complaint]:
    """What a flow that is run is given and gives back, and the list that becomes cards."""
    if isinstance(step, Say) and step.each is not None and step.each not in filled["slot"]:
        yield Complaint(("each",), _unfilled(f"slot.{step.each}", filled))
    if not isinstance(step, Do) or (flow := around.by_name.get(step.do.removeprefix("flow/"))) is None:
        return
    for name in step.given:
        if name not in flow.parameters:
            told = near(name, flow.parameters) or f"; its parameters: {listed(flow.parameters)}"
            yield Complaint(("with", name), f"the flow {flow.flow!r} has no parameter {name!r}{told}")
    slots = {one.removeprefix("slot.") for one in kept(led([flow], around.named)) if one.startswith("slot.")} if step.keep else set()
    for index, name in enumerate(step.keep):
        if name not in slots:
            told = near(name, slots) or f"; it keeps: {listed(slots)}"
            yield Complaint(("keep", index), f"the flow {flow.flow!r} keeps nothing in the slot {name!r}{told}")

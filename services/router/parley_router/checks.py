"""What is wrong with a flow that its model alone does not see: where steps lead, which words start it, what its texts name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from parley.optwords import wish
from parley_router.flow import Flow
from parley_router.language import plain
from parley_router.state import PROFILE, REFERENCE
from parley_router.steps import AnyStep, Ask, Booked, Branch, Call, Escalate, Recommend, Say, Set, Text, Wait, falls_through, targets
from parley_router.templates import Texts

Place = tuple[str | int, ...]
"""Keys and indexes from the top of the file."""
Complaint = tuple[Place, str]

ORDER = ("number", "status")
WHOLE = ("language", "channel", "contact")
"""Names that stand alone, without a part after a dot."""


def complaints(flow: Flow, beside: Sequence[Flow], tenants: Mapping[str, Sequence[str]], texts: Texts) -> Iterator[Complaint]:
    """Everything wrong with `flow`; `beside` are all flows of its tenant. Parses its texts into `texts` on the way."""
    languages = tenants.get(flow.tenant)
    if languages is None:
        yield ("tenant",), f"there is no tenant {flow.tenant!r}; known: {', '.join(tenants)}"
        return
    yield from _starts(flow, beside)
    yield from _paths(flow, beside)
    for place, step in enumerate(flow.steps):
        for where, text in _texts_of(step):
            if missing := [one for one in languages if one not in text]:
                yield ("steps", place, *where), f"the text is missing in {', '.join(missing)}"
            if foreign := [one for one in text if one not in languages]:
                yield ("steps", place, *where, foreign[0]), f"{flow.tenant} does not speak {foreign[0]!r}; its languages: {', '.join(languages)}"
        for where, said in (*_variants(flow, step), *_choices(step, beside), *_names(flow, step, beside, texts)):
            yield ("steps", place, *where), said


# --- how it starts ---------------------------------------------------------------------------------------------------------------------


def _starts(flow: Flow, beside: Sequence[Flow]) -> Iterator[Complaint]:
    others = [one for one in beside if one is not flow]
    if any(one.flow == flow.flow for one in others):
        yield ("flow",), f"two files hold a flow {flow.flow!r}"
    if flow not in _begun([one for one in beside if _starter(one)], beside):
        yield ("start",), "nothing starts this flow and no other flow goes to it; give it keywords, an event, welcome or fallback"
    seen: set[str] = set()
    for language, words in flow.start.keywords.items():
        for index, word in enumerate(words):
            place, key = ("start", "keywords", language, index), plain(word)
            if not key:
                yield place, f"the word {word!r} has no letters"
            elif wish(word) is not None:
                yield place, f"the word {word!r} never comes here: it is a word for opting out, opting in or help, and those come first"
            elif key in seen:
                yield place, f"the word {word!r} stands twice"
            elif claimed := [one.flow for one in others if key in _keywords([one])]:
                yield place, f"the word {word!r} also starts {', '.join(claimed)}"
            seen.add(key)
    for what in ("welcome", "fallback"):
        value = getattr(flow.start, what)
        if value and (same := [one.flow for one in others if getattr(one.start, what) == value]):
            yield ("start", what), f"{', '.join(same)} starts by the same {what}"


def _starter(flow: Flow) -> bool:
    return bool(flow.start.said or flow.start.own)


def _begun(first: Iterable[Flow], beside: Sequence[Flow]) -> list[Flow]:
    """These flows and all to which they lead."""
    open_, seen = list(first), list[Flow]()
    while open_:
        flow = open_.pop()
        if flow not in seen:
            seen.append(flow)
            ahead = {one.removeprefix("flow/") for step in flow.steps for one in targets(step) if one.startswith("flow/")}
            open_ += [one for one in beside if one.flow in ahead]
    return seen


def _keywords(flows: Iterable[Flow]) -> set[str]:
    return {plain(word) for one in flows for words in one.start.keywords.values() for word in words}


# --- where it leads --------------------------------------------------------------------------------------------------------------------


def _paths(flow: Flow, beside: Sequence[Flow]) -> Iterator[Complaint]:
    flows = sorted(one.flow for one in beside)
    for place, step in enumerate(flow.steps):
        for target in targets(step):
            name = target.removeprefix("flow/")
            if target.startswith("flow/") and name not in flows:
                yield ("steps", place), f"leads to the flow {name!r}, which there is not; known: {', '.join(flows)}"
            elif not target.startswith("flow/") and flow.index(target) is None:
                steps = ", ".join(one.id for one in flow.steps if one.id) or "none has an id"
                yield ("steps", place), f"leads to the step {target!r}, which there is not; known: {steps}; another flow is `flow/NAME`"
    for place in sorted(set(range(len(flow.steps))) - _reached(flow)):
        yield ("steps", place), "no step leads here"


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


# --- what it says ----------------------------------------------------------------------------------------------------------------------


def _texts_of(step: AnyStep) -> Iterator[tuple[Place, Text]]:
    if isinstance(step, Say | Ask | Escalate | Booked) and step.say:
        yield ("say",), step.say
    if isinstance(step, Say):
        yield from ((("variants", name), text) for name, text in step.variants.items())
    if isinstance(step, Ask) and step.again:
        yield ("again",), step.again
    if isinstance(step, Say | Ask):
        yield from ((("choices", place, "title"), one.title) for place, one in enumerate(step.choices))


def _variants(flow: Flow, step: AnyStep) -> Iterator[Complaint]:
    if not isinstance(step, Say) or not step.variants:
        return
    for name in step.variants:
        if name not in flow.variants:
            yield ("variants", name), f"the flow has no variant {name!r}; known: {', '.join(flow.variants) or 'none, see `variants` of the flow'}"
    if missing := [one for one in flow.variants if one not in step.variants]:
        yield ("variants",), f"there is no text for the variant {', '.join(missing)}"


def _choices(step: AnyStep, beside: Sequence[Flow]) -> Iterator[Complaint]:
    """A title is also what people write instead of tapping it, so it must mean one thing."""
    if not isinstance(step, Say | Ask):
        return
    keywords, seen = _keywords(beside), dict[str, int]()
    for place, one in enumerate(step.choices):
        for language, title in one.title.items():
            where = ("choices", place, "title", language)
            if wish(title) is not None:
                yield where, f"who writes {title!r} opts out, opts in or asks for help: those words come first; choose another"
            elif seen.setdefault(plain(title), place) != place:
                yield where, f"two choices read {title!r}"
            elif isinstance(step, Say) and plain(title) not in keywords:
                yield where, f"{title!r} is no keyword of a flow, so tapping it would lead nowhere; `ask` waits for an answer"


def _names(flow: Flow, step: AnyStep, beside: Sequence[Flow], texts: Texts) -> Iterator[Complaint]:
    """Names that nothing fills, in texts, addresses, values to remember and conditions."""
    templates = [((*where, language), words) for where, text in _texts_of(step) for language, words in text.items()]
    if isinstance(step, Say):
        templates += [(("media", place, "url"), one.url) for place, one in enumerate(step.media)]
    if isinstance(step, Set):
        templates += [(("set", name), text) for name, text in step.set.items() if isinstance(text, str)]
    asked = [(where, name) for where, text in templates for name in texts.names(text)] if not (wrong := _broken(templates, texts)) else []
    yield from wrong
    if isinstance(step, Branch):
        asked += [(("branch", place, "when"), name) for place, case in enumerate(step.branch) for name in case.when.names()]
    filled = _filled(flow, beside)
    for where, name in asked:
        group, _, part = name.partition(".")
        if group not in filled or (part not in filled[group] and filled[group] != {"*"}) or (not part and group not in WHOLE):
            near = [f"{group}.{one}" for one in sorted(filled.get(group, ()))] or [f"{one}.…" if one not in WHOLE else one for one in sorted(filled)]
            yield where, f"names {name!r}, which nothing fills; known: {', '.join(near)}"


def _broken(templates: Iterable[tuple[Place, str]], texts: Texts) -> list[Complaint]:
    return [(where, said) for where, text in templates for said in texts.parse(text)]


def _filled(flow: Flow, beside: Sequence[Flow]) -> dict[str, set[str]]:
    """What texts of a flow may name, by group; `*`: whatever comes. Slots go along to other flows, so those of all count."""
    kept = [name.partition(".")[::2] for one in beside for step in one.steps if isinstance(step, Set) for name in step.set]
    kept += [name.partition(".")[::2] for one in beside for step in one.steps if isinstance(step, Call) for name in step.keep]
    steps = [step for one in beside for step in one.steps]
    asked = {step.ask.removeprefix("profile.") for step in steps if isinstance(step, Ask)}
    asked |= {step.keep for step in steps if isinstance(step, Recommend)} | (
        {"booking"} if any(isinstance(step, Booked) for step in steps) else set()
    )
    asked |= {name for one in beside for name in one.parameters} | {"reply"}
    kept += [("profile", step.ask.removeprefix("profile.")) for step in steps if isinstance(step, Ask) and step.ask.startswith("profile.")]
    names = {
        "profile": {*PROFILE, REFERENCE, *(name for group, name in kept if group == "profile")},
        "slot": {*asked, *(name for group, name in kept if group == "slot")},
        "order": set(ORDER),
        "tag": {"*"},
        **{one: {""} for one in WHOLE},
    }
    if flow in _begun([one for one in beside if one.start.own], beside) or any(isinstance(step, Wait) and step.events for step in steps):
        names["event"] = {"*"}
    return {group: parts for group, parts in names.items() if parts}

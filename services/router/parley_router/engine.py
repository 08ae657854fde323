"""The engine: from a position in a flow to the next place where it waits. Pure; what happens on the way comes back as effects."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never
from uuid import UUID

from parley.contracts import ConsentState, Content, Media, Purpose
from parley_router.catalogue import Book, Shelf
from parley_router.conditions import holds
from parley_router.flow import Ask, Branch, Consent, End, Escalate, File, Flow, Go, Option, Remember, Say, Text
from parley_router.language import plain, spoken
from parley_router.state import ContactState, Position
from parley_router.templates import Unfilled

MAX_STEPS = 50
"""Steps for one event at most: a flow that leads in circles ends here."""
KEPT = 500
"""Characters of an answer that are read and kept."""
CARE = "support"
"""The team that takes over where no flow names one."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a flow."""

    content: Content
    flow: Flow
    step: str
    variant: str | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """The consent for a purpose, on the channel of the conversation, is to change."""

    purpose: Purpose
    state: ConsentState


@dataclass(frozen=True, slots=True)
class Escalated:
    """People of a team take over. `told`: the flow has said so itself."""

    team: str
    flow: str
    told: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """The flow could not go on and has ended; `reason` names flow and step."""

    flow: str
    reason: str


Effect: TypeAlias = Said | Agreed | Escalated | Failed


@dataclass(slots=True)
class Walk:
    """One walk, from the event that sets it going to where it waits or ends. It belongs to the one call that makes it, and changes as it goes."""

    book: Book
    shelf: Shelf
    contact: UUID
    before: ContactState
    flow: Flow
    step: int
    slots: dict[str, str]
    variant: str | None
    event: dict[str, Any]
    profile: dict[str, str]
    tries: int = 0
    waits: bool = False
    effects: list[Effect] = field(default_factory=list)

    @property
    def state(self) -> ContactState:
        """The contact after the walk: at the question that waits, or in no flow."""
        return self.after(self.before.misses)

    def after(self, misses: int) -> ContactState:
        """As `state`, with so many messages in a row that nobody understood."""
        position = None
        if self.waits:
            position = Position(
                flow=self.flow.flow,
                version=self.flow.version,
                step=self.step,
                slots=self.slots,
                tries=self.tries,
                variant=self.variant,
                event=self.event,
            )
        return self.before.but(position=position, profile=self.profile, misses=misses)

    @property
    def step_name(self) -> str:
        """The step's id, or its place counted from 1."""
        return self.flow.steps[self.step].id or str(self.step + 1)

    def failed(self, reason: str) -> Walk:
        """Ended, with the reason and its place among the effects."""
        self.waits = False
        self.effects.append(Failed(self.flow.flow, f"flow {self.flow.flow}@{self.flow.version}, step {self.step_name}: {reason}"))
        return self


def variant_of(flow: Flow, contact: UUID) -> str | None:
    """The variant that a contact has in a flow's experiment: by a hash of contact and campaign, so always the same, in shares of the weights."""
    if not flow.variants:
        return None
    draw = int.from_bytes(hashlib.blake2b(f"{flow.campaign}:{contact}".encode(), digest_size=8).digest(), "big") / 2**64 * sum(flow.variants.values())
    for name, weight in flow.variants.items():
        draw -= weight
        if draw < 0:
            return name
    return name


def begin(book: Book, shelf: Shelf, contact: UUID, state: ContactState, name: str, event: Mapping[str, Any] | None = None) -> Walk:
    """Starts a flow; any flow that waited ends by it."""
    flow = shelf.flows[name]
    return _walk(Walk(book, shelf, contact, state, flow, 0, {}, variant_of(flow, contact), dict(event or {}), state.profile))


def question(shelf: Shelf, state: ContactState) -> Ask | None:
    """The question that the contact has been asked and that still stands; a file changed under a conversation takes its question back."""
    position = state.position
    flow = shelf.flows.get(position.flow) if position is not None else None
    if position is None or flow is None or flow.version != position.version or position.step >= len(flow.steps):
        return None
    step = flow.steps[position.step]
    return step if isinstance(step, Ask) else None


def answered(book: Book, shelf: Shelf, contact: UUID, state: ContactState, text: str, tapped: str | None) -> Walk | None:
    """Goes on with the answer to what was asked. None when nothing was, or the answer does not fit: then it may mean something else."""
    step = question(shelf, state)
    if step is None:
        return None
    option = chosen(step.choices, text, tapped) if step.choices else None
    value = option.id if option is not None else fitting(step, text) if not step.choices else None
    if value is None:
        return None
    walk = _resumed(book, shelf, contact, state)
    walk.slots[step.ask] = value
    _go(walk, option.go if option is not None else None)
    return _walk(walk)


def missed(book: Book, shelf: Shelf, contact: UUID, state: ContactState, step: Ask) -> Walk:
    """The answer to `step` did not fit: asks again, and after the last try goes where the step says, or to a person."""
    walk = _resumed(book, shelf, contact, state)
    walk.tries += 1
    if walk.tries < step.tries:
        try:
            _say(walk, step.again or step.say, choices=bool(step.choices))
        except Unfilled as error:
            return walk.failed(str(error))
        walk.waits = True
        return walk
    if step.otherwise is None:
        walk.effects.append(Escalated(CARE, walk.flow.flow, told=False))
        return walk
    _go(walk, step.otherwise)
    return _walk(walk)


def _resumed(book: Book, shelf: Shelf, contact: UUID, state: ContactState) -> Walk:
    """The walk at the question that `state` waits at."""
    at = state.position
    assert at is not None
    return Walk(book, shelf, contact, state, shelf.flows[at.flow], at.step, dict(at.slots), at.variant, at.event, state.profile, at.tries)


def chosen(options: Sequence[Option], text: str, tapped: str | None) -> Option | None:
    """The choice that was tapped, or meant by its number, its id, or its title in any language."""
    word = plain(text[:KEPT])
    for place, one in enumerate(options, 1):
        if tapped == one.id or (tapped is None and word and word in (str(place), one.id, *map(plain, one.title.values()))):
            return one
    return None


def fitting(step: Ask, text: str) -> str | None:
    """The answer as it is kept: what the pattern finds (in upper case, as numbers are written), or the text; None when it does not fit."""
    text = unicodedata.normalize("NFKC", text[:KEPT]).strip()
    if step.pattern is None:
        return text or None
    found = re.search(step.pattern, text, re.IGNORECASE)
    return (found.group(0).strip().upper() or None) if found else None


def _walk(walk: Walk) -> Walk:
    """Steps until the flow waits, ends, fails at a text that cannot be filled in, or has taken too many steps."""
    for _ in range(MAX_STEPS):
        if walk.step >= len(walk.flow.steps):
            return walk
        try:
            over = _step(walk)
        except Unfilled as error:
            return walk.failed(str(error))
        if over:
            return walk
    return walk.failed(f"more than {MAX_STEPS} steps for one event; does it lead in a circle?")


def _step(walk: Walk) -> bool:
    """Takes one step; whether the walk is over by it."""
    step = walk.flow.steps[walk.step]
    match step:
        case Say():
            text = step.say or step.variants.get(walk.variant or "") or next(iter(step.variants.values()))
            _say(walk, text, step.media, choices=bool(step.choices))
            _go(walk, None)
        case Ask():
            _say(walk, step.say, choices=bool(step.choices))
            walk.waits = True
        case Remember():
            _remember(walk, step)
            _go(walk, None)
        case Consent():
            walk.effects.append(Agreed(step.consent, step.state))
            _go(walk, None)
        case Branch():
            known = _known(walk)
            _go(walk, next((case.go for case in step.branch if holds(case.when, lambda name: _find(known, name))), step.otherwise))
        case Escalate():
            if step.say:
                _say(walk, step.say)
            walk.effects.append(Escalated(step.escalate, walk.flow.flow))
        case Go():
            _go(walk, step.go)
        case End():
            pass
        case _:
            assert_never(step)
    return isinstance(step, Ask | Escalate | End)


def _go(walk: Walk, target: str | None) -> None:
    """To the step of that id, to the beginning of another flow (which takes what is known along), or to the next step."""
    walk.tries = 0
    if target is None:
        walk.step += 1
    elif not target.startswith("flow/"):
        walk.step = walk.flow.index(target) or 0
    else:
        walk.flow, walk.step = walk.shelf.flows[target.removeprefix("flow/")], 0
        walk.variant = variant_of(walk.flow, walk.contact)


def _say(walk: Walk, text: Text, files: Sequence[File] = (), *, choices: bool = False) -> None:
    language, languages, texts = walk.before.language, walk.shelf.languages, walk.book.texts
    words = spoken(text, language, languages)
    # What is known is put together only where a text asks for it: most do not.
    known = _known(walk) if "{" in words or files else {}
    content = Content(
        text=texts.render(words, known),
        media=tuple(Media(kind=one.kind, url=texts.render(one.url, known)) for one in files),
        choices=walk.shelf.choices[walk.flow.flow, walk.step][language if language in languages else languages[0]] if choices else (),
    )
    walk.effects.append(Said(content, walk.flow, walk.step_name, walk.variant))


def _remember(walk: Walk, step: Remember) -> None:
    known = _known(walk)
    for name, text in step.remember.items():
        group, _, key = name.partition(".")
        value = walk.book.texts.render(text, known).strip()[:KEPT]
        if group == "profile":
            walk.profile = {**walk.profile, key: value}
        else:
            walk.slots[key] = value


def _known(walk: Walk) -> dict[str, Any]:
    """What texts and conditions may name. The order is the one whose number was asked for (slot `order`) or came with the event (`order_id`)."""
    state = walk.before
    number = str(walk.slots.get("order") or walk.event.get("order_id") or "").upper()
    order = {name: text for name, text in (("number", number), ("status", state.orders.get(number))) if text}
    return {"profile": walk.profile, "tag": dict.fromkeys(state.tags, True), "slot": walk.slots, "event": walk.event, "order": order,
            "language": state.language or walk.shelf.languages[0], "channel": str(state.channel or "")}  # fmt: skip


def _find(known: Mapping[str, Any], name: str) -> object | None:
    group, _, key = name.partition(".")
    value = known.get(group)
    return value.get(key) if isinstance(value, Mapping) else value

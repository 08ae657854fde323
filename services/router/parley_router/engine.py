"""The engine: from a position in a flow to the next place where it waits. Pure; what happens on the way comes back as effects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import UUID

from liquid.exceptions import LiquidError

from parley.contracts import Choice, ConsentState, Purpose
from parley_router.catalogue import Book, Shelf
from parley_router.conditions import holds
from parley_router.flow import Ask, Branch, Consent, End, Escalate, Flow, Go, Option, Remember, Say, Text
from parley_router.language import plain, spoken
from parley_router.state import ContactState, Position

MAX_STEPS = 50
"""Steps for one event at most: a flow that leads in circles ends here, and a person is asked."""
CARE = "support"


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the flow."""

    text: str
    choices: tuple[Choice, ...]
    flow: Flow
    step: str
    variant: str | None


@dataclass(frozen=True, slots=True)
class Agreed:
    purpose: Purpose
    state: ConsentState


@dataclass(frozen=True, slots=True)
class Escalated:
    team: str
    flow: str


Effect: TypeAlias = Said | Agreed | Escalated


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk: where we are, what is known, what has happened."""

    book: Book
    shelf: Shelf
    contact: UUID
    state: ContactState
    position: Position
    effects: tuple[Effect, ...] = ()

    @property
    def flow(self) -> Flow:
        return self.shelf.flows[self.position.flow]

    def at(self, step: int) -> Walk:
        return replace(self, position=self.position.model_copy(update={"step": step, "tries": 0}))

    def doing(self, *effects: Effect) -> Walk:
        return replace(self, effects=(*self.effects, *effects))

    def ended(self) -> Walk:
        return replace(self, state=self.state.model_copy(update={"position": None}))

    def waiting(self) -> Walk:
        return replace(self, state=self.state.model_copy(update={"position": self.position}))


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
    """Starts a flow; any flow that ran ends by it."""
    flow = shelf.flows[name]
    position = Position(flow=name, version=flow.version, step=0, variant=variant_of(flow, contact), event=dict(event or {}))
    return _walk(Walk(book, shelf, contact, state, position))


def answered(book: Book, shelf: Shelf, contact: UUID, state: ContactState, text: str, tapped: str | None) -> Walk | None:
    """Goes on with the answer to what was asked. None when the answer does not fit and the tries are not used up: then it may mean something else."""
    position = state.position
    if position is None or position.flow not in shelf.flows:
        return None
    flow = shelf.flows[position.flow]
    step = flow.steps[position.step] if position.step < len(flow.steps) else None
    if flow.version != position.version or not isinstance(step, Ask):
        return None  # the file changed under the conversation: what is written now starts anew
    walk = Walk(book, shelf, contact, state, position)
    if step.choices:
        option = chosen(step.choices, text, tapped)
        return _walk(_kept(walk, step, option.id), option.go) if option else None
    value = fitting(step, text)
    return _walk(_kept(walk, step, value)) if value is not None else None


def missed(book: Book, shelf: Shelf, contact: UUID, state: ContactState) -> Walk:
    """The answer did not fit: asks again, and after the last try goes where the step says, or to a person."""
    assert state.position is not None
    walk = Walk(book, shelf, contact, state, state.position)
    step = walk.flow.steps[state.position.step]
    assert isinstance(step, Ask)
    tries = state.position.tries + 1
    if tries < step.tries:
        again = replace(walk, position=state.position.model_copy(update={"tries": tries}))
        return _said(again, step.again or step.say, step.choices).waiting()
    if step.otherwise:
        return _walk(walk, step.otherwise)
    return walk.doing(Escalated(CARE, state.position.flow)).ended()


def chosen(options: Sequence[Option], text: str, tapped: str | None) -> Option | None:
    """The choice that was tapped, or meant by its number, its id, or its title in any language."""
    word = plain(text)
    for place, one in enumerate(options, 1):
        if tapped == one.id or (tapped is None and word in {str(place), one.id, *(plain(title) for title in one.title.values())}):
            return one
    return None


def fitting(step: Ask, text: str) -> str | None:
    """The answer as it is kept: what the pattern finds (in upper case, as numbers are written), or the text; None when it does not fit."""
    if step.pattern is None:
        return text.strip()[:500] or None
    found = re.search(step.pattern, text, re.IGNORECASE)
    return found.group(0).upper() if found else None


def _kept(walk: Walk, step: Ask, value: str) -> Walk:
    return replace(
        walk,
        position=walk.position.model_copy(update={"slots": {**walk.position.slots, step.ask: value}, "step": walk.position.step + 1, "tries": 0}),
    )


def _walk(walk: Walk, target: str | None = None) -> Walk:
    """Steps until the flow waits, ends, or has taken too many steps. A text that cannot be filled in, or a circle, hands over to people."""
    try:
        walk = _to(walk, target) if target else walk
        for _ in range(MAX_STEPS):
            if walk.position.step >= len(walk.flow.steps):
                return walk.ended()
            done, walk = _step(walk)
            if done:
                return walk
    except LiquidError:
        pass
    return walk.doing(Escalated(CARE, walk.position.flow)).ended()


def _step(walk: Walk) -> tuple[bool, Walk]:
    """One step: whether the walk is over, and where it is then."""
    step = walk.flow.steps[walk.position.step]
    following = walk.at(walk.position.step + 1)
    match step:
        case Say():
            text = step.say or step.variants.get(walk.position.variant or "") or next(iter(step.variants.values()))
            return False, _said(walk, text).at(walk.position.step + 1)
        case Ask():
            return True, _said(walk, step.say, step.choices).waiting()
        case Remember():
            kept = {name: walk.book.texts.render(text, _known(walk)) for name, text in step.remember.items()}
            return False, replace(following, state=walk.state.model_copy(update={"profile": {**walk.state.profile, **kept}}))
        case Consent():
            return False, following.doing(Agreed(step.consent, step.state))
        case Branch():
            go = next((case.go for case in step.branch if holds(case.when, lambda name: _find(walk, name))), step.otherwise)
            return False, _to(walk, go) if go else following
        case Escalate():
            said = _said(walk, step.say) if step.say else walk
            return True, said.doing(Escalated(step.escalate, walk.position.flow)).ended()
        case Go():
            return False, _to(walk, step.go)
        case End():
            return True, walk.ended()


def _to(walk: Walk, target: str) -> Walk:
    """At another step, or at the beginning of another flow, which takes what is known along."""
    if not target.startswith("flow/"):
        return walk.at(walk.flow.index(target) or 0)
    flow = walk.shelf.flows[target.removeprefix("flow/")]
    update = {"flow": flow.flow, "version": flow.version, "step": 0, "tries": 0, "variant": variant_of(flow, walk.contact)}
    return replace(walk, position=walk.position.model_copy(update=update))


def _said(walk: Walk, text: Text, options: Sequence[Option] = ()) -> Walk:
    language, languages = walk.state.language, walk.shelf.languages
    words = walk.book.texts.render(spoken(text, language, languages), _known(walk))
    choices = tuple(Choice(id=one.id, title=spoken(one.title, language, languages)) for one in options)
    step = walk.flow.steps[walk.position.step].id or str(walk.position.step)
    return walk.doing(Said(words, choices, walk.flow, step, walk.position.variant))


def _known(walk: Walk) -> dict[str, Any]:
    """What texts may name. The order is the one whose number was asked for or came with the event."""
    state, position = walk.state, walk.position
    number = str(position.slots.get("order") or position.event.get("order_id") or "")
    order = {"number": number, "status": state.orders[number]} if number in state.orders else {"number": number}
    return {"profile": state.profile, "slot": position.slots, "event": position.event, "order": order,
            "language": state.language or walk.shelf.languages[0], "channel": str(state.channel or "")}  # fmt: skip


def _find(walk: Walk, name: str) -> object | None:
    group, _, key = name.partition(".")
    value = _known(walk).get(group)
    return value.get(key) if isinstance(value, dict) else value

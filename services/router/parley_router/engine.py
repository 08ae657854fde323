"""The engine: from a position in a flow to the next place where it waits. Pure; what happens on the way comes back as effects of the walk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from parley.contracts import CallReturned
from parley.templates import Unfilled
from parley_router import returning
from parley_router.conditions import holds
from parley_router.flow import Flow
from parley_router.language import plain
from parley_router.phrases import ESCAPE
from parley_router.saying import KEPT, told
from parley_router.state import ContactState, Position
from parley_router.stepping import answer, answered, go, left, waiting_for_answer, walked
from parley_router.steps import Ask, Booked, Wait
from parley_router.walk import CARE, Escalated, Scene, Walk, resumed, started
from parley_router.wanting import offer


def begin(scene: Scene, name: str, event: Mapping[str, Any] | None = None, *, replying: bool = True) -> Walk:
    """Starts the newest version of a flow."""
    return walked(started(scene, scene.shelf.flows[name], event or {}, replying=replying))


def question(scene: Scene) -> Ask | Booked | None:
    """The question that the contact has been asked and that still stands; a version that is retired takes its question back."""
    position = scene.state.position
    found = scene.shelf.at(position) if position is not None else None
    step = found[0].steps[found[1]] if found is not None else None
    return step if isinstance(step, Ask | Booked) else None


def replied(scene: Scene) -> Walk | None:
    """Goes on with the answer to what was asked, or leaves the question. None when nothing was asked, or the answer does not fit: it may mean something else."""
    step, position = question(scene), scene.state.position
    walk = resumed(scene, position, replying=True) if position is not None and step is not None else None
    if walk is None:
        return None
    if isinstance(step, Booked):
        choice = _of_free(walk, scene.text, scene.tapped)
        if choice is not None:
            return returning.chosen(walk, step, choice)
        return left(walk) if _escapes(walk.flow, scene.text) else None
    assert isinstance(step, Ask)
    if scene.tapped is None and _escapes(walk.flow, scene.text) and (not step.choices or answer(walk, step, scene.text, None) is None):
        return left(walk)
    value = answer(walk, step, scene.text, scene.tapped)
    return answered(walk, step, value) if value is not None else None


def missed(scene: Scene) -> Walk | None:
    """The answer did not fit: asks again, and after the last try goes where the step says, or to a person. None when nothing was asked."""
    step, position = question(scene), scene.state.position
    walk = resumed(scene, position, replying=True) if position is not None and step is not None else None
    if walk is None or step is None:
        return None
    walk.tries += 1
    if walk.tries < step.tries:
        try:
            return _again(walk, step)
        except Unfilled as error:
            return walk.failed(str(error))
    if step.otherwise is None:
        walk.effects.append(Escalated(CARE, walk.flow.flow, told=False))
        return walk
    go(walk, step.otherwise, "otherwise")
    return walked(walk)


def _again(walk: Walk, step: Ask | Booked) -> Walk:
    if isinstance(step, Booked):
        free = walk.slots.get(returning.FORGOTTEN)
        return offer(walk, step.again or step.say, free if isinstance(free, list) else [])
    walk.shown = told(walk, step.again or step.say, short=None if step.again else step.short, choices=bool(step.choices))
    waiting_for_answer(walk, step)
    return walk


def timed(scene: Scene, position: Position) -> Walk | None:
    """The time is over that a run waited for. None when its version is gone."""
    walk = resumed(scene, position, replying=False)
    if walk is None:
        return None
    step = walk.flow.steps[walk.step]
    if isinstance(step, Ask):
        if step.late is None:
            walk.passes("late")
            return walk
        go(walk, step.late, "late")
    elif isinstance(step, Wait):
        go(walk, step.go, "time")
    else:
        return walk
    return walked(walk)


def returned(scene: Scene, position: Position, data: CallReturned) -> Walk | None:
    """A service answered a run."""
    walk = resumed(scene, position, replying=position.replying)
    return returning.returned(walk, data) if walk is not None else None


def happened(scene: Scene, position: Position, name: str, properties: Mapping[str, Any]) -> Walk | None:
    """An event for which a run waits goes on with it. None when it does not wait for this one."""
    walk = _waiting(scene, position, replying=False)
    if walk is None:
        return None
    step = walk.flow.steps[walk.step]
    assert isinstance(step, Wait)
    for place, one in enumerate(step.events):
        if one.name == name and (one.where is None or holds(one.where, walk.asked(properties))):
            walk.event = {**walk.event, **properties}
            go(walk, one.go, f"event:{place}")
            return walked(walk)
    return None


def reacted(scene: Scene, position: Position) -> Walk | None:
    """A run that waits for any reply goes on with this one."""
    walk = _waiting(scene, position, replying=True)
    step = walk.flow.steps[walk.step] if walk is not None else None
    if walk is None or not isinstance(step, Wait) or step.reply is None:
        return None
    walk.slots["reply"] = scene.text[:KEPT]
    go(walk, step.reply.go, "reply")
    return walked(walk)


def clicked(scene: Scene, position: Position, message: UUID) -> Walk | None:
    """A run that waits for a click on what it has sent goes on with this one."""
    walk = _waiting(scene, position, replying=False) if message in position.said else None
    step = walk.flow.steps[walk.step] if walk is not None else None
    if walk is None or not isinstance(step, Wait) or step.click is None:
        return None
    go(walk, step.click.go, "click")
    return walked(walk)


def reaches(flow: Flow, scene: Scene, properties: Mapping[str, Any]) -> bool:
    """Whether a flow that begins by itself begins with an event of these properties now: `where` holds, and it did not begin too short a time ago."""
    before = scene.state.begun.get(flow.flow)
    if flow.start.again_after is not None and before is not None and scene.at - before < flow.start.again_after:
        return False
    if flow.start.where is None:
        return True
    return holds(flow.start.where, started(scene, flow, properties, replying=False).asked(properties))


def _waiting(scene: Scene, position: Position, *, replying: bool) -> Walk | None:
    walk = resumed(scene, position, replying=replying)
    return walk if walk is not None and isinstance(walk.flow.steps[walk.step], Wait) else None


def _of_free(walk: Walk, text: str, tapped: str | None) -> Mapping[str, Any] | None:
    """The free time that was tapped, or meant by its number or its title."""
    free = walk.slots.get(returning.FORGOTTEN)
    word = plain(text[:KEPT])
    for place, one in enumerate(free if isinstance(free, list) else [], 1):
        if tapped == one["id"] or (tapped is None and word and word in (str(place), plain(one["title"]), plain(one["start"]))):
            return dict(one)
    return None


def _escapes(flow: Flow, text: str) -> bool:
    word = plain(text[:KEPT])
    own = {plain(one) for words in flow.escape.values() for one in words}
    return bool(word) and (word in own or any(word in words for words in ESCAPE.values()))


def state_after(walk: Walk, before: ContactState, *, misses: int) -> ContactState:
    """The contact, `before` as it was, after a walk: at the question that waits, in the runs that wait for something else, or in neither.

    What a customer's message begins ends the question that waited; a notice on the side does not.
    """
    origin = walk.origin
    runs = tuple(one for one in before.runs if one is not origin)
    position = None if walk.replying or origin is before.position else before.position
    if walk.waits == "reply":
        position = walk.position()
    elif walk.waits:
        runs = (*runs, walk.position())
    return before.but(position=position, runs=runs, profile=walk.profile, tags=walk.tags, misses=misses)

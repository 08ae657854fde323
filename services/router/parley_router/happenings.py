"""What happens around a contact: events of other services, clicks, times that come, answers of services, consents given elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from parley.contracts import CallReturned, ContactScored, CustomerActed, Purpose, TimerFired
from parley.wire import caused_id
from parley_router import engine, messages, promises
from parley_router.applying import apply, reached
from parley_router.conditions import holds
from parley_router.flow import Dated, Flow
from parley_router.planning import next_time
from parley_router.state import PROFILE, ContactState, Planned, Position, Scores, storable
from parley_router.steps import Goal
from parley_router.turn import Turn
from parley_router.walk import Escalated, Said, Walk, started

TEXT_KEPT = 200
TAGS_KEPT = 50
NAMES_KEPT, TIMES_KEPT = 12, 20
"""Events whose times are kept of a contact, and how many of each."""
BEGUN_KEPT = 50
LATER = timedelta(hours=1)
"""While a person is wanted, what the bot would say by itself is looked at again after this."""
CLICKED, ENTERED, UPDATED, SCORED = "message.clicked", "segment.entered", "customer.updated", "contact.scored"


def acted(turn: Turn, data: CustomerActed) -> None:
    """An event of another service: remembered where it tells of an order or the person; then the conversions, flows that wait for it, and those that it starts."""
    turn.update(addresses={**data.addresses, **turn.state.addresses})
    properties = {key.replace("\x00", ""): storable(value) for key, value in data.properties.items()}
    number = properties.get("order_id")
    if data.name.startswith("order.") and isinstance(number, str | int) and number:
        turn.state = turn.state.with_order(str(number), data.name.removeprefix("order."))
    if data.name == UPDATED:
        _told(turn, properties)
    turn.update(happened=_remembered(turn.state, data.name, turn.at))
    _goals(turn, data.name, properties)
    for run in turn.state.runs:
        _goes_on(turn, run, data.name, properties)
    if data.name == ENTERED:
        _begin(turn, turn.shelf.segments.get(str(properties.get("segment")), ()), properties)
    _begin(turn, turn.shelf.events.get(data.name, ()), properties)


def _told(turn: Turn, found: Mapping[str, JsonValue]) -> None:
    """What another service knows of the person."""
    profile = {key: value[:TEXT_KEPT] for key in PROFILE if isinstance(value := found.get(key), str)}
    turn.update(profile={**turn.state.profile, **profile})
    if isinstance(language := found.get("language"), str) and language in turn.shelf.languages:
        turn.update(language=language)
    if isinstance(tags := found.get("tags"), list):
        turn.update(tags=tuple(dict.fromkeys(one[:TEXT_KEPT] for one in tags if isinstance(one, str)))[:TAGS_KEPT])


def _remembered(state: ContactState, name: str, at: datetime) -> dict[str, tuple[datetime, ...]]:
    """When events happened, with this one; the names that were heard of longest ago are forgotten."""
    others = {one: times for one, times in state.happened.items() if one != name}
    times = (*state.happened.get(name, ()), at)[-TIMES_KEPT:]
    return dict(list({**others, name: times}.items())[-NAMES_KEPT:])


def _goals(turn: Turn, name: str, properties: Mapping[str, JsonValue]) -> None:
    """Conversions that were watched for: each counts once. What is over is forgotten, so that it holds no version of its flow."""
    if any(one.until < turn.at for one in turn.state.goals):
        turn.update(goals=tuple(one for one in turn.state.goals if one.until >= turn.at))
    for goal in [one for one in turn.state.goals if one.event == name]:
        if goal.since > turn.at:
            continue
        flow, _, version = goal.flow.rpartition("@")
        found = turn.shelf.of(flow, int(version))
        step = found.steps[goal.place] if found is not None and goal.place < len(found.steps) else None
        scene = turn.scene()
        fits = not isinstance(step, Goal) or step.where is None or found is None
        if fits or holds(step.where, started(scene, found, properties, replying=False).asked(properties)):  # type: ignore[union-attr, arg-type]
            turn.update(goals=tuple(one for one in turn.state.goals if one is not goal))
            reached(turn, goal, dict(properties))


def _goes_on(turn: Turn, run: Position, name: str, properties: Mapping[str, JsonValue]) -> None:
    """A run that waited for this goes on with it."""
    if run not in turn.state.runs:
        return
    scene = turn.scene()
    message = properties.get("message_id") if name == CLICKED else None
    walk = engine.clicked(scene, run, UUID(message)) if isinstance(message, str) and _is_uuid(message) else None
    walk = walk or engine.happened(scene, run, name, properties)
    if walk is not None:
        apply(turn, _silent(walk) if turn.state.waiting else walk, turn.state.misses)


def _silent(walk: Walk) -> Walk:
    """While a person has the conversation a flow goes on without a word: who has ordered meanwhile is not reminded of the cart afterwards."""
    walk.effects = [one for one in walk.effects if not isinstance(one, Said | Escalated)]
    return walk


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _begin(turn: Turn, flows: Iterable[Flow], properties: Mapping[str, Any]) -> None:
    """Begins flows by themselves; one that nobody hears does not begin, nor does any while a person is wanted."""
    for flow in flows:
        if turn.state.waiting or not turn.state.reach(flow.purpose) or not engine.reaches(flow, turn.scene(), properties):
            continue
        begun = {**{name: at for name, at in turn.state.begun.items() if name != flow.flow}, flow.flow: turn.at}
        if flow.start.again_after is not None:
            turn.update(begun=dict(list(begun.items())[-BEGUN_KEPT:]))
        apply(turn, engine.begin(turn.scene(), flow.flow, properties, replying=False), turn.state.misses)


# --- times that come -------------------------------------------------------------------------------------------------------------------


def fired(turn: Turn, data: TimerFired) -> None:
    """A time has come. A token that nothing waits for any more is stale and means nothing."""
    for name, one in turn.state.planned.items():
        if one.token == data.token:
            _date_came(turn, name)
            return
    if promises.broken(turn, data.token):
        return
    waiting = (*turn.state.runs, *((turn.state.position,) if turn.state.position is not None else ()))
    run = next((one for one in waiting if one.token == data.token and one.due is not None), None)
    if run is None:
        return
    if turn.state.waiting:
        _later(turn, run)
    elif (walk := engine.timed(turn.scene(), run)) is not None:
        apply(turn, walk, turn.state.misses)
    else:
        forget(turn, run)


def _later(turn: Turn, run: Position) -> None:
    """People talk with the customer: the bot is silent, and looks again later."""
    later = run.but(token=str(caused_id(turn.event.id, 99_998)), due=turn.at + LATER)
    turn.update(runs=tuple(later if one is run else one for one in turn.state.runs))


def forget(turn: Turn, run: Position) -> None:
    """The version that the run began with is gone: it has ended."""
    position = None if turn.state.position is run else turn.state.position
    turn.update(runs=tuple(one for one in turn.state.runs if one is not run), position=position)


def _date_came(turn: Turn, name: str) -> None:
    turn.update(planned={key: one for key, one in turn.state.planned.items() if key != name})
    flow = turn.shelf.flows.get(name)
    if flow is not None and flow.start.date is not None:
        _begin(turn, (flow,), {"date": turn.state.profile.get(flow.start.date.profile, "")})
        if flow.start.date.yearly:
            _plan(turn, flow, flow.start.date)


def planned(turn: Turn, before: ContactState) -> None:
    """Plans the flows that begin at a date of the profile, where that has changed."""
    if turn.state.profile is before.profile or not turn.shelf.dates:
        return
    for field, flows in turn.shelf.dates.items():
        if turn.state.profile.get(field) != before.profile.get(field):
            for flow in flows:
                assert flow.start.date is not None
                _plan(turn, flow, flow.start.date)


def _plan(turn: Turn, flow: Flow, date: Dated) -> None:
    kept = {name: one for name, one in turn.state.planned.items() if name != flow.flow}
    due = next_time(date, turn.state.profile.get(date.profile), turn.scene().local)
    if due is not None:
        kept[flow.flow] = Planned(token=str(caused_id(turn.event.id, 90_000 + len(kept))), due=due)
    turn.update(planned=kept)


# --- answers of services ---------------------------------------------------------------------------------------------------------------


def returned(turn: Turn, data: CallReturned) -> None:
    """A service answered, or did not; the meaning of a message is one such answer."""
    unread = turn.state.unread
    if unread is not None and unread.token == data.token:
        messages.meant(turn, unread.text, unread.first, data.body if data.error is None and isinstance(data.body, dict) else None)
        return
    run = next((one for one in turn.state.runs if one.token == data.token and one.call is not None), None)
    if run is None:
        return
    walk: Walk | None = engine.returned(turn.scene(), run, data)
    if walk is None:
        forget(turn, run)
    elif turn.state.waiting:
        apply(turn, _silent(walk), turn.state.misses)
    else:
        apply(turn, walk, 0 if walk.known_now else turn.state.misses)


# --- what the figures tell ---------------------------------------------------------------------------------------------------------------


def scored(turn: Turn, data: ContactScored) -> None:
    """What is told of somebody from before they were erased, or later than something newer, is not heard. Flows wait for the rest, or begin with it."""
    known, erased = turn.state.scores, turn.state.erased
    found = Scores.model_validate(data.model_dump(exclude={"contact_id"}))
    if (known is not None and (known.at > data.at or known == found)) or (erased is not None and erased >= data.at):
        return
    turn.update(scores=found)
    properties = found.model_dump(mode="json", exclude={"at"}, exclude_none=True)
    for run in turn.state.runs:
        _goes_on(turn, run, SCORED, properties)
    _begin(turn, turn.shelf.events.get(SCORED, ()), properties)


# --- consents given elsewhere ----------------------------------------------------------------------------------------------------------


def agreed(turn: Turn) -> None:
    """Flows that begin when a consent is given or withdrawn, other than by a flow. All purposes at once are one such moment for each."""
    found, turn.agreed = turn.agreed, []
    for purpose, state in found:
        _begin(turn, turn.shelf.consents.get((Purpose(purpose), state), ()), {"purpose": str(purpose), "state": str(state)})

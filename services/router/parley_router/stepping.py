"""What each kind of step does to a walk. Pure; the walk changes as it goes, and what is to happen outside is among its effects."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never

from parley.templates import Unfilled
from parley_router import daytime
from parley_router.answers import BEST, WORST, fitting, scale
from parley_router.conditions import holds
from parley_router.saying import KEPT, cards_of, rendered, told
from parley_router.state import Frame, Watched
from parley_router.steps import Ask, Booked, Branch, Call, Consent, Do, End, Escalate, Go, Goal, Recommend, Reply, Say, Set, Split, Tagged, Wait
from parley_router.walk import Agreed, Drew, Escalated, Left, Rated, Walk, drawn, entered
from parley_router.wanting import ask_outside

MAX_STEPS = 50
"""Steps for one event at most: a flow that leads in circles ends here."""
MAX_TAKEN = 5000
"""Steps of one run at most, over all events."""
MAX_DEPTH = 5
SHOWN = 1000
"""Characters of a question that are kept as the proof of a consent."""
TAGS = 50


def walked(walk: Walk) -> Walk:
    """Steps until the flow waits, ends, fails at a text that cannot be filled in, or has taken too many steps."""
    for _ in range(MAX_STEPS):
        if walk.step >= len(walk.flow.steps) and not _returned(walk):
            return walk
        walk.taken += 1
        walk.passes()
        if walk.taken > MAX_TAKEN:
            return walk.failed(f"more than {MAX_TAKEN} steps in all; does it ever end?")
        try:
            if _step(walk):
                return walk
        except Unfilled as error:
            return walk.failed(str(error))
    return walk.failed(f"more than {MAX_STEPS} steps for one event; does it lead in a circle?")


def _returned(walk: Walk) -> bool:
    """Back to the flow that ran this one, if there is one and its version still exists."""
    while walk.stack:
        frame, walk.stack = walk.stack[-1], walk.stack[:-1]
        flow = walk.shelf.of(frame.flow, frame.version)
        if flow is None:
            continue
        taken = {name: walk.slots[name] for name in frame.keep if name in walk.slots}
        walk.flow, walk.step, walk.slots, walk.variant = flow, frame.step, {**frame.slots, **taken}, frame.variant
        walk.tries, walk.phase = 0, ""
        if walk.step < len(flow.steps):
            return True
    return False


def _step(walk: Walk) -> bool:
    """Takes one step; whether the walk is over by it."""
    step = walk.flow.steps[walk.step]
    match step:
        case Say():
            _say(walk, step)
        case Ask():
            return _ask(walk, step)
        case Set():
            _set(walk, step)
        case Tagged():
            kept = [one for one in walk.tags if one not in step.remove]
            walk.tags = tuple(dict.fromkeys((*kept, *step.tag)))[:TAGS]
        case Consent():
            walk.effects.append(
                Agreed(step.consent, step.state, walk.flow.flow, walk.step_name, walk.shown, walk.scene.text[:KEPT] or None, step.night)
            )
        case Branch():
            asked = walk.asked()
            found = next((place for place, case in enumerate(step.branch) if holds(case.when, asked)), None)
            if found is None:
                go(walk, step.otherwise, "otherwise")
            else:
                go(walk, step.branch[found].go, f"case:{found}")
            return False
        case Split():
            _split(walk, step)
            return False
        case Goal():
            _goal(walk, step)
        case Wait():
            return _wait(walk, step)
        case Call() | Recommend() | Booked() | Reply():
            return ask_outside(walk, step)
        case Escalate():
            if step.say:
                told(walk, step.say)
            walk.effects.append(Escalated(step.escalate, walk.flow.flow, told=step.say is not None))
            return True
        case Do():
            return _do(walk, step)
        case Go():
            go(walk, step.go, "go")
            return False
        case End():
            walk.step = len(walk.flow.steps)
            return False
        case _:
            assert_never(step)
    go(walk, None)
    return False


def go(walk: Walk, target: str | None, way: str = "next") -> None:
    """To the step of that id, to the beginning of another flow (which takes what is known along and does not come back), or to the next step.

    `way` is the name of this way out of the step.
    """
    walk.passes(way)
    walk.tries, walk.phase = 0, ""
    if target is None:
        walk.step += 1
    elif not target.startswith("flow/"):
        walk.step = walk.flow.index(target) or 0
    else:
        found = walk.shelf.flows.get(target.removeprefix("flow/"))
        if found is None:  # an older version may lead to a flow that there is no more
            walk.step = len(walk.flow.steps)
            return
        kept = walk.variant if found.campaign == walk.flow.campaign else None  # another campaign counts none of this one's variants
        walk.flow, walk.step, walk.stack = found, 0, ()
        walk.slots = {**found.parameters, **walk.slots}
        walk.variant = entered(walk, found) or kept


def _do(walk: Walk, step: Do) -> bool:
    """Into another flow, to come back to the next step."""
    found = walk.shelf.flows.get(step.do.removeprefix("flow/"))
    if found is None or len(walk.stack) >= MAX_DEPTH:
        walk.failed(
            f"{step.do} cannot be run here: " + (f"flows run flows more than {MAX_DEPTH} deep" if found else "there is no such flow any more")
        )
        return True
    known = walk.known()
    given = {name: rendered(walk, text, known)[:KEPT] for name, text in step.given.items()}
    frame = Frame(flow=walk.flow.flow, version=walk.flow.version, step=walk.step + 1, slots=walk.slots, keep=step.keep, variant=walk.variant)
    walk.stack = (*walk.stack, frame)
    walk.passes("next")
    walk.flow, walk.step, walk.slots, walk.tries, walk.phase = found, 0, {**found.parameters, **given}, 0, ""
    walk.variant = entered(walk, found) or walk.variant
    return False


def _split(walk: Walk, step: Split) -> None:
    """Into the contact's variant; for the one that is left alone the flow ends."""
    walk.variant = name = drawn(step.split, step.weights, walk.scene.contact)
    if (campaign := walk.flow.counted) is not None:
        flow = f"{walk.flow.flow}@{walk.flow.version}"
        walk.effects.append(Drew(step.split, campaign, name, step.weights, step.holdout, flow, walk.step_name))
    go(walk, step.variants[name].go, f"variant:{name}")
    if name == step.holdout:
        walk.step = len(walk.flow.steps)


# --- saying, asking and keeping -------------------------------------------------------------------------------------------------------


def _say(walk: Walk, step: Say) -> None:
    text = step.say or step.variants.get(walk.variant or "") or next(iter(step.variants.values()))
    told(walk, text, step.media, short=step.short, choices=bool(step.choices), cards=cards_of(walk, step), over=step.over)


def _ask(walk: Walk, step: Ask) -> bool:
    """Asks, unless the answer is known already."""
    if (name := step.ask.removeprefix("profile.")) != step.ask and walk.profile.get(name):
        go(walk, *_leads(step, walk.profile[name], "known"))
        return False
    given = walk.found.get(step.entity) if step.entity else None
    if given is not None and (value := answer(walk, step, given, None)) is not None:
        keep(walk, step, value)
        go(walk, *_leads(step, value, "known"))
        return False
    walk.shown = told(walk, step.say, short=step.short, choices=bool(step.choices))[:SHOWN]
    waiting_for_answer(walk, step)
    return True


def waiting_for_answer(walk: Walk, step: Ask) -> None:
    """The walk waits for a reply; with `within`, also for the time to be over, counted from the first asking."""
    walk.waits, origin = "reply", walk.origin
    if step.within is None:
        return
    if walk.tries and origin is not None and origin.token is not None:
        walk.token, walk.due = origin.token, origin.due
    else:
        walk.token, walk.due = walk.mint(), walk.scene.at + step.within


def answer(walk: Walk, step: Ask, text: str, tapped: str | None) -> str | None:
    """The answer as it is kept, or None when it does not fit."""
    return fitting(step, text, tapped, walk.scene.location, walk.scene.local, walk.shelf.region)


def keep(walk: Walk, step: Ask, value: str) -> None:
    """Keeps an answer where the step says."""
    name = step.ask.removeprefix("profile.")
    if name != step.ask:
        walk.profile = {**walk.profile, name: value}
    walk.slots[name] = value


def _leads(step: Ask, value: str, way: str) -> tuple[str | None, str]:
    """Where an answer leads, and by which way: that of its choice, where there are choices."""
    return next(((one.go, f"choice:{one.id}") for one in step.choices if one.id == value), (None, way))


def answered(walk: Walk, step: Ask, value: str) -> Walk:
    """Goes on with the answer. Points of five are a rating, whatever was asked for; on any other scale nobody could add them up."""
    keep(walk, step, value)
    if step.type == "rating" and scale(step) == (WORST, BEST):
        walk.effects.append(Rated(walk.flow.flow, int(value)))
    go(walk, *_leads(step, value, "answer"))
    return walked(walk)


def _set(walk: Walk, step: Set) -> None:
    known = walk.known()
    for name, given in step.set.items():
        group, _, key = name.partition(".")
        value = rendered(walk, given, known).strip()[:KEPT] if isinstance(given, str) else given
        if group == "profile":
            walk.profile = {one: text for one, text in walk.profile.items() if one != key} | ({key: str(value)} if value != "" else {})
        elif value != "":
            walk.slots[key] = value
        else:
            walk.slots.pop(key, None)


def _goal(walk: Walk, step: Goal) -> None:
    at = walk.scene.at
    flow = f"{walk.flow.flow}@{walk.flow.version}"
    walk.effects.append(Watched(
        event=step.goal, flow=flow, step=walk.step_name, place=walk.step, campaign=walk.flow.campaign, variant=walk.variant, since=at, until=at + step.within
    ))  # fmt: skip


def left(walk: Walk) -> Walk:
    """The customer leaves the question: to where the flow says, else it ends with a word."""
    if walk.flow.left is None:
        walk.effects.append(Left())
        return walk
    go(walk, walk.flow.left, "left")
    return walked(walk)


# --- waiting ---------------------------------------------------------------------------------------------------------------------------


def _wait(walk: Walk, step: Wait) -> bool:
    """Waits until the time, unless that has passed already."""
    due = _until(walk, step)
    if due <= walk.scene.at:
        go(walk, step.go, "time")
        return False
    walk.waits, walk.token, walk.due = "else", walk.mint(), due
    return True


def _until(walk: Walk, step: Wait) -> datetime:
    span, moment = step.wait, walk.scene.local
    if span.until is not None:
        moment = _moment(rendered(walk, span.until, walk.known()), moment) - (span.before or timedelta())
    elif span.length is not None:
        # Days by the clock, so that they end at the same time of day; hours and less as they pass, whatever clocks do meanwhile.
        whole = timedelta(days=span.length.days)
        moment = ((moment + whole).astimezone(UTC) + (span.length - whole)).astimezone(moment.tzinfo)
    scores = walk.scene.state.scores
    if span.best_hour and scores is not None and scores.best_hour is not None:
        minute = walk.scene.contact.int % 60  # not all of them in the same second
        moment = daytime.next_within(moment.astimezone(walk.shelf.zone), scores.best_hour, minute, span.days)
    elif span.at is not None or span.days is not None:
        moment = daytime.next_at(moment, span.at, span.days)
    return moment.astimezone(UTC)


def _moment(text: str, near: datetime) -> datetime:
    """The moment that a text says, in ISO 8601; without a zone, or as a date alone, it is the contact's. Raises `Unfilled`."""
    try:
        found = datetime.combine(date.fromisoformat(text.strip()), time()) if len(text.strip()) == 10 else datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Unfilled(f"{text!r} is no date or moment: write it as 2026-11-25 or 2026-11-25T10:00") from error
    return found.replace(tzinfo=near.tzinfo) if found.tzinfo is None else found.astimezone(near.tzinfo)

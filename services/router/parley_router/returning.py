"""What comes of a service's answer, for each kind of step that asks one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from parley.contracts import CallReturned, Content
from parley.templates import Unfilled
from parley_router.conditions import find
from parley_router.saying import KEPT, say
from parley_router.stepping import go, walked
from parley_router.steps import Asking, Booked, Call, Recommend, Reply
from parley_router.walk import CARE, Escalated, Walk
from parley_router.wanting import ask_outside, book, offer

TAKEN, MISSING = 409, 404
FORGOTTEN = "free"
"""The slot that holds the times on offer, while one is chosen."""


def returned(walk: Walk, data: CallReturned) -> Walk:
    """Goes on with what the service said."""
    step = walk.flow.steps[walk.step]
    walk.waits, walk.call, walk.token = "", None, None
    try:
        match step:
            case Call():
                return _called(walk, step, data)
            case Recommend():
                return _recommended(walk, step, data)
            case Booked():
                return _booking(walk, step, data)
            case Reply():
                return _replied(walk, step, data)
            case _:
                return walk  # the file changed under a version, which `versions` refuses: nothing is known of what was asked
    except Unfilled as error:
        return walk.failed(str(error))


def _called(walk: Walk, step: Call, data: CallReturned) -> Walk:
    if data.status == MISSING and step.none is not None:
        return _to(walk, step.none, "none")
    if not _good(data):
        return _failed(walk, step)
    for name, path in step.keep.items():
        value = find(data.body, path) if isinstance(data.body, dict | list) else None
        group, _, key = name.partition(".")
        if value is None:
            continue
        if group == "profile":
            walk.profile = {**walk.profile, key: str(value)[:KEPT]}
        else:
            walk.slots[key] = value[:KEPT] if isinstance(value, str) else value
    return _to(walk, None)


def _recommended(walk: Walk, step: Recommend, data: CallReturned) -> Walk:
    if not _good(data) and data.status != MISSING:
        return _failed(walk, step)
    items = [one for one in _listed(data.body, "items") if one.get("title")][: step.count]
    if items:
        walk.slots[step.keep] = items
        return _to(walk, None)
    walk.slots.pop(step.keep, None)
    return _to(walk, step.none, "none")


def _booking(walk: Walk, step: Booked, data: CallReturned) -> Walk:
    if walk.phase == "booking":
        return _booked(walk, step, data)
    if not _good(data) and data.status != MISSING:
        return _failed(walk, step)
    free = [_time(one, walk) for one in _listed(data.body, "slots") if one.get("id") and (one.get("start") or one.get("title"))][: step.count]
    return offer(walk, step.again if walk.tries and step.again else step.say, free) if free else _to(walk, step.none, "none")


def _booked(walk: Walk, step: Booked, data: CallReturned) -> Walk:
    if data.status == TAKEN and walk.tries < step.tries:
        walk.tries += 1
        ask_outside(walk, step)
        return walk
    if not _good(data):
        return _failed(walk, step)
    made = data.body if isinstance(data.body, dict) else {}
    wanted = walk.slots.get("booking")
    walk.slots["booking"] = {**(wanted if isinstance(wanted, dict) else {}), **{key: made[key] for key in ("id", "start", "title") if made.get(key)}}
    walk.slots.pop(FORGOTTEN, None)
    return _to(walk, None)


def chosen(walk: Walk, step: Booked, choice: Mapping[str, Any]) -> Walk:
    """The customer chose one of the free times: books it."""
    walk.slots["booking"] = dict(choice)
    try:
        return book(walk, step, str(choice["id"]))
    except Unfilled as error:
        return walk.failed(str(error))


def _replied(walk: Walk, step: Reply, data: CallReturned) -> Walk:
    """What the language model said, where its quotes stand in the FAQ: the caller has judged that."""
    text = find(data.body, "text") if isinstance(data.body, dict) else None
    if _good(data) and isinstance(text, str) and text.strip():
        walk.known_now = True
        say(walk, Content(text=text.strip()[:4096]))
        return _to(walk, None)
    return _to(walk, step.otherwise, "otherwise") if step.otherwise else _to_people(walk)


def _to(walk: Walk, target: str | None, way: str = "next") -> Walk:
    go(walk, target, way)
    return walked(walk)


def _failed(walk: Walk, step: Asking) -> Walk:
    """The service's last try failed: to where the step says, else to a person."""
    return _to(walk, step.failed, "failed") if step.failed else _to_people(walk)


def _to_people(walk: Walk) -> Walk:
    walk.effects.append(Escalated(CARE, walk.flow.flow, told=False))
    return walk


def _good(data: CallReturned) -> bool:
    return data.error is None and data.status is not None and 200 <= data.status < 300


def _listed(body: Any, name: str) -> Sequence[Mapping[str, Any]]:
    found = body.get(name) if isinstance(body, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _time(one: Mapping[str, Any], walk: Walk) -> dict[str, str]:
    """A free time with a title to read: the service's own, else its start in the contact's zone and language."""
    start = str(one.get("start") or "")
    title = str(one.get("title") or "")
    if not title:
        try:
            moment = datetime.fromisoformat(start)
            local = moment.astimezone(walk.scene.local.tzinfo) if moment.tzinfo else moment
            title = walk.scene.book.texts.render("{{ start | moment }}", {"start": local.isoformat(), "language": walk.language}, local.tzinfo)
        except (ValueError, Unfilled):
            title = start
    return {"id": str(one["id"])[:200], "start": start, "title": title[:KEPT]}

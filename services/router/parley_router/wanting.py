"""What a walk asks services for: the request with its values filled in, and the wait for its answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from parley.contracts import Content
from parley.filters import Encoded
from parley_router.language import spoken
from parley_router.saying import rendered, say
from parley_router.state import Wanted
from parley_router.steps import Booked, Call, Recommend, Reply, Text
from parley_router.walk import Walk, choices_of


def ask_outside(walk: Walk, step: Call | Recommend | Booked | Reply) -> bool:
    """Waits for what a service answers; it comes back as an event."""
    known = walk.known()
    match step:
        case Call():
            wanted = Wanted(
                kind="http", service=step.call, method=step.method, path=_path(walk, step.path, known), body=_body(walk, step.body, known)
            )
        case Recommend():
            wanted = Wanted(kind="http", service=step.recommend, path=_path(walk, step.path, known))
        case Booked():
            wanted, walk.phase = Wanted(kind="http", service=step.book, path=_path(walk, step.path, known)), "free"
        case Reply():
            wanted = Wanted(kind="answer", text=walk.text, language=walk.language)
    wait_for(walk, wanted)
    return True


def wait_for(walk: Walk, wanted: Wanted) -> None:
    """The walk waits for the answer to this."""
    walk.waits, walk.token, walk.call = "else", walk.mint(), wanted


def book(walk: Walk, step: Booked, slot: str) -> Walk:
    """Books the time that was chosen."""
    path = step.book_path or step.path.partition("?")[0]
    body = {"slot": slot, "contact": str(walk.scene.contact), "profile": dict(walk.profile)}
    walk.phase = "booking"
    wait_for(walk, Wanted(kind="http", service=step.book, method="POST", path=_path(walk, path, walk.known()), body=body))
    return walk


def offer(walk: Walk, text: Text, free: Sequence[Mapping[str, Any]]) -> Walk:
    """Shows the free times as choices, and waits for one."""
    walk.slots["free"], walk.phase = list(free), "choosing"
    words = spoken(text, walk.language, walk.shelf.languages)
    walk.shown = rendered(walk, words, walk.known() if "{" in words else {})
    say(walk, Content(text=walk.shown, choices=choices_of([(str(one["id"]), str(one["title"])) for one in free])))
    walk.waits = "reply"
    return walk


def _path(walk: Walk, path: str, known: Mapping[str, Any]) -> str:
    """The path, with every value in it quoted: what a customer says never becomes a path of its own."""
    return rendered(walk, path, _quoted(known))[:2000] if "{" in path else path


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return Encoded(quote(value, safe=""))
    if isinstance(value, Mapping):
        return {key: _quoted(one) for key, one in value.items()}
    return [_quoted(one) for one in value] if isinstance(value, list | tuple) else value


def _body(walk: Walk, body: Any, known: Mapping[str, Any]) -> Any:
    """The body with its texts filled in; all else stays as it is."""
    if isinstance(body, str):
        return rendered(walk, body, known)
    if isinstance(body, dict):
        return {key: _body(walk, one, known) for key, one in body.items()}
    return [_body(walk, one, known) for one in body] if isinstance(body, list) else body

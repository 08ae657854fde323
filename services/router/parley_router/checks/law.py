"""What the law asks of what a flow says on its own for marketing: how to leave it, and in Korean that it is an advertisement. Pure.

Sources: 정보통신망법 제50조 and its decree (정보통신망법 시행령 별표 6): (광고) at the beginning, how to refuse free of charge at the end; CTIA Messaging
Principles and Best Practices: every programme says how to opt out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from parley.contracts import Purpose
from parley.optwords import OPT_OUT
from parley_router.checks.around import Around
from parley_router.checks.complaint import Complaint, Place
from parley_router.checks.texts import texts_of
from parley_router.flow import Flow
from parley_router.steps import AnyStep, Ask, Say, Text, Wait, falls_through, targets

ADVERTISEMENT = "(광고)"
_LEAVE = re.compile("|".join(rf"(?<![a-z]){re.escape(one)}(?![a-z])" for one in sorted(OPT_OUT, key=len, reverse=True)), re.IGNORECASE)


def complaints(flow: Flow, _: Around) -> Iterator[Complaint]:
    """Of a flow for marketing that begins by itself: what it says before the customer has said a word."""
    if flow.purpose is not Purpose.MARKETING or not flow.start.own:
        return
    for where, text in _unasked(flow):
        for language, words in text.items():
            if not _LEAVE.search(words):
                told = "수신거부" if language == "ko" else "STOP"
                yield Complaint((*where, language), f"marketing must say how to leave it, as with {told}; the law asks it of every message")
            if language == "ko" and not words.lstrip().startswith(ADVERTISEMENT):
                yield Complaint((*where, language), f"marketing in Korean begins with {ADVERTISEMENT} (정보통신망법 제50조)")


def _unasked(flow: Flow) -> Iterator[tuple[Place, Text]]:
    """The texts of the steps that are reached before any answer."""
    open_, seen = [0], set[int]()
    while open_:
        place = open_.pop()
        if place in seen or place >= len(flow.steps):
            continue
        seen.add(place)
        step = flow.steps[place]
        if isinstance(step, Ask):
            open_ += [index for index in [flow.index(step.late or "")] if index is not None]
            continue
        answered = step.reply.go if isinstance(step, Wait) and step.reply else None
        open_ += [index for one in targets(step) if one != answered and (index := flow.index(one)) is not None]
        open_ += [place + 1] if falls_through(step) else []
    for place in sorted(seen):
        yield from ((("steps", place, *where), text) for where, text in _said(flow.steps[place]))


def _said(step: AnyStep) -> Iterator[tuple[Place, Text]]:
    """What a step says first: no second tries, for those answer."""
    if isinstance(step, Say | Ask):
        yield from ((where, text) for where, text in texts_of(step) if where[0] in ("say", "short", "variants"))

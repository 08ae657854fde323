"""From a batch of events to conversations: the first time of each step, and what was told of it first or last. Pure.

Gathering takes least and greatest values alone, so a batch may hold repeats, be in any order and be cut anywhere, as the facts of messages may.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from parley.channels.text import storable
from parley.contracts import ConversationChanged, Envelope
from parley_analytics.moments import representable

TIMES = ("opened_at", "answered_at", "escalated_at", "assigned_at", "replied_at", "resolved_at", "closed_at", "overdue_at", "rated_at")
"""The times of a conversation, in the order of the statement's arguments."""
CLOSED = TIMES.index("closed_at")
STEPS = {name.removesuffix("_at"): index for index, name in enumerate(TIMES) if index != CLOSED}
"""Which time a change is the time of."""

DIMENSIONS = ("channel", "flow", "team", "agent")
"""What conversations are counted by. The channel and the flow are those told first, for there it began; team and agent those told last, who ended it."""
SAID = (*DIMENSIONS, "score")
"""What may be told several times, in the order of the statement's arguments."""
FIRST = ("channel", "flow")
LONGEST = 200
"""Characters that are kept of a name: it stands in the key of an index."""
SCORES = range(1, 6)
"""Of a rating; with any other number nothing was told."""


class Told(NamedTuple):
    """What was said, and when: of several the least or the greatest counts, ties by what is said, never by arrival."""

    at: datetime
    said: str


@dataclass(slots=True)
class Talk:
    """What a batch says of one conversation."""

    tenant: str
    times: list[datetime | None] = field(default_factory=lambda: [None] * len(TIMES))
    said: dict[str, Told] = field(default_factory=dict)

    def happened(self, index: int, at: datetime) -> None:
        known = self.times[index]
        if known is None or at < known:
            self.times[index] = at

    def told(self, name: str, told: Told) -> None:
        known = self.said.get(name, told)
        self.said[name] = min(known, told) if name in FIRST else max(known, told)


def gather(events: Iterable[Envelope]) -> dict[UUID, Talk]:
    """What a batch says of conversations; all else in it leaves no trace."""
    found: dict[UUID, Talk] = {}
    for event in events:
        if isinstance(event.data, ConversationChanged) and (event.data.change != "rated" or event.data.score in SCORES):
            changed(found.setdefault(event.data.conversation_id, Talk(event.tenant)), event.data)
    return found


def changed(talk: Talk, data: ConversationChanged) -> None:
    """One step of the conversation. Who did what a person does is a person, also where `by` is missing, as in what was told before there was one."""
    at = representable(data.at)
    if data.change == "resolved" and (data.by or ("person" if data.agent else "system")) != "person":
        talk.happened(CLOSED, at)
    else:
        talk.happened(STEPS[data.change], at)
    if data.change == "rated":
        talk.told("score", Told(at, str(data.score)))
    for name in DIMENSIONS:
        if said := storable(getattr(data, name) or "")[:LONGEST]:
            talk.told(name, Told(at, said))

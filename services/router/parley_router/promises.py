"""What a team promises to who waits for a person: when it is overdue, told once. Pure."""

from __future__ import annotations

from parley.contracts import Purpose
from parley.wire import caused_id
from parley_router.state import Promised
from parley_router.turn import Turn

TOKEN = 99_997
"""The place of the promise among the ids of what an event causes."""


def made(turn: Turn, team: str) -> Promised | None:
    """Until when a person of the team is to answer who is handed over now; None where it promises nothing."""
    promise = turn.shelf.teams.get(team)
    if promise is None:
        return None
    return Promised(token=str(caused_id(turn.event.id, TOKEN)), due=promise.due(turn.at, turn.shelf.zone))


def broken(turn: Turn, token: str) -> bool:
    """Whether it is the time of the promise that has come; then nobody answered, and it is told as of that time. Who wants no answer any more waits for none."""
    current, promised = turn.state.conversation, turn.state.promised
    if current is None or promised is None or promised.token != token:
        return False
    turn.update(conversation=current.but(promised=None))
    if turn.state.channel is None or not turn.state.refuses(turn.state.channel, Purpose.REPLY):
        turn.changed("overdue", at=promised.due, team=current.team)
    return True

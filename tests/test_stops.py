"""Who said stop, as a process hears it: what it cannot know it takes for a stop."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_sender import stops
from parley_sender.stops import BEAT, FROZEN, Stops

T0 = datetime(2026, 11, 26, 8, tzinfo=UTC)
SOMEBODY, ANOTHER = UUID(int=1), UUID(int=2)
people = st.integers(0, 9).map(lambda number: UUID(int=number))


def listening() -> Stops:
    one = Stops()
    one.listens(0.0)
    return one


def said(one: Stops, who: UUID, asked_at: float) -> bool:
    return one.said(asked_at, lambda: [who])


@given(heard=st.lists(people, max_size=40), asked=st.integers(0, 40), who=people, kept=st.integers(1, 5))
def test_no_stop_is_denied(heard, asked, who, kept):
    """However few are remembered, who stopped since the question was asked is known to have; and nobody is for ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stops, "KEPT", kept)
        one = listening()
        for moment, someone in enumerate(heard, 1):
            one.hear(someone, float(moment))

    if who in heard[max(0, asked - 1) :]:
        assert said(one, who, float(asked))
    assert not said(one, who, len(heard) + 0.5)


def test_who_did_not_say_stop_is_not_taken_for_one():
    """Nor who did before the gate was asked."""
    one = listening()
    one.hear(SOMEBODY, 2.0)

    assert [True, False, False] == [said(one, SOMEBODY, 1.0), said(one, ANOTHER, 1.0), said(one, SOMEBODY, 2.1)]


def test_nobody_listens_before_it_does():
    """A process that has just come knows of nobody what they want."""
    one = Stops()
    before = said(one, SOMEBODY, 1.0)
    one.listens(2.0)

    assert [True, True, False] == [before, said(one, SOMEBODY, 1.0), said(one, SOMEBODY, 2.1)]


@pytest.mark.parametrize("told", ["", "?", f"{ANOTHER} x"], ids=["too many to be named", "unreadable", "cut short"])
def test_a_word_that_names_nobody_may_mean_everybody(told):
    """Until it came; while nobody listens it says nothing new."""
    one, deaf = listening(), Stops()
    one.told(told, 2.0)
    deaf.told(told, 2.0)

    assert [True, False, True] == [said(one, SOMEBODY, 1.0), said(one, SOMEBODY, 2.1), said(deaf, SOMEBODY, 2.1)]


def test_a_word_that_names_some_means_them():
    """One or many."""
    one = listening()
    one.told(f"{SOMEBODY} {UUID(int=3)}", 2.0)

    assert [True, False, True] == [said(one, UUID(int=number), 1.0) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "loop, wall, missed",
    [(BEAT, BEAT, False), (BEAT + FROZEN, BEAT + FROZEN, False), (BEAT + FROZEN + 0.01, 0.0, True), (0.0, 60.0, True), (BEAT, -3600.0, False)],
    ids=["in time", "late", "frozen", "asleep", "set back"],
)
def test_a_late_sign_of_life(loop, wall, missed):
    """By either clock: what was asked before it is asked again, what is asked from then on is not."""
    one = listening()
    one.beat(1.0, T0)
    one.beat(1.0 + loop, T0 + timedelta(seconds=wall))

    assert [missed, False] == [said(one, SOMEBODY, 0.9), said(one, SOMEBODY, 1.1 + loop)]

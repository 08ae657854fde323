"""What a lane does by its circuit, with values alone: how many messages it may claim, what a call's end changes, and when what waits takes another way."""

from datetime import UTC, datetime, timedelta

import pytest

from parley.config import Config
from parley.failures import Outcome
from parley.policies import Policies
from parley_sender.breaker import FIRST, ROW
from parley_sender.circuit import Circuit
from parley_sender.law import Law
from parley_sender.packs import Packs

T0 = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
WELL, ILL = Outcome("accepted"), Outcome("transient", "503")


def circuit(failures: int = 0) -> Circuit:
    one = Circuit("a", Law(Config({}, {}), Policies(), Packs({})))
    for _ in range(failures):
        one.judged(ILL, T0, T0)
    return one


def test_it_says_once_that_it_opened():
    """The failure before said nothing; nor does one that began before it opened and ends afterwards."""
    one = circuit(ROW - 2)
    said = [one.judged(ILL, T0, T0) for _ in range(3)]

    assert ([False, True, False], FIRST.total_seconds(), T0 + FIRST) == (said, one.shut(T0), one.until)


def test_a_trial_that_goes_well_closes_it():
    """Which is said too; then nothing is shut and nothing stands in the row."""
    one, later = circuit(ROW), T0 + FIRST
    one.breaker.leaves(later)

    assert (True, 0.0, None) == (one.judged(WELL, later, later), one.shut(later), one.until)


@pytest.mark.parametrize(
    "failures, claimed, seconds, room",
    [(0, 0, 0, 10), (0, 4, 0, 6), (ROW, 0, 0, 0), (ROW, 4, 0, 0), (ROW, 0, 5, 1), (ROW, 4, 5, 0)],
)
def test_half_open_one_message_is_claimed_when_nothing_is_under_way(failures, claimed, seconds, room):
    """Closed, as many as there is room for; open, none."""
    assert room == circuit(failures).room(T0 + timedelta(seconds=seconds), claimed, 10)


def test_what_its_row_says_is_taken_on():
    """Whoever takes the lane over leaves the provider alone for as long as who had it before, and then tries it with one message."""
    one, until = circuit(), T0 + timedelta(seconds=40)
    one.begin(until)

    assert (40.0, 0, 1) == (one.shut(T0), one.room(T0, 0, 10), one.room(until, 0, 10))


@pytest.mark.parametrize("failures, seconds, moves", [(0, 0, False), (ROW, 0, True), (ROW, 5, False)])
def test_what_waits_takes_another_way_while_it_is_open(failures, seconds, moves):
    """Half open it waits for the trial's end."""
    assert moves is circuit(failures).moves(T0 + timedelta(seconds=seconds), 0.0)

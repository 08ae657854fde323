"""The circuit of an account, with values alone: when it opens, what leaves while it is open, when it closes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.failures import Outcome
from parley_sender.breaker import FIRST, LEAST, LONGEST, ROW, TRIAL, WINDOW, Breaker, health
from parley_sender.outcome import FAULT

T0 = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
WELL, ILL = Outcome("accepted"), Outcome("transient", "503")
SECOND = timedelta(seconds=1)


def opened(failures: int = ROW) -> Breaker:
    one = Breaker()
    for _ in range(failures):
        one.note(ILL, T0)
    return one


def tried(one: Breaker, outcome: Outcome, now: datetime) -> Breaker:
    """A trial leaves and ends."""
    one.leaves(now)
    one.note(outcome, now, now)
    return one


@pytest.mark.parametrize(
    "outcome, said",
    [
        (WELL, "well"),
        (ILL, "ill"),
        (Outcome("transient", "unreachable"), "ill"),
        (Outcome("permanent", "20003", scope="account"), "ill"),
        (Outcome("unknown"), "ill"),
        (Outcome("permanent", "21211"), "well"),
        (Outcome("permanent", "131026", scope="recipient"), "well"),
        (Outcome("opted_out", "21610"), "well"),
        (Outcome("throttled", "429"), None),
        (Outcome("unknown", FAULT), None),
    ],
)
def test_what_a_call_says_of_the_account(outcome, said):
    """An answer about one message shows that the provider works; a 429 and a fault of ours say nothing."""
    assert said == health(outcome)


def test_it_opens_after_failures_in_a_row():
    """One fewer does not open it, nor as many with an answer between."""
    between = opened(ROW - 1)
    between.note(WELL, T0)
    between.note(ILL, T0)

    assert (None, None, T0 + FIRST) == (opened(ROW - 1).opens_until(T0), between.opens_until(T0), opened().opens_until(T0))


def test_it_opens_where_half_of_the_calls_fail():
    """Of enough calls within the window; those before it are forgotten."""

    def after(count: int, every: timedelta) -> datetime | None:
        one = Breaker()
        for place in range(count):
            one.note(ILL if place % 2 else WELL, T0 + place * every)
        return one.until

    assert (None, T0 + FIRST, None) == (after(LEAST - 2, 0 * SECOND), after(LEAST, 0 * SECOND), after(2 * LEAST, WINDOW / (LEAST - 2)))


def test_throttling_never_opens_it():
    """However often a provider asks for a pause."""
    one = Breaker()
    for _ in range(100):
        one.note(Outcome("throttled", "429"), T0)

    assert None is one.room(T0)


def test_after_its_time_one_message_is_the_trial():
    """Nothing before it, one then, and none beside it until it is over."""
    one, then = opened(), T0 + FIRST
    before, at = one.room(then - SECOND), one.room(then)
    one.leaves(then)

    assert (0, 1, 0) == (before, at, one.room(then + SECOND))


@pytest.mark.parametrize("outcome", [WELL, Outcome("permanent", "21211"), Outcome("throttled", "429")])
def test_an_answer_to_the_trial_closes_it(outcome):
    """Also one about the message alone."""
    one = tried(opened(), outcome, T0 + FIRST)

    assert (None, None) == (one.room(T0 + FIRST), one.until)


def test_a_trial_that_fails_opens_it_for_twice_as_long():
    """Up to the longest; once it closed, it begins anew."""
    one, now, pauses = opened(), T0 + FIRST, []
    for _ in range(10):
        tried(one, ILL, now)
        pauses.append(one.until - now)
        now = one.until
    tried(one, WELL, now)
    for _ in range(ROW):
        one.note(ILL, now)

    assert ([2 * FIRST, 4 * FIRST], LONGEST, FIRST) == (pauses[:2], pauses[-1], one.until - now)


def test_calls_from_before_say_nothing_of_an_open_circuit():
    """Neither their success nor their failure; that of the trial does."""
    one = opened()
    one.note(WELL, T0 + SECOND, T0)
    one.leaves(T0 + FIRST)
    one.note(WELL, T0 + FIRST + SECOND, T0 - SECOND)

    assert (T0 + FIRST, 0) == (one.until, one.room(T0 + FIRST + SECOND))


def test_a_trial_that_never_ends_is_forgotten():
    """Its process ended with it, or it was called back."""
    one, then = opened(), T0 + FIRST
    one.leaves(then)
    back = opened()
    back.leaves(then)
    back.stayed()

    assert (0, 1, 1) == (one.room(then + TRIAL - SECOND), one.room(then + TRIAL), back.room(then))


def test_who_takes_a_lane_over_finds_its_circuit_open():
    """As the lane's row says."""
    one = Breaker(until=T0 + SECOND)

    assert (0, 1) == (one.room(T0), one.room(T0 + SECOND))


steps = st.lists(st.tuples(st.sampled_from(["leave", "well", "ill", "throttled", "wait"]), st.integers(0, 10)), max_size=200)


@given(steps)
def test_no_order_of_events_lets_more_than_the_trial_through(steps):
    """While it is open, of the calls that began since it opened at most one is under way; it never opens by a success, nor closes by a failure."""
    one, now, opened_at, calls = Breaker(), T0, T0, []
    for what, number in steps:
        now += timedelta(milliseconds=1)
        before = one.until
        if what == "wait":
            now += number * SECOND
        elif what == "leave" and one.room(now) != 0:
            one.leaves(now)
            calls.append(now)
        elif what in ("well", "ill", "throttled") and calls:
            one.note({"well": WELL, "ill": ILL, "throttled": Outcome("throttled")}[what], now, calls.pop(number % len(calls)))
            assert not (what != "ill" and before is None and one.until is not None)
            assert not (what == "ill" and before is not None and one.until is None)
        opened_at = now if one.until != before else opened_at
        if one.until is not None:
            assert 1 >= sum(1 for began in calls if opened_at < began and began > now - TRIAL)
            assert one.room(now) in (0, 1)

"""A lane that one replica leaves to another: the next one goes on in the same second, and no window sees more than the rate."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels.shape import Account
from parley.config import Config, Limit
from parley.contracts import Channel
from parley_sender.bucket import GUARD, Bucket
from parley_sender.handover import packed, unpacked
from parley_sender.limits import Limits
from parley_sender.pace import Leaving, Pace

RATE = 20
LIMITS = {"pool": Limit(15.0, 1, 1.0)}


def account(name: str = "a", *limits: str) -> Account:
    return Account(name, "t", "plain", Channel.INAPP, "+1", rate=float(RATE), limits=limits)


def fullest(times: list[float]) -> int:
    return max((bisect_left(times, at + 1.0) - place for place, at in enumerate(times)), default=0)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.2)), min_size=1, max_size=12))
def test_no_window_passes_the_rate_however_often_a_lane_moves(holders):
    """Each holder sends some as fast as it may; writing it down, the time between and reading it take what they take, and every process has a clock of its own."""
    limits = Limits(Config({}, {}))
    real, pace, sent = 0.0, limits.pace(account(), 0.0), []
    for place, (count, writing, between, reading) in enumerate(holders):
        clock = 1000.0 * place
        for _ in range(count):
            real = pace.at(1, real + clock) - clock
            pace.take(1, "u", True, real + clock)
            sent.append(real)
        told = packed(limits.handing(f"{place}", pace, account(), real + clock))
        real += writing  # PostgreSQL's clock is read at the end of this
        ago, real = between, real + between + reading
        limits = Limits(Config({}, {}))
        clock = 1000.0 * (place + 1)
        pace = limits.pace(account(), real + clock, (), unpacked(told, real + clock - ago))

    assert fullest(sent) <= RATE


def test_who_takes_over_in_order_waits_for_no_empty_second():
    """At a slow rate nothing left lately: the next message leaves at once; of a holder that died nobody knows that."""
    pace = Limits(Config({}, {})).pace(account(), 0.0)
    told = packed(Limits(Config({}, {})).handing("h", pace, account(), 50.0))

    assert 0.3 == Limits(Config({}, {})).pace(account(), 0.3, (), unpacked(told, 0.1)).at(1, 0.3)
    assert 1.3 + GUARD == pytest.approx(Limits(Config({}, {})).pace(account(), 0.3).at(1, 0.3))


def test_a_pause_and_a_slower_pace_go_along():
    """What the provider asked for is asked of the lane, not of the process."""
    pace = Limits(Config({}, {})).pace(account(), 0.0)
    pace.throttled(50.0, 5.0)
    other = Limits(Config({}, {})).pace(account(), 900.0, (), unpacked(packed(Limits(Config({}, {})).handing("h", pace, account(), 51.0)), 899.0))

    assert 903.0 == other.at(1, 900.0)
    assert 0.5 * RATE == pytest.approx(other.own.speed(903.0))


def test_a_shared_limit_comes_with_the_first_of_its_lanes_and_keeps_what_leaves_since():
    """Both bring the same; when the second is taken, what the first has sent meanwhile is not forgotten."""
    config = Config({}, {}, limits=LIMITS)
    before, one, two = Limits(config), account("a", "pool"), account("b", "pool")
    paces = [before.pace(one, 0.0), before.pace(two, 0.0)]
    for place in range(10):
        paces[place % 2].take(1, "u", True, 50.0 + place / 100)
    told = [packed(before.handing("h", pace, of, 50.1)) for pace, of in zip(paces, (one, two), strict=True)]

    after = Limits(config)
    first = after.pace(one, 80.0, (), unpacked(told[0], 79.9))
    for _ in range(5):
        first.take(1, "u", True, 80.0)
    second = after.pace(two, 80.1, (), unpacked(told[1], 80.0))

    assert first.shared[0] is second.shared[0]
    assert second.shared[0].at(1, 80.1) > 80.8


def test_what_is_written_late_is_counted_when_it_is_written():
    """The loop writes at the end of its round; the buckets know the moment after it."""
    pace = Pace(Bucket(10.0))
    for _ in range(10):
        pace.take(1, "u", True, 0.0)
    for _ in range(10):
        leaving = Leaving(pace, 1, 0.0)
        leaving.noted(0.001)
        leaving.noted(0.3)
        leaving.noted(0.3005)

    assert 1.3 + GUARD == pytest.approx(pace.own.at(1, 1.2))

"""The pace of a lane: no window sees more than the rate, a backlog uses it, and whoever takes over begins empty."""

from bisect import bisect_left
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_sender.bucket import GUARD, Bucket
from parley_sender.pace import Pace, Pairs, Recipients
from tests.governed.audit import possible

rates = st.one_of(st.integers(1, 300).map(float), st.floats(0.4, 300))
delays = st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 5)), max_size=80)


def sent(bucket: Bucket, delays: list[tuple[float, int]], now: float = 0.0) -> list[tuple[float, int]]:
    """What leaves when each is asked for a while after the one before, and a late loop sends it when it may."""
    found = []
    for wait, units in delays:
        now = max(now + wait / 10, bucket.at(units, now))
        now += wait / 20  # the loop woke late
        now = bucket.at(units, now)
        bucket.take(units, now)
        found.append((now, units))
    return found


def most_in(window: float, found: list[tuple[float, int]]) -> int:
    """Units in the fullest window of this length that begins with a send."""
    times = [at for at, _ in found]
    return max((sum(units for _, units in found[place : bisect_left(times, at + window)]) for place, at in enumerate(times)), default=0)


@given(rates, st.integers(1, 300), delays)
def test_no_sliding_second_sees_more_than_the_rate(rate, burst, delays):
    """However it is asked, however late it wakes, whatever the burst: but for one message that alone is more."""
    bucket = Bucket.empty(rate, burst, 1.0, 0.0)
    found = sent(bucket, delays)

    assert most_in(1.0, found) <= max(bucket.most, max((units for _, units in found), default=0))
    assert most_in(1.0, found) <= rate + max(1, *(units for _, units in found), 0) if found else True


@given(st.integers(1, 60), st.integers(1, 60), delays)
def test_no_sliding_minute_sees_more_than_a_rate_by_the_minute(a_minute, burst, delays):
    """The window is the one that the rate is written in."""
    bucket = Bucket.empty(a_minute / 60, burst, 60.0, 0.0)
    found = sent(bucket, [(wait * 60, 1) for wait, _ in delays])

    assert most_in(60.0, found) <= a_minute


@pytest.mark.parametrize("rate, burst", [(3, 1), (10, 10), (100, 1), (100, 100), (250, 5)])
def test_a_backlog_uses_the_rate(rate, burst):
    """0.97 of it at least, by a loop that now and then stands still for up to a fifth of a second."""
    chance, bucket, now, count = Random(7), Bucket.empty(rate, burst, 1.0, 0.0), 1.0, 0
    still = chance.expovariate(0.5)
    while now < 301:
        now = bucket.at(1, now) + chance.uniform(0, 0.002)
        if now > still:
            now, still = max(now, still + chance.uniform(0, 0.2)), now + chance.expovariate(0.5)
        now = bucket.at(1, now)
        bucket.take(1, now)
        count += 1

    assert 0.97 * rate * 300 <= count <= rate * 300 + 1


def test_messages_of_several_units_use_what_their_order_allows():
    """One to three units at ten a second, beside replies: a second that the next does not fit in is not lost twice."""
    chance, bucket, now, sent = Random(1), Bucket.empty(10.0, 1, 1.0, 0.0), 1.1, []
    while now < 301:
        units = chance.choice((1, 2, 3))
        now = bucket.at(units, now)
        bucket.take(units, now, even=True)
        sent.append(units)

    assert sum(sent) / 3000 >= 0.985 * possible(sent, 10)


def test_beside_replies_a_standstill_does_not_come_again_each_second():
    """The rush after it is spread out, but for a hole that harms nobody; without replies all is made up for."""

    def longest_wait(replying: bool) -> float:
        pace, now, left = Pace(Bucket.empty(100, 1, 1.0, 0.0)), 1.1, [0.0]
        while now < 10:
            now = max(pace.at(1, now), 3.2 if now >= 3.0 else now)
            pace.take(1, "+1", not replying, now)
            left.append(now)
        return max(later - sooner for sooner, later in pairwise(left) if sooner > 5)

    assert longest_wait(True) < 0.06 < 0.15 < longest_wait(False)


def test_beside_replies_a_small_hole_closes_by_and_by():
    """Some hundredths of a second in which nothing left do not come again each second for ever: the rate pays for them once, in the seconds after."""
    pace, now, left = Pace(Bucket(100, 1)), 0.0, [0.0]
    while now < 60:
        now = pace.at(1, now)
        now += 0.028 if left[-1] < 3 <= now else 0
        pace.take(1, "+1", False, now)
        left.append(now)

    waits = [(later, later - sooner) for sooner, later in pairwise(left)]
    assert max(wait for at, wait in waits if 4 < at < 5) > 0.025
    assert max(wait for at, wait in waits if at > 10) <= 0.0202
    assert len(left) >= 60 * 100 / (1 + GUARD) - 5


def test_a_takeover_begins_empty():
    """The last holder may have spent the whole second: whatever it sent, the next leaves where no window sees too much."""
    bucket = Bucket.empty(10, 10, 1.0, 100.0)

    assert bucket.at(1, 100.0) == pytest.approx(101.0 + GUARD)


def test_of_an_hour_it_is_known_what_was_sent():
    """Who takes over counts it in, and waits no hour."""
    rate = 4 / 3600
    full, free = (Bucket.empty(rate, 4, 3600.0, 5000.0, [(4000.0 + place, 1) for place in range(count)]) for count in (4, 1))

    assert full.at(1, 5000.0) == pytest.approx(7600.0 + GUARD)
    assert free.at(1, 5000.0) == pytest.approx(5900.0)


def test_a_429_pauses_and_the_rate_grows_back():
    """Nothing within the pause; half the rate after it; all of it later. Many at once count as one."""
    pace = Pace(Bucket(100.0, 1))
    pace.throttled(1.0, 5.0)
    pace.throttled(1.1, None)

    assert pace.at(1, 2.0) == 6.0
    assert pace.own.speed(6.0) == pytest.approx(0.5 * pace.own.speed(100.0))


@given(delays)
def test_all_buckets_must_have_room(delays):
    """Two lanes that share a limit keep to it together, each to its own as well."""
    shared = Bucket.empty(20, 1, 1.0, 0.0)
    lanes = [Pace(Bucket.empty(15, 1, 1.0, 0.0), [shared]) for _ in range(2)]
    now, found = 0.0, ([], [])
    for place, (wait, units) in enumerate(delays):
        now = lanes[place % 2].at(units, now + wait / 20)
        lanes[place % 2].take(units, "a", False, now)
        found[place % 2].append((now, units))

    assert most_in(1.0, sorted(found[0] + found[1])) <= 20
    assert all(most_in(1.0, one) <= 15 for one in found)


def test_one_person_is_not_written_to_too_often():
    """A burst, then one after the other; others do not wait for that."""
    pairs = Pairs(1 / 6, 3)
    for _ in range(3):
        assert pairs.at("a", 10.0) == 10.0
        pairs.take("a", 10.0)

    assert (pairs.at("a", 10.0), pairs.at("b", 10.0)) == (pytest.approx(16.0), 10.0)


def test_so_many_people_a_day_are_written_to_first():
    """Who is among them may get more; the next has to wait until the first is a day ago."""
    people = Recipients(2, 86_400)
    people.take("a", 0.0)
    people.take("b", 100.0)

    assert (people.at("a", 200.0), people.at("c", 200.0)) == (200.0, 86_400.0)
    people.take("a", 200.0)
    assert people.at("c", 300.0) == 86_500.0


def test_what_left_before_a_standstill_may_leave_after_it():
    """It is counted from the end of it; what left well before is not."""
    bucket = Bucket.empty(2, 2, 1.0, -10.0)
    bucket.take(1, 0.0)
    bucket.take(1, 0.5)
    bucket.stood_still(0.45, 3.0)
    bucket.take(1, 3.0)

    assert bucket.at(1, 3.1) == pytest.approx(4.0 + GUARD)

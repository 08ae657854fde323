"""Whose turn it is in a lane: fair between tenants and campaigns, urgent first, with a floor for marketing."""

from collections import Counter
from itertools import islice
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Purpose
from parley_sender.fair import QUANTUM
from parley_sender.queue import FLOOR, Line, Lines, Waiting


def lines(*some: tuple[Purpose, str, str, list[int]]) -> Lines:
    """Lines with these units waiting at their fronts."""
    found = Lines()
    for number, (purpose, tenant, campaign, units) in enumerate(some):
        found.known([Line(number, purpose, tenant, campaign)])
        found.filled(number, [Waiting(uuid4(), number, place, cost) for place, cost in enumerate(units, 1)], 10_000)
    return found


def shares(found: Lines, taken: list[Waiting], by) -> Counter:
    """Units by tenant or campaign."""
    counts = Counter()
    for one in taken:
        counts[by(found.lines[one.line])] += one.units
    return counts


units = st.lists(st.integers(1, 8), min_size=1, max_size=60)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), units), min_size=1, max_size=8), st.integers(1, 200))
def test_tenants_share_alike_as_long_as_they_have_something(some, until):
    """Of any two who still wait neither is ahead by more than a turn and the largest message."""
    found = lines(*[(Purpose.MARKETING, tenant, f"{campaign}{place}", costs) for place, (tenant, campaign, costs) in enumerate(some)])
    taken = list(found.take(until))
    counts = shares(found, taken, lambda line: line.tenant)
    waiting = {line.tenant for line in found.lines.values() if line.front}

    assert all(counts[one] - counts[other] <= QUANTUM + 8 - 1 for one in counts for other in waiting)


@given(st.lists(units, min_size=2, max_size=6), st.integers(1, 200))
def test_campaigns_of_a_tenant_share_alike(some, until):
    """As tenants do among each other."""
    found = lines(*[(Purpose.MARKETING, "a", f"{place}", costs) for place, costs in enumerate(some)])
    counts = shares(found, list(found.take(until)), lambda line: line.campaign)
    waiting = {line.campaign for line in found.lines.values() if line.front}

    assert all(counts[one] - counts[other] <= QUANTUM + 8 - 1 for one in counts for other in waiting)


@given(st.lists(st.tuples(st.sampled_from(list(Purpose)), st.sampled_from("ab"), units), max_size=8))
def test_nothing_is_lost_or_turned_around(some):
    """All are taken once, those of a line in their order, and then it is idle."""
    found = lines(*[(purpose, tenant, str(place), costs) for place, (purpose, tenant, costs) in enumerate(some)])
    found._wet.clear()
    taken = list(found.take(10_000))

    assert sorted((place, len(costs)) for place, (_, _, costs) in enumerate(some)) == sorted(Counter(one.line for one in taken).items())
    assert all(
        [one.place for one in taken if one.line == number] == sorted(one.place for one in taken if one.line == number) for number in found.lines
    )
    assert found.idle


def test_replies_pass_a_campaign():
    """Before transactional, before marketing."""
    found = lines(*[(purpose, "a", "", [1]) for purpose in reversed(Purpose)])

    assert list(Purpose) == [found.lines[one.line].purpose for one in found.take(3)]


@pytest.mark.parametrize("each", [1, 7, 50])
def test_marketing_keeps_its_floor(each):
    """However few leave at a time, a tenth is marketing while replies never end; what leaves by the floor says so."""
    found = lines((Purpose.REPLY, "a", "", [1] * 2000), (Purpose.MARKETING, "a", "x", [1] * 2000))
    taken = [one for _ in range(1000 // each) for one in found.take(each)]
    marketing = [one for one in taken if found.lines[one.line].purpose is Purpose.MARKETING]

    assert len(taken) * FLOOR * 0.95 <= len(marketing) <= len(taken) * FLOOR * 1.05 + 1
    assert all(one.owed for one in marketing)


def test_where_there_is_room_for_the_urgent_alone_nothing_else_is_taken():
    """Then marketing stays where it stands."""
    found = lines((Purpose.MARKETING, "a", "x", [1]), (Purpose.TRANSACTIONAL, "a", "", [1]), (Purpose.REPLY, "a", "", [1]))

    assert [Purpose.REPLY] == [found.lines[one.line].purpose for one in found.take(5, Purpose.REPLY)]
    assert [Purpose.TRANSACTIONAL] == [found.lines[one.line].purpose for one in found.take(5, Purpose.TRANSACTIONAL)]


def test_of_whom_nothing_is_in_hand_takes_its_share_though_others_have_all_of_it():
    """And no turn is paid for that: the others have had theirs."""
    found = lines((Purpose.MARKETING, "large", "x", [1] * 90), (Purpose.MARKETING, "small", "", [1] * 90))
    new = list(found.newcomers(Purpose.MARKETING, 20, {"large": 20, "small": 0}.__getitem__))

    assert {"small": 10} == shares(found, new, lambda line: line.tenant)
    assert {"small": 20, "large": 20} == shares(found, list(found.take(40)), lambda line: line.tenant)


@pytest.mark.parametrize("tenants, units, held", [(1, 20, 0), (2, 20, 1), (21, 20, 0), (2, 1, 0)])
def test_nobody_else_takes_a_share_ahead(tenants, units, held):
    """Not who is alone, nor who has something in hand; where there are more tenants than units each waits for its turn."""
    found = lines(*[(Purpose.MARKETING, str(place), "", [1] * 9) for place in range(tenants)])

    assert [] == list(found.newcomers(Purpose.MARKETING, units, lambda _: held))


def test_what_did_not_leave_stands_where_it_stood():
    """In front of what came after it."""
    found = lines((Purpose.REPLY, "a", "", [1, 1, 1]))
    first = list(islice(found.take(2), 2))
    found.returned(reversed(first))

    assert [1, 2, 3] == [one.place for one in found.take(9)]


def test_a_line_is_read_on_where_it_was_left():
    """Until a reading finds less than was asked for; what comes later stirs it again."""
    found = Lines()
    found.known([Line(7, Purpose.REPLY, "a", "")])
    found.filled(7, [Waiting(uuid4(), 7, 5, 1), Waiting(uuid4(), 7, 9, 1)], 2)
    list(found.take(2))

    assert [(7, 9)] == [(one.number, one.read_to) for one in found.short(9)]
    found.filled(7, [], 2)
    assert ([], True) == (found.short(9), found.idle)
    assert [8] == found.stirred([7, 8])
    assert [7] == [one.number for one in found.short(9)]


def test_what_is_committed_late_is_found():
    """A place is given before its transaction is committed: what comes to stand before what was read already is read when the line is stirred."""
    found = Lines()
    found.known([Line(7, Purpose.REPLY, "a", "")])
    found.short(9)
    found.filled(7, [Waiting(uuid4(), 7, 56, 1)], 8)
    list(found.take(9))
    found.stirred([7])
    (again,) = found.short(9)

    assert again.read_to < 43


def test_what_is_stirred_while_it_is_read_is_read_once_more():
    """The reading may have begun before what was told of was committed."""
    found = Lines()
    found.known([Line(7, Purpose.REPLY, "a", "")])
    (read,) = found.short(9)
    found.stirred([7])
    found.filled(7, [], 8)

    assert [read] == found.short(9)


def test_a_line_that_is_no_more_is_forgotten():
    """Without harm to those that go on, nor to what stands at its front still."""
    found = lines((Purpose.MARKETING, "a", "x", [1]), (Purpose.MARKETING, "a", "y", [1]), (Purpose.MARKETING, "a", "z", []))
    list(found.take(1))

    found.only([])

    assert [1] == list(found.lines)
    assert [1] == [one.line for one in found.take(5)]


def test_a_line_that_was_told_of_is_read_before_a_thousand_others():
    """They may go on too, but nobody said so."""
    found = lines(*[(Purpose.MARKETING, "a", str(place), []) for place in range(1000)])

    found.stirred([999])

    assert 999 == found.short(10)[0].number
    assert 999 not in [one.number for one in found.short(1000)]

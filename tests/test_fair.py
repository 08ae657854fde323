"""Turns: who always has something gets like units, who comes new is first once, and nobody gains by coming and going."""

import heapq
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from parley_sender.fair import KEPT, QUANTUM, Fair, Front, Tags

LARGEST = 8
costs = st.integers(1, LARGEST)


class Crowd:
    """Keys with the costs of what they have; `unread`: those of which nobody has read what stands there."""

    def __init__(self, **has: list[int]):
        self.fair, self.has, self.unread, self.got = Fair(), {}, set(), Counter()
        for key, some in has.items():
            self.comes(key, *some)

    def comes(self, key: str, *some: int) -> None:
        self.has.setdefault(key, []).extend(some)
        self.fair.join(key)

    def front(self, key: str) -> Front:
        return Front.UNREAD if key in self.unread else Front.THERE if self.has[key] else Front.NONE

    def next(self) -> str | None:
        if (key := self.fair.peek(self.front)) is not None:
            cost = self.has[key].pop(0)
            self.fair.pay(key, cost)
            self.got[key] += cost
        return key

    def order(self, most: int = 1000) -> str:
        return "".join(one for _ in range(most) if (one := self.next()) is not None)


@given(st.lists(costs, min_size=200, max_size=200), st.lists(costs, min_size=200, max_size=200), st.integers(1, 150))
def test_of_two_who_have_something_neither_is_ahead_by_more_than_a_turn_and_a_message(mine, theirs, until):
    """Whatever their messages cost."""
    crowd = Crowd(a=mine, b=theirs)
    crowd.order(until)

    assert abs(crowd.got["a"] - crowd.got["b"]) <= QUANTUM + LARGEST - 1


@given(st.lists(st.tuples(st.integers(0, 6), st.lists(costs, max_size=4)), min_size=1, max_size=60), costs)
def test_nobody_gains_by_coming_and_going(visits, each):
    """Who is there now and then, at the best moments too, is never ahead of who waits all the time by more than two turns and two messages."""
    crowd, lead, most = Crowd(steady=[each] * 2000), 0, 0
    for pause, some in visits:
        crowd.order(pause)
        if some:
            crowd.comes("comes", *some)
        crowd.order(1)
        ahead = crowd.got["comes"] - crowd.got["steady"]
        lead, most = min(lead, ahead), max(most, ahead - min(lead, ahead))

    assert most <= 2 * (QUANTUM + LARGEST)


@given(costs, costs)
def test_who_comes_again_as_soon_as_it_is_forgotten_gains_nothing(mine, theirs):
    """What it took too much is not forgotten."""
    crowd = Crowd(steady=[theirs] * 500)
    for _ in range(500):
        if "comes" not in crowd.fair.deficit:
            crowd.comes("comes", mine)
        crowd.next()

    assert crowd.got["comes"] - crowd.got["steady"] <= QUANTUM + LARGEST - 1


def test_who_comes_new_is_first_and_has_one_turn():
    """Then it is one among the others."""
    crowd = Crowd(a=[1] * 20, b=[1] * 20)
    crowd.order(10)
    crowd.comes("c", *[1] * 20)

    assert "c" * QUANTUM == crowd.order(QUANTUM)
    assert {"a": QUANTUM, "b": QUANTUM, "c": QUANTUM} == Counter(crowd.order(3 * QUANTUM))


def test_a_large_message_of_who_comes_new_is_first_too():
    """What it takes too much counts against its next turns."""
    crowd = Crowd(a=[1] * 50)
    crowd.order(2 * QUANTUM)
    crowd.comes("c", 3 * QUANTUM, 1)

    assert "c" + "a" * 2 * QUANTUM + "c" == crowd.order(2 * QUANTUM + 2)


def test_who_has_nothing_is_forgotten_in_its_turn():
    """Not before: until then it comes back as an old one."""
    crowd = Crowd(a=[1] * 40, c=[1])
    crowd.order(QUANTUM + 2)
    crowd.comes("c", 1)
    old = crowd.order(1)
    crowd.order(3 * QUANTUM)
    crowd.comes("c", 1)

    assert ("a", "c") == (old, crowd.order(1))


def test_what_is_not_read_yet_keeps_its_turn():
    """Others go first, and nothing is forgotten."""
    crowd = Crowd(a=[1] * 6, c=[1] * 9)
    crowd.unread.add("c")

    assert "aaaaaa" == crowd.order()
    assert ["c"] == list(crowd.fair.deficit)
    crowd.unread.clear()
    assert "c" * 9 == crowd.order()


@given(st.integers(1, 300))
def test_the_messages_of_a_small_one_leave_at_twice_their_place_at_the_latest(many):
    """Beside one that has without end: a fair half is never less than that."""
    crowd = Crowd(large=[1] * 1000)
    crowd.order(2 * QUANTUM)
    crowd.comes("small", *[1] * many)
    order = [crowd.next() for _ in range(2 * many)]
    places = [place for place, one in enumerate(order, 1) if one == "small"]

    assert many == len(places)
    assert all(place <= 2 * nth for nth, place in enumerate(places, 1))


class Hand:
    """Messages in hand, with their tags."""

    def __init__(self):
        self.tags, self.heap, self.got, self.count = Tags(), [], Counter(), 0

    def comes(self, key: str, *some: int) -> None:
        for cost in some:
            self.count += 1
            heapq.heappush(self.heap, (self.tags.enter(key, cost), self.count, key, cost))

    def leaves(self, most: int = 1000) -> str:
        order = [heapq.heappop(self.heap) for _ in range(min(most, len(self.heap)))]
        for tag, _, key, cost in order:
            self.tags.leave(key, cost, tag)
            self.got[key] += cost
        return "".join(key for _, _, key, _ in order)


def test_who_comes_while_another_has_much_in_hand_has_its_turn_at_once_and_then_each_second_message():
    """Not all of the other's first."""
    hand = Hand()
    hand.comes("a", *[1] * 40)
    hand.leaves(10)
    hand.comes("c", *[1] * 12)

    assert "c" * QUANTUM + "ac" * (12 - QUANTUM) + "a" * 22 == hand.leaves()


@given(st.lists(costs, min_size=100, max_size=100), st.lists(costs, min_size=100, max_size=100), st.integers(0, 60), st.integers(1, 60))
def test_what_is_in_hand_of_two_leaves_alike_from_when_both_have_something(mine, theirs, before, until):
    """But for a turn and a message of each, however much one of them had there before."""
    hand = Hand()
    hand.comes("a", *mine)
    hand.leaves(before // 2)
    hand.comes("c", *theirs)
    hand.got.clear()
    hand.leaves(until)

    assert abs(hand.got["a"] - hand.got["c"]) <= QUANTUM + 2 * LARGEST


@given(st.integers(2, 9), costs)
def test_who_comes_again_as_soon_as_its_hand_is_empty_gains_nothing(others, cost):
    """Of many who have something in hand all the time it has its share, and one start."""
    hand, names = Hand(), "abdefghij"[:others]
    for name in names:
        hand.comes(name, *[1] * 400)
    for _ in range(200):
        if "c" not in hand.tags.held:
            hand.comes("c", cost)
        hand.leaves(1)

    assert hand.got["c"] <= max(hand.got[name] for name in names) + QUANTUM + LARGEST


def test_of_whom_nothing_is_in_hand_nothing_is_kept_for_long():
    """Thousands of tenants pass here."""
    hand = Hand()
    for number in range(1000):
        hand.comes(f"t{number}", 1)
        hand.comes("a", 1, 1, 1)
        hand.leaves(4)

    assert {} == hand.tags.held and len(hand.tags.next) <= 2 * KEPT

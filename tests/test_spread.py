"""Lanes and replicas: each drives its share, nothing stays undriven, and nothing moves without need."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from parley_sender.spread import LINGER, STEADY, Spread, share


class Together:
    """Replicas that look once a second, one after the other; and how often each lane came to another."""

    def __init__(self, count: int) -> None:
        self.lanes = [f"lane-{number}" for number in range(count)]
        self.held: dict[int, list[str]] = {}
        self.seen: dict[int, Spread] = {}
        self.moves: Counter[str] = Counter()
        self.idle = 0
        self.now = 0

    def comes(self, name: int, *held: str) -> None:
        self.held[name], self.seen[name] = list(held), Spread()

    def goes(self, name: int) -> None:
        del self.held[name], self.seen[name]

    @property
    def free(self) -> set[str]:
        return set(self.lanes) - {one for some in self.held.values() for one in some}

    def passes(self, seconds: int) -> None:
        for self.now in range(self.now, self.now + seconds):  # noqa: B020
            for name, spread in self.seen.items():
                free = self.free
                found = [one for one in spread.takes(self.lanes, self.held[name], frozenset(self.seen), free, self.now) if one in free]
                self.held[name] += found
                self.moves.update(found)
                for one in spread.gives(self.lanes, self.held[name], self.now):
                    self.held[name].remove(one)
            self.idle += len(self.free)
        self.now += 1

    def even(self) -> bool:
        return not self.free and max(map(len, self.held.values())) <= share(len(self.lanes), len(self.held))


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 30))
def test_every_replica_comes_to_its_share_and_then_nothing_moves(count, replicas, first):
    """However the lanes lay before: all are driven, by nobody more than a share, and ten minutes later they lie the same."""
    some = Together(count)
    for name in range(replicas):
        some.comes(name, *(some.lanes[:first] if name == 0 else ()))
    some.passes(2 * int(STEADY))
    assert some.even()

    found, moves = {name: list(held) for name, held in some.held.items()}, some.moves.total()
    some.passes(600)
    assert (found, moves) == (some.held, some.moves.total())


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_a_rolling_update_moves_lanes_only_because_their_replica_goes(count, replicas, before, after, sooner):
    """Whether a successor comes before or after: nobody gives anything while it lasts, no lane is without a driver for more than a moment, and only what is
    over where lanes cannot be shared evenly moves more often than once by the way that has successors first. In the end all drive their share."""
    some = Together(count)
    for name in range(replicas):
        some.comes(name)
    some.passes(2 * int(STEADY))
    some.moves.clear()
    went = 0
    for name in range(replicas):
        if sooner or replicas == 1:
            some.comes(replicas + name)
            some.passes(before)
        went += len(some.held[name])
        some.goes(name)
        some.idle = 0
        some.passes(max(after, int(LINGER) + 1))
        assert some.idle <= LINGER * count and not some.free
        if not sooner and replicas > 1:
            some.comes(replicas + name)
            some.passes(before)
    assert some.moves.total() == went
    if sooner:
        assert some.moves.total() <= count + replicas * (replicas - 1)
    some.passes(2 * int(STEADY))
    assert some.even()


def test_one_that_comes_as_another_goes_is_a_change():
    """As many as before, and not the same: what one of them lacks it takes from what is free, and nobody gives yet."""
    spread, mine = Spread(), ["a", "b", "c"]
    spread.takes(mine, mine, frozenset({1, 2}), set(), 0.0)
    spread.takes(mine, mine, frozenset({1, 3}), set(), STEADY - 1)

    assert [] == spread.gives(mine, mine, STEADY + 1)
    assert ["c"] == spread.gives(mine, mine, 2 * STEADY - 1)


def test_a_lane_that_nobody_takes_is_taken_beyond_the_share_and_kept():
    """The other replica may not know the lane yet: it is driven all the same, and not given back to nobody."""
    spread, lanes, both = Spread(), ["a", "b"], frozenset({1, 2})
    assert spread.takes(lanes, ["a"], both, {"b"}, 0.0) == []
    assert spread.takes(lanes, ["a"], both, {"b"}, LINGER) == ["b"]
    assert spread.gives(lanes, ["a", "b"], LINGER + STEADY) == []

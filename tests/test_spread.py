"""Lanes and replicas: each drives its share, nothing stays undriven, and nothing moves without need."""

from hypothesis import given
from hypothesis import strategies as st

from parley_sender.spread import LINGER, STEADY, Spread, share


def driven(lanes: list[str], seen: dict[str, Spread], seconds: range, start: dict[str, set[str]]) -> tuple[dict[str, set[str]], int]:
    """Replicas that look once a second, one after the other; gives what each drives in the end, and how often a lane was given."""
    held, moves = {name: list(start.get(name, ())) for name in seen}, 0
    for now in seconds:
        for name, spread in seen.items():
            free = set(lanes) - {one for some in held.values() for one in some}
            held[name] += [one for one in spread.takes(lanes, held[name], len(seen), free, now) if one in free]
            for one in spread.gives(lanes, held[name], now):
                held[name].remove(one)
                moves += 1
    return {name: set(some) for name, some in held.items()}, moves


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 30))
def test_every_replica_comes_to_its_share_and_then_nothing_moves(count, replicas, first):
    """However the lanes lay before: all are driven, by nobody more than a share, and ten minutes later they lie the same."""
    lanes = [f"lane-{number}" for number in range(count)]
    seen = {f"replica-{number}": Spread() for number in range(replicas)}
    found, _ = driven(lanes, seen, range(60), {"replica-0": set(lanes[:first])})
    after, moves = driven(lanes, seen, range(60, 660), found)

    assert set().union(*found.values()) == set(lanes) and sum(map(len, found.values())) == count
    assert max(map(len, found.values())) <= share(count, replicas)
    assert (after, moves) == (found, 0)


def test_lanes_move_only_once_the_replicas_are_steady():
    """A rolling update, in which there is one more for some seconds, moves nothing."""
    spread, mine = Spread(), ["a", "b", "c", "d"]
    spread.takes(mine, mine, 1, set(), 0.0)
    spread.takes(mine, mine, 2, set(), 100.0)
    assert spread.gives(mine, mine, 100.0 + STEADY - 1) == []
    spread.takes(mine, mine, 1, set(), 100.0 + STEADY - 0.5)
    assert spread.gives(mine, mine, 100.0 + 2 * STEADY) == []
    spread.takes(mine, mine, 2, set(), 200.0)
    assert spread.gives(mine, mine, 200.0 + STEADY) == ["d", "b"]


def test_a_lane_that_nobody_takes_is_taken_beyond_the_share_and_kept():
    """The other replica may not know the lane yet: it is driven all the same, and not given back to nobody."""
    spread, lanes = Spread(), ["a", "b"]
    assert spread.takes(lanes, ["a"], 2, {"b"}, 0.0) == []
    assert spread.takes(lanes, ["a"], 2, {"b"}, LINGER) == ["b"]
    assert spread.gives(lanes, ["a", "b"], LINGER + STEADY) == []

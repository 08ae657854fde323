"""What an experiment says: which variant is better and by how much, whether to stop, and whether the figures can be trusted at all. Pure.

A variant is called better only where the interval of its difference excludes zero, and all intervals hold together at every look: with several variants each
pair gets its part of the 5 %. A verdict tells what is known now; with more people it may become another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt
from typing import Literal, NamedTuple

from parley_analytics import power
from parley_analytics.sequences import ALPHA, Interval, Moments, difference, imbalance, spread, time, together

UNTRUSTED = 0.01
"""Below this p-value the split is not as configured: of a hundred experiments that are split as they should be, at most one is ever called so."""


class Unfit(ValueError):
    """A design that is none of these variants'; the sentence is for whoever asked."""


Kind = Literal["untrusted", "alone", "better", "alike", "early"]


class Arm(NamedTuple):
    """A variant and the figure of its people."""

    name: str
    figure: Moments


@dataclass(frozen=True, slots=True)
class Design:
    """How an experiment was meant: decided before it begins, not after a look at it.

    `smallest`: the smallest difference that matters; `weights`: the shares of the variants, alike where there are none; `control`: which variant the others
    are set against, the first by default; `holdout`: the variant that gets nothing.
    """

    smallest: float
    weights: Mapping[str, float] | None = None
    control: str | None = None
    holdout: str | None = None


class Pair(NamedTuple):
    """A variant against another one; the interval is None as long as it is too early for one."""

    ours: str
    theirs: str
    interval: Interval | None


class Split(NamedTuple):
    """Which shares of the people the variants should have, and the p-value, valid at every look, of their having them."""

    expected: dict[str, float]
    p_value: float

    @property
    def trusted(self) -> bool:
        return self.p_value >= UNTRUSTED


class Verdict(NamedTuple):
    """What to make of it.

    `winner` stands against `against`, the closest of those that it beats, by `interval`; `beaten` are variants that are worse than another one, also where the
    rest is undecided; `people` more are needed, in so many `days`: None where that cannot be told.
    """

    kind: Kind
    winner: str = ""
    against: str = ""
    interval: Interval | None = None
    beaten: tuple[str, ...] = ()
    people: int | None = None
    days: int | None = None

    @property
    def stop(self) -> bool:
        """Whether it is safe to stop: more people would say nothing else that matters."""
        return self.kind in ("better", "alike")


class Reading(NamedTuple):
    """An experiment, read: each variant against each before it, all who may get messages against the holdout group, the split, the verdict."""

    pairs: list[Pair]
    lift: Pair | None
    split: Split
    verdict: Verdict


def read(arms: Sequence[Arm], design: Design, per_day: float) -> Reading:
    """What these figures say, while so many people come a day. Raises `Unfit`."""
    arms = _ordered(arms, design)
    held = [one for one in arms if one.name == design.holdout]
    told = [one for one in arms if one.name != design.holdout]
    compared = told if len(told) > 1 else [*held, *told]
    pairs = compare(compared)
    split = _split(arms, design.weights)
    verdict = _verdict(compared, pairs, design.smallest, split, per_day)
    return Reading(pairs, _lift(told, held), split, verdict)


def plan(rate: float, smallest: float, variants: int) -> int:
    """How many people an experiment needs, shared alike by its variants, until 80 of 100 have found a difference of `smallest` to this rate."""
    other = rate + smallest if rate + smallest <= 1 else rate - smallest
    middle = (rate + other) / 2
    known = power.anytime(smallest / sqrt(middle * (1 - middle)), alpha=ALPHA / comb(variants, 2))
    return power.people(known, 1 / variants, 1 / variants)


def compare(arms: Sequence[Arm]) -> list[Pair]:
    """Every variant against every one before it. Each pair gets an equal part of `ALPHA` (Bonferroni), so that all intervals hold together."""
    found = list(combinations(arms, 2))
    return [Pair(ours.name, theirs.name, difference(ours.figure, theirs.figure, ALPHA / len(found))) for theirs, ours in found]


def _ordered(arms: Sequence[Arm], design: Design) -> list[Arm]:
    """The control first. A variant that has a weight is there, though nobody has got it yet."""
    known = {name: Arm(name, Moments(0, 0, 0)) for name in design.weights or ()} | {one.name: one for one in arms}
    for what, name in (("control", design.control), ("holdout", design.holdout)):
        if name is not None and name not in known:
            raise Unfit(f"`{what}` must be a variant of the campaign ({', '.join(sorted(known)) or 'it has none'}), not {name!r}.")
    if design.weights is not None and (missing := sorted(known.keys() - design.weights.keys())):
        raise Unfit(f"`weights` must name every variant of the campaign; {missing[0]!r} is missing.")
    return sorted(known.values(), key=lambda one: (one.name != design.control, one.name))


def _split(arms: Sequence[Arm], weights: Mapping[str, float] | None) -> Split:
    given = [weights[one.name] if weights else 1.0 for one in arms]
    expected = {one.name: weight / sum(given) for one, weight in zip(arms, given, strict=True)}
    return Split(expected, imbalance([one.figure.people for one in arms], given) if arms else 1.0)


def _lift(told: Sequence[Arm], held: Sequence[Arm]) -> Pair | None:
    """Another question than which variant is better, so it has 5 % of its own."""
    if not told or not held:
        return None
    return Pair("all", held[0].name, difference(together([one.figure for one in told]), held[0].figure))


def _verdict(arms: Sequence[Arm], pairs: Sequence[Pair], smallest: float, split: Split, per_day: float) -> Verdict:
    if not split.trusted:
        return Verdict("untrusted")
    if len(arms) < 2:
        return Verdict("alone")
    beaten = {name for one in pairs for name in _beaten(one)}
    left = [one for one in arms if one.name not in beaten]  # never nobody: whoever has the highest mean is there
    if len(left) == 1:
        return _better(left[0].name, pairs)
    names = {one.name for one in left}
    undecided = [one for one in pairs if {one.ours, one.theirs} <= names]
    out = tuple(one.name for one in arms if one.name in beaten)
    if all(one.interval is not None and one.interval.within(smallest) for one in undecided):
        return Verdict("alike", beaten=out)
    figures = {one.name: one.figure for one in left}
    people = _missing(undecided, figures, split.expected, smallest, ALPHA / len(pairs))
    return Verdict("early", beaten=out, people=people, days=None if people is None else power.days(people, per_day))


def _beaten(pair: Pair) -> tuple[str, ...]:
    """Whom zero outside of the interval shows to be worse."""
    sign = pair.interval.sign if pair.interval else 0
    return (pair.theirs,) if sign > 0 else (pair.ours,) if sign < 0 else ()


def _better(winner: str, pairs: Sequence[Pair]) -> Verdict:
    """The winner against the closest of those that it beats itself; a third may have been beaten by one of these."""
    won = {
        pair.theirs if pair.ours == winner else pair.ours: pair.interval if pair.ours == winner else pair.interval.turned()
        for pair in pairs
        if pair.interval is not None and pair.interval.sign and winner in (pair.ours, pair.theirs)
    }
    against = min(won, key=lambda name: won[name].low)
    beaten = {name for one in pairs for name in _beaten(one)}
    return Verdict("better", winner, against, won[against], tuple(sorted(beaten)))


def _missing(pairs: Sequence[Pair], figures: Mapping[str, Moments], shares: Mapping[str, float], smallest: float, alpha: float) -> int | None:
    """How many more people, over all variants, until the last of these pairs is decided; None while nothing has happened from which to tell."""
    found = []
    for pair in pairs:
        ours, theirs = figures[pair.ours], figures[pair.theirs]
        if not min(ours.people, theirs.people) or not (size := sqrt(spread(ours, theirs))):
            return None
        rest = _needed(pair.interval, smallest, size, time(ours.people, theirs.people), alpha)
        found.append(power.people(rest, shares[pair.ours], shares[pair.theirs]))
    return max(found)


def _needed(interval: Interval | None, smallest: float, size: float, known: float, alpha: float) -> float:
    """How much more must be known of a pair. Who was not found with the power that was planned is decided when the interval leaves zero or fits in."""
    planned = power.anytime(smallest / size, alpha=alpha)
    if interval is None or planned > known:
        return max(planned - known, 1.0)
    away = abs(interval.difference)
    return max(power.narrow(max(away, smallest - away) / size, alpha) - known, 1.0)

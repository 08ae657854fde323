"""Confidence sequences: intervals for a difference that hold at every look together, and the same for how people were split. Pure.

Whoever looks at a 95 % interval every day and stops at the first one without zero is wrong far more often than once in twenty. An interval of a confidence
sequence may be looked at as often as one likes: of 100 experiments, at least 95 hold the true difference in all of their intervals, from the first to the last.

The boundary is Robbins' normal mixture (H. Robbins, Ann. Math. Stat. 41 (1970) 1397-1409; S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Ann. Stat. 49
(2021) 1055-1080, eq. 14), used with an estimated variance as the asymptotic confidence sequences of I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy,
A. Ramdas, Ann. Stat. 52 (2024) 2613-2640. `docs/experiments.md` says the same to people.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import exp, lgamma, log, log1p, sqrt
from typing import NamedTuple

ALPHA = 0.05
"""How many experiments of all may ever have an interval without the true difference."""
TUNED = 5000.0
"""The time at which the boundary is tightest: 10,000 people in each of two variants. At ten times as many it is 7 % wider than could be, at a tenth 26 %."""
PEOPLE = 100
"""In each variant, before there is an interval: the estimated variance means little below."""
EVENTS = 20
"""Of those who did and of those who did not, over both variants, for the same reason. For money it is the number of equal orders that would spread as much."""
PRIOR = 100.0
"""People's worth of belief in the configured split. More finds smaller deviations later, less finds large ones sooner."""


class Moments(NamedTuple):
    """What is kept of one figure for each person of a variant: how many people, the sum of the figure, and the sum of its squares."""

    people: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        return self.total / self.people

    @property
    def variance(self) -> float:
        """Of the figure over these people; rounding never makes it negative."""
        return max(self.squares / self.people - self.mean**2, 0.0)

    @property
    def events(self) -> float:
        """How many equal figures would spread as much as these (L. Kish, Survey Sampling, 1965): of a share exactly those who did."""
        return self.total**2 / self.squares if self.squares else 0.0


class Interval(NamedTuple):
    """A difference, and where the true one lies."""

    difference: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where zero is excluded, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    def turned(self) -> Interval:
        """The same seen from the other side."""
        return Interval(-self.difference, -self.high, -self.low)

    def within(self, smallest: float) -> bool:
        """Whether no difference larger than this is left."""
        return -smallest <= self.low and self.high <= smallest


def share(people: int, hits: int) -> Moments:
    """The moments of a figure that is 0 or 1. Raises ValueError for counts that cannot be."""
    if not 0 <= hits <= people:
        raise ValueError(f"{hits} of {people} is no share")
    return Moments(people, hits, hits)


def together(parts: Sequence[Moments]) -> Moments:
    """The moments of all of these people."""
    return Moments(sum(one.people for one in parts), sum(one.total for one in parts), sum(one.squares for one in parts))


def time(ours: float, theirs: float) -> float:
    """How much is known of a difference between so many people and so many, in people: half of each where they are alike."""
    return ours * theirs / (ours + theirs)


@cache
def precision(alpha: float, tuned: float = TUNED) -> float:
    """The precision of the normal distribution that is mixed over, for a boundary that is tightest at the time `tuned`.

    With x = tuned / precision, the square of the boundary over its time is (1 + 1/x) (log(1 + x) + log(1/alpha²)), which is least where
    x = log(1 + x) + log(1/alpha²). Repeating that contracts by 1 / (1 + x).
    """
    x = sure = 2 * log(1 / alpha)
    for _ in range(60):
        x = sure + log1p(x)
    return tuned / x


def boundary(at: float, alpha: float = ALPHA, tuned: float = TUNED) -> float:
    """What a Brownian motion without drift exceeds in size, at any time at all, with probability at most `alpha`."""
    mixed = precision(alpha, tuned)
    return sqrt((at + mixed) * (log1p(at / mixed) + 2 * log(1 / alpha)))


def spread(ours: Moments, theirs: Moments) -> float:
    """The variance of one person's figure that makes the difference of the means as uncertain as it is.

    The larger of two estimates: from each variant by itself, and from all people as if the variants were alike. The first alone is too small where the smaller
    variant has few events, and would find differences that are not there.
    """
    alone = ours.variance / ours.people + theirs.variance / theirs.people
    return max(alone * time(ours.people, theirs.people), together((ours, theirs)).variance)


def enough(ours: Moments, theirs: Moments) -> bool:
    """Whether there are people and events for an interval: the guarantee is one of large numbers."""
    both = together((ours, theirs))
    return min(ours.people, theirs.people) >= PEOPLE and min(both.events, both.people - both.events) >= EVENTS


def difference(ours: Moments, theirs: Moments, alpha: float = ALPHA, tuned: float = TUNED) -> Interval | None:
    """Our mean less theirs, with the interval of this look; None as long as there is not enough."""
    if not enough(ours, theirs):
        return None
    known = time(ours.people, theirs.people)
    reach = sqrt(spread(ours, theirs)) * boundary(known, alpha, tuned) / known
    found = ours.mean - theirs.mean
    return Interval(found, found - reach, found + reach)


def imbalance(people: Sequence[int], weights: Sequence[float]) -> float:
    """The p-value, valid at every look, of people having been split by these weights.

    The Dirichlet mixture of M. Lindon, A. Malek, Anytime-valid inference for multinomial count data, NeurIPS 35 (2022): its martingale is the likelihood of
    the counts under splits around the weights, over that under the weights, and is ever above 1/p with probability at most p. Exact at every number of people.
    """
    shares = [one / sum(weights) for one in weights]
    total = sum(people)
    evidence = lgamma(PRIOR) - lgamma(PRIOR + total)
    for count, part in zip(people, shares, strict=True):
        evidence += lgamma(PRIOR * part + count) - lgamma(PRIOR * part) - count * log(part)
    return exp(min(-evidence, 0.0))
